"""Silence is not deletion: what keeps connections whose manifests are gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import MANIFESTS, Project, sqlite_file

APPLY = ("apply", "--health", "none")
#: More may go at once without `--prune-limit` only from a stack of more than fifty.
MANY = 11


def declare_policies(project: Project, **changes: JsonObject) -> None:
    """Declares one connection for each deletion policy, with changes to specs by name."""
    policies = ("archive", "delete", "protect")
    project.declare(
        *(
            sqlite_file(policy, **{"deletionPolicy": policy, **changes.get(policy, {})})
            for policy in policies
        )
    )


@pytest.fixture(scope="module")
def applied(warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(run=Run(folder=tmp_path_factory.mktemp("policies")), warm=warm)
    declare_policies(project)
    assert project(*APPLY).code == 0
    return project


@pytest.fixture
def project(applied: Project, tmp_path: Path) -> Project:
    return applied.copy(tmp_path / "project")


def test_deleted_manifest_changes_nothing_and_is_shown(project: Project) -> None:
    before = project.contents()
    project.declare(sqlite_file("protect", deletionPolicy="protect"))
    again = project.data(*APPLY)
    assert project.contents() == before
    assert {notice["name"]: notice["reason"] for notice in again["notices"]} == {
        "archive": "orphan: no manifest declares it; `--prune` would archive it",
        "delete": "orphan: no manifest declares it; `--prune` would delete it",
    }


def empty(manifests: Path) -> None:
    (manifests / "all.yaml").unlink()


def missing(manifests: Path) -> None:
    empty(manifests)
    manifests.rmdir()


def unreadable(manifests: Path) -> None:
    """Makes a folder that cannot be opened, not even by root: a link to itself."""
    missing(manifests)
    manifests.symlink_to(manifests.name)


def partly_unreadable(manifests: Path) -> None:
    (manifests / "all.yaml").write_text("")
    (manifests / "more").symlink_to("more")


def partly_broken(manifests: Path) -> None:
    (manifests / "all.yaml").write_text("")
    (manifests / "broken.yaml").write_bytes(b"kind: \xff")


@pytest.mark.parametrize(
    "damage",
    [empty, missing, unreadable, partly_unreadable, partly_broken],
    ids=lambda f: f.__name__,
)
def test_folder_without_readable_manifests_archives_nothing(
    project: Project, damage: Callable[[Path], None]
) -> None:
    before = project.contents()
    damage(project.run.folder / "manifests")
    ended = project("apply", "manifests", "--prune", "--yes")
    assert (ended.code, ended.stdout) == (3, "")
    assert project.contents() == before


def test_prune_archives_and_deletes_as_the_policies_say(project: Project) -> None:
    (uid,) = project.query("select uid from connections where name = 'delete'")
    project.declare(sqlite_file("protect", deletionPolicy="protect"))
    assert project(*APPLY, "--prune").code == 0
    assert project.query("select name, phase, reason from connections order by name") == [
        ("archive", "ARCHIVED", "Pruned"),
        ("protect", "PENDING", "Applied"),
    ]
    tombstone = f"select type, name from events where uid = '{uid[0]}'"
    assert project.query(tombstone) == [("created", "delete"), ("deleted", "delete")]
    events = project("events", "delete")
    assert (events.code, events.stdout.count("\n")) == (0, 3)


def test_protected_connection_blocks_the_whole_prune(project: Project) -> None:
    before = project.contents()
    project.declare(sqlite_file("archive"))
    ended = project(*APPLY, "--prune")
    assert ended.code == 8
    assert "`SqlConnection/default/protect` is blocked" in ended.stderr
    assert project.contents() == before


def test_plan_of_a_blocked_prune_ends_as_apply_would(project: Project) -> None:
    project.declare(sqlite_file("archive"))
    for options in ([], ["--detailed-exitcode"], ["-o", "json"]):
        assert project("plan", "--prune", *options).code == 8
    assert "apply refuses this plan: 1 change blocked" in project("plan", "--prune").stdout
    assert project("plan").code == 0, "without --prune nothing is touched"


def test_blocked_plan_is_saved_and_refused(project: Project) -> None:
    before = project.contents()
    project.declare(sqlite_file("archive"))
    assert project("plan", "--prune", "--out", "plan.json").code == 8
    assert project("apply", "--plan", "plan.json").code == 8
    assert project.contents() == before


def test_protected_connection_is_not_archived_by_its_manifest(project: Project) -> None:
    before = project.contents()
    declare_policies(project, protect={"state": "archived"})
    assert project(*APPLY).code == 8
    assert project.contents() == before


def test_protected_connection_is_not_archived_by_command(project: Project) -> None:
    before = project.contents()
    assert project("archive", "archive", "protect").code == 8
    assert project.contents() == before


def test_many_orphans_need_a_prune_limit(run: Run, warm: Zygote) -> None:
    project = Project(run=run, warm=warm)
    names = [f"db-{number}" for number in range(MANY)]
    project.declare(sqlite_file("stays"), *map(sqlite_file, names))
    assert project(*APPLY).code == 0
    project.declare(sqlite_file("stays"))
    before = project.contents()
    ended = project(*APPLY, "--prune")
    assert ended.code == 8
    assert "11 orphans are more than 10; `--prune-limit 11` allows it" in ended.stderr
    assert project.contents() == before
    assert project(*APPLY, "--prune", "--prune-limit", "11").code == 0
    assert project.query("select phase, count(*) from connections group by phase") == [
        ("ARCHIVED", MANY),
        ("PENDING", 1),
    ]


@pytest.mark.parametrize(
    "selection",
    [
        pytest.param(["-l", "team=hr"], id="label"),
        pytest.param(["--select", "archive"], id="name"),
        pytest.param(["-"], id="standard input"),
    ],
)
def test_prune_of_a_part_is_a_usage_error(project: Project, selection: list[str]) -> None:
    text = (project.run.folder / MANIFESTS).read_text()
    ended = project.run(*APPLY, "--prune", *selection, stdin=text)
    assert (ended.code, ended.stdout) == (2, "")


def test_orphan_of_another_folder_is_none_of_this_run(project: Project) -> None:
    project.declare(sqlite_file("other"), file="others/all.yaml")
    assert project(*APPLY, "others", "--prune").code == 0
    assert project.query("select name, phase from connections order by name") == [
        ("archive", "PENDING"),
        ("delete", "PENDING"),
        ("other", "PENDING"),
        ("protect", "PENDING"),
    ]
