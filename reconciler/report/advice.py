"""Which commands are worth trying on one connection now, the most likely to help first.

Pure; `describe` shows them. What a check of a refused login must not suggest first is another
login: with the same credential it would only bring the account closer to being locked.
"""

from __future__ import annotations

from reconciler import plan
from reconciler.model import Observation, Reason, Recorded
from reconciler.report import standing, words
from reconciler.report.standing import Standing
from reconciler.report.views import Suggestion

_UNHEALTHY = (Standing.FAILED, Standing.SUSPENDED_BY_HEALTH, Standing.DOUBTFUL)
_CORRECTED = "once the secret or the manifest is corrected: what changed is tried by itself"


def suggestions(
    row: Recorded, observation: Observation | None, *, login_budget: int
) -> tuple[Suggestion, ...]:
    """Returns what to run, given the newest `observation`; nothing where all is well.

    `login_budget` is how many logins may fail with one credential.
    """
    check = f"reconciler health {row.ref}"
    resume = f"reconciler resume {row.ref}"
    found = standing.standing_of(row.status)
    if found in _UNHEALTHY and _is_login_refused(row, observation):
        is_suspended = found is Standing.SUSPENDED_BY_HEALTH
        sent = f"sent again, up to {login_budget} times" if is_suspended else "sent again"
        return (
            Suggestion(command="reconciler apply", note=_CORRECTED),
            Suggestion(
                command=resume if is_suspended else check,
                note=f"only if the secret is right: it is {sent}",
            ),
        )
    match found:
        case Standing.SUSPENDED_BY_HEALTH:
            return (Suggestion(command=resume, note="once the cause is gone"),)
        case Standing.FAILED | Standing.DOUBTFUL | Standing.PENDING:
            return (_checking(row, check),)
        case Standing.SUSPENDED_BY_USER:
            return (_ending(row, resume),)
        case Standing.ARCHIVED:
            return (Suggestion(command=f"reconciler history {row.ref}"),)
        case Standing.ACTIVE:
            return ()


def _is_login_refused(row: Recorded, observation: Observation | None) -> bool:
    if row.status.reason is Reason.LOGIN_BUDGET_USED:
        return True
    return observation is not None and observation.reason is Reason.AUTH_FAILED


def _checking(row: Recorded, check: str) -> Suggestion:
    """Returns what leads to the next check, which without a consent has nothing to find."""
    if row.status.reason is Reason.CONSENT_REQUIRED:
        return Suggestion(command=f"reconciler authorize {row.ref}", note="a person has to agree")
    return Suggestion(command=check)


def _ending(row: Recorded, resume: str) -> Suggestion:
    """Returns what ends a suspension that a person wanted: `resume` never overrules a manifest."""
    if plan.normal_manifest(row)["spec"]["state"] == "active":
        return Suggestion(command=resume)
    note = f"once {words.source(row.source)} says `state: active`"
    return Suggestion(command="reconciler apply", note=note)
