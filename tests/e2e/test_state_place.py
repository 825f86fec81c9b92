"""Where the state is kept: what a pull request can name leads nowhere out of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import Project, sqlite_file


@pytest.fixture
def away(tmp_path: Path) -> Path:
    made = tmp_path / "away"
    made.mkdir()
    return made


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    project = Project(run=run, warm=warm, env={})
    project.declare(sqlite_file("items"))
    return project


def assert_refused(project: Project, away: Path, why: str) -> None:
    for command in (("apply", "--health", "none"), ("status",), ("state", "migrate")):
        ended = project(*command)
        assert ended.code == 2, ended
        assert why in ended.stderr
        assert "RECONCILER_STATE or `--state`" in ended.stderr
    assert list(away.iterdir()) == []


def test_folder_that_is_a_link_out_of_the_project_is_refused(project: Project, away: Path) -> None:
    (project.run.folder / ".reconciler").symlink_to(away)
    assert_refused(project, away, "is reached by a link out of the project")


@pytest.mark.parametrize("name", ["state.db", "state.db-wal", "state.db-journal", "state.db-shm"])
def test_file_that_is_a_link_out_of_the_project_is_refused(
    name: str, project: Project, away: Path
) -> None:
    folder = project.run.folder / ".reconciler"
    folder.mkdir()
    (folder / name).symlink_to(away / "taken.db")
    assert_refused(project, away, "is reached by a link out of the project")


@pytest.mark.parametrize("path", ["{away}/state.db", "../away/state.db", "a/../../away/state.db"])
def test_project_file_names_no_file_outside_of_the_project(
    path: str, project: Project, away: Path
) -> None:
    url = f"sqlite:///{path.format(away=away)}"
    project.run.write("reconciler.toml", f'[state]\nurl = "{url}"\n')
    assert_refused(project, away, "the project file names a state store outside of the project")


def test_whoever_runs_the_command_keeps_the_state_anywhere(project: Project, away: Path) -> None:
    url = f"sqlite:///{away}/state.db"
    assert project("apply", "--health", "none", RECONCILER_STATE=url).code == 0
    assert project("status", "--state", url).code == 0
    assert (away / "state.db").is_file()


def test_links_inside_the_project_and_above_it_are_followed(
    project: Project, tmp_path: Path
) -> None:
    folder = project.run.folder
    (folder / "kept").mkdir()
    (folder / ".reconciler").symlink_to("kept")
    (tmp_path / "alias").symlink_to(folder)
    url = f"sqlite:///{tmp_path}/alias/.reconciler/state.db"
    assert project("apply", "--health", "none").code == 0
    project.run.write("reconciler.toml", f'[state]\nurl = "{url}"\n')
    assert project("status").code == 0
