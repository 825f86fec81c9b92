"""Saved plans: what was looked at is applied, or nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model import Json
from tests.corpus.zygote import Zygote
from tests.e2e.command import Ended, Run
from tests.e2e.projects import Project, sqlite_file

#: Changes a parsed plan in place.
Edit = Callable[[dict[str, Json]], object]
CHANGED = {"timeout": {"query": "1m"}}


@pytest.fixture(scope="module")
def planned(warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project where `orders` is applied, then changed, and the plan of that is saved."""
    project = Project(run=Run(folder=tmp_path_factory.mktemp("planned")), warm=warm)
    project.declare(sqlite_file("orders"))
    assert project("apply", "--health", "none").code == 0
    project.declare(sqlite_file("orders", **CHANGED))
    assert project("plan", "--out", "plan.json").code == 0
    return project


@pytest.fixture
def project(planned: Project, tmp_path: Path) -> Project:
    return planned.copy(tmp_path / "project")


def apply_plan(project: Project, *args: str) -> Ended:
    return project("apply", "--plan", "plan.json", "--health", "none", *args)


def edit(project: Project, change: Edit) -> None:
    """Changes the saved plan."""
    file = project.run.folder / "plan.json"
    plan = json.loads(file.read_text())
    change(plan)
    file.write_text(json.dumps(plan))


def test_saved_plan_is_applied_once(project: Project) -> None:
    assert apply_plan(project).code == 0
    assert project.query("select generation from connections") == [(2,)]
    applied = project.contents()
    again = apply_plan(project)
    assert again.code == 7
    assert "since the plan was made, `SqlConnection/default/orders` changed" in again.stderr
    assert project.contents() == applied


def test_plan_of_a_store_that_is_not_there_yet_can_be_applied(run: Run, warm: Zygote) -> None:
    project = Project(run=run, warm=warm)
    project.declare(sqlite_file("orders"))
    assert project("plan", "--out", "plan.json").code == 0
    assert apply_plan(project).code == 0
    assert project.query("select name, phase from connections") == [("orders", "PENDING")]


def test_plan_is_stale_when_a_manifest_changed(project: Project) -> None:
    project.declare(sqlite_file("orders", **CHANGED, deletionPolicy="protect"))
    assert_refused(project, 7)


def test_plan_is_stale_when_a_manifest_came(project: Project) -> None:
    project.declare(sqlite_file("orders", **CHANGED), sqlite_file("stock"))
    assert_refused(project, 7)


def test_plan_is_stale_when_a_row_it_touches_moved(project: Project) -> None:
    project.execute("update connections set revision = revision + 1, version = version + 1")
    assert_refused(project, 7)


def test_plan_of_another_state_store_is_foreign(project: Project) -> None:
    project.execute("update meta set lineage = 'another'")
    ended = assert_refused(project, 7)
    assert "the plan was made against another state store" in ended.stderr


EDITS: dict[str, tuple[int, Edit]] = {
    "digest": (7, lambda plan: plan.update(digest="0" * 64)),
    "changes": (7, lambda plan: plan["changes"].clear()),
    "prune": (7, lambda plan: plan["options"].update(prune=True)),
    "adopt": (7, lambda plan: plan["options"].update(adopt=True)),
    "roots": (7, lambda plan: plan["options"].update(roots=["others"])),
    "another stack": (7, lambda plan: plan["options"].update(stack="billing")),
    "version of the tool": (7, lambda plan: plan.update(tool="0.0.0")),
    "version of the format": (7, lambda plan: plan.update(formatVersion=2)),
    "unknown option": (3, lambda plan: plan["options"].update(force=True)),
    "option of another type": (3, lambda plan: plan["options"].update(prune="yes")),
}


@pytest.mark.parametrize(("code", "change"), EDITS.values(), ids=EDITS)
def test_edited_plan_is_refused(project: Project, code: int, change: Edit) -> None:
    edit(project, change)
    assert_refused(project, code)


def test_what_is_no_plan_is_invalid(project: Project) -> None:
    project.run.write("plan.json", "{}")
    assert_refused(project, 3)


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(["manifests"], id="paths"),
        pytest.param(["-l", "team=hr"], id="labels"),
        pytest.param(["--prune"], id="prune"),
    ],
)
def test_plan_takes_nothing_else_that_says_what_to_apply(
    project: Project, extra: list[str]
) -> None:
    assert_refused(project, 2, *extra)


def assert_refused(project: Project, code: int, *args: str) -> Ended:
    before = project.contents()
    ended = apply_plan(project, *args)
    assert (ended.code, ended.stdout) == (code, "")
    assert project.contents() == before
    return ended
