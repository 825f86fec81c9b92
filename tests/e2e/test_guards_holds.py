"""Holds: what a command orders stands above the manifest, seen by everyone, until it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import Project, sqlite_file

APPLY = ("apply", "--health", "none")
CHANGED = {"timeout": {"query": "1m"}}
STATE = "select phase, reason from connections order by created_at, uid"


@pytest.fixture(scope="module")
def applied(warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(run=Run(folder=tmp_path_factory.mktemp("holds")), warm=warm)
    project.declare(sqlite_file("orders"))
    assert project(*APPLY).code == 0
    return project


@pytest.fixture
def project(applied: Project, tmp_path: Path) -> Project:
    return applied.copy(tmp_path / "project")


def test_suspension_by_command_outlives_a_changed_manifest(project: Project) -> None:
    assert project("suspend", "orders", "--reason", "moves", "--actor", "leo").code == 0
    project.declare(sqlite_file("orders", **CHANGED))
    assert project(*APPLY).code == 0
    row = project.statuses()["orders"]
    assert (row["status"]["phase"], row["generation"]) == ("SUSPENDED", 2)
    assert {key: row["hold"][key] for key in ("kind", "actor", "reason")} == {
        "kind": "suspend",
        "actor": "leo",
        "reason": "moves",
    }


def test_plan_shows_a_hold(project: Project) -> None:
    assert project("suspend", "orders", "--reason", "moves", "--actor", "leo").code == 0
    (notice,) = project.data("plan")["notices"]
    assert (notice["name"], notice["reason"]) == ("orders", "suspended by leo (moves)")


def test_archived_by_command_stays_away_while_the_manifest_stays(project: Project) -> None:
    assert project("archive", "orders", "--actor", "leo").code == 0
    before = project.contents()
    (notice,) = project.data(*APPLY)["notices"]
    assert notice["reason"] == "archived by leo; change the manifest or delete it"
    assert project.contents() == before


def test_archived_by_command_comes_back_as_another_when_the_manifest_changes(
    project: Project,
) -> None:
    assert project("archive", "orders").code == 0
    project.declare(sqlite_file("orders", **CHANGED))
    assert project(*APPLY).code == 0
    assert project.query(STATE) == [("ARCHIVED", "ArchivedByCommand"), ("PENDING", "Applied")]


def test_resume_against_the_manifest_is_refused_with_the_line_to_edit(project: Project) -> None:
    project.declare(sqlite_file("orders", state="suspended"))
    assert project(*APPLY).code == 0
    before = project.contents()
    ended = project("resume", "orders")
    assert (ended.code, ended.stdout) == (8, "")
    assert ended.stderr == (
        "error: the manifest of `SqlConnection/default/orders` says `state: suspended`\n"
        "  = help: write `state: active` in manifests/all.yaml:1 and apply\n"
    )
    assert project.contents() == before


def test_orders_for_many_are_all_or_none(project: Project) -> None:
    project.declare(sqlite_file("orders"), sqlite_file("stock", deletionPolicy="protect"))
    assert project(*APPLY).code == 0
    before = project.contents()
    assert project("archive", "orders", "stock").code == 8
    assert project.contents() == before
