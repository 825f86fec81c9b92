"""The databases that SQL tests probe, each started at the first test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import trustme

from tests.servers.clickhouse import ClickHouse, start_clickhouse
from tests.servers.mariadb import PASSWORD, mariadb
from tests.servers.postgresql import PostgresServer, postgresql, start_postgresql
from tests.servers.sql_specs import Check, CheckWith, Database, check_in, check_with_in

__all__ = ["mariadb", "postgresql"]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Gives a pool of threads; leaving waits for all of them, so that none is left over."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield pool


@pytest.fixture
def check(threads: ThreadPoolExecutor, tmp_path: Path) -> Check:
    """Gives a function that probes once; relative database files lie in `tmp_path`."""
    return check_in(threads, tmp_path)


@pytest.fixture
def check_with(threads: ThreadPoolExecutor, tmp_path: Path) -> CheckWith:
    """As `check`, with any secrets."""
    return check_with_in(threads, tmp_path)


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    """Gives the ClickHouse engine behind TLS."""
    with start_clickhouse(has_tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def plain_database(postgresql: PostgresServer) -> Database:
    """Gives a database on the server without TLS."""
    return _prepare(postgresql, "")


@pytest.fixture(scope="session")
def tls_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Gives a database on a server whose certificate is for localhost and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "server.crt"))
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    with start_postgresql(certificate=folder / "server.crt", key=folder / "server.key") as server:
        yield _prepare(server, authority.cert_pem.bytes().decode())


def _prepare(server: PostgresServer, authority: str) -> Database:
    name = server.make_database()
    role = server.make_role("replaced below")
    with server.connect(name) as connection:
        statement = psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(
            statement.format(psycopg.sql.Identifier(role), psycopg.sql.Literal(PASSWORD))
        )
        connection.execute("CREATE TABLE item (id int)")
        connection.execute("CREATE TABLE hidden (id int)")
        connection.execute("INSERT INTO item VALUES (1), (2)")
        granted = psycopg.sql.SQL("GRANT SELECT, INSERT ON item TO {}")
        connection.execute(granted.format(psycopg.sql.Identifier(role)))
    return Database(server=server, name=name, role=role, authority=authority)
