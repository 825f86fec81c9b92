"""`health`, and the pass that `apply` runs: connect to connections and store what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from time import monotonic
from typing import Protocol, TextIO, cast

import click

from reconciler import reconcile, report, selection
from reconciler.cli import workbench
from reconciler.cli.frame import command, setting
from reconciler.cli.session import Session
from reconciler.model import Observation, Outcome, Phase, Reason, Recorded, Status
from reconciler.observing import HealthResult
from reconciler.report import formats, standing, views
from reconciler.stores import Opening, Store

_UNHEALTHY = 11


@command(
    "health",
    examples=(
        "reconciler health",
        "reconciler health hr/orders sales/*",
        "reconciler health --due -l team=hr",
    ),
)
@click.argument("names", nargs=-1)
@workbench.labels_option()
@click.option("--due", is_flag=True, help="Only those whose `health.interval` is over.")
@setting(
    "--concurrency",
    "health.concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Probes in flight at once; default: 50.",
)
@click.option("--allow-unhealthy", is_flag=True, help="Exit 0 even where a check fails.")
@workbench.output_option(tuple(formats.HEALTH))
@click.pass_obj
def health(
    session: Session,
    *,
    names: tuple[str, ...],
    labels: tuple[str, ...],
    due: bool,
    allow_unhealthy: bool,
    format_: str,
) -> int:
    """Connect to every selected connection that is not suspended, and record what was found."""
    selector = selection.parse(names, labels)
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        recorded = [row for row in store.recorded() if row.status.is_live]
        selection.require(selector, [row.ref for row in recorded])
        selected = [row for row in recorded if selection.matches_row(selector, row)]
        due_at = session.now() if due else None
        rows = reconcile.select_targets(selected, selector, due_at=due_at)
        skipped = len(selected) - len(rows)
        view = asyncio.run(probe(session, workspace, store, rows, skipped=skipped))
    session.output.data(report.formatter(formats.HEALTH, format_)(view, session.output.style))
    after = {row.ref: row.status for row in selected} | {row.ref: row.status for row in view.rows}
    return 0 if allow_unhealthy else exit_code(after.values())


async def probe(
    session: Session,
    workspace: reconcile.Workspace,
    store: Store,
    rows: Sequence[Recorded],
    *,
    skipped: int = 0,
) -> views.HealthView:
    """Probes `rows`, stores every result, and returns what was found; a bar shows the way."""
    before = {row.uid: row.status.phase for row in rows}
    found: list[views.HealthRow] = []
    started = monotonic()
    with _progress(session, len(rows)) as progress:
        async with aclosing(reconcile.check(workspace, store, rows)) as batches:
            async for batch in batches:
                found += [_row(result, before[result.row.uid]) for result in batch]
                progress.advance(len(batch))
    return views.HealthView(
        rows=tuple(found),
        skipped=skipped,
        elapsed_s=monotonic() - started,
        next_command=_next_command(found),
        now=session.now(),
    )


def exit_code(statuses: Iterable[Status]) -> int:
    """Returns 11 where a connection is not healthy: failed, stopped by health, or in doubt."""
    is_healthy = all(standing.standing_of(status).value.is_healthy for status in statuses)
    return 0 if is_healthy else _UNHEALTHY


def _row(result: HealthResult, before: Phase) -> views.HealthRow:
    row = result.row
    return views.HealthRow(
        ref=row.ref,
        observation=result.observation or _not_sent(row),
        status=row.status,
        before=before,
    )


def _not_sent(row: Recorded) -> Observation:
    """Returns what to show of a connection whose login budget was used up."""
    return Observation(
        uid=row.uid,
        generation=row.generation,
        outcome=Outcome.FAILED,
        reason=Reason.LOGIN_BUDGET_USED,
        message=row.status.message,
        latency_s=0.0,
        observed_at=row.status.since_at,
    )


def _next_command(rows: Sequence[views.HealthRow]) -> str:
    bad = [row for row in rows if row.observation.outcome is not Outcome.OK]
    return f"reconciler describe {bad[0].ref}" if bad else "reconciler status"


class _Progress(Protocol):
    def advance(self, count: int) -> None: ...


class _NoProgress:
    def advance(self, count: int) -> None:
        """Shows nothing."""


class _Bar:
    def __init__(self, session: Session, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        # the gate has all that rich uses of a stream: write, flush, isatty, fileno, encoding
        stream = cast(TextIO, session.output.stderr)
        console = Console(file=stream, force_terminal=True)
        columns = ("Checking", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=console, transient=True)
        self._task = self.bar.add_task("", total=total)

    def advance(self, count: int) -> None:
        """Moves the bar on by `count` checks."""
        self.bar.advance(self._task, count)


@contextmanager
def _progress(session: Session, total: int) -> Iterator[_Progress]:
    """Yields a bar on a terminal that is not quiet, else something that shows nothing."""
    if not total or session.output.is_quiet or not session.output.stderr.isatty():
        yield _NoProgress()
        return
    bar = _Bar(session, total)
    with bar.bar:
        yield bar
