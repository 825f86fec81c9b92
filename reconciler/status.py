"""6. Status + signal -> status: the life of a connection as a table.

Pure, and the one stage that others may call: `apply` for what people change, `reconcile` for what
probes find. Everything that can happen is a `Signal`, everywhere a connection can be is a `State`,
and `TABLE` says for each pair where it goes and what its counters do; there is no other rule.
The table is total, so a new state or signal without a row is a failing test and not a surprise.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import assert_never

from reconciler.model import (
    JsonObject,
    Observation,
    Outcome,
    Phase,
    Reason,
    Status,
    SuspendedBy,
    Transition,
)
from reconciler.values import dataclass


class State(Enum):
    """A phase, with SUSPENDED split by who suspended."""

    PENDING = (Phase.PENDING, None)
    ACTIVE = (Phase.ACTIVE, None)
    FAILED = (Phase.FAILED, None)
    SUSPENDED_BY_USER = (Phase.SUSPENDED, SuspendedBy.USER)
    SUSPENDED_BY_HEALTH = (Phase.SUSPENDED, SuspendedBy.HEALTH)
    ARCHIVED = (Phase.ARCHIVED, None)


class Signal(StrEnum):
    """Everything that can happen to a connection once it exists."""

    #: what decides where and as whom we connect has changed
    ACCESS_CHANGED = "access changed"
    SECRET_CHANGED = "secret changed"
    #: another field, metadata or the name has changed
    OTHER_CHANGED = "other change"
    #: ok, and not yet `successThreshold` in a row
    OK_BELOW = "ok, below successThreshold"
    OK_REACHED = "ok, successThreshold reached"
    #: failed, and not yet `failureThreshold` in a row
    FAILED_BELOW = "failed, below failureThreshold"
    FAILED_REACHED = "failed, failureThreshold reached"
    FAILED_LIMIT = "failed, suspendAfter reached"
    BUDGET_USED = "login budget used up"
    INCONCLUSIVE = "inconclusive"
    SUSPEND = "suspend"
    RESUME = "resume"
    #: the manifest says `state: active` where it said `state: suspended`
    ACTIVE_AGAIN = "state: active again"
    ARCHIVE = "archive"


class Count(StrEnum):
    """What a step does to the counters and the last error."""

    KEEP = "keep"
    RESET = "reset"
    #: failures 0, successes + 1, last error kept
    OK = "ok"
    #: the same, last error cleared
    RECOVERED = "recovered"
    #: failures + 1, successes 0, last error set
    FAILED = "failed"


class Verdict(StrEnum):
    """What became of a signal."""

    TAKEN = "taken"
    #: a late probe result; the status stays, an event tells
    DROPPED = "dropped"
    #: there is nothing to do
    NOOP = "noop"
    #: the command is refused
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One cell of the table."""

    to: State
    count: Count = Count.KEEP
    verdict: Verdict = Verdict.TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How many results in a row it takes; from `spec.health`."""

    failure: int
    success: int
    suspend: int

    @classmethod
    def of(cls, spec: JsonObject) -> Thresholds:
        """Returns the thresholds of a normalised spec."""
        health = spec["health"]
        return cls(
            failure=health["failureThreshold"],
            success=health["successThreshold"],
            suspend=health["suspendAfter"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Where a signal has led; `transition` is None while the state stays."""

    status: Status
    transition: Transition | None
    verdict: Verdict


_P, _A, _F = State.PENDING, State.ACTIVE, State.FAILED
_SU, _SH, _X = State.SUSPENDED_BY_USER, State.SUSPENDED_BY_HEALTH, State.ARCHIVED
_PROBED = (_P, _A, _F)
_RESULTS = (
    Signal.OK_BELOW,
    Signal.OK_REACHED,
    Signal.FAILED_BELOW,
    Signal.FAILED_REACHED,
    Signal.FAILED_LIMIT,
    Signal.BUDGET_USED,
    Signal.INCONCLUSIVE,
)


def _stay(state: State, verdict: Verdict) -> Step:
    return Step(to=state, verdict=verdict)


TABLE: dict[tuple[State, Signal], Step] = {
    # people change what decides the access: checked again, also after a suspension by health
    **{
        (state, signal): Step(to=_P, count=Count.RESET)
        for state in (*_PROBED, _SH)
        for signal in (Signal.ACCESS_CHANGED, Signal.SECRET_CHANGED)
    },
    (_SU, Signal.ACCESS_CHANGED): _stay(_SU, Verdict.TAKEN),
    (_SU, Signal.SECRET_CHANGED): _stay(_SU, Verdict.TAKEN),
    **{
        (state, Signal.OTHER_CHANGED): _stay(state, Verdict.TAKEN) for state in (*_PROBED, _SU, _SH)
    },
    # what probes find
    (_P, Signal.OK_BELOW): Step(to=_P, count=Count.OK),
    (_F, Signal.OK_BELOW): Step(to=_F, count=Count.OK),
    (_A, Signal.OK_BELOW): Step(to=_A, count=Count.RECOVERED),
    **{(state, Signal.OK_REACHED): Step(to=_A, count=Count.RECOVERED) for state in _PROBED},
    (_P, Signal.FAILED_BELOW): Step(to=_P, count=Count.FAILED),
    (_A, Signal.FAILED_BELOW): Step(to=_A, count=Count.FAILED),
    (_F, Signal.FAILED_BELOW): Step(to=_F, count=Count.FAILED),
    **{(state, Signal.FAILED_REACHED): Step(to=_F, count=Count.FAILED) for state in _PROBED},
    **{(state, Signal.FAILED_LIMIT): Step(to=_SH, count=Count.FAILED) for state in _PROBED},
    **{(state, Signal.BUDGET_USED): Step(to=_SH) for state in _PROBED},
    **{(state, Signal.INCONCLUSIVE): Step(to=state) for state in _PROBED},
    **{
        (state, signal): _stay(state, Verdict.DROPPED)
        for state in (_SU, _SH, _X)
        for signal in _RESULTS
    },
    # what people order
    **{(state, Signal.SUSPEND): Step(to=_SU) for state in (*_PROBED, _SH)},
    (_SU, Signal.SUSPEND): _stay(_SU, Verdict.NOOP),
    **{(state, Signal.RESUME): Step(to=_P, count=Count.RESET) for state in (_SU, _SH)},
    **{(state, Signal.RESUME): _stay(state, Verdict.NOOP) for state in _PROBED},
    (_SU, Signal.ACTIVE_AGAIN): Step(to=_P, count=Count.RESET),
    **{(state, Signal.ACTIVE_AGAIN): _stay(state, Verdict.NOOP) for state in (*_PROBED, _SH)},
    **{(state, Signal.ARCHIVE): Step(to=_X) for state in (*_PROBED, _SU, _SH)},
    # ARCHIVED is the end: the same name later is a new uid
    (_X, Signal.ARCHIVE): _stay(_X, Verdict.NOOP),
    **{
        (_X, signal): _stay(_X, Verdict.REFUSED)
        for signal in (
            Signal.SUSPEND,
            Signal.RESUME,
            Signal.ACTIVE_AGAIN,
            Signal.ACCESS_CHANGED,
            Signal.SECRET_CHANGED,
            Signal.OTHER_CHANGED,
        )
    },
}


def initial(state: str, now: datetime) -> Status | None:
    """Returns the status of a new connection by `spec.state`; None where no row is made."""
    match state:
        case "active":
            return Status(phase=Phase.PENDING, reason=Reason.APPLIED, since_at=now)
        case "suspended":
            return Status(
                phase=Phase.SUSPENDED,
                suspended_by=SuspendedBy.USER,
                reason=Reason.SUSPENDED_BY_MANIFEST,
                since_at=now,
            )
        case _:
            return None


def advance(
    status: Status, signal: Signal, *, reason: Reason, message: str = "", now: datetime
) -> Advance:
    """Returns where `signal` leads; `reason` and `message` are kept with the new status."""
    step = TABLE[state_of(status), signal]
    if step.verdict is not Verdict.TAKEN:
        return Advance(status=status, transition=None, verdict=step.verdict)
    moved = step.to is not state_of(status)
    phase, suspended_by = step.to.value
    # a change that leaves the state as it is says nothing about why the state is as it is
    explains = moved or signal in _RESULTS or step.count is not Count.KEEP
    if not explains:
        return Advance(status=status, transition=None, verdict=Verdict.TAKEN)
    after = replace(
        _counted(status, step.count, message),
        phase=phase,
        suspended_by=suspended_by,
        reason=reason,
        message=message,
        since_at=now if moved else status.since_at,
    )
    transition = (
        Transition(source=status.phase, target=phase, reason=reason, at=now) if moved else None
    )
    return Advance(status=after, transition=transition, verdict=Verdict.TAKEN)


def observe(status: Status, observation: Observation, thresholds: Thresholds) -> Advance:
    """Returns where a probe's result leads; one for a state that is not probed is dropped."""
    signal = classify(status, observation.outcome, thresholds)
    if observation.reason is Reason.LOGIN_BUDGET_USED:  # of a hop on the way
        signal = Signal.BUDGET_USED
    advanced = advance(
        status,
        signal,
        reason=_reason(signal, observation),
        message=observation.message,
        now=observation.observed_at,
    )
    if advanced.verdict is not Verdict.TAKEN:
        return advanced
    is_ok = observation.outcome is Outcome.OK
    successes = min(advanced.status.consecutive_successes, thresholds.success)
    after = replace(
        advanced.status,
        consecutive_successes=successes,
        checked_at=observation.observed_at,
        succeeded_at=observation.observed_at if is_ok else status.succeeded_at,
        last_outcome=observation.outcome,
        latency_s=observation.latency_s if is_ok else status.latency_s,
    )
    return replace(advanced, status=after)


def classify(status: Status, outcome: Outcome, thresholds: Thresholds) -> Signal:
    """Returns the signal that an outcome is, given the results before it."""
    match outcome:
        case Outcome.INCONCLUSIVE:
            return Signal.INCONCLUSIVE
        case Outcome.OK:
            reached = status.consecutive_successes + 1 >= thresholds.success
            return Signal.OK_REACHED if reached else Signal.OK_BELOW
        case Outcome.FAILED:
            failures = status.consecutive_failures + 1
            if failures >= thresholds.suspend:
                return Signal.FAILED_LIMIT
            return Signal.FAILED_REACHED if failures >= thresholds.failure else Signal.FAILED_BELOW
        case _:
            assert_never(outcome)


def state_of(status: Status) -> State:
    """Returns the row of the table that `status` stands in."""
    return State((status.phase, status.suspended_by))


def is_same(before: Status, after: Status) -> bool:
    """Whether two statuses differ in nothing but times and latency, so that no event is due."""
    return before == replace(
        after,
        checked_at=before.checked_at,
        succeeded_at=before.succeeded_at,
        latency_s=before.latency_s,
        last_outcome=before.last_outcome,
    )


def _counted(status: Status, count: Count, message: str) -> Status:
    match count:
        case Count.KEEP:
            return status
        case Count.RESET:
            return replace(status, consecutive_failures=0, consecutive_successes=0)
        case Count.OK:
            successes = status.consecutive_successes + 1
            return replace(status, consecutive_failures=0, consecutive_successes=successes)
        case Count.RECOVERED:
            successes = status.consecutive_successes + 1
            return replace(
                status, consecutive_failures=0, consecutive_successes=successes, last_error=""
            )
        case Count.FAILED:
            return replace(
                status,
                consecutive_failures=status.consecutive_failures + 1,
                consecutive_successes=0,
                last_error=message,
            )
        case _:
            assert_never(count)


def _reason(signal: Signal, observation: Observation) -> Reason:
    return Reason.TOO_MANY_FAILURES if signal is Signal.FAILED_LIMIT else observation.reason
