from __future__ import annotations

import pytest

from reconciler.model import Observation, Outcome, Phase, Reason, Status, SuspendedBy, canonical
from reconciler.report import advice
from reconciler.report.views import Suggestion
from tests.factories import make_manifest, make_observation, make_recorded, make_status

_REF = "SqlConnection/hr/orders"
_REFUSED = make_observation(outcome=Outcome.FAILED, reason=Reason.AUTH_FAILED)
_DOWN = make_observation(outcome=Outcome.FAILED, reason=Reason.CONNECT_REFUSED)
_FAILED = make_status(phase=Phase.FAILED, last_outcome=Outcome.FAILED)
_APPLY = Suggestion(
    command="reconciler apply",
    note="once the secret or the manifest is corrected: what changed is tried by itself",
)
_CHECK = Suggestion(command=f"reconciler health {_REF}")
_CHECK_AGAIN = Suggestion(
    command=f"reconciler health {_REF}", note="only if the secret is right: it is sent again"
)
_RESUME = Suggestion(command=f"reconciler resume {_REF}")
_RESUME_AGAIN = Suggestion(
    command=f"reconciler resume {_REF}",
    note="only if the secret is right: it is sent again, up to 3 times",
)


def _suspended(by: SuspendedBy, reason: Reason) -> Status:
    return make_status(phase=Phase.SUSPENDED, suspended_by=by, reason=reason)


@pytest.mark.parametrize(
    ("status", "observation", "expected"),
    [
        pytest.param(make_status(), None, (_CHECK,), id="never checked"),
        pytest.param(
            make_status(reason=Reason.SECRET_CHANGED, last_outcome=Outcome.FAILED),
            _REFUSED,
            (_CHECK,),
            id="secret changed since it was refused",
        ),
        pytest.param(
            make_status(reason=Reason.CONSENT_REQUIRED, last_outcome=Outcome.INCONCLUSIVE),
            make_observation(outcome=Outcome.INCONCLUSIVE, reason=Reason.CONSENT_REQUIRED),
            (Suggestion(command=f"reconciler authorize {_REF}", note="a person has to agree"),),
            id="consent required",
        ),
        pytest.param(_FAILED, _DOWN, (_CHECK,), id="failed"),
        pytest.param(_FAILED, _REFUSED, (_APPLY, _CHECK_AGAIN), id="login refused"),
        pytest.param(
            _suspended(SuspendedBy.HEALTH, Reason.TOO_MANY_FAILURES),
            _REFUSED,
            (_APPLY, _RESUME_AGAIN),
            id="login refused too often",
        ),
        pytest.param(
            _suspended(SuspendedBy.HEALTH, Reason.LOGIN_BUDGET_USED),
            None,
            (_APPLY, _RESUME_AGAIN),
            id="login budget used up by others",
        ),
        pytest.param(
            _suspended(SuspendedBy.HEALTH, Reason.TOO_MANY_FAILURES),
            _DOWN,
            (
                Suggestion(
                    command=f"reconciler resume {_REF}",
                    note="once the cause is gone",
                ),
            ),
            id="failed too often",
        ),
        pytest.param(
            _suspended(SuspendedBy.USER, Reason.SUSPENDED_BY_COMMAND),
            None,
            (_RESUME,),
            id="suspended by command",
        ),
        pytest.param(make_status(phase=Phase.ACTIVE, reason=Reason.OK), None, (), id="well"),
        pytest.param(
            make_status(phase=Phase.ACTIVE, last_outcome=Outcome.FAILED, reason=Reason.DNS_FAILURE),
            _DOWN,
            (_CHECK,),
            id="in doubt",
        ),
        pytest.param(
            make_status(phase=Phase.ARCHIVED),
            None,
            (Suggestion(command=f"reconciler history {_REF}"),),
            id="archived",
        ),
    ],
)
def test_what_helps_comes_first(
    status: Status, observation: Observation | None, expected: tuple[Suggestion, ...]
) -> None:
    row = make_recorded(status=status)
    assert advice.suggestions(row, observation, login_budget=3) == expected


def test_suspension_by_the_manifest_is_ended_in_the_manifest() -> None:
    row = make_recorded(
        text=canonical(make_manifest(state="suspended")),
        status=_suspended(SuspendedBy.USER, Reason.SUSPENDED_BY_MANIFEST),
    )
    assert advice.suggestions(row, None, login_budget=3) == (
        Suggestion(
            command="reconciler apply", note="once manifests/orders.yaml:1 says `state: active`"
        ),
    )
