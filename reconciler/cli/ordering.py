"""`suspend`, `resume`, `archive`, `rollback`: what people order against the manifests.

What an order does to a row is decided in `holds`; here names become rows, and what is pending after
it is checked at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import click

from reconciler import holds, reconcile, report
from reconciler.cli import completing, probing, workbench
from reconciler.cli.frame import command
from reconciler.cli.session import Session
from reconciler.errors import Refused
from reconciler.model import Action, Change, PlanOptions, Recorded
from reconciler.report import formats, views
from reconciler.stores import Opening, Store

_Command: TypeAlias = tuple[holds.Carry, str]
#: How a command carries its order out, and what it then says was done.
_SUSPEND: _Command = (holds.suspend, "suspended")
_RESUME: _Command = (holds.resume, "resumed")
_ARCHIVE: _Command = (holds.archive, "archived")
_names = click.argument("names", nargs=-1, required=True, shell_complete=completing.connections)
_reason = click.option("--reason", default="", metavar="TEXT", help="Kept and shown with it.")
_health = click.option(
    "--health",
    "depth",
    type=click.Choice(["changed", "none"]),
    default="changed",
    show_default=True,
    help="Whether to check at once what has become pending.",
)
_allow_unhealthy = click.option(
    "--allow-unhealthy", is_flag=True, help="Exit 0 even where a check fails."
)


@command("suspend", examples=("reconciler suspend hr/orders --reason 'migration until Friday'",))
@_names
@_reason
@click.pass_obj
def suspend(session: Session, *, names: tuple[str, ...], reason: str) -> int:
    """Stop checking connections until `resume`; their credentials are kept."""
    return _order(session, names, reason, _SUSPEND)


@command("resume", examples=("reconciler resume hr/orders",))
@_names
@_reason
@_health
@_allow_unhealthy
@click.pass_obj
def resume(
    session: Session, *, names: tuple[str, ...], reason: str, depth: str, allow_unhealthy: bool
) -> int:
    """Check suspended connections again, with fresh counters and a fresh login budget."""
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        resumed = _carry_out(session, workspace, store, names, reason, _RESUME)
        return _check(session, workspace, store, resumed, depth, allow_unhealthy=allow_unhealthy)


@command("archive", examples=("reconciler archive hr/orders --reason 'moved to the new cluster'",))
@_names
@_reason
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def archive(session: Session, *, names: tuple[str, ...], reason: str, yes: bool) -> int:
    """End connections for good; the same name later is a new connection."""
    if session.output.can_ask and not yes:
        shown = ", ".join(f"`{name}`" for name in names)
        if not session.output.confirm(f"Archive {shown} for good?"):
            raise Refused("nothing was archived", "`--yes` does not ask")
    return _order(session, names, reason, _ARCHIVE)


@command(
    "rollback",
    examples=(
        "reconciler rollback hr/orders --to 3",
        "reconciler rollback hr/orders --to 3 -o yaml > manifests/orders.yaml",
    ),
)
@click.argument("name", shell_complete=completing.connections)
@click.option("--to", "number", type=click.IntRange(min=1), required=True, metavar="REVISION")
@_reason
@click.option(
    "-o", "--output", "format_", type=click.Choice(["text", "json", "yaml"]), default="text"
)
@click.option("--dry-run", is_flag=True, help="Show the plan and apply nothing.")
@_health
@_allow_unhealthy
@click.pass_obj
def rollback(
    session: Session,
    *,
    name: str,
    number: int,
    reason: str,
    format_: str,
    dry_run: bool,
    depth: str,
    allow_unhealthy: bool,
) -> int:
    """Bring an earlier revision back; it holds until the manifest changes.

    With `-o yaml` the manifest to commit is printed and nothing is applied.
    """
    is_reading = dry_run or format_ == "yaml"
    with workbench.open_store(session, Opening.READ if is_reading else Opening.WRITE) as store:
        row = workbench.find(store, name)
        past = workbench.revision(store, row, number)
        change = holds.rollback(row, past, workbench.order(session, reason))
        if format_ == "yaml":
            _print_manifest(session, row, change)
            return 0
        options = PlanOptions(stack=row.stack, roots=(), names=(str(row.ref),))
        planned = reconcile.plan_rollback(store, change, options, session.settings.grants)
        shown = views.PlanView(plan=planned, secrets_compared=True, now=session.now())
        session.output.data(report.formatter(formats.PLAN, format_)(shown, session.output.style))
        if change.action is Action.NOOP or dry_run:
            return 0
        workspace = workbench.make_workspace(session)
        reconcile.roll_back(workspace, store, planned)
        session.output.say(
            f"rolled `{row.ref}` back to revision {number}; this holds until its manifest\n"
            f"changes. To keep it: reconciler rollback {row.ref} --to {number} -o yaml\n"
        )
        moved = [after for after in store.find([row.uid]) if _is_elsewhere(after, row)]
        return _check(session, workspace, store, moved, depth, allow_unhealthy=allow_unhealthy)


def _is_elsewhere(after: Recorded, before: Recorded) -> bool:
    """Whether a connection that may be checked connects elsewhere, or as somebody else, now."""
    return after.status.is_probed and after.access_digest != before.access_digest


def _print_manifest(session: Session, row: Recorded, change: Change) -> None:
    assert change.resource is not None
    view = views.DescribeView(
        recorded=workbench.with_manifest(row, change.resource.manifest), now=session.now()
    )
    session.output.data(report.formatter(formats.DESCRIBE, "manifest")(view, session.output.style))


def _check(
    session: Session,
    workspace: reconcile.Workspace,
    store: Store,
    rows: Sequence[Recorded],
    depth: str,
    *,
    allow_unhealthy: bool,
) -> int:
    """Probes at once what an order has made pending; returns the exit code."""
    if depth == "none" or not rows:
        return 0
    view = asyncio.run(probing.probe(session, workspace, store, rows))
    session.output.say(report.formatter(formats.HEALTH, "table")(view, session.output.talk_style))
    return probing.view_code(view, allow_unhealthy=allow_unhealthy)


def _order(session: Session, names: tuple[str, ...], reason: str, command: _Command) -> int:
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        _carry_out(session, workspace, store, names, reason, command)
    return 0


def _carry_out(  # noqa: PLR0917 - who orders what, where
    session: Session,
    workspace: reconcile.Workspace,
    store: Store,
    names: tuple[str, ...],
    reason: str,
    command: _Command,
) -> list[Recorded]:
    """Carries an order out on every connection meant, says so, and returns the rows that moved."""
    carry, done = command
    rows = workbench.select(store, names)
    order = workbench.order(session, reason)
    for row in rows:
        carry(row, order)  # refuses before anything is written
    moved = []
    for row in rows:
        after = reconcile.carry_out(workspace, store, row.uid, order, carry)
        if after is None:
            session.output.say(f"{row.ref} is {row.status.phase} already\n")
        else:
            session.output.data(f"{row.ref} {done}: {row.status.phase} -> {after.status.phase}\n")
            moved.append(after)
    return moved
