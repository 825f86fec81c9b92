"""`make run` itself: the show in a subprocess, on a copy of `demo/` and `manifests/`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.command import Ended, Run

ROOT = Path(__file__).resolve().parents[2]
#: Becomes the show; a test run in the background of a shell hands down an ignored interrupt.
_INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('demo', run_name='__main__', alter_sys=True)"
)
BROKEN = "kind: ApiConnection\napiVersion: [\n"


@pytest.fixture
def copy(run: Run) -> Run:
    """Runs commands in a folder that holds what the show needs of the repository."""
    for name in ("demo", "manifests"):
        shutil.copytree(
            ROOT / name, run.folder / name, ignore=shutil.ignore_patterns(".state", "__pycache__")
        )
    return run


class Show:
    """A show under way; `until` reads what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def until(self, beginning: str) -> list[str]:
        """Returns the lines up to the first that begins so."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith(beginning):
                return lines
        pytest.fail(f"no line begins with {beginning!r}:\n" + "\n".join(lines))


@contextmanager
def started(copy: Run, **changes: str) -> Iterator[Show]:
    """Starts the show in a process group of its own, and ends it when the block is over."""
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTIBLE],
        cwd=copy.folder,
        env=copy.environment(changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            yield Show(process)
        finally:
            process.terminate()
            assert process.stdout is not None
            process.stdout.read()


def perform(copy: Run) -> Ended:
    return copy.program(sys.executable, "-m", "demo")


def files_beside_the_state(run: Run) -> set[str]:
    home = run.folder.parent
    every = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    return {path for path in every if "/.state/" not in path and "__pycache__" not in path}


def served_port(copy: Run, manifest: str) -> int:
    text = (copy.folder / "demo/.state/manifests" / manifest).read_text()
    found = re.search(r"baseUrl: http://127\.0\.0\.1:([0-9]+)", text)
    assert found
    return int(found[1])


def test_the_show_reaches_every_phase_and_ends_well(copy: Run) -> None:
    before = files_beside_the_state(copy)

    ended = perform(copy)

    assert (ended.code, ended.stderr) == (0, ""), ended.stdout
    commands = re.findall(r"^\$ (.*)$", ended.stdout, re.MULTILINE)
    assert commands == [
        "reconciler validate manifests/",
        "reconciler plan manifests/",
        "reconciler apply manifests/",
        "reconciler status",
        "reconciler health",
        *["reconciler health sales/crm"] * 5,
        "reconciler status",
        "reconciler describe sales/crm",
        "reconciler resume sales/crm",
        "reconciler history sales/crm",
        "reconciler events sales/crm",
        "reconciler apply manifests/",
    ]
    events = ended.stdout.partition("$ reconciler events sales/crm\n")[2]
    assert re.findall(r"[A-Z]+ -> [A-Z]+", events) == [
        "PENDING -> ACTIVE",
        "ACTIVE -> FAILED",
        "FAILED -> SUSPENDED",
        "SUSPENDED -> PENDING",
        "PENDING -> ACTIVE",
    ]
    assert (
        "The CRM itself counted 5 refused logins: the sixth command sent nothing." in ended.stdout
    )
    assert "applied: nothing, the state is as the manifests say" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert files_beside_the_state(copy) == before


def test_a_taken_port_is_replaced_in_the_copy_of_the_manifest(copy: Run) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        for file in (copy.folder / "demo/project.py", copy.folder / "manifests/crm.yaml"):
            file.write_text(file.read_text().replace("8461", str(taken)))

        with started(copy) as show:
            said = show.until("$ ")

        port = served_port(copy, "crm.yaml")
        assert port != taken
        assert (
            f"Port {taken} is taken, so `crm` is served on {port}, and the copy of its manifest "
            "says so."
        ) in said


def test_an_unexpected_exit_code_ends_the_show_with_a_message(copy: Run) -> None:
    copy.write("manifests/broken.yaml", BROKEN)

    ended = perform(copy)

    assert ended.code == 1
    assert ended.stderr == (
        "error: the show did not go as its script says: "
        "`reconciler validate manifests/` ended with 3, expected 0\n"
    )


def test_what_an_earlier_run_left_is_replaced(copy: Run) -> None:
    copy.write("demo/.state/manifests/left.yaml", BROKEN)

    with started(copy) as show:
        show.until("ok  7 files valid")


def test_settings_of_the_user_do_not_reach_the_show(copy: Run) -> None:
    with started(copy, RECONCILER_STATE="not a URL") as show:
        show.until("7 create, 0 unchanged")


def test_a_second_show_at_the_same_time_is_refused(copy: Run) -> None:
    with started(copy) as show:
        show.until("$ ")

        second = perform(copy)

    assert second == Ended(
        code=1,
        stdout="",
        stderr="error: another `make run` is at work here; wait for it to end\n",
    )


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="interrupted"),
        pytest.param(signal.SIGTERM, 143, id="terminated"),
    ],
)
def test_a_signal_stops_the_show_and_its_servers(copy: Run, number: int, code: int) -> None:
    with started(copy) as show:
        show.until("$ reconciler plan")
        port = served_port(copy, "crm.yaml")

        os.killpg(show.process.pid, number)

        assert show.process.wait() == code
        with closing(socket.socket()) as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
