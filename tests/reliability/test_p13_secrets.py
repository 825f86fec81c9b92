"""P13: no secret leaves except to its destination; `tests/e2e/test_canary.py` plays every command.

Here is what could carry one on the way: what lives while a check runs, what every driver raises,
and text that comes back with a secret in it. All of it is searched by the same oracle, which finds
a secret in every encoding, and pieces of it.
"""

from __future__ import annotations

import base64
import json
import pickle
import random  # noqa: TID251 -- a failure names the seed
import sqlite3
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

import duckdb
import pytest

from reconciler.clients import sql
from reconciler.clients.attempt import Attempt, Lifeline, Login
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.kinds import engine_traits, engines
from reconciler.redact import MASK, Redactor, Secret
from tests.corpus.canary import leaks, make_canary
from tests.corpus.planted import planted
from tests.corpus.zygote import Zygote
from tests.reliability.figures import Record
from tests.servers import mssql, sql_peers
from tests.servers.sql_peers import Conversation, sql_peer

CASES, SOAK_CASES = 400, 100_000
#: Looks at everything of ours that is alive while a request is made, in every way in which an
#: object becomes text or bytes by accident: printed, unpacked, pickled.
_SCAN = """
import gc, itertools, os, pickle, threading
from reconciler.clients import http, sql
seen = set()
def unpacked(value):
    return repr(vars(value))
def pickled(value):
    return pickle.dumps(value, 4).decode("latin-1")
def named(kind):
    module = str(kind.__module__)
    return f"{module}.{kind.__qualname__}" if module.startswith("reconciler") else None
kinds, turn = {}, threading.Lock()
def scan():
    gc.unfreeze()
    lines = []
    for value in gc.get_objects():
        kind = type(value)
        if kind not in kinds:
            kinds[kind] = named(kind)
        name = kinds[kind]
        if name is None:
            continue
        for way in (repr, unpacked, pickled):
            try:
                text = way(value)
            except Exception:
                continue
            if (name, text) not in seen:
                seen.add((name, text))
                lines.append(name + " " + text.replace("\\n", " ") + "\\n")
    with turn, open(PLACE, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(lines)
send, check = http.send, sql.check
requests = itertools.count()
async def sending(*arguments):
    if next(requests) % 4 == 0:  # each look costs a tenth of a second
        scan()
    return await send(*arguments)
def checking(*arguments):
    scan()
    return check(*arguments)
http.send, sql.check = sending, checking
"""

#: Of these, some must have been alive, or nothing was looked at.
_CARRIERS = (
    "reconciler.auth.exchange.Request",
    "reconciler.clients.attempt.Login",
    "reconciler.clients.http_request.Origin",
    "reconciler.queueing.Job",
    "reconciler.redact.Redactor",
    "reconciler.redact.Secret",
    "reconciler.cli.session.Session",
    "reconciler.settings.Settings",
    "reconciler.secret_sources.Secrets",
)


def test_nothing_alive_during_a_check_shows_a_secret(
    tmp_path: Path, command: Zygote, figure: Record
) -> None:
    folder, place = tmp_path / "project", tmp_path / "seen"
    folder.mkdir()
    with planted(folder) as project:
        command(
            *("apply", "--health", "all"),
            folder=folder,
            env=project.env,
            prelude=f"PLACE = {str(place)!r}\n{_SCAN}",
        )
        seen = place.read_bytes()
        assert leaks(project.canaries, {"what is alive": seen}) == []
    names = {line.partition(b" ")[0].decode() for line in seen.splitlines()}
    unprinted = {"reconciler.redact.Redactor", "reconciler.cli.session.Session"}
    assert set(_CARRIERS) - names <= unprinted
    figure("P13", "texts of live objects", seen.count(b"\n"), "secrets shown", 0)


def _refuse(client: Conversation, text: bytes) -> None:
    client.postgresql_start()
    client.send(sql_peers.postgresql_error("28P01", text))


def _refuse_mysql(client: Conversation, text: bytes) -> None:
    client.mysql_send(0, sql_peers.mysql_greeting())
    client.mysql_packet()
    client.mysql_send(2, sql_peers.mysql_error(1045, "28000", text))


def _refuse_mssql(client: Conversation, text: bytes) -> None:
    tds = mssql.TdsClient(client)
    mssql.let_in(tds, mssql.NOT_SUPPORTED, None)
    tds.message()
    tds.send(mssql.refusal(18456, text.decode()))


def _hang_up(client: Conversation, text: bytes) -> None:
    client.send(text[:1])


def _babble(client: Conversation, text: bytes) -> None:
    client.send(text * 50)
    client.wait()


def _ask_for_the_password(client: Conversation, text: bytes) -> None:
    client.postgresql_start()
    client.send(sql_peers.POSTGRESQL_CLEARTEXT)
    client.send(text)
    client.wait()


def _refuse_http(client: Conversation, text: bytes) -> None:
    client.receive_until(b"\r\n\r\n")
    body = json.dumps({"code": "390144", "message": text.decode()}).encode()
    client.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


_SERVERS = tuple(name for name, row in engines.ENGINES.items() if not row.is_file)
_FAULTS: Mapping[str, Callable[[Conversation, bytes], None]] = {
    "refuses in PostgreSQL's words": _refuse,
    "refuses in MySQL's words": _refuse_mysql,
    "refuses in SQL Server's words": _refuse_mssql,
    "hangs up": _hang_up,
    "babbles": _babble,
    "asks for the password": _ask_for_the_password,
    "refuses in HTTP": _refuse_http,
}


@pytest.mark.parametrize("fault", _FAULTS)
@pytest.mark.parametrize("engine", _SERVERS)
def test_what_a_driver_raises_holds_no_secret(engine: str, fault: str, figure: Record) -> None:
    method = engines.ENGINES[engine].methods[0]
    secret = make_canary("/+=-_") if method in engine_traits.HEADER_METHODS else make_canary()
    redactor = Redactor()
    redactor.add(secret)
    text = " ".join(_encoded(secret).values()).encode()
    with sql_peer(lambda client: _FAULTS[fault](client, text)) as peer:
        now = time.monotonic()
        attempt = Attempt(
            stages=Stages(),
            redactor=redactor,
            lifeline=Lifeline(),
            connect_by=now + 2,
            query_s=2,
            end_by=now + 2,
        )
        login = Login(
            driver=engines.ENGINES[engine].driver,
            host="127.0.0.1",
            addresses=("127.0.0.1",),
            port=peer.port,
            database="orders",
            username="report",
            method=method,
            password=Secret(secret),
            authorization=Secret(f"Bearer {secret}"),
        )
        with pytest.raises((ConnectionFailed, TimeoutError)) as raised:
            sql.check(engine, login, "select 1", attempt)
    assert leaks({"password": secret}, {"exception": _texts(raised.value)}) == []
    figure("P13", "exceptions of drivers", 1)


def _texts(error: BaseException) -> bytes:
    """Returns every text of an exception and of those that led to it, which logs would show."""
    parts = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        parts += [str(seen), repr(seen), repr(seen.args), repr(vars(seen))]
        with suppress(TypeError, AttributeError, pickle.PicklingError):
            parts.append(pickle.dumps(seen).decode("latin-1"))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(parts).encode("latin-1", "backslashreplace")


def _encoded(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "as it is": secret,
        "quoted": quote(secret, safe=""),
        "quoted with slashes": quote(secret),
        "quoted, + for space": quote_plus(secret),
        "JSON": json.dumps(secret),
        "repr": repr(secret),
        "bytes": repr(raw),
        "hexadecimal": raw.hex(),
        "base64": base64.b64encode(raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(raw).decode(),
        "Basic header": base64.b64encode(b"report:" + raw).decode(),
        "with a user of another length": base64.b64encode(b"reporter:" + raw).decode(),
    }


def test_secrets_are_taken_out_of_any_text(figure: Record, is_soak: bool) -> None:
    cases = SOAK_CASES if is_soak else CASES
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    for case in range(cases):
        secret = make_canary()
        redactor = Redactor()
        redactor.add(secret, "report")
        forms = draw.sample(sorted(_encoded(secret).items()), k=draw.randint(1, 3))
        noise = ["".join(chr(draw.randrange(1, 0x2FF)) for _ in range(9)) for _ in range(4)]
        text = noise[0] + draw.choice((" ", "", "=", "'", '"', "\n")).join(
            form + noise[at] for at, (_, form) in enumerate(forms, 1)
        )
        limit = draw.choice((40, 200, 1000))
        shown = redactor.clean(text, limit)
        names = [name for name, _ in forms]
        assert leaks({"secret": secret}, {"text": shown.encode()}) == [], (seed, case, names)
        assert MASK in shown or limit < len(text), (seed, case, names)
    figure("P13", "random texts with secrets", cases)


def test_state_of_a_pull_request_gets_no_password_of_the_home_folder(
    tmp_path: Path, command: Zygote, figure: Record
) -> None:
    """libpq would look one up for any server, and send it as it is where that asks for it so."""
    folder, secret = tmp_path / "project", make_canary("/+=-_")
    folder.mkdir()
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{secret}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    (tmp_path / ".pg_service.conf").write_text(f"[any]\npassword={secret}\n")
    with sql_peer(lambda client: _ask_for_the_password(client, b"")) as peer:
        url = f"postgresql://u@127.0.0.1:{peer.port}/s?sslmode=disable"
        (folder / "reconciler.toml").write_text(f'[state]\nurl = "{url}"\n')
        ended = command(
            *("state", "info"),
            folder=folder,
            env={"PGSERVICE": "any", "PGPASSWORD": secret, "HOME": str(tmp_path)},
        )
        assert peer.connections >= 1, ended.text
    assert ended.code == 5
    assert leaks({"password": secret}, {"sent": bytes(peer.received)}) == []
    figure("P13", "servers that ask for a password", 1, "secrets sent", 0)


_LEAKING = {
    "duckdb": "select cast((select secret from t limit 1) as int)",
    "sqlite": "select json_extract('{}', (select secret from t limit 1))",
}


def _fill(folder: Path, engine: str, secret: str) -> None:
    opened = duckdb.connect if engine == "duckdb" else sqlite3.connect
    with closing(opened(str(folder / f"{engine}.db"))) as connection:
        connection.execute("create table t (secret text)")
        connection.execute("insert into t values (?)", (secret,))
        connection.commit()


def test_check_that_fails_shows_nothing_of_rows(
    tmp_path: Path, command: Zygote, figure: Record
) -> None:
    """A text that quotes a value would go into the log of whoever checks, and into the state."""
    secret = make_canary()
    folder = tmp_path / "project"
    (folder / "manifests").mkdir(parents=True)
    for engine, query in _LEAKING.items():
        _fill(folder, engine, secret)
        spec = {"engine": engine, "database": f"{engine}.db", "health": {"query": query}}
        manifest = {"apiVersion": "reconciler/v1", "kind": "SqlConnection"}
        text = json.dumps({**manifest, "metadata": {"name": engine}, "spec": spec})
        (folder / "manifests" / f"{engine}.yaml").write_text(text)
    shown = {}
    for argv in (("apply",), ("health", "-v"), ("status", "-o", "json"), ("events",)):
        shown[" ".join(argv)] = command(*argv, folder=folder).text.encode()
    shown["state"] = (folder / ".reconciler" / "state.db").read_bytes()
    assert shown["apply"].count(b"QueryFailed") >= len(_LEAKING)
    assert leaks({"row": secret}, shown) == []
    by_hand = command("query", "duckdb", _LEAKING["duckdb"], folder=folder)
    assert secret in by_hand.text  # else nothing was tested
    figure("P13", "texts about failed checks", len(shown), "secrets shown", 0)
