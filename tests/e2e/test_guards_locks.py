"""Several processes and dead ones: one at a time, all or nothing, and no lock stays behind."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.command import Run
from tests.e2e.projects import OK, Gate, Project, answer, api, bearer, sqlite_file
from tests.servers.http import Server

APPLY = ("apply", "--health", "none")
MANY = 300
PHASES = "select phase, count(*) from connections group by phase"


@pytest.fixture
def project(run: Run) -> Project:
    """A project with `first` applied, and `second` declared but not applied."""
    project = Project(run=run)
    project.declare(sqlite_file("first"), file="first/all.yaml")
    assert project(*APPLY, "first").code == 0
    project.declare(sqlite_file("second"))
    return project


def end(process: subprocess.Popen[bytes]) -> int:
    process.communicate(timeout=60)
    return process.returncode


def test_apply_that_gets_no_lock_in_time_ends_with_6_and_writes_nothing(project: Project) -> None:
    before = project.contents()
    with project.locked():
        ended = project(*APPLY, "--lock-timeout", "100ms")
    assert ended.code == 6
    assert project.contents() == before


def test_two_applies_at_once_both_succeed(project: Project) -> None:
    project.declare(sqlite_file("third"), file="third/all.yaml")
    processes = [project.start(*APPLY, folder) for folder in ("manifests", "third")]
    assert [end(process) for process in processes] == [0, 0]
    assert project.query("select name from connections order by name") == [
        ("first",),
        ("second",),
        ("third",),
    ]
    assert project("state", "check").code == 0


def test_two_applies_of_the_same_at_once_make_one_connection(project: Project) -> None:
    processes = [project.start(*APPLY) for _ in range(2)]
    assert [end(process) for process in processes] == [0, 0]
    assert project.query("select count(*) from connections where name = 'second'") == [(1,)]
    assert project.query("select count(*) from runs") == [(2,)]


def test_apply_killed_while_it_probes_has_applied_everything(
    project: Project, server: Server
) -> None:
    gate = Gate()
    answer(server, {"second": gate.before(OK)})
    project.declare(api("second", server.url, auth=bearer("TOKEN")), sqlite_file("third"))
    process = project.start("apply", TOKEN="t")
    with gate.closed(process, arrivals=1):
        process.kill()
    assert project.query("select name, revision from connections order by name") == [
        ("first", 1),
        ("second", 1),
        ("third", 1),
    ]
    assert project.query("select count(*) from runs") == [(2,)]
    again = project.data(*APPLY)
    assert (again["runId"], again["results"]) == ("", [])


@pytest.mark.parametrize("file", ["state.db", "state.db-wal"])
def test_apply_killed_anywhere_leaves_all_or_nothing(run: Run, file: str) -> None:
    project = Project(run=run)
    project.declare(*(sqlite_file(f"db-{number}") for number in range(MANY)))
    process = project.start(*APPLY)
    while not (project.state.with_name(file)).exists() and process.poll() is None:
        pass
    process.kill()
    end(process)
    assert project(*APPLY).code == 0
    assert project.query(PHASES) == [("PENDING", MANY)]
    assert project.query("select count(*) from revisions") == [(MANY,)]
    assert project.query("select count(*) from runs") == [(1,)]
    assert project("state", "check").code == 0
