"""P11: every check ends by its deadline, and nothing of it is left over.

One pass over endpoints that stall, drip, flood and lie, all at once. The clock of a check is
monotonic, so what is compared is what the check itself measured. Threads, descriptors and tasks are
counted before there is any endpoint and after all are gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import duckdb
import pytest

from reconciler import reconcile
from reconciler.model import Json, JsonObject, Observation, Outcome
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.reliability import stages
from tests.reliability.figures import Record
from tests.reliability.stages import World
from tests.servers import http_routes, mssql, oracle, sql_peers
from tests.servers.certificates import Authority
from tests.servers.http import (
    Route,
    Server,
    black_hole,
    closed_port,
    http_server,
    silent_server,
)
from tests.servers.mariadb import PASSWORD, MariadbServer, mariadb
from tests.servers.postgresql import PostgresServer, postgresql
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import mariadb_spec

__all__ = ["mariadb", "postgresql"]

DEADLINE_S = 1.0
#: The promise is one second; a machine that runs other tests meanwhile gets more.
GRACE_S = 5.0
#: Of resident memory, over all endpoints together; the bodies on offer are endless.
GROWTH_MIB = 128
_HEAD = b"HTTP/1.1 200 OK\r\n"
#: A file of the project without a key; no server of this test has one to show.
KNOWN_HOSTS = "known_hosts"


def _bomb() -> bytes:
    """Returns 64 MiB of nothing as gzip, made in pieces so that making it takes no memory."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(b"\0" * (1 << 20)) for _ in range(64)]
    return b"".join([*pieces, packer.flush()])


ROUTES: dict[str, Route] = {
    "drip": http_routes.drip(),
    "silent": http_routes.silence(),
    "half-a-status-line": http_routes.silence(b"HTTP/1."),
    "half-a-head": http_routes.silence(_HEAD + b"Content-Le"),
    "half-a-body": http_routes.silence(_HEAD + b"Content-Length: 100\r\n\r\nx"),
    "half-a-chunk": http_routes.silence(_HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nx"),
    "endless-headers": http_routes.endless_headers(),
    "endless-header": http_routes.endless(_HEAD + b"X-Long: ", b"x" * 1000),
    "endless-chunks": http_routes.endless_chunks(),
    "endless-body": http_routes.endless(_HEAD + b"\r\n", b"x" * 65536),
    "endless-interim": http_routes.endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless-status-line": http_routes.endless(b"HTTP/1.1 200 ", b"O" * 1000),
    "endless-chunk-size": http_routes.endless(
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000
    ),
    "endless-trailers": http_routes.endless(
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-T: " + b"x" * 1000 + b"\r\n"
    ),
    "zip-bomb": http_routes.answer(200, _bomb(), headers=[("Content-Encoding", "gzip")]),
    "huge-length": http_routes.silence(_HEAD + b"Content-Length: 999999999999999999\r\n\r\n"),
    "slow-head": http_routes.endless(_HEAD, b"X: y\r\n", pause_s=0.05),
    "switching": http_routes.silence(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "garbage": http_routes.raw(b"\0\xff" * 5000),
    "reset": http_routes.raw(b""),
}


def _stay_silent(client: Conversation) -> None:
    client.wait()


def _send_for_ever(piece: bytes) -> Callable[[Conversation], None]:
    def script(client: Conversation) -> None:
        while True:
            client.send(piece)
            client.pause(0.01)

    return script


def _flood_notices(client: Conversation) -> None:
    client.postgresql_start()
    notice = b"N" + sql_peers.postgresql_error("01000", b"x" * 900, "WARNING")[1:]
    while True:
        client.send(notice)


def _ask_and_wait(client: Conversation) -> None:
    client.postgresql_start()
    client.send(sql_peers.POSTGRESQL_SCRAM)
    client.wait()


def _greet_and_wait(client: Conversation) -> None:
    client.mysql_send(0, sql_peers.mysql_greeting())
    client.wait()


def _announce_much(client: Conversation) -> None:
    client.send(b"\xff\xff\xff\0" + b"\x0a" + b"x" * 1000)
    client.wait()


def _log_in_and_flood(client: Conversation) -> None:
    tds = mssql.TdsClient(client)
    mssql.let_in(tds, mssql.NOT_SUPPORTED, None)
    tds.message()
    tds.send(mssql.acceptance("orders") + mssql.done())
    notices = mssql.told(5701, "x", is_error=False) * 80
    while True:  # one answer without an end
        client.send(b"\x04\0" + (len(notices) + 8).to_bytes(2) + bytes(4) + notices)


def _flood(start: Callable[[Conversation], object], head: bytes) -> Callable[[Conversation], None]:
    """Returns a server that announces one endless answer, and gives it."""

    def script(client: Conversation) -> None:
        start(client)
        client.send(head)
        while True:
            client.send(bytes(64 * 1024))

    return script


_ORACLE_ENDLESS = oracle.accept() + (2**31).to_bytes(4) + bytes((oracle.DATA, 0, 0, 0))
_FIREBIRD_ENDLESS = (9).to_bytes(4) + bytes(12) + (2**30).to_bytes(4)

PEERS: dict[str, tuple[str, Callable[[Conversation], None]]] = {
    "pg-silent": ("postgresql", _stay_silent),
    "pg-drip": ("postgresql", _send_for_ever(b"E")),
    "pg-flood": ("postgresql", _flood_notices),
    "pg-login-stalls": ("postgresql", _ask_and_wait),
    "mysql-silent": ("mysql", _stay_silent),
    "mysql-drip": ("mysql", _send_for_ever(b"\x01")),
    "mysql-login-stalls": ("mysql", _greet_and_wait),
    "mysql-announces-much": ("mysql", _announce_much),
    "mssql-silent": ("mssql", _stay_silent),
    "mssql-drip": ("mssql", _send_for_ever(b"\x04")),
    "mssql-flood": ("mssql", _log_in_and_flood),
    "oracle-silent": ("oracle", _stay_silent),
    "oracle-drip": ("oracle", _send_for_ever(b"\0")),
    "oracle-flood": ("oracle", _flood(oracle.receive_connect, _ORACLE_ENDLESS)),
    "vertica-silent": ("vertica", _stay_silent),
    "vertica-drip": ("vertica", _send_for_ever(b"E")),
    "vertica-flood": ("vertica", _flood_notices),
    "firebird-silent": ("firebird", _stay_silent),
    "firebird-drip": ("firebird", _send_for_ever(b"\0")),
    "firebird-flood": ("firebird", _flood(lambda client: client.receive(4), _FIREBIRD_ENDLESS)),
}


def _api(name: str, url: str) -> dict[str, Json]:
    return {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {"name": name},
        "spec": {
            "baseUrl": url,
            "health": {
                "path": f"/{name}",
                "timeout": f"{DEADLINE_S}s",
                "expect": {"text": "what only a sound endpoint says"},
            },
            "tls": {"verify": False},
        },
    }


def _sql(name: str, engine: str, port: int, mode: str = "disable") -> dict[str, Json]:
    return {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": name},
        "spec": {
            "engine": engine,
            "host": "127.0.0.1",
            "port": port,
            "database": "orders",
            "auth": {"method": "password", "username": name, "password": {"env": "PASSWORD"}},
            "tls": {"mode": mode},
            "health": {"timeout": f"{DEADLINE_S}s"},
        },
    }


@contextmanager
def _endpoints() -> Iterator[list[dict[str, Json]]]:
    """Gives the manifests of all endpoints while these are up."""
    with ExitStack() as stack:
        plain = stack.enter_context(http_server(_by_path(ROUTES)))
        context = Authority().server_context("127.0.0.1")
        secure = stack.enter_context(http_server(_by_path(ROUTES), context=context))
        manifests = [_api(name, plain.url) for name in ROUTES]
        manifests += [_api(f"tls-{name}", secure.url) for name in ("drip", "half-a-head")]
        silent, hole = (stack.enter_context(made()) for made in (silent_server, black_hole))
        manifests.append(_api("tls-stall", f"https://127.0.0.1:{silent}"))
        manifests.append(_api("black-hole", f"http://127.0.0.1:{hole}"))
        manifests.append(_api("closed", f"http://127.0.0.1:{closed_port()}"))
        for name, (engine, script) in PEERS.items():
            peer = stack.enter_context(sql_peer(script))
            manifests.append(_sql(name, engine, peer.port))
        stalling = stack.enter_context(sql_peer(_stay_silent))
        manifests.append(_sql("pg-tls-stall", "postgresql", stalling.port, "require"))
        manifests.append(_sql("ms-tls-stall", "mssql", silent, "require"))
        manifests.append(_sql("pg-black-hole", "postgresql", hole))
        manifests += _hops(silent, hole, stack.enter_context(http_server(_by_path(ROUTES))))
        yield manifests


def _hops(silent: int, hole: int, slow: Server) -> Iterator[dict[str, Json]]:
    """Yields connections behind proxies and SSH servers that stall, drip or are not there.

    Each is tried for an API, for a driver that gets a socket, and for one that gets a port.
    """
    ways: dict[str, JsonObject] = {
        "proxy-silent": {"proxy": {"url": f"http://127.0.0.1:{silent}"}},
        "socks-silent": {"proxy": {"url": f"socks5://127.0.0.1:{silent}"}},
        "proxy-tls-stall": {"proxy": {"url": f"https://127.0.0.1:{silent}"}},
        "proxy-black-hole": {"proxy": {"url": f"socks5://127.0.0.1:{hole}"}},
        "proxy-closed": {"proxy": {"url": f"http://127.0.0.1:{closed_port()}"}},
        "ssh-silent": {"ssh": _ssh(silent)},
        "ssh-black-hole": {"ssh": _ssh(hole)},
        "ssh-closed": {"ssh": _ssh(closed_port())},
        "ssh-behind-silence": {"ssh": {**_ssh(closed_port()), "jump": _ssh(silent)}},
        "ssh-speaks-http": {"ssh": _ssh(slow.port)},
    }
    for name, way in ways.items():
        for manifest in (
            _api(name, "http://127.0.0.1:1"),
            _sql(f"{name}-pg", "postgresql", 1),
            _sql(f"{name}-my", "mysql", 1),
            _sql(f"{name}-ms", "mssql", 1),
        ):
            yield {**manifest, "spec": {**manifest["spec"], **way}}


def _ssh(port: int) -> JsonObject:
    return {
        "host": "127.0.0.1",
        "port": port,
        "username": "ops",
        "password": {"env": "PASSWORD"},
        "knownHosts": {"file": KNOWN_HOSTS},
    }


def _by_path(routes: dict[str, Route]) -> dict[str, Route]:
    paths = {f"/{name}": route for name, route in routes.items()}
    return paths | {f"/tls-{name}": route for name, route in routes.items()}


def _descriptors() -> int:
    folder = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    return len(list(folder.iterdir()))


def _resident_mib() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


async def _pass(world: World) -> tuple[list[Observation], int]:
    """Returns what a pass found, and how many tasks it left."""
    batches = reconcile.check(world.workspace(), world.store, world.probed())
    found = [each.observation async for batch in batches for each in batch if each.observation]
    return found, len(asyncio.all_tasks()) - 1


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.open("sqlite://", {"PASSWORD": "never-granted"})
    made.root = str(tmp_path)
    tmp_path.joinpath(KNOWN_HOSTS).write_text("# none\n")
    yield made
    made.store.close()


def test_every_check_ends_by_its_deadline_and_leaves_nothing(world: World, figure: Record) -> None:
    threads, descriptors = set(threading.enumerate()), _descriptors()
    with _endpoints() as manifests:
        world.apply(stages.files_of(manifests), stages.options(), with_secrets=False)
        before, started = _resident_mib(), monotonic()
        found, tasks = asyncio.run(_pass(world))
        took, growth = monotonic() - started, _resident_mib() - before
    over = max(observation.latency_s for observation in found) - DEADLINE_S
    assert len(found) == len(manifests)
    assert [each for each in found if each.outcome is not Outcome.FAILED] == []
    assert over < GRACE_S
    assert growth < GROWTH_MIB
    assert (tasks, set(threading.enumerate()) - threads, _descriptors()) == (0, set(), descriptors)
    figure("P11", "hostile endpoints", len(found), "left over", 0)
    figure("P11", "s over the deadline at most", max(0.0, over), "s for the whole pass", took)
    figure("P11", "MiB of growth", growth)


#: Of resident memory, above a check of one number; several times what is read of an answer.
ANSWER_MIB = 128
#: The same for a database in a file, which this process itself computes.
FILE_MIB = 600
_WIDE = ", ".join(["repeat('x', 15000000)"] * 8)


def _declare(folder: Path, spec: JsonObject, query: str) -> None:
    manifest = {"apiVersion": "reconciler/v1", "kind": "SqlConnection"}
    spec = {**spec, "health": {"query": query, "timeout": "30s"}}
    text = json.dumps({**manifest, "metadata": {"name": "wide"}, "spec": spec})
    (folder / "wide.yaml").write_text(text)


def _peak(
    command: Zygote, folder: Path, spec: JsonObject, query: str, password: str
) -> tuple[str, float]:
    """Returns the reason of a check, and the memory that it took at most."""
    _declare(folder, spec, query)
    argv = ("apply", "--health", "all", "-o", "json")
    ended = command(*argv, folder=folder, env={"DATABASE_PASSWORD": password, "A": password})
    check = json.loads(ended.stdout)["health"]["checks"][0]
    return check["observation"]["reason"], ended.peak_mib


@pytest.mark.server
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_answer_of_a_query_takes_no_more_memory_than_is_read(
    engine: str, command: Zygote, tmp_path: Path, request: pytest.FixtureRequest, figure: Record
) -> None:
    spec: JsonObject
    if engine == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgresql")
        auth = {"method": "password", "username": server.superuser, "password": {"env": "A"}}
        place = {"host": "127.0.0.1", "port": server.port, "database": "postgres"}
        spec = {"engine": engine, **place, "auth": auth, "tls": {"mode": "disable"}}
        password = server.password
    else:
        other: MariadbServer = request.getfixturevalue("mariadb")
        spec, password = mariadb_spec(other, tls={"mode": "require"}), PASSWORD
        spec["auth"]["password"] = {"env": "A"}
    small, before = _peak(command, tmp_path, spec, "select 1", password)
    wide, after = _peak(command, tmp_path, spec, f"select {_WIDE}", password)
    assert (small, wide) == ("Ok", "BodyTooLarge")
    assert after - before < ANSWER_MIB
    by_hand = command("query", "wide", f"select {_WIDE}", folder=tmp_path, env={"A": password})
    assert b"BodyTooLarge" in by_hand.stderr
    figure("P11", "MiB of growth by a wide row", max(0.0, after - before))


_GREEDY = {
    "collected": "select list(range) from range(100000000)",
    "one-value": "select repeat('x', 700000000)",
    "of-a-row": "select repeat('x', id * 90000000) from item",
    "by-a-format": "select printf('%700000000d', 1)",
}


@pytest.mark.parametrize("query", _GREEDY.values(), ids=_GREEDY)
def test_query_of_a_file_takes_no_more_memory_than_it_may(
    query: str, tmp_path: Path, figure: Record
) -> None:
    """The command runs by itself: what plays it elsewhere has limits of its own."""
    run = Run(folder=tmp_path)
    with duckdb.connect(str(tmp_path / "data.db")) as connection:
        connection.execute("create table item (id integer)")
        connection.execute("insert into item values (1), (2), (3), (4)")
    spec: JsonObject = {"engine": "duckdb", "database": "data.db"}
    peaks = []
    for asked, reason in (("select id from item", b"ACTIVE"), (query, b"BodyTooLarge")):
        _declare(tmp_path, spec, asked)
        process = run.start("apply", "--health", "all")
        assert process.stdout is not None
        assert reason in process.stdout.read()
        _, process.returncode, used = os.wait4(process.pid, 0)
        process.communicate()
        peaks.append(used.ru_maxrss / 1024)
    before, after = peaks
    assert after - before < FILE_MIB
    figure("P11", "MiB of growth by a greedy query", max(0.0, after - before))
