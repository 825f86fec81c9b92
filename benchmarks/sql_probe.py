"""Client CPU of one SQL probe against the bare driver doing the same, side by side in one run.

The time of the server is not counted: on loopback it shares the processor with us. Rounds of both
sides alternate, and the ratio is that of their medians. PostgreSQL is started as a private process
where it is installed.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from benchmarks.measuring import Goal, Line
from reconciler.model import JsonObject, Outcome
from tests.servers.postgresql import PostgresServer, start_postgresql
from tests.servers.sql_specs import make_tools, password_of, probe

ROUNDS = 11
PROBES = 100


def lines() -> Iterator[Line]:
    """Measures a probe of a SQLite file, and one of PostgreSQL where that is installed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.sqlite"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("create table item (id integer)")
        file_spec = {"engine": "sqlite", "database": "data.sqlite"}
        yield compare("SQLite", file_spec, lambda: bare_sqlite(file), Path(folder), "")
    try:
        with start_postgresql() as server:
            server_spec: JsonObject = {
                "engine": "postgresql",
                "host": server.host,
                "port": server.port,
                "database": "postgres",
                "auth": password_of(server.superuser),
                "tls": {"mode": "disable"},
            }
            yield compare(
                "PostgreSQL", server_spec, lambda: bare_psycopg(server), Path(), server.password
            )
    except pytest.skip.Exception as missing:
        print(f"PostgreSQL is not measured: {missing}", file=sys.stderr)


def bare_sqlite(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.execute("select 1").fetchone()


def bare_psycopg(server: PostgresServer) -> None:
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.superuser,
        password=server.password,
        dbname="postgres",
        sslmode="disable",
    ) as connection:
        connection.execute("select 1").fetchone()


def compare(
    name: str, spec: JsonObject, bare: Callable[[], None], root: Path, password: str
) -> Line:
    """Returns the median CPU of a probe against that of the bare driver."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(measure(lambda: repeat(bare)))
        ours.append(measure(lambda: asyncio.run(probe_all(spec, root, password))))
    probe_us, driver_us = (statistics.median(rounds) / PROBES * 1e6 for rounds in (ours, theirs))
    return Line(
        work=f"SQL probe of {name}, client CPU, against the bare driver",
        value=probe_us / driver_us,
        unit="x",
        detail=f"{probe_us:.0f} us against {driver_us:.0f} us",
        goal=Goal(at_least=1.6, aim=1.3),
    )


def repeat(call: Callable[[], None]) -> None:
    for _ in range(PROBES):
        call()


def measure(run: Callable[[], object]) -> float:
    """Returns the CPU seconds of this process, all threads together, while `run` runs."""
    began = time.process_time()
    run()
    return time.process_time() - began


async def probe_all(spec: JsonObject, root: Path, password: str) -> None:
    with ThreadPoolExecutor(max_workers=4) as threads:
        tools = make_tools(threads, root, password)
        for _ in range(PROBES):
            found = await probe(spec, password, tools)
            assert found.outcome is Outcome.OK, found.message
