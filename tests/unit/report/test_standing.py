from __future__ import annotations

import pytest

from reconciler import status
from reconciler.model import HoldKind, Outcome, Phase, Reason, Status, SuspendedBy
from reconciler.report import standing
from reconciler.report.standing import Standing
from tests.factories import NOW, later, make_hold, make_status


@pytest.mark.parametrize("state", status.State, ids=lambda state: state.name)
def test_every_state_has_a_standing(state: status.State) -> None:
    phase, suspended_by = state.value
    found = standing.standing_of(make_status(phase=phase, suspended_by=suspended_by))
    assert found.name == state.name


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE])
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.ACTIVE])
def test_last_check_that_was_not_ok_is_in_doubt(phase: Phase, outcome: Outcome) -> None:
    doubtful = make_status(phase=phase, reason=Reason.READ_TIMEOUT, last_outcome=outcome)
    assert standing.standing_of(doubtful) is Standing.DOUBTFUL
    assert not standing.standing_of(doubtful).value.is_healthy


def test_check_from_before_a_change_puts_nothing_in_doubt() -> None:
    changed = make_status(reason=Reason.SPEC_CHANGED, last_outcome=Outcome.FAILED)
    assert standing.standing_of(changed) is Standing.PENDING


def test_check_from_before_a_suspension_puts_nothing_in_doubt() -> None:
    suspended = make_status(
        phase=Phase.SUSPENDED,
        suspended_by=SuspendedBy.USER,
        reason=Reason.SUSPENDED_BY_COMMAND,
        last_outcome=Outcome.FAILED,
    )
    assert standing.standing_of(suspended).value.is_healthy


def test_worst_is_first() -> None:
    assert [found.name for found in Standing] == [
        "FAILED",
        "SUSPENDED_BY_HEALTH",
        "DOUBTFUL",
        "PENDING",
        "ACTIVE",
        "SUSPENDED_BY_USER",
        "ARCHIVED",
    ]


_CHECKED = later(-60)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        pytest.param(make_status(), "not checked yet", id="new"),
        pytest.param(
            make_status(reason=Reason.RESUMED_BY_COMMAND, checked_at=_CHECKED),
            "to be checked again [ResumedByCommand]",
            id="resumed",
        ),
        pytest.param(
            make_status(reason=Reason.SECRET_CHANGED),
            "not checked yet [SecretChanged]",
            id="secret changed before the first check",
        ),
        pytest.param(make_status(phase=Phase.ACTIVE, reason=Reason.OK), "", id="well"),
        pytest.param(
            make_status(phase=Phase.ACTIVE, reason=Reason.SLOW_RESPONSE, message="took 9 s"),
            "took 9 s [SlowResponse]",
            id="ok but slow",
        ),
        pytest.param(
            make_status(phase=Phase.FAILED, reason=Reason.DNS_FAILURE),
            "DnsFailure",
            id="no message",
        ),
        pytest.param(
            make_status(
                phase=Phase.SUSPENDED,
                suspended_by=SuspendedBy.HEALTH,
                reason=Reason.LOGIN_BUDGET_USED,
                last_error="password rejected",
            ),
            "by health: password rejected [LoginBudgetUsed]",
            id="suspended by health falls back on the last error",
        ),
        pytest.param(
            make_status(
                phase=Phase.SUSPENDED,
                suspended_by=SuspendedBy.HEALTH,
                reason=Reason.LOGIN_BUDGET_USED,
            ),
            "by health: LoginBudgetUsed",
            id="suspended by health without a message",
        ),
        pytest.param(
            make_status(
                phase=Phase.SUSPENDED,
                suspended_by=SuspendedBy.USER,
                reason=Reason.SUSPENDED_BY_MANIFEST,
            ),
            "by the manifest",
            id="suspended by the manifest",
        ),
    ],
)
def test_why_says_what_the_reader_needs(shown: Status, why: str) -> None:
    assert standing.why(shown, None, NOW) == why


@pytest.mark.parametrize(
    ("reason", "why"), [("moves", "by leo: moves"), ("", "by leo")], ids=["reason", "no reason"]
)
def test_why_of_a_suspension_names_who_ordered_it_and_why(reason: str, why: str) -> None:
    suspended = make_status(
        phase=Phase.SUSPENDED,
        suspended_by=SuspendedBy.USER,
        reason=Reason.SUSPENDED_BY_COMMAND,
    )
    hold = make_hold(actor="leo", reason=reason, at=later(-7200))
    assert standing.why(suspended, hold, NOW) == why


def test_hold_names_who_ordered_it_when_and_why() -> None:
    hold = make_hold(actor="leo", reason="moves", at=later(-7200))
    assert standing.held(hold, NOW) == "suspended by leo 2 h ago: moves"


def test_why_shows_a_failure_before_the_hold() -> None:
    failed = make_status(phase=Phase.FAILED, reason=Reason.DNS_FAILURE)
    hold = make_hold(kind=HoldKind.ROLLBACK, reason="", at=NOW)
    assert standing.why(failed, hold, NOW) == "DnsFailure; rolled back by alice 0 s ago"


def test_summary_counts_worst_first() -> None:
    statuses = [make_status(), make_status(phase=Phase.FAILED), make_status()]
    assert [cell.text for cell in standing.summary(statuses)] == ["1 failed", "2 pending"]
