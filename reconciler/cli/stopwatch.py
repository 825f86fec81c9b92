"""`--profile`: how long each stage of a command took, said on standard error at the end.

Kept in click's context and not in the session, since nothing but the command itself asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any, TypeVar

import click

from reconciler.cli.session import Session
from reconciler.values import dataclass

_KEY = "reconciler.stopwatch"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One stage and what it took."""

    stage: str
    wall_s: float
    #: of this process alone
    cpu_s: float


def option() -> Callable[[_Function], _Function]:
    """Adds `--profile` to a command."""
    return click.option(
        "--profile",
        is_flag=True,
        expose_value=False,
        callback=_begin,
        help="Say at the end how long each stage took.",
    )


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Times what happens inside as one stage of the running command, if that is profiled."""
    context = click.get_current_context(silent=True)
    laps: list[Lap] | None = context.meta.get(_KEY) if context else None
    if laps is None:
        yield
        return
    wall_s, cpu_s = perf_counter(), process_time()
    try:
        yield
    finally:
        laps.append(Lap(stage=name, wall_s=perf_counter() - wall_s, cpu_s=process_time() - cpu_s))


def table(laps: Sequence[Lap]) -> str:
    """Returns the stages in order, a line each."""
    width = max(len(lap.stage) for lap in laps)
    return "".join(
        f"{lap.stage:{width}}  {lap.wall_s:7.3f} s  {lap.cpu_s:7.3f} s CPU\n" for lap in laps
    )


def _begin(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    # Nobody knows when the process began, but it has hardly waited since.
    cpu_s, began_s = process_time(), perf_counter()
    laps = [Lap(stage="start-up", wall_s=cpu_s, cpu_s=cpu_s)]
    ctx.meta[_KEY] = laps
    output = ctx.ensure_object(Session).output

    def end() -> None:
        whole_s = cpu_s + perf_counter() - began_s
        total = Lap(stage="total", wall_s=whole_s, cpu_s=process_time())
        output.say(table((*laps, total)))

    ctx.call_on_close(end)
