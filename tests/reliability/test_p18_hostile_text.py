"""P18: hostile text stays text, whoever wrote it and whichever command shows it.

Every foreign source writes what a terminal obeys: endpoints, databases, git, file names, the
environment, settings, a saved plan, the state itself. No screen in any format may hold a control
or direction character but the newline, nor a line that somebody forged.
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import subprocess
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.model import Json
from reconciler.redact import Redactor
from reconciler.report.style import Tone
from tests.corpus import canary
from tests.corpus.zygote import Ended, Zygote
from tests.reliability import stages
from tests.reliability.figures import Record
from tests.reliability.stages import World
from tests.servers import http_routes, sql_peers
from tests.servers.http import http_server
from tests.servers.sql_peers import Conversation, sql_peer

#: Colour, title, link, clear screen, C1, bidi, line breaks of every kind, backspace, BOM.
HOSTILE = (
    "a\x1b[5;95mred\x1b]0;title\x07\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\"
    "\x1b[2J\x9b31m\x85\u202eevil\u2066\u2028\u2029\u200b\ufeff\x7f\b\r\n"
    "2026-01-01T00:00:00Z  FORGED LINE\v\f\x00z"
)
#: The same where neither NUL nor line breaks can be.
HOSTILE_WORD = re.sub("[\x00\r\n\v\f/]", "", HOSTILE)
#: The colours that screens have of their own; that of `HOSTILE` is none of them.
_SGR = re.compile(f"\x1b\\[(?:0|{'|'.join(tone for tone in Tone if tone)})m".encode())
_ROGUE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_GIT = ("git", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screens:
    """The project that everybody has written to, and what its commands show."""

    folder: Path
    command: Zygote

    def __call__(self, *argv: str) -> Ended:
        return self.command(*argv, folder=self.folder, env={"GITHUB_ACTOR": HOSTILE_WORD})

    def query(self, statement: str, *values: str) -> list[tuple[Json, ...]]:
        """Reads or changes the state behind the program's back."""
        path = self.folder / ".reconciler" / "state.db"
        with closing(sqlite3.connect(path)) as state, state:
            return state.execute(statement, values).fetchall()


def _manifest(kind: str, name: str, **spec: Json) -> str:
    manifest = {
        "apiVersion": "reconciler/v1",
        "kind": kind,
        "metadata": {"name": name, "description": "first line\nsecond line"},
        "spec": spec,
    }
    return json.dumps(manifest)


def _complain(client: Conversation) -> None:
    client.postgresql_start()
    client.send(sql_peers.postgresql_error("XX000", HOSTILE.replace("\0", "").encode()))
    client.wait()


def _complain_at_length(client: Conversation) -> None:
    text = b"\xff\xfe\x80" + HOSTILE_WORD.encode() * 9000
    client.mysql_send(0, sql_peers.mysql_error(1040, "08004", text))
    client.wait()


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory, command: Zygote) -> Iterator[Screens]:
    folder = tmp_path_factory.mktemp("hostile") / "project"
    manifests = folder / "manifests"
    manifests.mkdir(parents=True)
    location = HOSTILE_WORD.encode("latin-1", "replace").decode("latin-1")
    routes = {
        "/moved": http_routes.raw(
            f"HTTP/1.1 302 {location}\r\nLocation: {location}\r\n\r\n".encode("latin-1")
        ),
        "/body": http_routes.answer(500, HOSTILE.encode()),
    }
    with ExitStack() as stack:
        server = stack.enter_context(http_server(routes))
        peers = {
            "postgresql": stack.enter_context(sql_peer(_complain)).port,
            "mysql": stack.enter_context(sql_peer(_complain_at_length)).port,
        }
        for name in ("moved", "body"):
            health = {"path": f"/{name}", "expect": {"text": "sound"}}
            text = _manifest("ApiConnection", name, baseUrl=server.url, health=health)
            (manifests / f"{name}.yaml").write_text(text)
        for engine, port in peers.items():
            spec = {"engine": engine, "host": "127.0.0.1", "port": port, "database": "d"}
            text = _manifest("SqlConnection", engine, tls={"mode": "disable"}, **spec)
            (manifests / f"{engine}.yaml").write_text(text)
        _commit(folder)
        made = Screens(folder=folder, command=command)
        ended = made("apply", "--health", "all")
        assert ended.code == 11, ended.text
        yield made


def _commit(folder: Path) -> None:
    (folder / ".gitignore").write_text(".reconciler\n")
    author = f"user.name={HOSTILE_WORD}"
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", HOSTILE_WORD)):
        argv = (*_GIT, "-c", author, *words)
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)


def rogue(data: bytes) -> list[str]:
    """Returns the characters of `data` that a terminal obeys, the newline aside."""
    text = data.decode()
    return [hex(ord(c)) for c in text if c != "\n" and unicodedata.category(c) in _ROGUE_CATEGORIES]


def _require_tame(ended: Ended, figure: Record, *, styled: bool = False) -> None:
    for stream in (ended.stdout, ended.stderr):
        assert rogue(_SGR.sub(b"", stream) if styled else stream) == []
    assert not re.search(r"(?m)^2026-01-01T00:00:00Z  FORGED", ended.text)
    assert b"Traceback" not in ended.stderr
    figure("P18", "screens", 1, "characters that a terminal obeys", 0)


SHOWING = [
    *(("plan", "-o", name) for name in ("text", "concise", "json", "jsonl", "markdown", "github")),
    *(("status", "-o", name) for name in ("table", "wide", "json", "jsonl", "yaml")),
    *(("describe", "moved", "-o", name) for name in ("text", "json", "yaml", "manifest")),
    *(("describe", name) for name in ("body", "postgresql", "mysql")),
    *(("history", "moved", "-o", name) for name in ("text", "json", "jsonl")),
    *(("events", "-o", name) for name in ("table", "json", "jsonl")),
    ("events", "--runs"),
    *(("health", "-o", name) for name in ("table", "json", "jsonl")),
    ("validate",),
    ("doctor",),
    ("state", "info"),
    ("state", "check"),
]
#: A body as it is has lines of its own, and is not here.
USING = [
    (*argv, "--even-suspended")  # as they are after five passes
    for argv in (
        *(("request", "body", "GET", "/body", "-o", name) for name in ("headers", "json")),
        ("request", "moved", "GET", "/moved", "-o", "headers"),
        *(("query", name, "select 1") for name in ("postgresql", "mysql")),
    )
]


@pytest.mark.parametrize("colour", ["never", "always"])
@pytest.mark.parametrize("argv", [*SHOWING, *USING], ids=" ".join)
def test_foreign_text_on_a_screen_is_only_text(
    screens: Screens, argv: tuple[str, ...], colour: str, figure: Record
) -> None:
    ended = screens(*argv, "--color", colour)
    assert ended.code in (0, 11), ended.text
    _require_tame(ended, figure, styled=colour == "always")


@pytest.mark.parametrize("colour", ["never", "always"])
@pytest.mark.parametrize(
    ("argv", "code"),
    [
        pytest.param(("describe", HOSTILE_WORD), 2, id="a name"),
        pytest.param(("status", "-l", f"{HOSTILE_WORD}="), 0, id="a label"),
        pytest.param(("plan", HOSTILE_WORD), 3, id="a path"),
        pytest.param(("explain", HOSTILE_WORD), 2, id="a code"),
        pytest.param((HOSTILE_WORD,), 2, id="a command"),
        pytest.param(("status", f"--{HOSTILE_WORD}"), 2, id="an option"),
        pytest.param(("status", "-o", HOSTILE_WORD), 2, id="a format"),
        pytest.param(("plan", "--config", HOSTILE_WORD), 2, id="a project file"),
        pytest.param(("status", "--state", HOSTILE_WORD), 2, id="a state"),
        pytest.param(("apply", "--plan", HOSTILE_WORD), 3, id="a plan"),
        pytest.param(("events", "--since", HOSTILE_WORD), 2, id="a duration"),
        pytest.param(("new", "api", HOSTILE_WORD), 2, id="a new name"),
        pytest.param(("schema", HOSTILE_WORD), 2, id="a kind"),
        pytest.param(("state", "backup", f"/nonexistent/{HOSTILE_WORD}"), 5, id="a backup"),
        pytest.param(("plan", "--stack", HOSTILE_WORD), 2, id="a stack"),
    ],
)
def test_words_of_the_command_line_come_back_as_text(
    screens: Screens, argv: tuple[str, ...], code: int, colour: str, figure: Record
) -> None:
    ended = screens("--color", colour, *argv)
    assert ended.code == code, ended.text
    _require_tame(ended, figure, styled=colour == "always")


def test_reasons_of_people_are_text(screens: Screens, figure: Record) -> None:
    for argv in (
        ("suspend", "body", "--reason", HOSTILE_WORD),
        ("status",),
        ("describe", "body"),
        ("events", "body"),
        ("plan",),
        ("resume", "body", "--reason", HOSTILE_WORD),
    ):
        _require_tame(screens(*argv), figure)


def test_files_that_say_and_are_named_anything_are_text(screens: Screens, figure: Record) -> None:
    named = screens.folder / "manifests" / f"{HOSTILE_WORD}.yaml"
    filled = screens.folder / "manifests" / "filled.yaml"
    quoted = json.dumps(HOSTILE)
    try:
        named.write_text(_manifest("ApiConnection", "x", baseUrl="https://x.example.com"))
        filled.write_text(
            f'kind: {quoted}\n---\nkind: ApiConnection\n{quoted}: {quoted}\n"\u202e": 1'
        )
        for name in ("text", "concise", "json", "jsonl", "github"):
            ended = screens("validate", "-o", name)
            assert ended.code == 3, ended.text
            _require_tame(ended, figure)
    finally:
        named.unlink()
        filled.unlink()


def test_settings_and_plans_are_text(screens: Screens, figure: Record) -> None:
    quoted = json.dumps(HOSTILE_WORD)
    file = screens.folder / "reconciler.toml"
    for text in (f"{quoted} = 1\n", f"[stack]\nname = {quoted}\n", f"[state]\nurl = {quoted}\n"):
        try:
            file.write_text(text)
            ended = screens("status")
        finally:
            file.unlink()
        assert ended.code == 2, ended.text
        _require_tame(ended, figure)
    plan = screens.folder / "plan.json"
    assert screens("plan", "--out", "plan.json").code == 0
    change = {"action": HOSTILE, "ref": HOSTILE, "fields": [HOSTILE]}
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "changes": [change]}))
    ended = screens("apply", "--plan", "plan.json")
    assert ended.code == 7, ended.text
    _require_tame(ended, figure)


def test_state_that_others_wrote_to_is_text(screens: Screens, figure: Record) -> None:
    hostile = HOSTILE.replace("\0", "")
    screens.query("update connections set message = ?, last_error = ?", hostile, hostile)
    screens.query("update events set message = ?, actor = ?, reason = ?", *[hostile] * 3)
    screens.query("update observations set message = ?, hint = ?", hostile, hostile)
    screens.query("update revisions set actor = ?, source_path = ?", hostile, hostile)
    screens.query("update runs set actor = ?, command = ?", hostile, hostile)
    for argv in SHOWING:
        if argv[0] not in ("health", "validate"):
            ended = screens(*argv)
            assert ended.code == 0, ended.text
            _require_tame(ended, figure)


@pytest.mark.parametrize("name", ["table", "jsonl"])
def test_event_is_one_line(screens: Screens, name: str) -> None:
    ended = screens("events", "--limit", "1000", "-o", name)
    ((count,),) = screens.query("select count(*) from events")
    titles = 1 if name == "table" else 0
    assert len(ended.stdout.splitlines()) == count + titles


def test_last_error_is_short_and_redacted_before_it_is_cut(figure: Record) -> None:
    secret = canary.make_canary(awkward="")
    offsets = [*range(248, 306, 3), *range(965, 1010, 15)]
    numbers = itertools.count()

    def complain(client: Conversation) -> None:
        client.postgresql_start()
        text = "y" * offsets[next(numbers)] + secret + HOSTILE_WORD * 50
        client.send(sql_peers.postgresql_error("XX000", text.encode()))

    world = World.open("sqlite://", {"PASSWORD": secret})
    with sql_peer(complain) as peer:
        specs = {
            f"c{number}": {
                "engine": "postgresql",
                "host": "127.0.0.1",
                "port": peer.port,
                "database": "d",
                "auth": {
                    "method": "password",
                    "username": f"u{number}",
                    "password": {"env": "PASSWORD"},
                },
                "tls": {"mode": "disable"},
            }
            for number in range(len(offsets))
        }
        texts = {
            f"manifests/{name}.yaml": _manifest("SqlConnection", name, **spec)
            for name, spec in specs.items()
        }
        world.apply(texts, stages.options())
        world.check()
    errors = [row.status.last_error for row in world.contents().rows]
    world.store.close()
    assert all("yyy" in error and len(error) <= 1000 for error in errors), errors
    assert canary.leaks({"password": secret}, {"errors": "\n".join(errors).encode()}) == []
    figure("P18", "errors cut through a secret", len(errors), "pieces of it shown", 0)


@pytest.mark.parametrize("limit", [20, 1000])
def test_a_secret_that_the_cut_meets_is_masked_first(limit: int) -> None:
    redactor = Redactor()
    redactor.add("TOPSECRETVALUE")
    for before in range(limit - 20, limit + 1):
        assert "TOP" not in redactor.clean("y" * before + "TOPSECRETVALUE" + "z" * 50, limit)
