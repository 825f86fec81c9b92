"""4. Plan -> store: one transaction that carries out a plan, or nothing at all.

`prepare` is the whole stage as a value: it turns a plan into the rows, revisions, events and the
run record that shall be written; `apply` hands that to the store. A kill at any moment therefore
leaves all of it or none, and a plan without changes opens no transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler import status
from reconciler.errors import DestinationDenied, NotOwner, ProtectedRow, PruneRefused, Refused
from reconciler.model import (
    Action,
    Change,
    ChangeResult,
    ChangeSet,
    DeletionPolicy,
    Event,
    FileReading,
    Fingerprint,
    GitFacts,
    Guard,
    Hold,
    HoldKind,
    Plan,
    Reason,
    Recorded,
    Ref,
    Resource,
    Revision,
    Run,
    SecretChange,
    Source,
    Status,
)
from reconciler.status import Signal
from reconciler.stores import RowOp, RowWrite, Store, Write

#: What an event is called when an action is done.
DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.RENAME: "renamed",
    Action.ADOPT: "adopted",
    Action.SUSPEND: "suspended",
    Action.RESUME: "resumed",
    Action.ARCHIVE: "archived",
    Action.DELETE: "deleted",
}

REFUSALS: Mapping[Guard, type[Refused]] = {
    Guard.PRUNE_LIMIT: PruneRefused,
    Guard.PROTECTION: ProtectedRow,
    Guard.OWNERSHIP: NotOwner,
    Guard.GRANT: DestinationDenied,
}
#: What to do, where the message does not say it.
_WAYS_OUT: Mapping[Guard, str] = {
    Guard.GRANT: ": put the destination back, or have whoever runs this machine add a `[[grant]]`"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Who applies what, when, from which commit."""

    run_id: str
    now: datetime
    actor: str
    stack: str
    command: str
    git: GitFacts | None
    #: gives a uid that was never given before
    make_uid: Callable[[], str]
    #: what the files were read as that the store does not know, and those that are gone
    readings: tuple[FileReading, ...] = ()
    forgotten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFacts:
    """What was learnt of secrets for this run; all empty when none were read."""

    #: of every connection whose secrets were read, by the key of its ref; sorted by pointer
    fingerprints: Mapping[str, tuple[Fingerprint, ...]] = field(default_factory=dict)
    #: live rows whose manifests were read, by uid
    rows: Mapping[str, Recorded] = field(default_factory=dict)
    #: which of `rows` have other secrets than recorded
    changes: tuple[SecretChange, ...] = ()
    #: the uids of `changes`
    changed: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "changed", frozenset(change.uid for change in self.changes))

    def updated(self, ref: Ref, recorded: tuple[Fingerprint, ...]) -> tuple[Fingerprint, ...]:
        """Returns the fingerprints to store: what was read, and the recorded ones for the rest."""
        read = self.fingerprints.get(ref.key) if self.fingerprints else None
        if not read:
            return recorded
        known = {fingerprint.pointer for fingerprint in read}
        kept = (old for old in recorded if old.pointer not in known)
        return tuple(sorted((*read, *kept), key=lambda fingerprint: fingerprint.pointer))


def apply(
    plan: Plan, store: Store, facts: RunFacts, secrets: SecretFacts, *, lock_timeout_s: float
) -> ChangeSet:
    """Carries out `plan` in one transaction and returns what was done; empty if there was nothing.

    Raises:
        Refused: a guard blocks a change; nothing is written.
        Conflict: rows have moved since the plan was made, or the lock was not free in time.
        StoreError: the store cannot be written.
    """
    refuse_blocked(plan)
    write, change_set = prepare(plan, facts, secrets)
    if not write.is_empty:
        store.commit(write, lock_timeout_s=lock_timeout_s)
    return change_set


def refuse_blocked(plan: Plan) -> None:
    """Checks that no guard stands in the way of `plan`.

    Raises:
        Refused: one does.
    """
    blocked = [change for change in plan.changes if change.blocked_by]
    if blocked:
        first, *others = blocked
        more = f", and {len(others)} more" if others else ""
        assert first.guard is not None
        message = f"`{first.ref}` is blocked{more}: {first.blocked_by}"
        ways_out = _WAYS_OUT.get(first.guard, "")
        raise REFUSALS[first.guard](message, f"nothing was applied{ways_out}")


def prepare(plan: Plan, facts: RunFacts, secrets: SecretFacts) -> tuple[Write, ChangeSet]:
    """Returns everything that carrying out `plan` writes, and the summary of it."""
    planned = [_carry_out(change, facts, secrets) for change in plan.changes]
    touched = {effect.row.row.uid for effect in planned}
    rotated = [
        _rotate(change, secrets.rows[change.uid], facts, secrets)
        for change in secrets.changes
        if change.uid not in touched
    ]
    touched |= {change.uid for change in secrets.changes}
    learnt = [
        RowWrite.update(row, replace(row, fingerprints=fingerprints))
        for uid, row in sorted(secrets.rows.items())
        if uid not in touched
        and (fingerprints := secrets.updated(row.ref, row.fingerprints)) != row.fingerprints
    ]
    effects = [*planned, *rotated]
    counts = Counter(change.action.value for change in plan.changes)
    if rotated:
        counts["secret"] = len(rotated)
    run = Run(
        id=facts.run_id,
        at=facts.now,
        command=facts.command,
        actor=facts.actor,
        stack=facts.stack,
        plan_digest=plan.digest,
        git=facts.git,
        counts=dict(sorted(counts.items())),
    )
    write = Write(
        rows=(
            *(effect.row for effect in effects),
            *(effect.released for effect in effects if effect.released),
            *learnt,
        ),
        revisions=tuple(effect.revision for effect in effects if effect.revision),
        events=tuple(effect.event for effect in effects),
        run=run if effects else None,
        forgive=tuple(effect.row.row.uid for effect in effects if effect.is_resumed),
        readings=facts.readings,
        forgotten=facts.forgotten,
        stack=facts.stack,
    )
    results = tuple(effect.result for effect in planned)
    return write, ChangeSet(run_id=facts.run_id if effects else "", results=results)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What one change writes."""

    row: RowWrite
    event: Event
    result: ChangeResult
    #: an archived row whose hold the change ends
    released: RowWrite | None = None
    revision: Revision | None = None
    is_resumed: bool = False


def _carry_out(change: Change, facts: RunFacts, secrets: SecretFacts) -> _Effect:
    match change.action, change.resource, change.recorded:
        case Action.CREATE, Resource() as resource, held:
            effect = _create(change, resource, facts, secrets)
            if held is None:
                return effect
            return replace(effect, released=RowWrite.update(held, replace(held, hold=None)))
        case Action.DELETE, _, Recorded() as row:
            return _delete(change, row, facts)
        case _, None, Recorded() as row:
            return _prune(change, row, facts)
        case _, Resource() as resource, Recorded() as row:
            return _change(change, resource, row, facts, secrets)
        case _:
            raise AssertionError("a change has a manifest, a row or both")


def _create(change: Change, resource: Resource, facts: RunFacts, secrets: SecretFacts) -> _Effect:
    first = status.initial(resource.spec["state"], facts.now)
    assert first is not None, "plan makes no row for an archived manifest"
    row = Recorded(
        uid=facts.make_uid(),
        ref=resource.ref,
        text=resource.text,
        digest=resource.digest,
        access_digest=resource.access_digest,
        generation=1,
        revision=1,
        version=1,
        source=_source(resource),
        stack=facts.stack,
        deletion_policy=DeletionPolicy(resource.spec["deletionPolicy"]),
        status=first,
        fingerprints=secrets.updated(resource.ref, ()),
        created_at=facts.now,
        updated_at=facts.now,
    )
    return _effect(change, RowWrite(op=RowOp.INSERT, row=row), None, facts)


def _change(
    change: Change,
    resource: Resource,
    before: Recorded,
    facts: RunFacts,
    secrets: SecretFacts,
) -> _Effect:
    is_new_spec = any(item.pointer.startswith("/spec") for item in change.fields)
    after = replace(
        before,
        ref=resource.ref,
        text=resource.text,
        digest=resource.digest,
        access_digest=resource.access_digest,
        generation=before.generation + is_new_spec,
        revision=before.revision + 1,
        version=before.version + 1,
        source=_source(resource),
        stack=facts.stack,
        deletion_policy=DeletionPolicy(resource.spec["deletionPolicy"]),
        hold=change.placed_hold or _kept_hold(before),
        status=_changed_status(change, resource, before, facts, secrets),
        fingerprints=secrets.updated(resource.ref, before.fingerprints),
        updated_at=facts.now,
    )
    row = RowWrite(op=RowOp.UPDATE, row=after, expected=before.version)
    return _effect(change, row, before.status, facts)


def _prune(change: Change, before: Recorded, facts: RunFacts) -> _Effect:
    archived = status.advance(
        before.status, Signal.ARCHIVE, reason=Reason.PRUNED, message=change.reason, now=facts.now
    )
    after = replace(
        before,
        revision=before.revision + 1,
        status=archived.status,
        hold=None,
        updated_at=facts.now,
    )
    return _effect(change, RowWrite.update(before, after), before.status, facts)


def _delete(change: Change, before: Recorded, facts: RunFacts) -> _Effect:
    row = RowWrite(op=RowOp.DELETE, row=before, expected=before.version)
    return replace(_effect(change, row, before.status, facts), revision=None)


def _rotate(
    change: SecretChange, before: Recorded, facts: RunFacts, secrets: SecretFacts
) -> _Effect:
    rotated = status.advance(
        before.status,
        Signal.SECRET_CHANGED,
        reason=Reason.SECRET_CHANGED,
        message=f"changed: {', '.join(change.pointers)}",
        now=facts.now,
    )
    after = replace(
        before,
        status=rotated.status,
        fingerprints=secrets.updated(before.ref, before.fingerprints),
        updated_at=facts.now,
    )
    event = Event(
        at=facts.now,
        uid=before.uid,
        ref=before.ref,
        type="secret-changed",
        reason=Reason.SECRET_CHANGED,
        message=", ".join(change.pointers),
        actor=facts.actor,
        run_id=facts.run_id,
        source=before.status.phase,
        target=after.status.phase,
        status=after.status,
    )
    result = ChangeResult(
        ref=before.ref, uid=before.uid, action=Action.UPDATE, generation=before.generation
    )
    return _Effect(row=RowWrite.update(before, after), event=event, result=result)


def _changed_status(
    change: Change,
    resource: Resource,
    before: Recorded,
    facts: RunFacts,
    secrets: SecretFacts,
) -> Status:
    """Returns the status after every signal that the change is, in the order of their weight."""
    current = before.status
    for signal, reason in _signals(change, resource, before, secrets):
        current = status.advance(current, signal, reason=reason, now=facts.now).status
    return current


def _signals(
    change: Change, resource: Resource, before: Recorded, secrets: SecretFacts
) -> list[tuple[Signal, Reason]]:
    state = next((item.new for item in change.fields if item.pointer == "/spec/state"), None)
    if state == "archived":
        return [(Signal.ARCHIVE, Reason.ARCHIVED_BY_MANIFEST)]
    signals: list[tuple[Signal, Reason]] = []
    if resource.access_digest != before.access_digest:
        signals.append((Signal.ACCESS_CHANGED, Reason.SPEC_CHANGED))
    elif before.uid in secrets.changed:
        signals.append((Signal.SECRET_CHANGED, Reason.SECRET_CHANGED))
    else:
        signals.append((Signal.OTHER_CHANGED, Reason.APPLIED))
    if state == "suspended":
        signals.append((Signal.SUSPEND, Reason.SUSPENDED_BY_MANIFEST))
    elif state == "active" and not _is_suspended_by_command(before):
        signals.append((Signal.ACTIVE_AGAIN, Reason.RESUMED_BY_MANIFEST))
    return signals


def _is_suspended_by_command(row: Recorded) -> bool:
    return row.hold is not None and row.hold.kind is HoldKind.SUSPEND


def _kept_hold(before: Recorded) -> Hold | None:
    """Returns the hold that outlives a changed manifest: only `suspend` waits for `resume`."""
    return before.hold if _is_suspended_by_command(before) else None


def _source(resource: Resource) -> Source:
    return Source(path=resource.location.path, line=resource.location.line)


def _effect(change: Change, write: RowWrite, before: Status | None, facts: RunFacts) -> _Effect:
    row = write.row
    moved = before is None or before.phase is not row.status.phase
    event = Event(
        at=facts.now,
        uid=row.uid,
        ref=row.ref,
        type=DONE[change.action],
        reason=row.status.reason if moved else Reason.APPLIED,
        message=change.reason,
        actor=facts.actor,
        run_id=facts.run_id,
        source=before.phase if before and moved else None,
        target=row.status.phase if moved else None,
        status=None if write.op is RowOp.DELETE else row.status,
    )
    revision = Revision(
        uid=row.uid,
        number=row.revision,
        ref=row.ref,
        text=row.text,
        digest=row.digest,
        action=change.action,
        actor=facts.actor,
        run_id=facts.run_id,
        source=row.source,
        git=facts.git,
        at=facts.now,
    )
    result = ChangeResult(ref=row.ref, uid=row.uid, action=change.action, generation=row.generation)
    return _Effect(
        row=write,
        event=event,
        result=result,
        revision=revision,
        is_resumed=change.action is Action.RESUME,
    )
