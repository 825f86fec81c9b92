"""The table of drivers: every engine has one, and a missing library is said with its remedy."""

from __future__ import annotations

import sys

import pytest

from reconciler.clients import sql
from reconciler.errors import ConnectionFailed
from reconciler.kinds import engines
from reconciler.kinds.engine_traits import Engine
from reconciler.model import Reason


def test_every_engine_has_a_driver() -> None:
    assert {row.driver for row in engines.ROWS} == set(sql.DRIVERS)


@pytest.mark.parametrize("row", engines.ROWS, ids=lambda row: row.name)
def test_drivers_with_a_dialect_and_no_others_give_connections(row: Engine) -> None:
    has_dialect = any(other.dialect for other in engines.ROWS if other.driver == row.driver)
    assert has_dialect == (sql.load(row.name).open_connection is not None)


@pytest.mark.parametrize(
    ("engine", "library", "hint"),
    [
        ("postgresql", "psycopg", 'install it: `pip install "reconciler[postgres]"`'),
        ("mariadb", "pymysql", 'install it: `pip install "reconciler[mysql]"`'),
        (
            "clickhouse",
            "clickhouse_connect",
            'install it: `pip install "reconciler[clickhouse]"`',
        ),
        ("trino", "trino", 'install it: `pip install "reconciler[trino]"`'),
        ("oracle", "oracledb", 'install it: `pip install "reconciler[oracle]"`'),
        ("vertica", "vertica_python", 'install it: `pip install "reconciler[vertica]"`'),
        ("firebird", "firebirdsql", 'install it: `pip install "reconciler[firebird]"`'),
        ("mssql", "pytds", 'install it: `pip install "reconciler[mssql]"`'),
        ("cockroachdb", "psycopg", 'install it: `pip install "reconciler[postgres]"`'),
        ("duckdb", "duckdb", 'install it: `pip install "reconciler[duckdb]"`'),
    ],
)
def test_a_missing_library_is_said_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, engine: str, library: str, hint: str
) -> None:
    module = sql.DRIVERS[engines.ENGINES[engine].driver].module
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in [name for name in sys.modules if name.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConnectionFailed) as caught:
        sql.load(engine)
    assert (caught.value.reason, caught.value.message, caught.value.hint) == (
        Reason.DRIVER_MISSING,
        f"the library for {engine} is not installed here",
        hint,
    )
