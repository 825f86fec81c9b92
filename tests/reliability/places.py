"""A store's whole content as one value, and the store set back to an earlier moment.

Read behind the program's back, so that nothing of it can hide a row. Numbers that the database
gives are left out: PostgreSQL does not give back those of a transaction that failed.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg

from reconciler.stores import tables

#: Every row of every table that has rows; `meta` is random and left out.
Contents: TypeAlias = dict[str, list[tuple[Any, ...]]]
_TABLES = [table.name for table in tables.METADATA.sorted_tables if table.name != "meta"]


class Place(Protocol):
    """Where a store is."""

    @property
    def url(self) -> str: ...

    def contents(self) -> Contents:
        """Returns what the store holds; a store without any row holds nothing."""

    def save(self) -> None:
        """Keeps the store as it is now, for `restore`."""

    def restore(self) -> None:
        """Makes the store what it was when it was saved."""


class File:
    """A store in a SQLite file; saving it copies the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._saved = folder / "state", folder / "saved"
        self._folder.mkdir()
        self.path = self._folder / "state.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def contents(self) -> Contents:
        if not self.path.exists():
            return {}
        with closing(sqlite3.connect(self.path)) as connection:
            return _contents(lambda statement: connection.execute(statement).fetchall())

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
        self._connection = psycopg.connect(f"{plain}?sslmode=disable", autocommit=True)

    @property
    def url(self) -> str:
        return self._url

    def contents(self) -> Contents:
        self._use(self._name)
        if not self._tables():
            return {}
        return _contents(lambda statement: self._connection.execute(statement.encode()).fetchall())
