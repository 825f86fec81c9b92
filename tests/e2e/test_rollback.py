"""The past of a connection: history, differences, and going back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import Project, sqlite_file

APPLY = ("apply", "--health", "none")
ROLLBACK = ("rollback", "orders", "--to", "1", "--health", "none")
FIRST, SECOND, THIRD = ({"timeout": {"query": f"{number}s"}} for number in (10, 20, 30))


@pytest.fixture(scope="module")
def applied(warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose `orders` was applied twice, the second time by bob."""
    project = Project(run=Run(folder=tmp_path_factory.mktemp("past")), warm=warm)
    project.declare(sqlite_file("orders", **FIRST))
    assert project(*APPLY, "--actor", "alice").code == 0
    project.declare(sqlite_file("orders", **SECOND))
    assert project(*APPLY, "--actor", "bob").code == 0
    return project


@pytest.fixture
def project(applied: Project, tmp_path: Path) -> Project:
    return applied.copy(tmp_path / "project")


@pytest.fixture
def rolled_back(project: Project) -> Project:
    ended = project(*ROLLBACK, "--reason", "too slow")
    assert ended.code == 0
    return project


def query_timeout(project: Project) -> str:
    manifest = project.data("describe", "orders")["manifest"]
    timeout: str = manifest["spec"]["timeout"]["query"]
    return timeout


def test_history_lists_who_applied_what(project: Project) -> None:
    revisions = project.data("history", "orders")["revisions"]
    assert [(r["number"], r["action"], r["actor"], r["fields"]) for r in revisions] == [
        (1, "create", "alice", []),
        (
            2,
            "update",
            "bob",
            [{"op": "replace", "pointer": "/spec/timeout/query", "old": "10s", "new": "20s"}],
        ),
    ]


def test_diff_with_a_revision_shows_what_changed_since(project: Project) -> None:
    ended = project("diff", "--revision", "1", "orders")
    assert ended.code == 0
    assert 'timeout.query  "10s" -> "20s"' in ended.stdout


def test_rollback_brings_the_past_back_as_a_new_revision(rolled_back: Project) -> None:
    assert query_timeout(rolled_back) == "10s"
    assert rolled_back.query("select revision, generation from connections") == [(3, 3)]


def test_rollback_to_another_access_is_probed_at_once(project: Project) -> None:
    project.run.write("orders.db", "")
    project.declare(sqlite_file("orders", database="others.db"))
    assert project("apply").code == 11
    assert project("rollback", "orders", "--to", "2").code == 0
    assert project.standings() == {"orders": "ACTIVE Ok 0/1"}


def test_rollback_holds_while_the_manifest_stays(rolled_back: Project) -> None:
    before = rolled_back.contents()
    (notice,) = rolled_back.data(*APPLY)["notices"]
    assert notice["hold"]["kind"] == "rollback"
    assert notice["reason"].endswith("(too slow); the manifest is unchanged since")
    assert rolled_back.contents() == before


def test_rollback_ends_when_the_manifest_changes(rolled_back: Project) -> None:
    rolled_back.declare(sqlite_file("orders", **THIRD))
    assert rolled_back(*APPLY).code == 0
    assert query_timeout(rolled_back) == "30s"
    assert rolled_back.query("select hold from connections") == [(None,)]


def test_rollback_as_yaml_is_the_manifest_to_commit(project: Project) -> None:
    before = project.contents()
    text = project(*ROLLBACK, "-o", "yaml").stdout
    assert project.contents() == before
    assert project(*ROLLBACK).code == 0
    project.run.write("manifests/all.yaml", text)
    assert project(*APPLY).code == 0
    assert query_timeout(project) == "10s"
    assert project.query("select hold from connections") == [(None,)]


def test_manifest_from_before_a_committed_rollback_is_applied_again(rolled_back: Project) -> None:
    for timeout in (FIRST, SECOND):
        rolled_back.declare(sqlite_file("orders", **timeout))
        assert rolled_back(*APPLY).code == 0
    assert query_timeout(rolled_back) == "20s"


def test_rollback_to_a_revision_that_never_was_names_those_there_are(project: Project) -> None:
    ended = project("rollback", "orders", "--to", "9")
    assert (ended.code, ended.stdout) == (2, "")
    assert "it has: 1, 2" in ended.stderr


def test_rollback_to_what_is_there_changes_nothing(project: Project) -> None:
    before = project.contents()
    assert project("rollback", "orders", "--to", "2").code == 0
    assert project.contents() == before
