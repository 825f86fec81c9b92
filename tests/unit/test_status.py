"""The life of a connection: the table is total, and every row of it does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler import status
from reconciler.model import Observation, Outcome, Phase, Reason, Status, SuspendedBy
from reconciler.status import Signal, State, Thresholds, Verdict
from tests import factories

THRESHOLDS = Thresholds(failure=2, success=2, suspend=4)


def make(state: State, **changes: int | str) -> Status:
    phase, suspended_by = state.value
    start = factories.make_status(
        phase=phase,
        suspended_by=suspended_by,
        consecutive_failures=1,
        consecutive_successes=1,
        last_error="28P01",
        message="28P01",
        reason=Reason.AUTH_FAILED,
    )
    return replace(start, **changes)  # type: ignore[arg-type]  # field names are checked by running


def step(state: State, signal: Signal) -> status.Advance:
    return status.advance(
        make(state), signal, reason=Reason.APPLIED, message="why", now=factories.later(60)
    )


def test_table_has_a_row_for_every_state_and_signal() -> None:
    assert set(status.TABLE) == {(state, signal) for state in State for signal in Signal}


_LIVE = (
    State.PENDING,
    State.ACTIVE,
    State.FAILED,
    State.SUSPENDED_BY_USER,
    State.SUSPENDED_BY_HEALTH,
)


@pytest.mark.parametrize(
    ("signal", "targets"),
    [
        pytest.param(Signal.ACCESS_CHANGED, "P P P SU P X", id="access changed"),
        pytest.param(Signal.SECRET_CHANGED, "P P P SU P X", id="secret changed"),
        pytest.param(Signal.OTHER_CHANGED, "P A F SU SH X", id="other change"),
        pytest.param(Signal.OK_BELOW, "P A F SU SH X", id="ok below threshold"),
        pytest.param(Signal.OK_REACHED, "A A A SU SH X", id="ok"),
        pytest.param(Signal.FAILED_BELOW, "P A F SU SH X", id="failed below threshold"),
        pytest.param(Signal.FAILED_REACHED, "F F F SU SH X", id="failed"),
        pytest.param(Signal.FAILED_LIMIT, "SH SH SH SU SH X", id="too many failures"),
        pytest.param(Signal.BUDGET_USED, "SH SH SH SU SH X", id="login budget used"),
        pytest.param(Signal.INCONCLUSIVE, "P A F SU SH X", id="inconclusive"),
        pytest.param(Signal.SUSPEND, "SU SU SU SU SU X", id="suspend"),
        pytest.param(Signal.RESUME, "P A F P P X", id="resume"),
        pytest.param(Signal.ACTIVE_AGAIN, "P A F P SH X", id="active again"),
        pytest.param(Signal.ARCHIVE, "X X X X X X", id="archive"),
    ],
)
def test_signal_leads_every_state_where_the_design_says(signal: Signal, targets: str) -> None:
    names = {
        "P": State.PENDING,
        "A": State.ACTIVE,
        "F": State.FAILED,
        "SU": State.SUSPENDED_BY_USER,
        "SH": State.SUSPENDED_BY_HEALTH,
        "X": State.ARCHIVED,
    }
    reached = [status.state_of(step(state, signal).status) for state in (*_LIVE, State.ARCHIVED)]
    assert reached == [names[word] for word in targets.split()]


@pytest.mark.parametrize("signal", [Signal.SUSPEND, Signal.RESUME])
def test_archived_connection_refuses_commands(signal: Signal) -> None:
    assert step(State.ARCHIVED, signal).verdict is Verdict.REFUSED


def test_a_used_up_login_budget_of_a_hop_suspends_at_once() -> None:
    stopped = factories.make_observation(outcome=Outcome.FAILED, reason=Reason.LOGIN_BUDGET_USED)
    after = status.observe(make(State.ACTIVE), stopped, THRESHOLDS).status
    assert (status.state_of(after), after.reason, after.consecutive_failures) == (
        State.SUSPENDED_BY_HEALTH,
        Reason.LOGIN_BUDGET_USED,
        1,
    )


@pytest.mark.parametrize(
    "state", [State.SUSPENDED_BY_USER, State.SUSPENDED_BY_HEALTH, State.ARCHIVED]
)
def test_late_result_is_dropped_and_changes_nothing(state: State) -> None:
    before = make(state)
    late = status.observe(before, factories.make_observation(), THRESHOLDS)
    assert (late.verdict, late.status, late.transition) == (Verdict.DROPPED, before, None)


@pytest.mark.parametrize("state", [State.PENDING, State.ACTIVE, State.FAILED])
def test_resume_of_what_is_not_suspended_is_a_noop(state: State) -> None:
    assert step(state, Signal.RESUME).verdict is Verdict.NOOP


def test_changed_access_resets_the_counters() -> None:
    after = step(State.FAILED, Signal.ACCESS_CHANGED).status
    assert (after.consecutive_failures, after.consecutive_successes) == (0, 0)


def test_other_change_keeps_counters_reason_and_message() -> None:
    assert step(State.FAILED, Signal.OTHER_CHANGED).status == make(State.FAILED)


def test_transition_says_from_where_to_where_and_when() -> None:
    transition = step(State.ACTIVE, Signal.SUSPEND).transition
    assert transition is not None
    assert (transition.source, transition.target) == (Phase.ACTIVE, Phase.SUSPENDED)
    assert transition.at == factories.later(60)


def test_phase_that_stays_keeps_its_time() -> None:
    after = status.observe(make(State.ACTIVE), _observation(Outcome.OK), THRESHOLDS).status
    assert after.since_at == factories.NOW
    assert after.checked_at == factories.later(60)


def _observation(outcome: Outcome, message: str = "refused") -> Observation:
    reason = {
        Outcome.OK: Reason.OK,
        Outcome.FAILED: Reason.CONNECT_REFUSED,
        Outcome.INCONCLUSIVE: Reason.DRIVER_MISSING,
    }[outcome]
    return factories.make_observation(
        outcome=outcome, reason=reason, message=message, observed_at=factories.later(60)
    )


def test_ok_below_the_threshold_counts_and_keeps_the_last_error() -> None:
    before = make(State.FAILED, consecutive_successes=0, consecutive_failures=3)
    after = status.observe(before, _observation(Outcome.OK, ""), THRESHOLDS).status
    assert after.phase is Phase.FAILED
    assert (after.consecutive_failures, after.consecutive_successes) == (0, 1)
    assert after.last_error == "28P01"


def test_ok_at_the_threshold_clears_the_last_error() -> None:
    after = status.observe(make(State.FAILED), _observation(Outcome.OK, ""), THRESHOLDS).status
    assert (after.phase, after.last_error) == (Phase.ACTIVE, "")


def test_successes_are_counted_only_up_to_the_threshold() -> None:
    after = status.observe(
        make(State.ACTIVE, consecutive_successes=2), _observation(Outcome.OK, ""), THRESHOLDS
    ).status
    assert after.consecutive_successes == 2


def test_failure_below_the_threshold_counts_and_keeps_the_phase() -> None:
    before = make(State.ACTIVE, consecutive_failures=0)
    after = status.observe(before, _observation(Outcome.FAILED), THRESHOLDS).status
    assert (after.phase, after.consecutive_failures) == (Phase.ACTIVE, 1)
    assert (after.consecutive_successes, after.last_error) == (0, "refused")


def test_failure_at_the_threshold_fails_the_connection() -> None:
    after = status.observe(make(State.ACTIVE), _observation(Outcome.FAILED), THRESHOLDS).status
    assert (after.phase, after.consecutive_failures) == (Phase.FAILED, 2)
    assert after.reason is Reason.CONNECT_REFUSED


def test_suspension_wins_over_failure_and_says_why() -> None:
    before = make(State.FAILED, consecutive_failures=3)
    after = status.observe(before, _observation(Outcome.FAILED), THRESHOLDS).status
    assert (after.phase, after.suspended_by) == (Phase.SUSPENDED, SuspendedBy.HEALTH)
    assert after.reason is Reason.TOO_MANY_FAILURES
    assert after.last_error == "refused"


def test_inconclusive_result_updates_the_reason_and_counts_nothing() -> None:
    before = make(State.ACTIVE)
    after = status.observe(
        before, _observation(Outcome.INCONCLUSIVE, "no driver"), THRESHOLDS
    ).status
    assert (after.reason, after.message) == (Reason.DRIVER_MISSING, "no driver")
    assert after.consecutive_failures == before.consecutive_failures
    assert after.last_error == before.last_error
    assert after.last_outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("active", (Phase.PENDING, None), id="active"),
        pytest.param("suspended", (Phase.SUSPENDED, SuspendedBy.USER), id="suspended"),
    ],
)
def test_new_connection_starts_as_its_manifest_says(
    state: str, expected: tuple[Phase, SuspendedBy | None]
) -> None:
    first = status.initial(state, factories.NOW)
    assert first is not None
    assert (first.phase, first.suspended_by) == expected


def test_new_archived_connection_makes_no_row() -> None:
    assert status.initial("archived", factories.NOW) is None


def test_statuses_that_differ_in_times_alone_are_the_same() -> None:
    before = make(State.ACTIVE, consecutive_failures=0, consecutive_successes=2, last_error="")
    before = replace(before, reason=Reason.OK, message="")
    after = status.observe(before, _observation(Outcome.OK, ""), THRESHOLDS).status
    assert before != after
    assert status.is_same(before, after)


def test_thresholds_come_from_the_spec() -> None:
    health = {"failureThreshold": 2, "successThreshold": 2, "suspendAfter": 4}
    assert Thresholds.of({"health": health}) == THRESHOLDS
