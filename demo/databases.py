"""The sample databases of `manifests/`, made from code: one file each for SQLite and DuckDB.

Apart from `project`, which decides where they are: this only says what is in them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb


def make_orders(file: Path) -> None:
    """Writes the SQLite file that `manifests/orders.yaml` counts the orders of."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("create table orders (id integer primary key, item text, pieces integer)")
        database.executemany(
            "insert into orders (item, pieces) values (?, ?)",
            [("lamp", 2), ("desk", 1), ("chair", 4)],
        )


def make_analytics(file: Path) -> None:
    """Writes the DuckDB file that `manifests/analytics.yaml` counts the sales of."""
    with duckdb.connect(str(file)) as database:
        database.execute("create table sales (month varchar, euros integer)")
        database.executemany(
            "insert into sales values (?, ?)", [["2026-01", 1200], ["2026-02", 1450]]
        )
