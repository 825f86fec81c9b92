"""Kills a change at each of its points in turn, and looks at what is left each time.

Runs in a process of its own without threads, which forks: a child that dies costs milliseconds. A
second child looks at the store as the next command would find it, and goes on from there. Most
kills leave the same bytes as the one before, about which the same would be found; these are looked
at once, unless the survey is thorough.
"""

from __future__ import annotations

import gc
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import MigrationRequired, StoreMissing
from reconciler.stores import Opening, open_store, tables
from tests import factories
from tests.contract import rivals
from tests.reliability import crash_points, places, scenarios
from tests.reliability.places import Contents, Place
from tests.reliability.scenarios import Scenario

#: A change with more points than this does not end.
_MOST_POINTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What killing one change at every point came to."""

    #: how many kills there were
    points: int
    #: what was wrong after one, a text each
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be surveyed."""

    #: a scenario, by name: a process is handed nothing else
    name: str
    folder: Path
    #: of an empty PostgreSQL schema; empty for a file in `folder`
    url: str = ""
    #: whether every point is one, those of reading too, and is looked at even where nothing is new
    is_thorough: bool = False


def survey(job: Job) -> Survey:
    """Returns what killing a change at its points came to; runs in a process of its own."""
    return rivals.in_process(_survey, job)


def _survey(job: Job) -> Survey:
    scenarios.write_next_scripts(job.folder, tables.HEAD)
    with places.open_place(job.url, job.folder) as place:
        scenario = scenarios.ALL[job.name]
        return _Surveyor(job=job, scenario=scenario, place=place).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surveyor:
    job: Job
    scenario: Scenario
    place: Place

    def run(self) -> Survey:
        before, after = self._both_ends()
        gc.freeze()
        seen: list[object] = []
        wrong: list[str] = []
        points = 0
        while self._is_killed(points):
            assert points < _MOST_POINTS
            remains = self._remains()
            if self.job.is_thorough or remains not in seen:
                seen.append(remains)
                if found := self._look(before, after):
                    wrong.append(f"point {points}: {found}")
                self._reset()
            points += 1
        return Survey(points=points, wrong=tuple(wrong))

    def _both_ends(self) -> tuple[Contents, Contents]:
        """Returns the contents before and after the change, with the store at the first.

        Done in this process, so that its forks find every module loaded.
        """
        self.scenario.begin(self.place.url, self.job.folder)
        before = self.place.contents()
        self.place.save()
        self._change()
        after = self.place.contents()
        assert (before != after) is self.scenario.writes
        self._reset()
        return before, after

    def _remains(self) -> object:
        copy = self.job.folder / scenarios.COPY_MADE
        is_random = self.scenario.is_random
        return self.place.remains(is_random=is_random), copy.exists() and copy.read_bytes()

    def _reset(self) -> None:
        self.place.restore()
        self.job.folder.joinpath(scenarios.COPY_MADE).unlink(missing_ok=True)

    def _is_killed(self, point: int) -> bool:
        """Does the change, dying at `point`; returns whether it came to that."""

        def change() -> None:
            crash_points.die_at(point, with_reading=self.job.is_thorough)
            self._change()

        ended = in_child(change)
        if ended not in (_KILLED, ""):
            raise AssertionError(ended)
        return ended == _KILLED

    def _look(self, before: Contents, after: Contents) -> str:
        """Returns what is wrong with what the kill left, or with going on from there."""
        found = self.place.contents()
        if found not in (before, after):
            return "half of the change is stored"
        if failure := in_child(self._go_on):
            return failure
        if self.scenario.repeats and self.place.contents() != after:
            return "repeating the change does not complete it, or does it twice"
        return ""

    def _go_on(self) -> None:
        """Opens the store as the next commands would: to look, to do the same, to do it again."""
        assert self._findings() == ()
        if self.scenario.repeats:
            self._change()
            self._change()

    def _findings(self) -> tuple[str, ...]:
        """Returns what is wrong with the store; nothing where there is none, or a newer one."""
        try:
            store = open_store(self.place.url, Opening.READ, now=factories.NOW)
        except (StoreMissing, MigrationRequired):
            return ()
        try:
            return store.check()
        finally:
            store.close()

    def _change(self) -> None:
        self.scenario.change(self.place.url, self.job.folder)


_KILLED = f"signal {signal.SIGKILL.value}"


def in_child(act: Callable[[], object]) -> str:
    """Runs `act` in a fork; returns what went wrong: a traceback, a signal, or nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        failure = ""
        try:
            act()
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
            failure = traceback.format_exc()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(failure.encode())
        os._exit(1 if failure else 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else failure
