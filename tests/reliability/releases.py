"""Stores as released versions of the program left them, kept as rows in `releases/VERSION.json`.

A file holds every row of every table of a store of that version. The tables are made by the
migrations up to it, the rows put in as they are, on either database. A version is added with the
command at the end of this module and never changed afterwards.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, insert, select

from reconciler.stores import migrate, tables
from tests.contract import rivals

FOLDER = Path(__file__).with_name("releases")
#: What the sealed records of every version are sealed with.
KEY = bytes(range(32))
#: Table -> its rows, each column by name.
Rows: TypeAlias = dict[str, list[dict[str, Any]]]


def kept(version: str) -> Rows:
    """Returns the rows that a store of `version` held."""
    rows: Rows = json.loads(FOLDER.joinpath(f"{version}.json").read_text(encoding="utf-8"))
    return rows


def make(url: str, version: str) -> None:
    """Makes an existing, empty store at `url` one of `version`, with the rows that are kept."""
    transactions = rivals.open_transactions(url)
    try:
        with transactions.writing(5.0) as connection:
            for table in (*reversed(tables.METADATA.sorted_tables), tables.version):
                table.drop(connection)
            config = Config()
            config.set_main_option("script_location", str(migrate.SCRIPTS))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.upgrade(config, version)
            found = _reflected(connection)
            for table in found.sorted_tables:
                if rows := kept(version).get(table.name):
                    connection.execute(insert(table), rows)
    finally:
        transactions.close()


def rows(url: str) -> Rows:
    """Returns every row of the store at `url`, whatever its version."""
    transactions = rivals.open_transactions(url)
    try:
        with transactions.reading() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in _reflected(connection).sorted_tables
                if table.name != tables.VERSION_TABLE
            }
    finally:
        transactions.close()


def _reflected(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


if __name__ == "__main__":
    # python -m tests.reliability.releases sqlite:////path/to/state.db > releases/VERSION.json
    json.dump(rows(sys.argv[1]), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
