"""What commands order against the manifest: suspend, resume, archive, rollback.

The manifest states intent and stays the truth; a command places a hold on the row, with actor,
reason and time, which plan and status show until it ends. Each function turns a row into the
`Write` that carries the order out, or refuses; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from reconciler import fields, kinds, plan, status, validate
from reconciler.errors import Held, ProtectedRow
from reconciler.model import (
    Action,
    Change,
    DeletionPolicy,
    Event,
    Hold,
    HoldKind,
    Location,
    Phase,
    Reason,
    Recorded,
    Resource,
    Revision,
    canonical,
)
from reconciler.status import Signal
from reconciler.stores import RowWrite, Write
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who orders what, when and why."""

    actor: str
    #: as the actor wrote it; may be empty
    reason: str
    now: datetime


#: Turns a row into the write that carries an order out; None where there is nothing to do.
Carry = Callable[[Recorded, Order], Write | None]


def suspend(row: Recorded, order: Order) -> Write | None:
    """Stops the probes of a connection until `resume`; None if a person had suspended it before.

    Raises:
        Held: the connection is archived.
    """
    _refuse_archived(row, "suspended")
    hold = _hold(HoldKind.SUSPEND, row, order)
    message = f"suspended by {order.actor}" + (f": {order.reason}" if order.reason else "")
    advanced = status.advance(
        row.status,
        Signal.SUSPEND,
        reason=Reason.SUSPENDED_BY_COMMAND,
        message=message,
        now=order.now,
    )
    if advanced.verdict is status.Verdict.NOOP:
        return None
    return _write(row, replace(row, status=advanced.status, hold=hold), "suspended", order)


def resume(row: Recorded, order: Order) -> Write | None:
    """Lets a suspended connection be probed again, with fresh counters and a fresh login budget.

    None where it is not suspended.

    Raises:
        Held: the connection is archived, or the manifest itself says `state: suspended`.
    """
    _refuse_archived(row, "resumed")
    state = plan.normal_manifest(row)["spec"]["state"]
    if state != "active":
        raise Held(
            f"the manifest of `{row.ref}` says `state: {state}`",
            f"write `state: active` in {row.source.path}:{row.source.line} and apply",
        )
    advanced = status.advance(
        row.status, Signal.RESUME, reason=Reason.RESUMED_BY_COMMAND, now=order.now
    )
    if advanced.verdict is status.Verdict.NOOP:
        return None
    after = replace(row, status=advanced.status, hold=None)
    write = _write(row, after, "resumed", order)
    return replace(write, forgive=(row.uid,))


def archive(row: Recorded, order: Order) -> Write | None:
    """Ends a connection for good; its name is not taken up again until its manifest changes.

    None where it is archived already.

    Raises:
        ProtectedRow: the applied manifest says `deletionPolicy: protect`.
    """
    if row.deletion_policy is DeletionPolicy.PROTECT and row.status.is_live:
        raise ProtectedRow(
            f"`{row.ref}` has `deletionPolicy: protect`",
            "apply another `deletionPolicy` first",
        )
    advanced = status.advance(
        row.status,
        Signal.ARCHIVE,
        reason=Reason.ARCHIVED_BY_COMMAND,
        message=order.reason,
        now=order.now,
    )
    if advanced.verdict is status.Verdict.NOOP:
        return None
    hold = _hold(HoldKind.ARCHIVE, row, order)
    return _write(row, replace(row, status=advanced.status, hold=hold), "archived", order)


def rollback(row: Recorded, revision: Revision, order: Order) -> Change:
    """Returns the change that brings the manifest of an earlier revision back.

    Name, namespace and previous names stay as they are now: a rollback is no rename. The change is
    a noop where the revision does not differ.

    Raises:
        Held: the connection is archived, or the revision says `state: archived`.
    """
    _refuse_archived(row, "rolled back")
    current = plan.normal_manifest(row)
    past = plan.normal_manifest(replace(row, text=revision.text))
    names = ("name", "namespace", "previousNames")
    kept = {key: current["metadata"][key] for key in names if key in current["metadata"]}
    metadata = {key: value for key, value in past["metadata"].items() if key not in names}
    wanted = {"metadata": {**metadata, **kept}, "spec": past["spec"]}
    if wanted["spec"]["state"] == "archived":
        raise Held(f"revision {revision.number} of `{row.ref}` says `state: archived`")
    location = Location(path=row.source.path, line=row.source.line, column=1)
    text = canonical(wanted)
    resource = Resource(
        ref=row.ref,
        manifest=wanted,
        text=text,
        digest=validate.digest(text),
        access_digest=validate.access_digest(row.ref.kind, wanted["spec"]),
        location=location,
    )
    differing = fields.changes(current, wanted)
    hold = _hold(HoldKind.ROLLBACK, row, order)
    return Change(
        action=Action.UPDATE if differing else Action.NOOP,
        ref=row.ref,
        uid=row.uid,
        reason=f"rollback to revision {revision.number}",
        fields=differing,
        location=location,
        resource=resource,
        recorded=row,
        # back to what the manifest says: there is nothing left to hold against it
        placed_hold=None if kinds.intent(row.ref.kind, wanted) == hold.digest else hold,
    )


def _hold(kind: HoldKind, row: Recorded, order: Order) -> Hold:
    is_rolled_back = row.hold is not None and row.hold.kind is HoldKind.ROLLBACK
    in_force = (
        row.hold.digest
        if row.hold and is_rolled_back
        else kinds.intent(row.ref.kind, plan.normal_manifest(row))
    )
    return Hold(kind=kind, actor=order.actor, reason=order.reason, at=order.now, digest=in_force)


def _refuse_archived(row: Recorded, done: str) -> None:
    if row.status.phase is Phase.ARCHIVED:
        raise Held(
            f"`{row.ref}` is archived and cannot be {done}",
            "change its manifest, or declare it anew: it becomes a new connection",
        )


def _write(before: Recorded, after: Recorded, type_: str, order: Order) -> Write:
    update = RowWrite.update(before, replace(after, updated_at=order.now))
    row = update.row
    moved = before.status.phase is not after.status.phase
    event = Event(
        at=order.now,
        uid=row.uid,
        ref=row.ref,
        type=type_,
        reason=row.status.reason,
        message=order.reason,
        actor=order.actor,
        source=before.status.phase if moved else None,
        target=row.status.phase if moved else None,
        status=row.status,
    )
    return Write(rows=(update,), events=(event,))
