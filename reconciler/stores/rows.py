"""Rows of the tables <-> values of the model, one pair of functions each; pure.

Explicit on purpose: no object of the database layer travels, and a row that no version of this
program wrote is found where it is read. Such a row is `StoreDamaged` naming its table and key,
never a value that looks right. Reading unpacks whole rows in the order of `tables.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from types import NoneType
from typing import Any, TypeVar

from reconciler import kinds
from reconciler.errors import StoreDamaged
from reconciler.model import (
    SECRET_KIND,
    Action,
    DeletionPolicy,
    Event,
    Observation,
    Outcome,
    Recorded,
    Ref,
    Revision,
    Run,
    Source,
    Stage,
    StageName,
    Status,
    canonical,
)
from reconciler.stores import tables, texts

Value = TypeVar("Value")
#: One row as read: the columns of its table in order.
Row = Sequence[Any]
#: One row as written: column -> value.
Columns = dict[str, Any]

REPAIR = "restore a backup with `reconciler state restore`, or mend the row by hand"

_POLICIES = {policy.value: policy for policy in DeletionPolicy}


def parsed(table: str, parse: Callable[[Row], Value], row: Row) -> Value:
    """Returns `parse(row)`.

    Raises:
        StoreDamaged: the row holds what no version of this program wrote; names table and key.
    """
    try:
        _require_types(table, row)
        return parse(row)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        message = (
            f"the row {str(row[0])[:40]!r} of table `{table}` holds values that were never written"
        )
        raise StoreDamaged(message, REPAIR) from None


@cache
def _types(table: str) -> tuple[tuple[type, ...], tuple[frozenset[type], ...]]:
    """Returns the types of the required columns, which come first, and those of the others."""
    columns = tables.METADATA.tables[table].columns
    required = tuple(column.type.python_type for column in columns if not column.nullable)
    optional = (column.type.python_type for column in columns if column.nullable)
    return required, tuple(frozenset({kind, NoneType}) for kind in optional)


def _require_types(table: str, row: Row) -> None:
    """Refuses values of other types: SQLite keeps whatever it is given in any column."""
    required, optional = _types(table)
    others = zip(row[len(required) :], optional, strict=True)
    if tuple(map(type, row[: len(required)])) != required or not all(
        type(value) in allowed for value, allowed in others
    ):
        raise TypeError("a column holds a value of another type")


def recorded_columns(row: Recorded) -> Columns:
    """Returns the columns of one row of `connections`."""
    status = row.status
    return {
        "uid": row.uid,
        "kind": row.ref.kind,
        "namespace": row.ref.namespace,
        "name": row.ref.name,
        "ref_key": row.ref.key,
        "text": row.text,
        "digest": row.digest,
        "access_digest": row.access_digest,
        "generation": row.generation,
        "revision": row.revision,
        "version": row.version,
        "source_path": row.source.path,
        "source_line": row.source.line,
        "stack": row.stack,
        "deletion_policy": row.deletion_policy.value,
        "phase": status.phase.value,
        "reason": status.reason.value,
        "message": status.message,
        "consecutive_failures": status.consecutive_failures,
        "consecutive_successes": status.consecutive_successes,
        "last_error": status.last_error,
        "since_at": texts.moment_text(status.since_at),
        "fingerprints": texts.fingerprints_text(row.fingerprints),
        "created_at": texts.moment_text(row.created_at),
        "updated_at": texts.moment_text(row.updated_at),
        "suspended_by": status.suspended_by and status.suspended_by.value,
        "checked_at": status.checked_at and texts.moment_text(status.checked_at),
        "succeeded_at": status.succeeded_at and texts.moment_text(status.succeeded_at),
        "last_outcome": status.last_outcome and status.last_outcome.value,
        "latency_s": status.latency_s,
        "hold": row.hold and texts.hold_text(row.hold),
    }


def recorded(row: Row) -> Recorded:
    """Returns the value of one row of `connections`."""
    (
        uid, kind, namespace, name, ref_key, text, digest, access_digest,
        generation, revision, version, source_path, source_line, stack, deletion_policy,
        phase, reason, message, failures, successes, last_error, since_at,
        fingerprints, created_at, updated_at,
        suspended_by, checked_at, succeeded_at, last_outcome, latency_s, hold,
    ) = row  # fmt: skip
    ref = _ref(kind, namespace, name)
    if ref.key != ref_key:
        raise ValueError("the key differs from the name")
    _require_digest(text, digest, ref, uid)
    return Recorded(
        uid=uid,
        ref=ref,
        text=text,
        digest=digest,
        access_digest=access_digest,
        generation=generation,
        revision=revision,
        version=version,
        source=Source(path=source_path, line=source_line),
        stack=stack,
        deletion_policy=_POLICIES[deletion_policy],
        status=Status(
            phase=texts.PHASES[phase],
            suspended_by=texts.SUSPENDERS[suspended_by],
            reason=texts.REASONS[reason],
            message=message,
            consecutive_failures=failures,
            consecutive_successes=successes,
            last_error=last_error,
            since_at=texts.parse_moment(since_at),
            checked_at=_optional(texts.parse_moment, checked_at),
            succeeded_at=_optional(texts.parse_moment, succeeded_at),
            last_outcome=texts.OUTCOMES[last_outcome],
            latency_s=latency_s,
        ),
        hold=_optional(texts.hold, hold),
        fingerprints=texts.fingerprints(fingerprints),
        created_at=texts.parse_moment(created_at),
        updated_at=texts.parse_moment(updated_at),
    )


def revision_columns(revision: Revision) -> Columns:
    """Returns the columns of one row of `revisions`."""
    return {
        "uid": revision.uid,
        "number": revision.number,
        "kind": revision.ref.kind,
        "namespace": revision.ref.namespace,
        "name": revision.ref.name,
        "text": revision.text,
        "digest": revision.digest,
        "action": revision.action.value,
        "actor": revision.actor,
        "run_id": revision.run_id,
        "source_path": revision.source.path,
        "source_line": revision.source.line,
        "at": texts.moment_text(revision.at),
        "git": revision.git and texts.git_text(revision.git),
    }


def revision(row: Row) -> Revision:
    """Returns the value of one row of `revisions`."""
    uid, number, kind, namespace, name, text, digest, action, actor, run_id, path, line, at, git = (
        row
    )
    ref = _ref(kind, namespace, name)
    _require_digest(text, digest, ref, uid)
    return Revision(
        uid=uid,
        number=number,
        ref=ref,
        text=text,
        digest=digest,
        action=Action(action),
        actor=actor,
        run_id=run_id,
        source=Source(path=path, line=line),
        git=_optional(texts.git, git),
        at=texts.parse_moment(at),
    )


def event_columns(event: Event) -> Columns:
    """Returns the columns of an event but its `id`, which the database gives."""
    return {
        "at": texts.moment_text(event.at),
        "uid": event.uid,
        "kind": event.ref.kind,
        "namespace": event.ref.namespace,
        "name": event.ref.name,
        "ref_key": event.ref.key,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "actor": event.actor,
        "run_id": event.run_id,
        "source": event.source and event.source.value,
        "target": event.target and event.target.value,
        "status": event.status and texts.status_text(event.status),
    }


def event(row: Row) -> Event:
    """Returns the value of one row of `events`."""
    (
        number, at, uid, kind, namespace, name, _ref_key, type_, reason, message, actor, run_id,
        source, target, status,
    ) = row  # fmt: skip
    return Event(
        id=number,
        at=texts.parse_moment(at),
        uid=uid,
        ref=_event_ref(kind, namespace, name),
        type=type_,
        reason=reason,
        message=message,
        actor=actor,
        run_id=run_id,
        source=_optional(texts.PHASES.__getitem__, source),
        target=_optional(texts.PHASES.__getitem__, target),
        status=_optional(texts.status, status),
    )


def observation_columns(observation: Observation) -> Columns:
    """Returns the columns of an observation but its `id`, which the database gives."""
    return {
        "uid": observation.uid,
        "generation": observation.generation,
        "outcome": observation.outcome.value,
        "reason": observation.reason.value,
        "message": observation.message,
        "hint": observation.hint,
        "stages": canonical([[s.name.value, s.seconds, s.detail] for s in observation.stages]),
        "latency_s": observation.latency_s,
        "observed_at": texts.moment_text(observation.observed_at),
    }


def observation(row: Row) -> Observation:
    """Returns the value of one row of `observations`."""
    _id, uid, generation, outcome, reason, message, hint, stages, latency_s, observed_at = row
    return Observation(
        uid=uid,
        generation=generation,
        outcome=Outcome(outcome),
        reason=texts.REASONS[reason],
        message=message,
        hint=hint,
        stages=tuple(
            Stage(name=StageName(name), seconds=float(seconds), detail=str(detail))
            for name, seconds, detail in json.loads(stages)
        ),
        latency_s=latency_s,
        observed_at=texts.parse_moment(observed_at),
    )


def run_columns(run: Run) -> Columns:
    """Returns the columns of a run but its `number`, which the database gives."""
    return {
        "id": run.id,
        "at": texts.moment_text(run.at),
        "command": run.command,
        "actor": run.actor,
        "stack": run.stack,
        "plan_digest": run.plan_digest,
        "counts": canonical(dict(run.counts)),
        "git": run.git and texts.git_text(run.git),
    }


def run(row: Row) -> Run:
    """Returns the value of one row of `runs`."""
    _number, id_, at, command, actor, stack, plan_digest, counts, git = row
    return Run(
        id=id_,
        at=texts.parse_moment(at),
        command=command,
        actor=actor,
        stack=stack,
        plan_digest=plan_digest,
        git=_optional(texts.git, git),
        counts={action: int(number) for action, number in json.loads(counts).items()},
    )


def _ref(kind: str, namespace: str, name: str) -> Ref:
    if kind not in kinds.KINDS:
        raise ValueError("a kind that this program does not know")
    return Ref(kind=kind, namespace=namespace, name=name)


def _event_ref(kind: str, namespace: str, name: str) -> Ref:
    if kind == SECRET_KIND:
        return Ref(kind=kind, namespace=namespace, name=name)
    return _ref(kind, namespace, name)


def _require_digest(text: str, digest: str, ref: Ref, uid: str) -> None:
    """Refuses a manifest edited in the store: it decides where and as whom we connect."""
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise StoreDamaged(f"the manifest kept for {ref} ({uid}) differs from its digest", REPAIR)


def _optional(parse: Callable[[str], Value], text: str | None) -> Value | None:
    """Returns `parse(text)`, None only for NULL: an empty text is nothing that was written."""
    return None if text is None else parse(text)
