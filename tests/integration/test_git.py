"""The commit of a folder: asked of a real git, of which nothing foreign is run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.manifests import git
from reconciler.model import GitFacts

_GIT = shutil.which("git") or ""
pytestmark = pytest.mark.skipif(not _GIT, reason="needs git")


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """What git may know: its path and a home without configuration."""
    return {"PATH": os.path.dirname(_GIT), "HOME": str(tmp_path), "GIT_CONFIG_SYSTEM": "/dev/null"}


@pytest.fixture
def repository(tmp_path: Path, environment: Mapping[str, str]) -> Path:
    """A repository with one commit of manifests/a.yaml, by Ana."""
    root = tmp_path / "repository"
    (root / "manifests").mkdir(parents=True)
    (root / "manifests" / "a.yaml").write_text("a: 1\n")
    _git(root, environment, "init", "--quiet")
    _git(root, environment, "add", ".")
    _commit(root, environment, "Ana")
    return root


def _git(root: Path, environment: Mapping[str, str], *arguments: str) -> str:
    command = [_GIT, "-C", str(root), *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _commit(root: Path, environment: Mapping[str, str], name: str) -> None:
    identity = ["-c", f"user.name={name}", "-c", "user.email=ana@example.com"]
    _git(root, environment, *identity, "commit", "--quiet", "-m", "Add")


def test_facts_are_commit_author_and_clean(
    repository: Path, environment: Mapping[str, str]
) -> None:
    assert git.facts(str(repository), ["manifests"], environment) == GitFacts(
        commit=_git(repository, environment, "rev-parse", "HEAD"),
        author="Ana <ana@example.com>",
        dirty=False,
    )


@pytest.mark.parametrize(
    ("name", "paths", "dirty"),
    [
        pytest.param("manifests/a.yaml", ["manifests"], True, id="changed"),
        pytest.param("manifests/new.yaml", ["manifests"], True, id="untracked"),
        pytest.param("manifests/x/new.yaml", ["manifests/x/new.yaml"], True, id="untracked folder"),
        pytest.param("readme.md", ["manifests"], False, id="elsewhere"),
        pytest.param("readme.md", ["."], True, id="whole project"),
        pytest.param(
            "manifests/new.yaml",
            ["manifests/a.yaml", "manifests/*.yaml"],
            False,
            id="no glob of git's",
        ),
    ],
)
def test_dirty_is_what_differs_under_the_paths(
    repository: Path, environment: Mapping[str, str], name: str, paths: list[str], dirty: bool
) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("a: 2\n")
    found = git.facts(str(repository), paths, environment)
    assert found is not None
    assert found.dirty is dirty


def test_deleted_manifest_is_dirty(repository: Path, environment: Mapping[str, str]) -> None:
    (repository / "manifests" / "a.yaml").unlink()
    found = git.facts(str(repository), ["manifests"], environment)
    assert found is not None
    assert found.dirty


def test_path_outside_the_repository_is_in_no_commit(
    repository: Path, environment: Mapping[str, str]
) -> None:
    found = git.facts(str(repository), [str(repository.parent)], environment)
    assert found is not None
    assert found.dirty


def test_folder_inside_the_repository_has_its_commit(
    repository: Path, environment: Mapping[str, str]
) -> None:
    found = git.facts(str(repository / "manifests"), ["."], environment)
    assert found is not None
    assert not found.dirty


def test_files_that_git_ignores_are_in_no_commit(
    repository: Path, environment: Mapping[str, str]
) -> None:
    (repository / "made").mkdir()
    (repository / "made" / "a.yaml").write_text("a: 1\n")
    (repository / ".git" / "info" / "exclude").write_text("/made/\n")
    assert git.facts(str(repository), ["made"], environment) is None


def test_ignored_files_beside_committed_ones_change_nothing(
    repository: Path, environment: Mapping[str, str]
) -> None:
    (repository / "manifests" / "state.db").write_text("")
    (repository / ".git" / "info" / "exclude").write_text("*.db\n")
    found = git.facts(str(repository), ["manifests"], environment)
    assert found is not None
    assert not found.dirty


def test_author_is_foreign_text(repository: Path, environment: Mapping[str, str]) -> None:
    (repository / "manifests" / "a.yaml").write_text("a: 2\n")
    _git(repository, environment, "add", ".")
    _commit(repository, environment, "A\x1b[31m\u202ena")
    found = git.facts(str(repository), ["manifests"], environment)
    assert found is not None
    assert found.author == r"A\x1b[31m\u202ena <ana@example.com>"


def test_programs_that_the_repository_names_are_not_run(
    repository: Path, environment: Mapping[str, str]
) -> None:
    program = repository.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {repository.parent}/ran\n")
    program.chmod(0o755)
    for setting in ("core.fsmonitor", "core.pager", "gpg.program", "diff.external"):
        _git(repository, environment, "config", setting, str(program))
    _git(repository, environment, "config", "core.hooksPath", str(repository.parent))
    _git(repository, environment, "config", "log.showSignature", "true")
    shutil.copy(program, repository.parent / "post-index-change")
    (repository / "manifests" / "a.yaml").write_text("a: 2\n")
    assert git.facts(str(repository), ["manifests"], environment) is not None
    assert not (repository.parent / "ran").exists()


def test_repository_is_left_as_it_is(repository: Path, environment: Mapping[str, str]) -> None:
    os.utime(repository / "manifests" / "a.yaml", (1, 1))
    before = (repository / ".git" / "index").read_bytes()
    git.facts(str(repository), ["manifests"], environment)
    assert (repository / ".git" / "index").read_bytes() == before


def test_variables_that_move_git_elsewhere_are_not_passed_on(
    repository: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    moved = {**environment, "GIT_DIR": str(tmp_path / "nowhere"), "GIT_WORK_TREE": str(tmp_path)}
    assert git.facts(str(repository), ["manifests"], moved) is not None


@pytest.mark.parametrize("paths", [[], ["manifests"]], ids=["nothing from files", "no repository"])
def test_nothing_is_known_outside_a_repository(
    tmp_path: Path, environment: Mapping[str, str], paths: list[str]
) -> None:
    alone = {**environment, "HOME": str(tmp_path)}
    assert git.facts(str(tmp_path), paths, alone) is None


def test_nothing_is_known_before_the_first_commit(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    _git(tmp_path, environment, "init", "--quiet")
    assert git.facts(str(tmp_path), ["."], environment) is None


def test_nothing_is_known_without_git(repository: Path) -> None:
    assert git.facts(str(repository), ["manifests"], {"PATH": "/nowhere"}) is None


def test_git_that_cannot_be_run_is_no_git(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "git").write_text("#!/nowhere\n")
    (tmp_path / "git").chmod(0o755)
    assert git.facts(str(repository), ["manifests"], {"PATH": str(tmp_path)}) is None
