"""No secret leaves the program, except to where the manifest sends it.

Every command runs in every format, at the most talkative level, over a project that has a secret in
every place (see `corpus.planted`); then everything that came out, on the screens and in the files,
is searched for every form of every secret (see `corpus.canary`). Crashes are provoked with probes
and reports that do not exist in the product and put a secret into the text of their exception.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from reconciler.cli import exit_codes, secrets, state, table
from reconciler.report import formats
from tests.corpus.canary import leaks, make_canary
from tests.corpus.planted import APIS, FILES, STORED, Planted, planted
from tests.corpus.zygote import Ended, Zygote, zygote
from tests.reliability.figures import Record

DEBUG = {"RECONCILER_DEBUG": "1"}
ONE = "bearer-500"
VALIDATE = ("text", "concise", "json", "jsonl", "github")


def _in(formats: Mapping[str, str] | Sequence[str], *argv: str) -> list[tuple[str, ...]]:
    return [(*argv, "-o", name) for name in formats]


#: What was suspended after too many failures would not be checked again.
_RESUME = ("resume", "*")
#: Every command in every format, in an order in which each has something to show.
SCREENS: tuple[tuple[str, ...], ...] = (
    ("doctor",),
    ("secret", "set", STORED, "--expires", "9d"),
    ("secret", "set", "unused"),
    ("secret", "rm", "unused"),
    ("secret", "keygen"),
    *_in(VALIDATE, "validate"),
    *_in(formats.PLAN, "plan"),
    ("diff",),
    ("plan", "--out", "plan.json"),
    *_in(formats.APPLY, "apply"),
    *(argv for check in _in(formats.HEALTH, "health") for argv in (_RESUME, check)),
    _RESUME,
    ("apply", "--health", "all"),
    *_in(formats.PLAN, "plan", "--secrets"),
    *_in(formats.SECRETS, "secret", "list"),
    ("authorize", "oauth2-device", "--no-browser"),
    ("authorize", "oauth2-owner"),
    ("secret", "rotate-key"),
    ("secret", "rm", STORED),
    *_in(formats.STATUS, "status"),
    *_in(formats.DESCRIBE, "describe", ONE),
    *(("describe", name) for name in ("postgresql", "mysql", "in-query-302", "basic-401")),
    *_in(formats.REQUEST, "request", ONE, "GET", f"/{ONE}", "--even-suspended"),
    ("request", "in-query-302", "POST", "/in-query-302", "--write", "--even-suspended"),
    *_in(formats.QUERY, "query", "postgresql", "select 1", "--even-suspended"),
    ("query", "mysql", "select 1", "--even-suspended"),
    *_in(formats.HISTORY, "history", ONE),
    *_in(formats.EVENTS, "events"),
    *_in(formats.RUNS, "events", "--runs"),
    ("diff", "--revision", "1", ONE),
    *_in(("text", "json", "yaml"), "rollback", ONE, "--to", "1", "--dry-run"),
    ("suspend", ONE, "--reason", "why not"),
    ("resume", ONE),
    ("archive", "pair-500", "--yes"),
    ("apply", "--plan", "plan.json"),
    *(("state", name) for name in ("info", "check", "migrate")),
    ("state", "backup", "backup.db"),
    ("state", "restore", "backup.db", "--replace", "--yes"),
    ("doctor", "-o", "json"),
    ("new", "api", "crm"),
    ("init",),
    ("schema", "api"),
    ("explain", "E301"),
    ("completion", "bash"),
)
#: Commands of `state` need one more word to be named.
PLAYED = {argv[0] for argv in SCREENS} | {" ".join(argv[:2]) for argv in SCREENS}

_CRASHING_PROBE = """
import sys, types
from reconciler import probes
async def probe(target, secrets, tools, *, reached):
    token = " ".join(secret.reveal() for secret in secrets.values())
    raise ValueError(token) from RuntimeError([token, token.encode().hex()])
crashing = types.ModuleType("crashing")
crashing.probe = probe
sys.modules["crashing"] = crashing
probes.PROBES = dict.fromkeys(probes.PROBES, "crashing:probe")
"""
_CRASHING_REPORT = """
import os, sys, types
from reconciler.report import formats
def text(view, style):
    held = os.environ["BEARER"] + open("secrets/basic").read()
    raise ValueError(held) from KeyError(held.encode())
crashing = types.ModuleType("crashing")
crashing.text = text
sys.modules["crashing"] = crashing
formats.APPLY = {"text": "crashing:text"}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of playing all screens."""

    project: Planted
    command: Zygote
    screens: Sequence[Ended]

    def again(self, *argv: str, prelude: str = "", **env: str) -> Ended:
        """Runs one more command, as talkative as the others."""
        return self.command(
            *argv,
            "-vv",
            folder=self.project.folder,
            env={**self.project.env, **DEBUG, **env},
            prelude=self.project.prelude + prelude,
            stdin=self.project.canaries[STORED].encode() if argv[0] == "secret" else b"",
        )

    def leaks(self, *ended: Ended) -> list[str]:
        """Returns which secrets show on the given screens."""
        places = {f"{at}: {name}": data for at, end in enumerate(ended) for name, data in _of(end)}
        return leaks(self.project.canaries, places)


def _of(ended: Ended) -> tuple[tuple[str, bytes], ...]:
    return ("stdout", ended.stdout), ("stderr", ended.stderr)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("canary") / "project"
    folder.mkdir()
    with planted(folder) as project, zygote() as command:
        screens: list[Ended] = []
        played = Played(project=project, command=command, screens=screens)
        screens += [played.again(*argv) for argv in SCREENS]
        # What `init` wrote is suspended by its manifest: applied, it could not be resumed.
        (folder / "manifests" / "example.yaml").unlink()
        yield played


def test_every_command_is_played() -> None:
    commands = {*table.ROWS, *(f"state {name}" for name in state.state.rows)}
    commands |= {f"secret {name}" for name in secrets.secret.rows}
    assert commands - {"rollback", "secret", "state"} <= PLAYED


def test_no_screen_shows_a_secret(played: Played, figure: Record) -> None:
    assert played.leaks(*played.screens) == []
    figure("P13", "screens of commands", len(played.screens))


def test_every_screen_ends_as_documented(played: Played) -> None:
    documented = exit_codes.MEANINGS.keys() - {1}
    ended = zip(SCREENS, played.screens, strict=True)
    assert [(argv, end.code, end.text) for argv, end in ended if end.code not in documented] == []


def test_no_file_holds_a_secret_but_its_own(played: Played) -> None:
    folder = played.project.folder
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent != folder / "secrets"
    }
    assert {".reconciler/state.db", "plan.json", "backup.db"} <= files.keys()
    assert leaks(played.project.canaries, files) == []


def test_secrets_were_really_sent(played: Played) -> None:
    """Else nothing was tested: each endpoint was asked, and answered with what it was sent."""
    asked = {request.path for request in played.project.server.requests}
    assert asked == set(played.project.server.routes)
    assert len(asked) == APIS + 3  # the token server and the API behind it
    assert played.project.service.requests


def test_oracle_finds_each_secret_where_it_belongs(played: Played) -> None:
    project = played.project
    files = {name: (project.folder / "secrets" / name).read_bytes() for name in FILES}
    found = {tuple(leak.split(" (")[0].split(": ")) for leak in leaks(project.canaries, files)}
    assert found == {(name, name) for name in FILES}


@pytest.mark.parametrize("output", ["table", "json"])
def test_crash_of_a_probe_shows_no_secret(played: Played, output: str) -> None:
    resumed = played.again(*_RESUME)
    assert b"error" not in resumed.stderr
    ended = played.again("health", "-o", output, prelude=_CRASHING_PROBE)
    assert ended.text.count("Traceback (most recent call last)") > 1
    assert "ValueError: ***" in ended.text
    assert played.leaks(ended) == []


def test_crash_of_a_report_shows_no_secret(played: Played) -> None:
    ended = played.again("apply", "--health", "all", prelude=_CRASHING_REPORT)
    assert (ended.code, "Traceback" in ended.text) == (1, True)
    assert played.leaks(ended) == []


@pytest.mark.parametrize(
    "argv",
    [("plan",), ("apply",), ("status",), ("doctor",), ("state", "info"), ("state", "migrate")],
    ids=" ".join,
)
def test_store_that_gives_its_password_away_shows_none(
    played: Played, argv: tuple[str, ...]
) -> None:
    ended = played.again(*argv, RECONCILER_STATE=played.project.leaky_state)
    assert ended.code in (2, 5)
    assert "127.0.0.1" in ended.text
    assert played.leaks(ended) == []


@pytest.mark.parametrize("key", ["short", "x" * 64, "a" * 63])
def test_wrong_wrapping_key_is_not_shown(played: Played, key: str) -> None:
    secret = make_canary("") + key
    ended = played.again("status", RECONCILER_KEY=secret)
    assert ended.code == 2
    assert leaks({"key": secret}, {"screen": ended.stderr + ended.stdout}) == []
