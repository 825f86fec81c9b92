"""`health`, and the pass that `apply` runs: connect to connections and store what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from time import monotonic

import click

from reconciler import reconcile, report, selection
from reconciler.cli import workbench
from reconciler.cli.frame import command, setting
from reconciler.cli.progress import Progress
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
    with Progress(session.output, "Checking", len(rows)) as bar:
        async with aclosing(reconcile.check(workspace, store, rows)) as batches:
            async for batch in batches:
                found += [_row(result, before[result.row.uid]) for result in batch]
                bar.advance(len(batch))
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
