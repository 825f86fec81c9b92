"""Every documented exit code is reached through the command line."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reconciler.cli import exit_codes
from tests.e2e.command import COMMAND, Run
from tests.e2e.projects import DOWN, OK, Gate, Project, answer, api, bearer, sqlite_file
from tests.servers.http import Server

Ends = Callable[[Project, Server], int]


@pytest.fixture(scope="module")
def applied(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(run=Run(folder=tmp_path_factory.mktemp("codes")), env={"TOKEN": "t"})
    project.declare(api("crm", server.url, auth=bearer("TOKEN"), deletionPolicy="protect"))
    answer(server, {"crm": OK})
    assert project("apply").code == 0
    return project


@pytest.fixture
def project(applied: Project, tmp_path: Path) -> Project:
    return applied.copy(tmp_path / "project")


def done(project: Project, server: Server) -> int:
    return project("health").code


def output_lost(project: Project, server: Server) -> int:
    with open("/dev/full", "wb") as full:
        folder, env = project.run.folder, project.run.environment()
        return subprocess.run([COMMAND, "status"], cwd=folder, env=env, stdout=full).returncode  # noqa: PLW1510 - the code is the result


def unknown_name(project: Project, server: Server) -> int:
    return project("health", "nobody").code


def no_manifest(project: Project, server: Server) -> int:
    return project("apply", "nowhere").code


def unset_secret(project: Project, server: Server) -> int:
    return project.run("apply").code


def damaged_store(project: Project, server: Server) -> int:
    project.state.write_bytes(b"this is no database" * 100)
    return project("status").code


def locked_store(project: Project, server: Server) -> int:
    with project.locked():
        return project("suspend", "crm", "--lock-timeout", "50ms").code


def plan_twice(project: Project, server: Server) -> int:
    project.declare(sqlite_file("orders"))
    assert project("plan", "--out", "plan.json").code == 0
    project.declare(sqlite_file("stock"))
    return project("apply", "--plan", "plan.json").code


def protected(project: Project, server: Server) -> int:
    return project("archive", "crm").code


def pending_changes(project: Project, server: Server) -> int:
    project.declare(sqlite_file("orders"))
    return project("plan", "--detailed-exitcode").code


def unhealthy(project: Project, server: Server) -> int:
    answer(server, {"crm": DOWN})
    return project("health").code


def signalled(number: signal.Signals, project: Project, server: Server) -> int:
    gate = Gate()
    answer(server, {"crm": gate.before(OK)})
    process = project.start("health")
    with gate.closed(process, arrivals=1):
        process.send_signal(number)
        process.wait(timeout=60)
    return process.returncode


ENDS: dict[int, Ends] = {
    0: done,
    1: output_lost,
    2: unknown_name,
    3: no_manifest,
    4: unset_secret,
    5: damaged_store,
    6: locked_store,
    7: plan_twice,
    8: protected,
    10: pending_changes,
    11: unhealthy,
    130: partial(signalled, signal.SIGINT),
    143: partial(signalled, signal.SIGTERM),
}


def test_every_documented_code_is_tried() -> None:
    assert set(ENDS) == set(exit_codes.MEANINGS)


@pytest.mark.parametrize(("code", "ends"), ENDS.items(), ids=map(str, ENDS))
def test_command_ends_with_code(project: Project, server: Server, code: int, ends: Ends) -> None:
    answer(server, {"crm": OK})
    assert ends(project, server) == code


def test_unhealthy_connection_is_allowed_on_request(project: Project, server: Server) -> None:
    answer(server, {"crm": DOWN})
    assert project("health", "--allow-unhealthy").code == 0


def test_unresolved_secret_is_worse_than_an_unhealthy_connection(
    project: Project, server: Server
) -> None:
    answer(server, {"crm": DOWN})
    project.declare(
        api("crm", server.url, auth=bearer("TOKEN")), api("erp", server.url, auth=bearer("UNSET"))
    )
    assert project("apply", "--health", "all").code == 4
