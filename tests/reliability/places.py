"""A store's whole content as one value, and the store set back to an earlier moment.

Read behind the program's back, so that nothing of it can hide a row. Numbers that the database
gives are left out: PostgreSQL does not give back those of a transaction that failed.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg

from reconciler.stores import Opening, open_store, tables
from tests import factories

#: Every row of every table that has rows; `meta` is random and left out.
Contents: TypeAlias = dict[str, list[tuple[Any, ...]]]
_DRAFT = re.compile(r"\.[0-9a-f]+\.draft")
_TABLES = [table.name for table in tables.METADATA.sorted_tables if table.name != "meta"]


class Place(Protocol):
    """Where a store is."""

    @property
    def url(self) -> str: ...

    def contents(self) -> Contents:
        """Returns what the store holds; a store without any row holds nothing."""

    def remains(self, *, is_random: bool) -> object:
        """Returns what a kill has left, as an equal value where nothing can tell it apart.

        Where the bytes are random, sizes have to do.
        """

    def save(self) -> None:
        """Keeps the store as it is now, for `restore`."""

    def restore(self) -> None:
        """Makes the store what it was when it was saved."""


class File:
    """A store in a SQLite file; saving it copies the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._saved = folder / "state", folder / "saved"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.path = self._folder / "state.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def contents(self) -> Contents:
        if not self.path.exists():
            return {}
        with closing(sqlite3.connect(self.path)) as connection:
            return _contents(lambda statement: connection.execute(statement).fetchall())

    def remains(self, *, is_random: bool) -> object:
        # A reader builds the -shm file anew, and a draft has another name each time.
        kept = (file for file in self._folder.iterdir() if not file.name.endswith("-shm"))
        return sorted(
            (_DRAFT.sub("", file.name), file.stat().st_size if is_random else file.read_bytes())
            for file in kept
        )

    def save(self) -> None:
        shutil.copytree(self._folder, self._saved)

    def restore(self) -> None:
        shutil.rmtree(self._folder)
        shutil.copytree(self._saved, self._folder)


class Schema:
    """A store in a PostgreSQL schema of its own; saving it copies the tables into another."""

    def __init__(self, url: str) -> None:
        self._url = url
        plain, _, options = url.partition("?")
        self._name = options.rpartition("%3D")[2]
        self._saved = f"{self._name}_saved"
        # Tables change their columns between two looks, which a prepared statement does not bear.
        self._connection = psycopg.connect(
            f"{plain}?sslmode=disable", autocommit=True, prepare_threshold=None
        )

    @property
    def url(self) -> str:
        return self._url

    def contents(self) -> Contents:
        if not self._columns(self._name):
            return {}
        self._run(f"SET search_path = {self._name}")
        return _contents(self._run)

    def remains(self, *, is_random: bool) -> object:
        return self.contents(), self._columns(self._name)

    def save(self) -> None:
        self._run(f"CREATE SCHEMA {self._saved}")
        for table in self._columns(self._name):
            self._run(f"CREATE TABLE {self._saved}.{table} AS TABLE {self._name}.{table}")

    def restore(self) -> None:
        saved = self._columns(self._saved)
        if self._columns(self._name) != saved:
            self._run(f"DROP SCHEMA {self._name} CASCADE")
            self._run(f"CREATE SCHEMA {self._name}")
            if saved:
                open_store(self._url, Opening.WRITE, now=factories.NOW).close()
        if saved:
            self._refill()

    def close(self) -> None:
        """Forgets what was saved."""
        self._run(f"DROP SCHEMA IF EXISTS {self._saved} CASCADE")
        self._connection.close()

    def _refill(self) -> None:
        name, names = self._name, [*_TABLES, "meta", tables.VERSION_TABLE]
        statements = [f"TRUNCATE {', '.join(f'{name}.{table}' for table in names)}"]
        statements += [f"INSERT INTO {name}.{t} SELECT * FROM {self._saved}.{t}" for t in names]
        statements += [
            f"SELECT setval(pg_get_serial_sequence('{name}.{table}', '{column.name}'), 1000000)"
            for table, column in tables.COUNTERS.items()
        ]
        with self._connection.transaction():
            for statement in statements:
                self._run(statement)

    def _columns(self, schema: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column in self._run(
            "SELECT table_name, column_name FROM information_schema.columns"
            f" WHERE table_schema = '{schema}' ORDER BY table_name, ordinal_position"
        ):
            found.setdefault(table, []).append(column)
        return found

    def _run(self, statement: str) -> Sequence[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def open_place(url: str, folder: Path) -> Iterator[Place]:
    """Gives the place that a test's store is to be in: the schema of `url`, or a file."""
    if not url:
        yield File(folder)
        return
    schema = Schema(url)
    try:
        yield schema
    finally:
        schema.close()


def _contents(query: Callable[[str], Sequence[tuple[Any, ...]]]) -> Contents:
    found: Contents = {}
    for name in (*_TABLES, tables.VERSION_TABLE):
        rows = query(f"SELECT * FROM {name} ORDER BY 1")
        if name in tables.COUNTERS:
            found[name] = [row[1:] for row in rows]
        else:
            found[name] = sorted(rows, key=repr)
    if not any(found[name] for name in _TABLES):
        return {}
    return found
