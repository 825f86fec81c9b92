"""`status`, `describe`, `history`, `events`: what is recorded; nothing is written, nobody asked.

Each reads the store, gathers one view and hands it to `report`; what is shown is decided there.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import click

from reconciler import fields, plan, report, selection, sending
from reconciler.cli import completing, probing, workbench
from reconciler.cli.frame import command
from reconciler.cli.session import Session
from reconciler.errors import ConfigError
from reconciler.kinds import durations
from reconciler.model import EVENT_TYPES, Event, Recorded
from reconciler.report import advice, formats, views
from reconciler.stores import EventQuery, Opening, Store

#: Transitions that `describe` shows.
_TRANSITIONS = 10
#: Far more than anybody reads, and a number that every database takes.
_MOST_EVENTS = 1_000_000
_names = click.argument("names", nargs=-1, shell_complete=completing.connections)
_name = click.argument("name", shell_complete=completing.connections)


@command("status", examples=("reconciler status", "reconciler status -l team=hr -o wide"))
@_names
@workbench.labels_option()
@workbench.all_stacks_option()
@click.option("--archived", is_flag=True, help="Archived connections too.")
@click.option("--fail-on-unhealthy", is_flag=True, help="Exit 11 where one is not healthy.")
@workbench.output_option(tuple(formats.STATUS))
@click.pass_obj
def status(
    session: Session,
    *,
    names: tuple[str, ...],
    labels: tuple[str, ...],
    all_stacks: bool,
    archived: bool,
    fail_on_unhealthy: bool,
    format_: str,
) -> int:
    """List connections, the worst first: where they stand, since when, and why."""
    selector = selection.parse(names, labels)
    with workbench.open_store(session, Opening.READ) as store:
        rows = store.recorded(archived=archived)
        runs = store.runs(limit=1)
    shown = [row for row in rows if archived or row.status.is_live]
    known = workbench.of_stack(session, shown, all_stacks=all_stacks)
    selection.require(selector, [row.ref for row in known])
    selected = tuple(row for row in known if selection.matches_row(selector, row))
    git = runs[0].git if runs else None
    view = views.StatusView(rows=selected, total=len(known), git=git, now=session.now())
    session.output.data(report.formatter(formats.STATUS, format_)(view, session.output.style))
    return probing.exit_code(row.status for row in selected) if fail_on_unhealthy else 0


@command(
    "describe", examples=("reconciler describe hr/orders", "reconciler describe sql/hr/orders")
)
@_name
@workbench.output_option(tuple(formats.DESCRIBE))
@click.pass_obj
def describe(session: Session, *, name: str, format_: str) -> int:
    """Show everything known of one connection: status, last check by stage, transitions."""
    with workbench.open_store(session, Opening.READ) as store:
        row = workbench.find(store, name)
        events = store.events(EventQuery(uid=row.uid))
        observation = next(iter(store.observations(row.uid, limit=1)), None)
        view = views.DescribeView(
            recorded=row,
            observation=observation,
            revision=next(iter(reversed(store.revisions(row.uid))), None),
            transitions=tuple(event for event in events if event.target)[-_TRANSITIONS:],
            granted=_granted(session, row),
            suggestions=advice.suggestions(
                row, observation, login_budget=session.settings.health.login_budget
            ),
            last_used=store.last_used(row.uid),
            now=session.now(),
        )
    session.output.data(report.formatter(formats.DESCRIBE, format_)(view, session.output.style))
    return 0


def _granted(session: Session, row: Recorded) -> views.Granted | None:
    grants = session.settings.grants
    if not grants:
        return None
    spec = plan.normal_spec(row)
    denied = sending.denied(grants, row.ref, spec, os.path.realpath)
    return views.Granted(
        grants=tuple(grant.number for grant in sending.covering(grants, row.ref, spec)),
        denied=tuple(dict.fromkeys(map(sending.message, denied))),
    )


@command("history", examples=("reconciler history hr/orders",))
@_name
@workbench.output_option(tuple(formats.HISTORY))
@click.pass_obj
def history(session: Session, *, name: str, format_: str) -> int:
    """List the applied changes of one connection: who, when, which commit, what."""
    with workbench.open_store(session, Opening.READ) as store:
        row = workbench.find(store, name)
        revisions = store.revisions(row.uid)
    manifests = [plan.normal_manifest(workbench.as_of(row, revision)) for revision in revisions]
    rows = [
        views.HistoryRow(
            revision=revision, fields=fields.changes(manifests[at - 1], manifests[at]) if at else ()
        )
        for at, revision in enumerate(revisions)
    ]
    view = views.HistoryView(recorded=row, rows=tuple(rows), now=session.now())
    session.output.data(report.formatter(formats.HISTORY, format_)(view, session.output.style))
    return 0


@command("events", examples=("reconciler events", "reconciler events hr/orders --since 1h"))
@click.argument("name", required=False, shell_complete=completing.connections)
@click.option(
    "--type",
    "types",
    type=click.Choice(EVENT_TYPES),
    metavar="TYPE",
    multiple=True,
    help="Only events of this type, such as `transition`.",
)
@click.option("--since", metavar="DURATION", help="Only events of the last `2h`, `7d` ...")
@click.option("--limit", type=click.IntRange(1, _MOST_EVENTS), default=100, show_default=True)
@click.option("--runs", is_flag=True, help="The applies instead, newest first.")
@workbench.output_option(tuple(formats.EVENTS))
@click.pass_obj
def events(
    session: Session,
    *,
    name: str | None,
    types: tuple[str, ...],
    since: str | None,
    limit: int,
    runs: bool,
    format_: str,
) -> int:
    """List what happened, oldest first: changes, checks that changed something, commands."""
    with workbench.open_store(session, Opening.READ) as store:
        if runs:
            view = views.RunsView(runs=store.runs(limit=limit), now=session.now())
            show = report.formatter(formats.RUNS, format_)
            session.output.data(show(view, session.output.style))
            return 0
        found = _find_events(session, store, name, types, since, limit)
    show = report.formatter(formats.EVENTS, format_)
    session.output.data(
        show(views.EventsView(events=found, now=session.now()), session.output.style)
    )
    return 0


def _find_events(  # noqa: PLR0917 - the parts of one query
    session: Session,
    store: Store,
    name: str | None,
    types: tuple[str, ...],
    since: str | None,
    limit: int,
) -> tuple[Event, ...]:
    uid = _uid_ever(store, name) if name else None
    since_at = None if since is None else _ago(since, session.now())
    return store.events(EventQuery(uid=uid, types=types, since=since_at, limit=limit))


def _uid_ever(store: Store, name: str) -> str:
    """Returns the uid that `name` means; also of a deleted connection, of which events are left.

    Raises:
        ConfigError: none or several are meant.
    """
    deleted = {event.ref: event.uid for event in store.events(EventQuery(types=("deleted",)))}
    known = {row.ref for row in store.recorded(archived=True)}
    wanted = selection.parse_reference(name)
    if any(map(wanted.matches, known)) or not any(map(wanted.matches, deleted)):
        return workbench.find(store, name).uid
    return deleted[selection.one(name, deleted)]


def _ago(duration: str, now: datetime) -> datetime:
    try:
        return now - timedelta(seconds=durations.parse_duration(duration))
    except ValueError:
        raise ConfigError(f"`{duration}` is not a duration", "write 30s, 5m, 2h or 7d") from None
    except OverflowError:
        raise ConfigError(f"`{duration}` is longer than any log", "leave `--since` out") from None
