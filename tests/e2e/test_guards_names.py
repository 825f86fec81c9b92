"""Who is who, and whose: renames, swapped names, stacks that own what they made."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model import Json
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import Project, sqlite_file

APPLY = ("apply", "--health", "none")
NAMES = "select uid, name from connections where phase != 'ARCHIVED' order by name"


@pytest.fixture(scope="module")
def applied(warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(run=Run(folder=tmp_path_factory.mktemp("names")), warm=warm)
    project.declare(sqlite_file("a"), sqlite_file("b"))
    assert project(*APPLY).code == 0
    return project


@pytest.fixture
def project(applied: Project, tmp_path: Path) -> Project:
    return applied.copy(tmp_path / "project")


def renamed(old: str, new: str) -> dict[str, Json]:
    """Returns the manifest of `old` under the name `new`."""
    manifest = sqlite_file(old)
    return {**manifest, "metadata": {"name": new, "previousNames": [old]}}


def test_renamed_connection_is_no_orphan_and_keeps_its_uid(project: Project) -> None:
    ((a, _), (b, _)) = project.query(NAMES)
    project.declare(renamed("a", "c"), sqlite_file("b"))
    assert project(*APPLY, "--prune").code == 0
    assert project.query(NAMES) == [(b, "b"), (a, "c")]


def test_swapped_names_swap_the_rows(project: Project) -> None:
    ((a, _), (b, _)) = project.query(NAMES)
    project.declare(renamed("a", "b"), renamed("b", "a"))
    assert project(*APPLY).code == 0
    assert project.query(NAMES) == [(b, "a"), (a, "b")]
    after = project.contents()
    assert project(*APPLY).code == 0
    assert project.contents() == after


def test_previous_name_that_is_alive_like_the_name_is_an_invalid_manifest(
    project: Project,
) -> None:
    before = project.contents()
    project.declare(renamed("a", "b"))
    ended = project(*APPLY)
    assert ended.code == 3
    assert ended.stderr.startswith(
        "error[E205]: `SqlConnection/default/b` and its previous name `SqlConnection/default/a` "
        "are both alive\n"
    )
    assert project.contents() == before


def test_changed_kind_is_a_new_connection_and_an_orphan(project: Project) -> None:
    url = "http://127.0.0.1:1"
    project.declare(
        {**sqlite_file("a"), "kind": "ApiConnection", "spec": {"baseUrl": url}}, sqlite_file("b")
    )
    plan = project.data("plan", "--prune")
    assert [(c["action"], c["kind"], c["reason"]) for c in plan["changes"]] == [
        (
            "create",
            "ApiConnection",
            "the kind differs from `SqlConnection/default/a`, which stays until it is pruned",
        ),
        ("archive", "SqlConnection", "its kind changed in the manifest"),
    ]


def test_connection_of_another_stack_is_refused_and_names_its_owner(project: Project) -> None:
    before = project.contents()
    ended = project(*APPLY, "--stack", "billing")
    assert ended.code == 8
    assert "stack `default` owns it; `--adopt` takes it over" in ended.stderr
    assert project.contents() == before


def test_adopt_takes_over_and_the_plan_says_so(project: Project) -> None:
    plan = project.data("plan", "--stack", "billing", "--adopt")
    assert [(c["action"], c["reason"]) for c in plan["changes"]] == [
        ("adopt", "taken over from stack `default`"),
        ("adopt", "taken over from stack `default`"),
    ]
    assert project(*APPLY, "--stack", "billing", "--adopt").code == 0
    assert project.query("select distinct stack from connections") == [("billing",)]


def test_other_stack_sees_no_orphans_of_this_one(project: Project) -> None:
    project.declare(sqlite_file("c"))
    assert project(*APPLY, "--stack", "billing", "--prune").code == 0
    assert [name for _, name in project.query(NAMES)] == ["a", "b", "c"]
