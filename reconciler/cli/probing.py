"""`health`, and the pass that `apply` runs: connect to connections and store what was found.

Whatever connects to more than the state store goes through `probe`, in one `asyncio.run` a command.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from time import monotonic

import click

from reconciler import reconcile, report, selection
from reconciler.cli import completing, exit_codes, workbench
from reconciler.cli.frame import command, setting
from reconciler.cli.progress import Progress
from reconciler.cli.session import Session
from reconciler.errors import SecretError
from reconciler.model import Observation, Outcome, Phase, Reason, Recorded, Status, SuspendedBy
from reconciler.observing import HealthResult
from reconciler.report import formats, standing, views
from reconciler.stores import Opening, Store


@command(
    "health",
    examples=(
        "reconciler health",
        "reconciler health hr/orders sales/*",
        "reconciler health --due -l team=hr",
    ),
)
@click.argument("names", nargs=-1, shell_complete=completing.connections)
@workbench.labels_option()
@workbench.all_stacks_option()
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
    all_stacks: bool,
    due: bool,
    allow_unhealthy: bool,
    format_: str,
) -> int:
    """Connect to every selected connection that is not suspended, and record what was found."""
    selector = selection.parse(names, labels)
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        live = [row for row in store.recorded() if row.status.is_live]
        recorded = workbench.of_stack(session, live, all_stacks=all_stacks)
        selection.require(selector, [row.ref for row in recorded])
        selected = [row for row in recorded if selection.matches_row(selector, row)]
        due_at = session.now() if due else None
        rows = reconcile.select_targets(selected, selector, due_at=due_at)
        probed = {row.uid for row in rows}
        left_out = [row for row in selected if row.uid not in probed]
        view = asyncio.run(probe(session, workspace, store, rows, left_out=left_out))
    session.output.data(report.formatter(formats.HEALTH, format_)(view, session.output.style))
    workbench.warn_of_secrets(session, workspace)
    return view_code(view, left_out, allow_unhealthy=allow_unhealthy)


async def probe(
    session: Session,
    workspace: reconcile.Workspace,
    store: Store,
    rows: Sequence[Recorded],
    *,
    left_out: Sequence[Recorded] = (),
) -> views.HealthView:
    """Probes `rows`, stores every result, and returns what was found; a bar shows the way.

    `left_out` are those that were selected and are not probed.
    """
    # Failed tasks and their tracebacks are cycles; what was read before is kept out of the search.
    gc.freeze()
    gc.enable()
    before = {row.uid: row.status.phase for row in rows}
    found: list[views.HealthRow] = []
    started = monotonic()
    with Progress(session.output, "Checking", len(rows)) as bar:
        async with aclosing(reconcile.check(workspace, store, rows)) as batches:
            async for batch in batches:
                found += [_row(result, before[result.row.uid]) for result in batch]
                bar.advance(len(batch))
    suspended = [row for row in left_out if row.status.suspended_by is SuspendedBy.HEALTH]
    return views.HealthView(
        rows=tuple(found),
        skipped=len(left_out),
        suspended=tuple(suspended),
        elapsed_s=monotonic() - started,
        next_command=_next_command(found, suspended),
        now=session.now(),
    )


def view_code(
    view: views.HealthView, left_out: Sequence[Recorded] = (), *, allow_unhealthy: bool
) -> int:
    """Returns the exit code of a pass; `left_out` were selected and not probed."""
    statuses = [*(row.status for row in view.rows), *(row.status for row in left_out)]
    unhealthy = 0 if allow_unhealthy else exit_code(statuses)
    return exit_codes.worst((unresolved_code(view), unhealthy))


def exit_code(statuses: Iterable[Status]) -> int:
    """Returns 11 where a connection is not healthy: failed, stopped by health, or in doubt."""
    is_healthy = all(standing.standing_of(status).value.is_healthy for status in statuses)
    return 0 if is_healthy else exit_codes.UNHEALTHY


def unresolved_code(view: views.HealthView) -> int:
    """Returns 4 where a connection could not be checked because of its secret."""
    reasons = {row.observation.reason for row in view.rows}
    return SecretError.exit if Reason.SECRET_UNRESOLVED in reasons else 0


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


def _next_command(rows: Sequence[views.HealthRow], suspended: Sequence[Recorded]) -> str:
    """Returns how to learn more of the worst one; of one left alone only where all else is well."""
    bad = [row for row in rows if row.observation.outcome is not Outcome.OK]
    worst = [row.ref for row in sorted(bad, key=standing.worst_first)]
    worst += sorted(row.ref for row in suspended)
    return f"reconciler describe {worst[0]}" if worst else "reconciler status"
