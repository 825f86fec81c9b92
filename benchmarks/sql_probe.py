"""Client CPU of one SQL probe against the bare driver doing the same, side by side in one run.

The time of the server is not counted: on loopback it shares the processor with us. Rounds of both
sides alternate, and the median of their ratios counts. PostgreSQL is started as a private process
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
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest

from benchmarks.measuring import Goal, Line
from reconciler import probes
from reconciler.model import JsonObject, Outcome
from reconciler.redact import Secret
from reconciler.settings import HealthSettings
from tests.servers.postgresql import PostgresServer, start_postgresql
from tests.servers.sql_specs import make_target, make_tools, password_of

ROUNDS = 11
PROBES = 200
#: As many as a pass has in flight.
IN_FLIGHT = HealthSettings().concurrency
_READS_A_ROW = "select id from item limit 1"


def lines() -> Iterator[Line]:
    """Measures a probe of a SQLite file, and one of PostgreSQL where that is installed."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _sqlite(Path(folder))
    try:
        with start_postgresql() as server:
            yield _postgresql(server)
    except pytest.skip.Exception as missing:
        print(f"PostgreSQL is not measured: {missing}", file=sys.stderr)


def _sqlite(folder: Path) -> Iterator[Line]:
    """Yields the file probe three times.

    The bare driver never reads the file for `select 1`, and we do, or a file of noise would pass:
    so a query that reads a row is measured too. One at a time, a thread is woken for each probe,
    which alone takes longer than the bare driver; the last line says how long.
    """
    file = folder / "data.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table item (id integer)")
        connection.execute("insert into item values (1)")
        connection.commit()
    spec: JsonObject = {"engine": "sqlite", "database": file.name}
    reading: JsonObject = {**spec, "health": {"query": _READS_A_ROW}}
    plain = compare("SQLite, `select 1`", spec, lambda: bare_sqlite(file, "select 1"), root=folder)
    yield replace(plain, cause="the bare driver never reads the file, and we do")
    yield compare(
        "SQLite, reading a row", reading, lambda: bare_sqlite(file, _READS_A_ROW), root=folder
    )
    alone = compare(
        "SQLite, `select 1`, one at a time",
        spec,
        lambda: bare_sqlite(file, "select 1"),
        root=folder,
        in_flight=1,
    )
    hop_us = min(measure(lambda: asyncio.run(hop_all())) for _ in range(ROUNDS)) / PROBES * 1e6
    yield replace(alone, cause=f"a thread is woken for each, which alone takes {hop_us:.0f} us")


def _postgresql(server: PostgresServer) -> Line:
    spec: JsonObject = {
        "engine": "postgresql",
        "host": server.host,
        "port": server.port,
        "database": "postgres",
        "auth": password_of(server.superuser),
        "tls": {"mode": "disable"},
    }
    bare = partial(bare_psycopg, server)
    return compare("PostgreSQL", spec, bare, password=server.password, in_flight=1)


def bare_sqlite(file: Path, query: str) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.execute(query).fetchone()


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
    name: str,
    spec: JsonObject,
    bare: Callable[[], None],
    *,
    root: Path = Path(),
    password: str = "",
    in_flight: int = IN_FLIGHT,
) -> Line:
    """Returns the median CPU of a probe against that of the bare driver."""
    pairs = [
        (
            measure(lambda: asyncio.run(probe_all(spec, root, password, in_flight))),
            measure(lambda: repeat(bare)),
        )
        for _ in range(ROUNDS)
    ]
    ours, theirs = (statistics.median(side) / PROBES * 1e6 for side in zip(*pairs, strict=True))
    return Line(
        work=f"SQL probe of {name}, client CPU, against the bare driver",
        value=statistics.median(mine / least for mine, least in pairs),
        unit="x",
        detail=f"{ours:.0f} us against {theirs:.0f} us",
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


async def probe_all(spec: JsonObject, root: Path, password: str, in_flight: int) -> None:
    with ThreadPoolExecutor(in_flight) as threads:
        tools = make_tools(threads, root, password)
        target = make_target(spec)
        secrets = {"/auth/password": Secret(password)} if password else {}
        run = probes.probe("SqlConnection")
        left = iter(range(PROBES))

        async def work() -> None:
            for _ in left:
                found = await run(target, secrets, tools, reached=())
                assert found.outcome is Outcome.OK, found.message

        await asyncio.gather(*(work() for _ in range(in_flight)))


async def hop_all() -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as threads:
        for _ in range(PROBES):
            await loop.run_in_executor(threads, int)
