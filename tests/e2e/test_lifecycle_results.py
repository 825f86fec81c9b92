"""The lifecycle table, what probes find: each row through the command line, on real endpoints.

All thresholds are at work in one project, made once: two results in a row move a connection. One
more pass in a copy of it, in which all endpoints answer the same, then reaches a row of the table
from every state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.model import JsonObject
from reconciler.status import Signal
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.lifecycle import A, F, P, reaches
from tests.e2e.projects import (
    BUSY,
    DOWN,
    OK,
    UNAUTHORIZED,
    Project,
    answer,
    api,
    asked,
    bearer,
    checked,
)
from tests.servers.http import Route, Server

#: What each connection gets in the three passes that prepare it; BUSY leaves it as it is.
PASSES: Mapping[str, tuple[Route, Route, Route]] = {
    "new": (BUSY, BUSY, BUSY),
    "new-ok": (BUSY, BUSY, OK),
    "new-failed": (BUSY, BUSY, DOWN),
    "new-limit": (BUSY, BUSY, DOWN),
    "active": (OK, OK, BUSY),
    "active-failed": (OK, OK, DOWN),
    "active-limit": (OK, OK, DOWN),
    "failed": (DOWN, DOWN, BUSY),
    "failed-ok": (DOWN, DOWN, OK),
    "failed-limit": (DOWN, DOWN, BUSY),
}
LAST_ERROR = "500 Internal Server Error"
#: `suspendAfter` of those that one more failure shall suspend.
LIMITS = {"new-limit": 2, "active-limit": 2, "failed-limit": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One health pass and what came of it."""

    project: Project
    health: JsonObject

    def after(self, *names: str) -> list[str]:
        """Returns where these connections stand."""
        found = checked(self.health)
        return [found[name] for name in names]

    def status(self, name: str) -> JsonObject:
        """Returns the status of one connection."""
        status: JsonObject = next(c for c in self.health["checks"] if c["name"] == name)["status"]
        return status


@pytest.fixture(scope="module")
def prepared(server: Server, warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a connection for every state and every count of results before the last."""
    project = Project(run=Run(folder=tmp_path_factory.mktemp("results")), warm=warm)
    thresholds = {"successThreshold": 2, "failureThreshold": 2}
    project.declare(
        *(
            api(name, server.url, health={**thresholds, "suspendAfter": LIMITS.get(name, 5)})
            for name in PASSES
        )
    )
    for number, command in enumerate(("apply", "health", "health")):
        answer(server, {name: routes[number] for name, routes in PASSES.items()})
        assert project(command, "--allow-unhealthy").code == 0
    return project


def one_more(server: Server, prepared: Project, folder: Path, route: Route) -> Pass:
    project = prepared.copy(folder / "project")
    answer(server, dict.fromkeys(PASSES, route))
    return Pass(project=project, health=project.data("health", code=11))


@pytest.fixture(scope="module")
def all_ok(server: Server, prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Pass:
    return one_more(server, prepared, tmp_path_factory.mktemp("ok"), OK)


@pytest.fixture(scope="module")
def all_failed(server: Server, prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Pass:
    return one_more(server, prepared, tmp_path_factory.mktemp("failed"), DOWN)


@pytest.fixture(scope="module")
def all_busy(server: Server, prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Pass:
    return one_more(server, prepared, tmp_path_factory.mktemp("busy"), BUSY)


def test_connections_are_prepared_in_the_state_that_their_name_says(all_busy: Pass) -> None:
    phases = {"new": "PENDING", "active": "ACTIVE", "failed": "FAILED"}
    before = {check["name"]: check["before"] for check in all_busy.health["checks"]}
    assert before == {name: phases[name.partition("-")[0]] for name in PASSES}


@reaches(Signal.OK_BELOW, P)
def test_pending_ok_below_success_threshold_stays_pending(all_ok: Pass) -> None:
    assert all_ok.after("new", "new-failed") == ["PENDING Ok 0/1", "PENDING Ok 0/1"]


@reaches(Signal.OK_BELOW, F)
def test_failed_ok_below_success_threshold_stays_failed_and_keeps_the_error(all_ok: Pass) -> None:
    assert all_ok.after("failed") == ["FAILED Ok 0/1"]
    assert all_ok.status("failed")["lastError"] == LAST_ERROR


@reaches(Signal.OK_REACHED, P, F)
def test_pending_or_failed_ok_at_success_threshold_becomes_active(all_ok: Pass) -> None:
    assert all_ok.after("new-ok", "failed-ok") == ["ACTIVE Ok 0/2", "ACTIVE Ok 0/2"]
    assert all_ok.status("failed-ok")["lastError"] == ""


@reaches(Signal.OK_REACHED, A)
@reaches(Signal.OK_BELOW, A)
def test_active_ok_stays_active_and_forgets_failures(all_ok: Pass) -> None:
    assert all_ok.after("active", "active-failed") == ["ACTIVE Ok 0/2", "ACTIVE Ok 0/1"]


@reaches(Signal.FAILED_BELOW, P, A)
def test_pending_or_active_failed_below_failure_threshold_stays(all_failed: Pass) -> None:
    assert all_failed.after("new", "active") == [
        "PENDING ServerError 1/0",
        "ACTIVE ServerError 1/0",
    ]


@reaches(Signal.FAILED_REACHED, P, A)
def test_pending_or_active_failed_at_failure_threshold_becomes_failed(all_failed: Pass) -> None:
    assert all_failed.after("new-failed", "active-failed") == [
        "FAILED ServerError 2/0",
        "FAILED ServerError 2/0",
    ]


@reaches(Signal.FAILED_REACHED, F)
@reaches(Signal.FAILED_BELOW, F)
def test_failed_failed_below_limit_stays_failed_with_an_event(all_failed: Pass) -> None:
    assert all_failed.after("failed", "failed-ok") == [
        "FAILED ServerError 3/0",
        "FAILED ServerError 1/0",
    ]
    events = all_failed.project.data("events", "failed")["events"]
    assert [(event["type"], event["to"]) for event in events[-2:]] == [
        ("result", None),
        ("result", None),
    ]


@reaches(Signal.FAILED_LIMIT, P, A, F)
def test_failures_that_reach_suspend_after_suspend(all_failed: Pass) -> None:
    stopped = "SUSPENDED by health TooManyFailures"
    assert all_failed.after("new-limit", "active-limit", "failed-limit") == [
        f"{stopped} 2/0",
        f"{stopped} 2/0",
        f"{stopped} 3/0",
    ]


@reaches(Signal.INCONCLUSIVE, P, A, F)
def test_inconclusive_result_updates_only_reason_and_message(all_busy: Pass) -> None:
    assert all_busy.after("new-failed", "active-failed", "failed") == [
        "PENDING RateLimited 1/0",
        "ACTIVE RateLimited 1/0",
        "FAILED RateLimited 2/0",
    ]
    assert all_busy.status("failed")["lastError"] == LAST_ERROR


@reaches(Signal.BUDGET_USED, P, A, F)
def test_used_up_login_budget_suspends_without_asking(
    server: Server, warm: Zygote, tmp_path: Path
) -> None:
    project = Project(
        run=Run(folder=tmp_path),
        warm=warm,
        env={"TOKEN": "shared", "RECONCILER_HEALTH_LOGIN_BUDGET": "1"},
    )
    answer(server, {"new": BUSY, "active": OK, "failed": DOWN, "rejected": UNAUTHORIZED})
    names = ("new", "active", "failed")
    project.declare(*(api(name, server.url, auth=bearer("TOKEN")) for name in (*names, "rejected")))
    assert project("apply", *(f"--select={name}" for name in names)).code == 11
    assert project("apply").code == 11
    server.requests.clear()
    assert checked(project.data("health", *names, code=11)) == {
        "new": "SUSPENDED by health LoginBudgetUsed 0/0",
        "active": "SUSPENDED by health LoginBudgetUsed 0/1",
        "failed": "SUSPENDED by health LoginBudgetUsed 1/0",
    }
    assert asked(server) == []
