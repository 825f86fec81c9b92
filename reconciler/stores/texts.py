"""Values inside one column as text, and back; pure.

Beside `rows.py`, which does whole rows. Moments are fixed-width RFC 3339, the rest is JSON; lists
where the values have no names worth keeping, a mapping for the status, which people read in events.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache

from reconciler.model import (
    Fingerprint,
    GitFacts,
    Hold,
    HoldKind,
    Outcome,
    Phase,
    Reason,
    Status,
    SuspendedBy,
    canonical,
)

#: An empty list as JSON.
NONE = "[]"
PHASES = {phase.value: phase for phase in Phase}
REASONS = {reason.value: reason for reason in Reason}
SUSPENDERS = {None: None} | {by.value: by for by in SuspendedBy}
OUTCOMES = {None: None} | {outcome.value: outcome for outcome in Outcome}

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


def git_text(git: GitFacts) -> str:
    """Returns where the manifests came from as JSON."""
    return canonical([git.commit, git.author, git.dirty])


def git(text: str) -> GitFacts:
    """Returns what `git_text` wrote."""
    commit, author, dirty = json.loads(text)
    return GitFacts(commit=commit, author=author, dirty=dirty)


def hold_text(hold: Hold) -> str:
    """Returns a hold as JSON."""
    return canonical([hold.kind.value, hold.actor, hold.reason, moment_text(hold.at), hold.digest])


def hold(text: str) -> Hold:
    """Returns what `hold_text` wrote."""
    kind, actor, reason, at, digest = json.loads(text)
    return Hold(kind=HoldKind(kind), actor=actor, reason=reason, at=parse_moment(at), digest=digest)


def fingerprints_text(values: tuple[Fingerprint, ...]) -> str:
    """Returns the fingerprints of one row as JSON."""
    return canonical([[f.pointer, f.key_id, f.value] for f in values]) if values else NONE


def fingerprints(text: str) -> tuple[Fingerprint, ...]:
    """Returns what `fingerprints_text` wrote."""
    if text == NONE:
        return ()
    return tuple(
        Fingerprint(pointer=pointer, key_id=key_id, value=value)
        for pointer, key_id, value in json.loads(text)
    )


def status_text(status: Status) -> str:
    """Returns the whole status after an event as JSON."""
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


def status(text: str) -> Status:
    """Returns what `status_text` wrote."""
    data = json.loads(text)
    checked_at, succeeded_at = data["checkedAt"], data["succeededAt"]
    return Status(
        phase=PHASES[data["phase"]],
        suspended_by=SUSPENDERS[data["suspendedBy"]],
        reason=REASONS[data["reason"]],
        message=data["message"],
        consecutive_failures=data["consecutiveFailures"],
        consecutive_successes=data["consecutiveSuccesses"],
        last_error=data["lastError"],
        since_at=parse_moment(data["sinceAt"]),
        checked_at=checked_at and parse_moment(checked_at),
        succeeded_at=succeeded_at and parse_moment(succeeded_at),
        last_outcome=OUTCOMES[data["lastOutcome"]],
        latency_s=data["latencySeconds"],
    )
