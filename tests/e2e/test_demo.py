"""`make run` itself: the show in a subprocess, on a copy of `demo/` and `manifests/`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
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
    return copy_to(run.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """A show that has ended."""

    ended: Ended
    folder: Path
    #: files beside `demo/.state` before it and after it
    before: set[str]
    after: set[str]


@pytest.fixture(scope="module")
def performed(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    """Gives the whole show, performed once for all who only look at it."""
    copy = copy_to(tmp_path_factory.mktemp("home") / "project")
    before = files_beside_the_state(copy)
    ended = perform(copy)
    after = files_beside_the_state(copy)
    return Performed(ended=ended, folder=copy.folder, before=before, after=after)


def copy_to(folder: Path) -> Run:
    for name in ("demo", "manifests"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns(".state", "__pycache__")
        )
    return Run(folder=folder)


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
    found = re.search(r"(?:baseUrl: http://127\.0\.0\.1:| port: )([0-9]+)", text)
    assert found
    return int(found[1])


def row(screen: str, name: str) -> str:
    """Returns the first line of a table that is about a connection."""
    found = re.search(rf"^.* {name} .*$", screen, re.MULTILINE)
    assert found, screen
    return found[0].rstrip()


def answers(port: int, key: str) -> bool:
    """Whether the inventory of the show with this key is on `port`, and no one else's."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/status", headers={"X-Api-Key": key}
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def test_the_show_reaches_every_phase_and_ends_well(performed: Performed) -> None:
    ended = performed.ended
    assert (ended.code, ended.stderr) == (0, ""), ended.stdout
    commands = re.findall(r"^\$ (.*)$", ended.stdout, re.MULTILINE)
    assert commands == [
        "reconciler validate manifests/",
        "reconciler plan manifests/",
        "reconciler secret keygen > reconciler.key",
        "reconciler secret set campaigns-client",
        "reconciler apply manifests/",
        "reconciler describe logistics/warehouse",
        "reconciler health",
        "reconciler describe marketing/campaigns",
        "reconciler secret set campaigns-client",
        "reconciler apply manifests/",
        "reconciler health logistics/warehouse",
        *["reconciler health sales/crm"] * 5,
        "reconciler status",
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
    assert performed.after == performed.before


def test_oauth_and_a_database_behind_ssh_work_fail_and_are_mended(performed: Performed) -> None:
    screens = re.split(r"^\$ reconciler (.*)\n", performed.ended.stdout, flags=re.MULTILINE)[1:]
    shown = list(zip(screens[::2], screens[1::2], strict=True))
    applied, again, _ = (screen for command, screen in shown if command == "apply manifests/")
    described = dict(shown)["describe logistics/warehouse"]
    failing = dict(shown)["describe marketing/campaigns"]
    broken, status = dict(shown)["health"], dict(shown)["status"]

    for name in ("marketing/campaigns", "logistics/warehouse"):
        assert "PENDING -> ACTIVE" in row(applied, name)
        assert "ACTIVE -> FAILED" in row(broken, name)
        assert " ACTIVE " in row(status, name)
    stages = re.findall(r"^    (\w+) +ok +<?[0-9.]+ m?s", described, re.MULTILINE)
    assert stages == ["secret", "tunnel", "tcp", "tls", "auth", "query"]
    assert row(broken, "marketing/campaigns").endswith(
        "token server: 401: invalid_client: it refuses the client [AuthFailed]"
    )
    assert "the SSH server shows another host key" in row(broken, "logistics/warehouse")
    ended = re.findall(r"^    (\w+) +(ok|FAIL|-)( |$)", failing, re.MULTILINE)
    assert [each[:2] for each in ended] == [
        ("secret", "ok"),
        ("dns", "ok"),
        ("tcp", "ok"),
        ("auth", "FAIL"),
        ("query", "-"),
    ]
    assert "Whoever poses as the SSH server counted 0 logins" in failing
    assert "auth.clientAuthentication.secret changed" in again


def test_secrets_are_for_their_owner_and_not_on_the_screen(performed: Performed) -> None:
    state = performed.folder / "demo/.state"
    files = [state / "reconciler.key", *(state / "demo/secrets").iterdir()]
    assert {file.name for file in files} == {"reconciler.key", "inventory-key", "bastion-key"}
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for line in file.read_text().splitlines():
            assert line not in performed.ended.stdout


@pytest.mark.parametrize(
    ("port", "name", "source", "manifest"),
    [
        pytest.param("8461", "crm", "demo/project.py", "crm.yaml", id="an API"),
        pytest.param("8466", "campaigns", "demo/world.py", "campaigns.yaml", id="tokens"),
        pytest.param("8467", "bastion", "demo/world.py", "warehouse.yaml", id="SSH"),
    ],
)
def test_a_taken_port_is_replaced_in_the_copy_of_the_manifest(
    copy: Run, port: str, name: str, source: str, manifest: str
) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        for file in (copy.folder / source, copy.folder / "manifests" / manifest):
            file.write_text(file.read_text().replace(port, str(taken)))

        with started(copy) as show:
            said = show.until("$ ")

        found = served_port(copy, manifest)
        assert found != taken
        assert (
            f"Port {taken} is taken, so `{name}` is served on {found}, and the copy of its "
            "manifest says so."
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
        show.until("ok  9 files valid")


def test_settings_of_the_user_do_not_reach_the_show(copy: Run) -> None:
    with started(copy, RECONCILER_STATE="not a URL") as show:
        show.until("9 create, 0 unchanged")


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
        port = served_port(copy, "inventory.yaml")
        key = (copy.folder / "demo/.state/demo/secrets/inventory-key").read_text().strip()
        assert answers(port, key)

        os.killpg(show.process.pid, number)

        assert show.process.wait() == code
        assert not answers(port, key)  # another show may have the port by now, with its own key
        assert show.process.stdout is not None
        assert "Traceback" not in show.process.stdout.read()  # which ends with the last process
