"""The lifecycle table, late results: a connection moves on while its probe is in flight.

One process probes connections whose endpoints hold the requests back; a second one suspends or
archives them, or finds their login budget used up; then the answers come, one of each kind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.status import Signal
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.lifecycle import SH, SU, X, reaches
from tests.e2e.projects import BUSY, DOWN, OK, UNAUTHORIZED, Gate, Project, answer, api
from tests.servers.http import Server

#: What arrives late, and thresholds by which it is just that after one failed result.
LATE = {
    "ok-below": (OK, {"successThreshold": 2, "failureThreshold": 2}),
    "ok": (OK, {"failureThreshold": 2}),
    "failed-below": (DOWN, {"failureThreshold": 3}),
    "failed": (DOWN, {"failureThreshold": 2}),
    "failed-limit": (DOWN, {"failureThreshold": 2, "suspendAfter": 2}),
    "inconclusive": (BUSY, {"failureThreshold": 2}),
}
#: All of them are asked at the same time.
ENVIRONMENT = {"PASSWORD": "first", "RECONCILER_HEALTH_PER_HOST": str(len(LATE))}
REASONS = {
    "ok-below": "Ok",
    "ok": "Ok",
    "failed-below": "ServerError",
    "failed": "ServerError",
    "failed-limit": "ServerError",
    "inconclusive": "RateLimited",
}


@pytest.fixture(scope="module")
def prepared(server: Server, warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose connections were rejected once, each with a credential of its own."""
    project = Project(run=Run(folder=tmp_path_factory.mktemp("late")), warm=warm, env=ENVIRONMENT)
    project.declare(
        *(
            api(
                name,
                server.url,
                auth={"method": "basic", "username": name, "password": {"env": "PASSWORD"}},
                health=thresholds,
            )
            for name, (_, thresholds) in LATE.items()
        )
    )
    answer(server, dict.fromkeys(LATE, UNAUTHORIZED))
    assert project("apply").code == 11
    assert project.standings() == dict.fromkeys(LATE, "PENDING AuthFailed 1/0")
    return project


@pytest.fixture
def project(prepared: Project, tmp_path: Path) -> Project:
    return prepared.copy(tmp_path / "project")


def overtake(project: Project, server: Server, *command: str, code: int = 0, **env: str) -> None:
    """Runs `command` while a health pass waits for all its answers, then lets them come."""
    gate = Gate()
    answer(server, {name: gate.before(route) for name, (route, _) in LATE.items()})
    with gate.closed(project.start("health"), arrivals=len(LATE)):
        assert project(*command, **env).code == code


def dropped(project: Project) -> dict[str, str]:
    return {name: reason for type_, name, reason in project.events() if type_ == "dropped"}


@reaches(Signal.OK_BELOW, SU)
@reaches(Signal.OK_REACHED, SU)
@reaches(Signal.FAILED_BELOW, SU)
@reaches(Signal.FAILED_REACHED, SU)
@reaches(Signal.FAILED_LIMIT, SU)
@reaches(Signal.INCONCLUSIVE, SU)
def test_late_result_for_suspended_by_user_is_dropped_with_an_event(
    project: Project, server: Server
) -> None:
    overtake(project, server, "suspend", "*")
    assert project.standings() == dict.fromkeys(LATE, "SUSPENDED by user SuspendedByCommand 1/0")
    assert dropped(project) == REASONS


@reaches(Signal.OK_BELOW, SH)
@reaches(Signal.OK_REACHED, SH)
@reaches(Signal.FAILED_BELOW, SH)
@reaches(Signal.FAILED_REACHED, SH)
@reaches(Signal.FAILED_LIMIT, SH)
@reaches(Signal.INCONCLUSIVE, SH)
def test_late_result_for_suspended_by_health_is_dropped_with_an_event(
    project: Project, server: Server
) -> None:
    overtake(project, server, "health", code=11, RECONCILER_HEALTH_LOGIN_BUDGET="1")
    assert project.standings() == dict.fromkeys(LATE, "SUSPENDED by health LoginBudgetUsed 1/0")
    assert dropped(project) == REASONS


@reaches(Signal.OK_BELOW, X)
@reaches(Signal.OK_REACHED, X)
@reaches(Signal.FAILED_BELOW, X)
@reaches(Signal.FAILED_REACHED, X)
@reaches(Signal.FAILED_LIMIT, X)
@reaches(Signal.INCONCLUSIVE, X)
def test_late_result_for_archived_is_dropped_with_an_event(
    project: Project, server: Server
) -> None:
    overtake(project, server, "archive", "*")
    assert project.standings() == dict.fromkeys(LATE, "ARCHIVED ArchivedByCommand 1/0")
    assert dropped(project) == REASONS
