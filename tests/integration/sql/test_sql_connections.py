"""Opened connections: what applications get, which address is taken, and what is left over."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from reconciler.clients import sql
from reconciler.clients.attempt import Attempt, Lifeline, Login
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import JsonObject, Reason
from reconciler.redact import Redactor, Secret
from tests.servers.mariadb import PASSWORD, MariadbServer
from tests.servers.sql_peers import sql_peer
from tests.servers.sql_specs import (
    Check,
    Database,
    make_target,
    make_tools,
    mariadb_spec,
    password_of,
    peer_spec,
    probe,
)


def make_attempt() -> Attempt:
    end_by = time.monotonic() + 30.0
    return Attempt(
        stages=Stages(),
        redactor=Redactor(),
        lifeline=Lifeline(),
        connect_by=end_by,
        query_s=30.0,
        end_by=end_by,
    )


def login_of(spec: JsonObject, *addresses: str) -> Login:
    return sql.describe(
        make_target(spec).spec,
        {"/auth/password": Secret(PASSWORD)},
        addresses=addresses or ("127.0.0.1",),
        ca=spec.get("tls", {}).get("ca", {}).get("file", ""),
        path=spec["database"],
    )


def first_row(dialect: str, engine: str, login: Login, query: str) -> tuple[object, ...]:
    """Returns a row that SQLAlchemy reads over a connection of ours."""
    made = sqlalchemy.create_engine(
        dialect,
        creator=lambda: sql.open_connection(engine, login, make_attempt()),
        poolclass=sqlalchemy.NullPool,
    )
    with made.connect() as connection:
        return tuple(connection.execute(sqlalchemy.text(query)).one())


@pytest.mark.server
def test_sqlalchemy_uses_a_postgresql_connection(tls_database: Database) -> None:
    row = first_row(
        "postgresql+psycopg://",
        "postgresql",
        login_of(tls_database.spec()),
        "select current_user, ssl, version from pg_stat_ssl where pid = pg_backend_pid()",
    )
    assert row == (tls_database.role, True, "TLSv1.3")


@pytest.mark.server
def test_sqlalchemy_uses_a_mariadb_connection(mariadb: MariadbServer) -> None:
    login = login_of(mariadb_spec(mariadb))
    query = "select substring_index(user(), '@', 1), @@character_set_client"
    assert first_row("mysql+pymysql://", "mariadb", login, query) == ("report", "utf8mb4")


def test_sqlalchemy_uses_a_sqlite_connection(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    file.touch()
    login = Login(driver="sqlite3", database=str(file))
    assert first_row("sqlite://", "sqlite", login, "select 1") == (1,)


@pytest.mark.server
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_the_next_address_is_tried_when_nothing_listens(
    plain_database: Database, mariadb: MariadbServer, engine: str
) -> None:
    specs = {"postgresql": plain_database.spec(), "mariadb": mariadb_spec(mariadb)}
    attempt = make_attempt()
    login = login_of(specs[engine], "127.0.0.2", "127.0.0.1")
    sql.check(engine, login, "select 1", attempt)
    first = attempt.stages.reached()[0]
    assert (first.name.value, first.detail) == ("tcp", "127.0.0.1")


@pytest.mark.server
def test_a_refused_password_is_not_sent_to_the_next_address(plain_database: Database) -> None:
    role = plain_database.server.make_role("right")
    login = login_of(plain_database.spec(auth=password_of(role)), "127.0.0.1", "127.0.0.1")
    with pytest.raises(ConnectionFailed) as caught:
        sql.check("postgresql", login, "select 1", make_attempt())
    assert caught.value.reason is Reason.AUTH_FAILED
    assert plain_database.server.failed_logins(role) == 1


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_failure_has_no_cause_that_holds_the_password(engine: str) -> None:
    with sql_peer(lambda client: None) as peer:
        login = login_of(peer_spec(engine, peer.port))
        with pytest.raises(ConnectionFailed) as caught:
            sql.check(engine, login, "select 1", make_attempt())
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208  # names, not paths


@pytest.mark.server
def test_nothing_is_left_over(
    tls_database: Database,
    mariadb: MariadbServer,
    check: Check,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    tmp_path.joinpath("data.db").touch()
    specs: list[tuple[JsonObject, str]] = [
        (tls_database.spec(), PASSWORD),
        (tls_database.spec(), "wrong"),
        (tls_database.spec(tls={"mode": "verify-full"}), PASSWORD),
        (tls_database.spec(health={"query": "select generate_series(1, 1000000)"}), PASSWORD),
        (mariadb_spec(mariadb), PASSWORD),
        (mariadb_spec(mariadb), "wrong"),
        (mariadb_spec(mariadb, tls={"mode": "verify-full"}), PASSWORD),
        (mariadb_spec(mariadb, health={"query": "nonsense"}), PASSWORD),
        (peer_spec("postgresql", closed), PASSWORD),
        (peer_spec("mysql", closed), PASSWORD),
        ({"engine": "sqlite", "database": "data.db"}, ""),
        ({"engine": "duckdb", "database": "data.db"}, ""),
    ]
    for spec, password in specs:
        check(spec, password)
    before = open_descriptors()
    for spec, password in specs:
        check(spec, password)
    assert (open_descriptors(), list(temporary.iterdir())) == (before, [])


def test_a_probe_ends_though_its_thread_does_not(tmp_path: Path) -> None:
    """A pool whose only thread is taken stands for a driver that cannot be ended."""
    is_free = threading.Event()

    async def run(threads: ThreadPoolExecutor) -> Reason:
        spec = {"engine": "sqlite", "database": "data.db", "health": {"timeout": "50ms"}}
        sql.load("sqlite")
        threads.submit(is_free.wait)
        found = await probe(spec, "", make_tools(threads, tmp_path))
        is_free.set()
        return found.reason

    with ThreadPoolExecutor(max_workers=1) as threads:
        assert asyncio.run(run(threads)) is Reason.CONNECT_TIMEOUT


def test_no_driver_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, reconciler.probes.sql;"
        "print(sorted({'psycopg', 'pymysql', 'duckdb', 'sqlalchemy', 'httpx', 'pydantic'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
