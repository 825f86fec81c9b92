"""Command lines that nobody means: empty, huge, malformed, pointing at the wrong thing."""

from __future__ import annotations

import os
import stat

import pytest

from tests.e2e.command import Run

API = """\
apiVersion: reconciler/v1
kind: ApiConnection
metadata: {name: crm}
spec: {baseUrl: "https://crm.example.com"}
"""
NOT_REGULAR = "error: the plan cannot be saved: its place is taken by something else than a file\n"


@pytest.fixture
def applied(run: Run) -> Run:
    """A project with one connection that was applied and never checked."""
    run.write("manifests/crm.yaml", API)
    assert run("apply", "--health", "none").code == 0
    return run


def test_plan_never_takes_the_place_of_a_device_or_a_pipe(run: Run) -> None:
    run.write("manifests/crm.yaml", API)
    pipe = run.folder / "pipe"
    os.mkfifo(pipe)
    ended = run("plan", "--out", "pipe")
    assert (ended.code, ended.stderr.splitlines(keepends=True)[0]) == (2, NOT_REGULAR)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in run.folder.iterdir()) == ["manifests", "pipe"]


def test_plan_replaces_an_earlier_one(run: Run) -> None:
    run.write("manifests/crm.yaml", API)
    run.write("plan.json", "old")
    assert run("plan", "--out", "plan.json").code == 0
    assert (run.folder / "plan.json").read_text().startswith('{"changes":')


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(["plan", "--out", ""], "`--out` names no file", id="plan to no file"),
        pytest.param(["events", "--since", ""], "`` is not a duration", id="since nothing"),
        pytest.param(
            ["events", "--since", "99999999999999999d"],
            "`99999999999999999d` is longer than any log",
            id="since for ever",
        ),
        pytest.param(
            ["events", "--limit", "9" * 30],
            f"invalid value for `--limit`: {'9' * 30} is not in the range 1<=x<=1000000",
            id="endless events",
        ),
        pytest.param(
            ["events", "--runs", "--limit", "9" * 30],
            f"invalid value for `--limit`: {'9' * 30} is not in the range 1<=x<=1000000",
            id="endless runs",
        ),
        pytest.param(
            ["status", "--state", "postgresql://[::1/x"],
            "--state must be an SQLAlchemy URL such as sqlite:///state.db or"
            " postgresql://host/state",
            id="URL that cannot be read",
        ),
        pytest.param(
            ["status", "--state", "postgresql://127.0.0.1:1/x?plugin=evil"],
            "the state URL has the option `plugin`, which is not taken",
            id="URL that loads code",
        ),
        pytest.param(
            ["status", "--state", "mssql+pyodbc://x/y"],
            "no state store has the URL scheme `mssql`",
            id="URL of another database",
        ),
    ],
)
def test_command_line_is_refused(applied: Run, args: list[str], message: str) -> None:
    ended = applied(*args)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[0] == f"error: {message}"
