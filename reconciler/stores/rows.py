"""Rows of the tables <-> values of the model, one pair of functions each; pure.

Explicit on purpose: no object of the database layer travels, and a row that no version of this
program wrote is found where it is read. Such a row is `StoreDamaged` naming its table and key,
never a value that looks right. Reading unpacks whole rows in the order of `tables.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from reconciler.errors import StoreDamaged
from reconciler.model import (
    Action,
    DeletionPolicy,
    Event,
    Fingerprint,
    GitFacts,
    Hold,
    HoldKind,
    Json,
    Observation,
    Outcome,
    Phase,
    Reason,
    Recorded,
    Ref,
    Revision,
    Run,
    Source,
    Stage,
    StageName,
    Status,
    SuspendedBy,
    canonical,
)

Value = TypeVar("Value")
#: One row as read: the columns of its table in order.
Row = Sequence[Any]
#: One row as written: column -> value.
Columns = dict[str, Any]

REPAIR = "restore a backup with `reconciler state restore`, or mend the row by hand"

#: How many leading columns of `connections` are never NULL.
_REQUIRED = 25
_PHASES = {phase.value: phase for phase in Phase}
_REASONS = {reason.value: reason for reason in Reason}
_POLICIES = {policy.value: policy for policy in DeletionPolicy}
_SUSPENDERS = {None: None} | {by.value: by for by in SuspendedBy}
_OUTCOMES = {None: None} | {outcome.value: outcome for outcome in Outcome}


#: One apply stamps thousands of rows with one moment.
_MOMENTS = 4096


@lru_cache(_MOMENTS)
def moment_text(moment: datetime) -> str:
    """Returns an aware moment as RFC 3339 text in UTC, with microseconds: it sorts as time does."""
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="microseconds") + "Z"


@lru_cache(_MOMENTS)
def parse_moment(text: str) -> datetime:
    """Returns the moment that `moment_text` wrote."""
    return datetime.fromisoformat(text)


def parsed(table: str, parse: Callable[[Row], Value], row: Row) -> Value:
    """Returns `parse(row)`.

    Raises:
        StoreDamaged: the row holds what no version of this program wrote; names table and key.
    """
    try:
        return parse(row)
    except (ValueError, TypeError, KeyError, AttributeError):
        message = (
            f"the row {str(row[0])[:40]!r} of table `{table}` holds values that were never written"
        )
        raise StoreDamaged(message, REPAIR) from None


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
        "since_at": moment_text(status.since_at),
        "fingerprints": canonical([[f.pointer, f.key_id, f.value] for f in row.fingerprints]),
        "created_at": moment_text(row.created_at),
        "updated_at": moment_text(row.updated_at),
        "suspended_by": status.suspended_by and status.suspended_by.value,
        "checked_at": status.checked_at and moment_text(status.checked_at),
        "succeeded_at": status.succeeded_at and moment_text(status.succeeded_at),
        "last_outcome": status.last_outcome and status.last_outcome.value,
        "latency_s": status.latency_s,
        "hold": row.hold and _hold_text(row.hold),
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
    if None in row[:_REQUIRED]:
        raise ValueError("a required column is NULL")
    _require_integers(generation, revision, version, source_line, failures, successes)
    ref = Ref(kind=kind, namespace=namespace, name=name)
    if ref.key != ref_key:
        raise ValueError("the key differs from the name")
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
            phase=_PHASES[phase],
            suspended_by=_SUSPENDERS[suspended_by],
            reason=_REASONS[reason],
            message=message,
            consecutive_failures=failures,
            consecutive_successes=successes,
            last_error=last_error,
            since_at=parse_moment(since_at),
            checked_at=checked_at and parse_moment(checked_at),
            succeeded_at=succeeded_at and parse_moment(succeeded_at),
            last_outcome=_OUTCOMES[last_outcome],
            latency_s=latency_s,
        ),
        hold=hold and _hold(hold),
        fingerprints=() if fingerprints == "[]" else _fingerprints(fingerprints),
        created_at=parse_moment(created_at),
        updated_at=parse_moment(updated_at),
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
        "at": moment_text(revision.at),
        "git": revision.git and _git_text(revision.git),
    }


def revision(row: Row) -> Revision:
    """Returns the value of one row of `revisions`."""
    uid, number, kind, namespace, name, text, digest, action, actor, run_id, path, line, at, git = (
        row
    )
    if None in row[:-1]:
        raise ValueError("a required column is NULL")
    _require_integers(number, line)
    return Revision(
        uid=uid,
        number=number,
        ref=Ref(kind=kind, namespace=namespace, name=name),
        text=text,
        digest=digest,
        action=Action(action),
        actor=actor,
        run_id=run_id,
        source=Source(path=path, line=line),
        git=git and _git(git),
        at=parse_moment(at),
    )


def event_columns(event: Event) -> Columns:
    """Returns the columns of an event but its `id`, which the database gives."""
    return {
        "at": moment_text(event.at),
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
        "status": event.status and _status_text(event.status),
    }


def event(row: Row) -> Event:
    """Returns the value of one row of `events`."""
    (
        number, at, uid, kind, namespace, name, _ref_key, type_, reason, message, actor, run_id,
        source, target, status,
    ) = row  # fmt: skip
    if None in row[:-3]:
        raise ValueError("a required column is NULL")
    return Event(
        id=number,
        at=parse_moment(at),
        uid=uid,
        ref=Ref(kind=kind, namespace=namespace, name=name),
        type=type_,
        reason=reason,
        message=message,
        actor=actor,
        run_id=run_id,
        source=source and _PHASES[source],
        target=target and _PHASES[target],
        status=status and _status(status),
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
        "observed_at": moment_text(observation.observed_at),
    }


def observation(row: Row) -> Observation:
    """Returns the value of one row of `observations`."""
    _id, uid, generation, outcome, reason, message, hint, stages, latency_s, observed_at = row
    if None in row:
        raise ValueError("a required column is NULL")
    _require_integers(generation)
    return Observation(
        uid=uid,
        generation=generation,
        outcome=Outcome(outcome),
        reason=_REASONS[reason],
        message=message,
        hint=hint,
        stages=tuple(
            Stage(name=StageName(name), seconds=seconds, detail=detail)
            for name, seconds, detail in json.loads(stages)
        ),
        latency_s=latency_s,
        observed_at=parse_moment(observed_at),
    )


def run_columns(run: Run) -> Columns:
    """Returns the columns of a run but its `number`, which the database gives."""
    return {
        "id": run.id,
        "at": moment_text(run.at),
        "command": run.command,
        "actor": run.actor,
        "stack": run.stack,
        "plan_digest": run.plan_digest,
        "counts": canonical(dict(run.counts)),
        "git": run.git and _git_text(run.git),
    }


def run(row: Row) -> Run:
    """Returns the value of one row of `runs`."""
    _number, id_, at, command, actor, stack, plan_digest, counts, git = row
    if None in row[:-1]:
        raise ValueError("a required column is NULL")
    return Run(
        id=id_,
        at=parse_moment(at),
        command=command,
        actor=actor,
        stack=stack,
        plan_digest=plan_digest,
        git=git and _git(git),
        counts=json.loads(counts),
    )


def _require_integers(*values: Json) -> None:
    if {type(value) for value in values} != {int}:
        raise TypeError("a counter is not an integer")


def _git_text(git: GitFacts) -> str:
    return canonical([git.commit, git.author, git.dirty])


def _git(text: str) -> GitFacts:
    commit, author, dirty = json.loads(text)
    return GitFacts(commit=commit, author=author, dirty=dirty)


def _hold_text(hold: Hold) -> str:
    return canonical([hold.kind.value, hold.actor, hold.reason, moment_text(hold.at), hold.digest])


def _hold(text: str) -> Hold:
    kind, actor, reason, at, digest = json.loads(text)
    return Hold(kind=HoldKind(kind), actor=actor, reason=reason, at=parse_moment(at), digest=digest)


def _fingerprints(text: str) -> tuple[Fingerprint, ...]:
    return tuple(
        Fingerprint(pointer=pointer, key_id=key_id, value=value)
        for pointer, key_id, value in json.loads(text)
    )


def _status_text(status: Status) -> str:
    return canonical(
        {
            "phase": status.phase,
            "suspendedBy": status.suspended_by,
            "reason": status.reason,
            "message": status.message,
            "consecutiveFailures": status.consecutive_failures,
            "consecutiveSuccesses": status.consecutive_successes,
            "lastError": status.last_error,
            "sinceAt": moment_text(status.since_at),
            "checkedAt": status.checked_at and moment_text(status.checked_at),
            "succeededAt": status.succeeded_at and moment_text(status.succeeded_at),
            "lastOutcome": status.last_outcome,
            "latencySeconds": status.latency_s,
        }
    )


def _status(text: str) -> Status:
    data = json.loads(text)
    checked_at, succeeded_at = data["checkedAt"], data["succeededAt"]
    return Status(
        phase=_PHASES[data["phase"]],
        suspended_by=_SUSPENDERS[data["suspendedBy"]],
        reason=_REASONS[data["reason"]],
        message=data["message"],
        consecutive_failures=data["consecutiveFailures"],
        consecutive_successes=data["consecutiveSuccesses"],
        last_error=data["lastError"],
        since_at=parse_moment(data["sinceAt"]),
        checked_at=checked_at and parse_moment(checked_at),
        succeeded_at=succeeded_at and parse_moment(succeeded_at),
        last_outcome=_OUTCOMES[data["lastOutcome"]],
        latency_s=data["latencySeconds"],
    )
