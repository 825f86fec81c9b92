"""Measures the steps of one connection attempt, in order, the failing one included.

`clients` open a stage around each step and `probes` put the result into an `Observation`. Separate
because HTTP and SQL share it, and because a stage that fails must be recorded by the same code
that records one that succeeds: the last stage recorded is where an attempt ended.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from reconciler.model import Stage, StageName

if TYPE_CHECKING:
    from types import TracebackType


class Stages:
    """Records stages on a monotonic clock; one per attempt, used by one thread at a time."""

    __slots__ = ("_done", "_running")

    def __init__(self, reached: tuple[Stage, ...] = ()) -> None:
        self._done = list(reached)
        self._running: RunningStage | None = None

    def stage(self, name: StageName) -> RunningStage:
        """Returns a context manager that records stage `name` when it is left, however it is left.

        Stages do not nest.
        """
        return RunningStage(self, name)

    def reached(self) -> tuple[Stage, ...]:
        """Returns every stage so far; one that is still running comes last, with its time so far.

        Another thread may ask, so that whoever gives up waiting for a blocked driver can still say
        which step it stood at.
        """
        running = self._running
        done = tuple(self._done)
        return done if running is None else (*done, running.snapshot())

    def fold(self, name: StageName, since: int) -> None:
        """Makes one stage `name` of all that were recorded from number `since` on.

        What had to be asked before the real request is a step of its own to a reader, however many
        connections it took.
        """
        folded = self._done[since:]
        if folded:
            seconds = sum(stage.seconds for stage in folded)
            self._done[since:] = [Stage(name=name, seconds=seconds)]

    @property
    def last(self) -> StageName | None:
        """Returns the name of the stage that runs or was left last, None before the first."""
        reached = self.reached()
        return reached[-1].name if reached else None


class RunningStage:
    """One stage while it runs; whatever is learnt on the way goes into `detail`."""

    __slots__ = ("_began", "_name", "_stages", "detail")

    def __init__(self, stages: Stages, name: StageName) -> None:
        self._stages = stages
        self._name = name
        self._began = 0.0
        #: own words or numeric addresses only; foreign text is escaped before it comes here
        self.detail = ""

    def snapshot(self) -> Stage:
        """Returns the stage as it stands now."""
        return Stage(name=self._name, seconds=time.monotonic() - self._began, detail=self.detail)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._stages._running = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finished = self.snapshot()
        self._stages._running = None
        self._stages._done.append(finished)
