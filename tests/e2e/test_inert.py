"""What a pull request from a stranger runs reaches nothing and runs nothing: `validate` and `plan`.

The process is watched by an audit hook. Nothing but git may be started, and only by `plan`; no
socket, no name asked for, no file outside the project, no module loaded that connects or that reads
secrets. `test_bad_inputs` asserts the same of every bad input; here are good ones, a state to plan
against, and repositories, settings and environments that would have more done.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus import oracle
from tests.corpus.cases import API, CANARY, SQL
from tests.corpus.zygote import Ended, Zygote, zygote

CASES = Path(__file__).parents[1] / "cases"
VALID = sorted(CASES.glob("*/valid/*.yaml"))
INVALID = sorted(CASES.glob("*/invalid/*.yaml"))
SECRET_API = f"{API}  auth: {{method: bearer, token: {{env: TOKEN}}}}\n"
SECRET_SQL = f"{SQL}  auth: {{method: password, username: u, password: {{file: secret}}}}\n"
_GIT = shutil.which("git") or ""
needs_git = pytest.mark.skipif(not _GIT, reason="needs git")
#: Variables by which libraries are steered, each to a port where nobody is.
STEERING = {
    **dict.fromkeys(("HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1"),
    "PGHOST": "127.0.0.1",
    "PGSERVICEFILE": "/nowhere",
    "NETRC": "/nowhere",
    "MYSQL_HOST": "127.0.0.1",
    "SSL_CERT_FILE": "/nowhere",
    "SSLKEYLOGFILE": "/tmp/keys",
}
#: What a repository may bid git to run: on `log`, on `status`, and for what is changed.
EVIL_SETTINGS = """\
[core]
  repositoryformatversion = 0
  bare = false
  worktree = manifests
  fsmonitor = "touch {marker}"
  hooksPath = hooks
[filter "evil"]
  clean = "touch {marker}; cat"
[log]
  showSignature = true
[gpg]
  program = "touch {marker}"
"""


@pytest.fixture(scope="module")
def command() -> Iterator[Zygote]:
    with zygote() as warmed_up:
        yield warmed_up


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an API and a database whose secrets are there to be read."""
    folder = tmp_path / "outer" / "project"
    (folder / "manifests").mkdir(parents=True)
    (folder / "reconciler.toml").touch()
    (folder / "manifests/api.yaml").write_text(SECRET_API)
    (folder / "manifests/sql.yaml").write_text(SECRET_SQL)
    (folder / "secret").write_text(CANARY)
    return folder


def watched(command: Zygote, folder: Path, *argv: str, **env: str) -> Ended:
    """Runs a command that must do nothing to the world, and end well."""
    before = oracle.snapshot(folder)
    ended = command(*argv, folder=folder, env={"TOKEN": CANARY, **env}, is_watched=True)
    assert ended.code == 0, ended.text
    assert oracle.intrusions(ended, folder, argv) == []
    assert oracle.snapshot(folder) == before
    assert str(folder / "secret") not in [event[1] for event in ended.events]
    return ended


@pytest.mark.parametrize("file", VALID, ids=lambda file: f"{file.parts[-3]} {file.stem}")
def test_plan_of_a_valid_manifest_reaches_nothing(
    file: Path, command: Zygote, tmp_path: Path
) -> None:
    shutil.copy(file, tmp_path)
    watched(command, tmp_path, "plan", file.name)


@pytest.mark.parametrize("file", INVALID, ids=lambda file: f"{file.parts[-3]} {file.stem}")
def test_validation_of_an_invalid_manifest_reaches_nothing(
    file: Path, command: Zygote, tmp_path: Path
) -> None:
    shutil.copy(file, tmp_path)
    ended = command("validate", file.name, folder=tmp_path, is_watched=True)
    assert ended.code == 3
    assert oracle.intrusions(ended, tmp_path, ("validate",)) == []


@pytest.mark.parametrize("output", ["text", "concise", "json", "jsonl", "markdown", "github"])
def test_plan_against_a_state_reads_nothing_but_it(
    output: str, command: Zygote, project: Path
) -> None:
    command("apply", "--health", "none", folder=project)
    (project / "manifests/api.yaml").write_text(SECRET_API.replace("crm.", "other."))
    ended = watched(command, project, "plan", "-o", output)
    assert "other.example.com" in ended.text


@pytest.mark.parametrize("argv", [("validate",), ("plan",)], ids=lambda argv: argv[0])
def test_variables_that_steer_libraries_are_not_followed(
    argv: tuple[str, ...], command: Zygote, project: Path
) -> None:
    watched(command, project, *argv, **STEERING)


def test_debug_log_reaches_nothing_either(command: Zygote, project: Path) -> None:
    watched(command, project, "plan", "-vv", RECONCILER_DEBUG="1")


@needs_git
def test_plan_asks_git_and_runs_nothing_that_the_repository_names(
    command: Zygote, project: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    _commit(project)
    hook = project / ".git/hooks/post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    for key in ("core.fsmonitor", "gpg.program", "core.pager", "core.sshCommand"):
        _git(project, "config", key, f"touch {marker}")
    ended = watched(command, project, "plan")
    assert [event[0] for event in ended.events].count("subprocess.Popen") == 3
    assert not marker.exists()


@needs_git
def test_repository_among_the_files_of_a_project_is_not_believed(
    command: Zygote, project: Path, tmp_path: Path
) -> None:
    """A bare repository is files like others, and can be committed to the one of the project."""
    marker, inner = tmp_path / "ran", tmp_path / "inner"
    _commit(project.parent)
    (inner / "manifests").mkdir(parents=True)
    (inner / ".gitattributes").write_text("* filter=evil\n")
    (inner / "manifests/a.yaml").write_text(API.replace("crm}", "other}"))
    _commit(inner)
    shutil.copytree(inner / ".git", project, dirs_exist_ok=True)
    (project / "config").write_text(EVIL_SETTINGS.format(marker=marker))
    shutil.copy(inner / ".gitattributes", project / "manifests")
    shutil.copytree(inner / "manifests", project / "manifests/manifests")
    watched(command, project, "plan")
    assert not marker.exists()


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=ana", "-c", "user.email=ana@example.com")
    environment = {"HOME": str(folder), "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run([_GIT, *identity, "-C", folder, *arguments], check=True, env=environment)


def _commit(folder: Path) -> None:
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "-m", "Add")
