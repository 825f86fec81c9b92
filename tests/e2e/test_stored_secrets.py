"""Secrets kept in the state, by command line: set, used, listed, removed, under other keys."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from tests.corpus.canary import make_canary, make_key
from tests.corpus.zygote import Zygote
from tests.e2e.command import COMMAND, Ended, Run
from tests.e2e.projects import Project, answer, api
from tests.servers import http_routes
from tests.servers.http import Client, Route, Server

VALUE = make_canary()
#: Runs a command on a terminal of its own, whose keys and screen are this process's pipes.
_ON_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
#: Calls `reconciler secret ...` with text on standard input.
Call = Callable[..., Ended]


def accepting(token: str) -> Route:
    """Answers 200 to this bearer token and 401 to every other."""

    async def route(client: Client) -> None:
        given = client.request.headers.get("authorization")
        await http_routes.answer(200 if given == f"Bearer {token}" else 401)(client)

    return route


@pytest.fixture
def key() -> str:
    return make_key()


@pytest.fixture
def call(run: Run, key: str) -> Call:
    def secret(*args: str, stdin: str | bytes = "", **env: str) -> Ended:
        return run("secret", *args, stdin=stdin, env={"RECONCILER_KEY": key, **env})

    return secret


@pytest.fixture
def project(run: Run, warm: Zygote, server: Server, key: str) -> Project:
    answer(server, {"crm": accepting(VALUE)})
    project = Project(run=run, warm=warm, env={"RECONCILER_KEY": key})
    auth = {"method": "bearer", "token": {"store": "crm-token"}}
    project.declare(api("crm", server.url, auth=auth))
    return project


def test_stored_secret_is_sent_and_its_successor_is_seen(
    project: Project, call: Call, server: Server
) -> None:
    assert project("validate").code == 0
    assert call("set", "crm-token", stdin=VALUE + "\n").code == 0
    assert project("apply").code == 0
    assert project.standings() == {"crm": "ACTIVE Ok 0/1"}
    other = make_canary()
    answer(server, {"crm": accepting(other)})
    assert call("set", "crm-token", stdin=other).stdout == "stored `crm-token`, version 2\n"
    applied = project.data("apply")
    assert [change["pointers"] for change in applied["secretChanges"]] == [["/spec/auth/token"]]
    assert project.standings() == {"crm": "ACTIVE Ok 0/1"}


def test_plan_reads_no_stored_secret(project: Project) -> None:
    assert project("plan").code == 0


def test_missing_secret_says_what_stores_it(project: Project) -> None:
    ended = project("apply")
    assert ended.code == 4
    assert "there is no stored secret `crm-token`" in ended.stderr
    assert "`reconciler secret set crm-token` stores it" in ended.stderr
    assert project.standings() == {"crm": "PENDING SecretUnresolved 0/0"}


def test_value_is_nowhere_in_the_state_or_on_a_screen(
    project: Project, call: Call, run: Run
) -> None:
    shown = [call("set", "crm-token", stdin=VALUE), call("list"), call("list", "-o", "json")]
    shown += [project("apply"), project("describe", "crm"), project("events"), call("rotate-key")]
    state = b"".join(path.read_bytes() for path in (run.folder / ".reconciler").iterdir())
    text = "".join(ended.stdout + ended.stderr for ended in shown)
    assert VALUE not in text
    assert VALUE.encode() not in state


def test_list_says_all_but_the_value(project: Project, call: Call) -> None:
    call("set", "crm-token", "--expires", "2099-01-31", stdin=VALUE)
    call("set", "unused", stdin="x")
    project("apply")
    listed = call("list")
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert lines[0] == ["NAME", "VERSION", "KEY", "SET", "EXPIRES", "USED", "BY"]
    assert [(line[:2], line[5], line[-1]) for line in lines[1:]] == [
        (["crm-token", "1"], "in", "ApiConnection/default/crm"),
        (["unused", "1"], "never", "-"),
    ]
    expiry = json.loads(call("list", "-o", "json").stdout)["secrets"][0]["expiresAt"]
    assert expiry.startswith("2099-01-31T00:00:00")


def test_successor_without_an_expiry_says_that_it_has_none(call: Call) -> None:
    call("set", "crm-token", "--expires", "2099-01-31", stdin=VALUE)
    ended = call("set", "crm-token", stdin=VALUE)
    assert (ended.code, ended.stdout) == (0, "stored `crm-token`, version 2\n")
    assert "warning: `crm-token` was to expire at 2099-01-31T00:00:00Z, and now" in ended.stderr
    assert "`--expires`" in ended.stderr
    assert call("set", "crm-token", stdin=VALUE).stderr == ""
    call("set", "crm-token", "--expires", "2099-01-31", stdin=VALUE)
    assert call("set", "crm-token", "--expires", "2099-02-28", stdin=VALUE).stderr == ""


def test_secret_that_is_too_short_to_be_hidden_is_said(call: Call) -> None:
    ended = call("set", "pin", stdin="123")
    assert ended.code == 0
    assert "warning: a secret of fewer than 4 characters is not taken out of what" in ended.stderr
    assert "123" not in ended.stderr
    assert call("set", "pin", stdin="1234").stderr == ""


def test_secret_in_use_is_not_deleted(project: Project, call: Call) -> None:
    call("set", "crm-token", stdin=VALUE)
    project("apply")
    refused = call("rm", "crm-token")
    assert (refused.code, refused.stdout) == (8, "")
    assert "the secret `crm-token` is used by `ApiConnection/default/crm`" in refused.stderr
    assert project("archive", "crm", "--yes").code == 0
    assert call("rm", "crm-token").stdout == "deleted `crm-token`\n"
    assert call("rm", "crm-token").code == 2
    assert call("list").stdout == "no secrets\n"


def test_every_change_is_an_event_with_its_actor(call: Call, run: Run, key: str) -> None:
    call("set", "a", "--actor", "ana", stdin="x")
    call("rm", "a", "--actor", "ben")
    ended = run("events", "-o", "json", env={"RECONCILER_KEY": key})
    assert ended.code == 0
    shown = run("events", env={"RECONCILER_KEY": key}).stdout.splitlines()
    assert [line.split()[1:4] for line in shown[1:]] == [
        ["secret/store/a", "secret-set", "ana"],
        ["secret/store/a", "secret-removed", "ben"],
    ]


def test_expired_secret_is_not_sent(project: Project, call: Call, run: Run, key: str) -> None:
    call("set", "crm-token", "--expires", "10d", stdin=VALUE)
    applied = project("apply")
    assert applied.code == 0
    assert "warning: the stored secret `crm-token` expires at " in applied.stderr
    assert "expires at" in run("doctor", env={"RECONCILER_KEY": key}).stdout
    assert "expires" not in project("health", RECONCILER_SECRETS_EXPIRY_WARNING="1d").stderr
    call("set", "crm-token", "--expires", "1ms", stdin=VALUE)
    checked = project("health")
    assert checked.code == 4
    assert "the stored secret `crm-token` expired at" in checked.stdout + checked.stderr
    assert project.standings() == {"crm": "ACTIVE SecretUnresolved 0/1"}


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        pytest.param("", "the secret is empty", id="empty"),
        pytest.param("\n", "the secret is empty", id="newline"),
        pytest.param("a\0b", "the secret has a NUL character", id="nul"),
        pytest.param(b"\xff\xfe", "the secret is not UTF-8", id="no text"),
        pytest.param("x" * 65537, "the secret is longer than 64 KiB", id="long"),
    ],
)
def test_value_that_cannot_be_a_secret_is_refused(call: Call, stdin: str, says: str) -> None:
    ended = call("set", "a", stdin=stdin)
    assert (ended.code, says in ended.stderr) == (2, True)
    assert call("list").code == 5  # no state was made


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("set", "A b"), id="name"),
        pytest.param(("set", "a", "--expires", "2001-01-01"), id="over"),
        pytest.param(("set", "a", "--expires", "2027-13-41"), id="no day"),
        pytest.param(("set", "a", "--expires", "soon"), id="no time"),
        pytest.param(("set", "a", VALUE), id="value as argument"),
    ],
)
def test_wrong_arguments_are_refused(call: Call, args: tuple[str, ...]) -> None:
    ended = call(*args, stdin="x")
    assert ended.code == 2
    assert "error: " in ended.stderr


def test_without_a_key_nothing_is_stored(run: Run) -> None:
    for args in (("set", "a"), ("rotate-key",)):
        ended = run("secret", *args, stdin="x")
        assert ended.code == 2
        assert "there is no key to encrypt secrets with" in ended.stderr
        assert "`reconciler secret keygen` makes one" in ended.stderr


def test_printed_key_is_taken_from_a_private_file(run: Run) -> None:
    made = run("secret", "keygen")
    file = run.write("keys", made.stdout)
    file.chmod(0o644)
    env = {"RECONCILER_KEY_FILE": "keys"}
    refused = run("secret", "set", "a", stdin="x", env=env)
    assert (refused.code, "may be read by others" in refused.stderr) == (2, True)
    file.chmod(0o600)
    assert run("secret", "set", "a", stdin="x", env=env).code == 0
    listed = run("secret", "list", env={"RECONCILER_KEY": made.stdout.strip()})
    assert "not given" not in listed.stdout


def test_old_key_can_go_after_a_rotation_and_not_before(
    project: Project, call: Call, key: str
) -> None:
    new = make_key()
    call("set", "crm-token", stdin=VALUE)
    early = call("list", RECONCILER_KEY=new)
    assert (early.code, "is not the key of this state store" in early.stderr) == (2, True)
    rotated = call("rotate-key", RECONCILER_KEY=f"{new},{key}")
    assert rotated.stdout.startswith("1 record encrypted anew, of 1;")
    assert call("rotate-key", RECONCILER_KEY=f"{new},{key}").stdout.startswith("0 records")
    assert project("apply", RECONCILER_KEY=new).code == 0


def test_value_sealed_with_a_key_that_went_ends_with_4_and_is_counted(
    project: Project, call: Call, run: Run, key: str
) -> None:
    new = make_key()
    call("set", "other", stdin="x")
    call("rotate-key", RECONCILER_KEY=f"{new},{key}")
    call("set", "crm-token", stdin=VALUE, RECONCILER_KEY=f"{key},{new}")
    ended = project("apply", RECONCILER_KEY=new)
    assert ended.code == 4
    assert "the stored secret `crm-token` is sealed with the key" in ended.stderr
    env = {"RECONCILER_KEY": new}
    checked = run("state", "check", env=env)
    assert (checked.code, "1 sealed value cannot be opened" in checked.stderr) == (0, True)
    assert "which is not given, opens 1 sealed value" in run("doctor", env=env).stdout
    assert "2 secrets, 0 tokens" in run("state", "info", env=env).stdout


def test_tampered_value_is_found_by_state_check(call: Call, run: Run, key: str) -> None:
    call("set", "a", stdin="x")
    call("set", "b", stdin="y")
    with closing(sqlite3.connect(run.folder / ".reconciler/state.db")) as database, database:
        database.execute("UPDATE sealed SET ciphertext = (SELECT max(ciphertext) FROM sealed)")
    ended = run("state", "check", env={"RECONCILER_KEY": key})
    assert (ended.code, "cannot be opened: it was changed" in ended.stdout) == (5, True)


def test_value_is_asked_for_without_an_echo(run: Run, key: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ON_TERMINAL, COMMAND, "secret", "set", "a"],
        bufsize=0,
        cwd=run.folder,
        env=run.environment({"RECONCILER_KEY": key}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as terminal:
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        seen = b""
        for prompt in (b"Value of a: ", b"Again: "):
            seen += _until(terminal.stdout, prompt)
            terminal.stdin.write(f"{VALUE}\n".encode())
        seen += _until(terminal.stdout, b"version 1")
        assert terminal.wait(60) == 0
    assert VALUE.encode() not in seen


def _until(screen: IO[bytes], text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        more = screen.read(1)
        assert more, seen
        seen += more
    return seen


@pytest.mark.parametrize(
    "known",
    [
        pytest.param("0" * 64, id="zeros"),
        pytest.param("ab" * 32, id="one byte"),
        pytest.param("0123456789abcdef" * 4, id="digits"),
        pytest.param(bytes(range(32)).hex(), id="series"),
        pytest.param(b"change-me-change-me-change-me-12".hex(), id="text"),
        pytest.param(
            "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8", id="password"
        ),
    ],
)
def test_key_that_others_know_is_refused_and_not_shown(run: Run, known: str) -> None:
    ended = run("secret", "set", "a", stdin="x", env={"RECONCILER_KEY": known})
    assert ended.code == 2
    assert "RECONCILER_KEY must be a random key" in ended.stderr
    assert known not in ended.stdout + ended.stderr


def test_names_are_completed(call: Call, run: Run, key: str) -> None:
    call("set", "crm-token", stdin="x")
    env = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler secret rm c"}
    ended = run(env={**env, "COMP_CWORD": "3", "RECONCILER_KEY": key})
    assert "crm-token" in ended.stdout


def test_state_of_the_first_version_is_migrated_by_the_first_secret(
    run: Run, key: str, tmp_path: Path
) -> None:
    from reconciler.stores import Opening, open_store
    from tests.factories import NOW
    from tests.reliability import releases

    url = f"sqlite:///{run.folder}/.reconciler/state.db"
    open_store(url, Opening.WRITE, now=NOW).close()
    releases.make(url, "0001")
    assert run("secret", "set", "a", stdin="x", env={"RECONCILER_KEY": key}).code == 0
    assert run("state", "check", env={"RECONCILER_KEY": key}).code == 0
