"""`suspend`, `resume`, `archive`, `rollback`: what people order against the manifests."""

from __future__ import annotations

import click

from reconciler import holds, reconcile, report
from reconciler.cli import workbench
from reconciler.cli.frame import command
from reconciler.cli.session import Session
from reconciler.model import Action, PlanOptions
from reconciler.report import formats, views
from reconciler.stores import Opening

_names = click.argument("names", nargs=-1, required=True)
_reason = click.option("--reason", default="", metavar="TEXT", help="Kept and shown with it.")


@command("suspend", examples=("reconciler suspend hr/orders --reason 'migration until Friday'",))
@_names
@_reason
@click.pass_obj
def suspend(session: Session, *, names: tuple[str, ...], reason: str) -> int:
    """Stop checking connections until `resume`; their credentials are kept."""
    return _order(session, names, reason, holds.suspend, "suspended")


@command("resume", examples=("reconciler resume hr/orders",))
@_names
@_reason
@click.pass_obj
def resume(session: Session, *, names: tuple[str, ...], reason: str) -> int:
    """Check suspended connections again, with fresh counters and a fresh login budget."""
    return _order(session, names, reason, holds.resume, "resumed")


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
            session.output.say("nothing was archived\n")
            return 0
    return _order(session, names, reason, holds.archive, "archived")


@command(
    "rollback",
    examples=(
        "reconciler rollback hr/orders --to 3",
        "reconciler rollback hr/orders --to 3 -o yaml > manifests/orders.yaml",
    ),
)
@click.argument("name")
@click.option("--to", "number", type=click.IntRange(min=1), required=True, metavar="REVISION")
@_reason
@click.option(
    "-o", "--output", "format_", type=click.Choice(["text", "json", "yaml"]), default="text"
)
@click.option("--dry-run", is_flag=True, help="Show the plan and apply nothing.")
@click.pass_obj
def rollback(
    session: Session, *, name: str, number: int, reason: str, format_: str, dry_run: bool
) -> int:
    """Bring an earlier revision back; it holds until the manifest changes.

    With `-o yaml` the manifest to commit is printed and nothing is applied.
    """
    workspace = workbench.make_workspace(session)
    with workbench.open_store(
        session, Opening.READ if format_ == "yaml" else Opening.WRITE
    ) as store:
        row = workbench.find(store, name)
        past = workbench.revision(store, row, number)
        change = holds.rollback(row, past, workbench.order(session, reason))
        if format_ == "yaml":
            assert change.resource is not None
            after = workbench.with_manifest(row, change.resource.manifest)
            view = views.DescribeView(recorded=after, now=session.now())
            session.output.data(
                report.formatter(formats.DESCRIBE, "manifest")(view, session.output.style)
            )
            return 0
        options = PlanOptions(stack=row.stack, roots=(), names=(str(row.ref),))
        planned = reconcile.plan_rollback(store, change, options)
        shown = views.PlanView(plan=planned, now=session.now())
        session.output.data(report.formatter(formats.PLAN, format_)(shown, session.output.style))
        if change.action is not Action.NOOP and not dry_run:
            reconcile.roll_back(workspace, store, planned)
            session.output.say(
                f"rolled `{row.ref}` back to revision {number}; this holds until its manifest\n"
                f"changes. To keep it: reconciler rollback {row.ref} --to {number} -o yaml\n"
            )
    return 0


def _order(
    session: Session, names: tuple[str, ...], reason: str, carry: holds.Carry, done: str
) -> int:
    workspace = workbench.make_workspace(session)
    with workbench.open_store(session, Opening.WRITE) as store:
        rows = workbench.select(store, names)
        order = workbench.order(session, reason)
        for row in rows:
            carry(row, order)  # refuses before anything is written
        for row in rows:
            after = reconcile.carry_out(workspace, store, row.uid, order, carry)
            if after is None:
                session.output.say(f"{row.ref} is {row.status.phase} already\n")
            else:
                session.output.data(
                    f"{row.ref} {done}: {row.status.phase} -> {after.status.phase}\n"
                )
    return 0
