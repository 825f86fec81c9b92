"""Copies of a whole store: every backup is a SQLite file, and can be restored into any store.

One format for both databases, so that a backup can be inspected with this program itself
(`--state sqlite:///file`) and a state can move from SQLite to PostgreSQL. A restore checks the copy
first and then replaces everything in one transaction, so that a kill leaves the old state.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, insert, select

from reconciler.errors import ConfigError, Refused, StoreDamaged
from reconciler.network import StateReach
from reconciler.stores import (
    Opening,
    faults,
    inspection,
    opening,
    postgresql,
    sqlite,
    sqlite_file,
    tables,
)
from reconciler.stores.transactions import LOCK_TIMEOUT_S, Transactions

_BATCH = 1000
_OTHER = "use another backup"


def copy_rows(source: Connection, target: Connection) -> None:
    """Copies every row of every table into the empty tables of `target`, numbers included."""
    for table in (*tables.METADATA.sorted_tables, tables.version):
        found = source.execution_options(yield_per=_BATCH).execute(select(table))
        for batch in found.mappings().partitions(_BATCH):
            target.execute(insert(table), [dict(row) for row in batch])


def restore(
    url: str,
    path: str,
    *,
    replace: bool = False,
    now: datetime,
    reach: StateReach = StateReach(),  # noqa: B008 -- frozen
) -> None:
    """Makes the store at `url` equal to the backup file `path`, its lineage and key too.

    But for the logins that have failed: servers have counted them and are not set back. What is
    known of them stays where the backup is of the same store.
    A store that holds anything is replaced only with `replace`; a damaged SQLite file is then moved
    aside, with the time in its name.

    Raises:
        StoreDamaged: the backup is no sound store, or the target is damaged and may not be
            replaced; the target was not touched.
        MigrationRequired: backup or target has another version of the tables.
        Refused: the target holds something and `replace` is not given.
        StoreUnavailable, Conflict: the target cannot be opened or written.
    """
    with _sound_backup(path) as source:
        if urlsplit(url).scheme.startswith("postgresql"):
            target: Transactions = postgresql.PostgresqlTransactions(
                postgresql.parse_url(url), reach.network
            )
        else:
            opened = _sqlite_target(
                sqlite_file.parse_path(url, reach), source, replace=replace, now=now
            )
            if opened is None:
                return
            target = opened
        try:
            _replace_rows(source, target, replace=replace)
        finally:
            target.close()


@contextmanager
def _sound_backup(path: str) -> Iterator[Connection]:
    """Gives a connection to a backup that was checked whole and has this program's tables."""
    transactions = sqlite.open_file(Path(path).absolute(), Opening.READ)
    try:
        with transactions.reading() as connection:
            version = opening.found_version(connection, path)
            if version is None:
                raise StoreDamaged(f"the backup {path} has no tables", _OTHER)
            opening.require_head(version, path)
        if found := inspection.findings(transactions):
            raise StoreDamaged(f"the backup {path} is damaged: {found[0]}", _OTHER)
        with transactions.reading() as connection:
            yield connection
    finally:
        transactions.close()


def _sqlite_target(
    path: Path | None, source: Connection, *, replace: bool, now: datetime
) -> sqlite.SqliteTransactions | None:
    """Opens the file to be replaced; None where there was none and it was made from the backup."""
    if path is None:
        raise ConfigError("a state in memory cannot be restored", "name a file with `--state`")
    if path.exists():
        try:
            return sqlite.open_file(path, Opening.WRITE)
        except StoreDamaged:
            if not replace:
                raise
            _move_aside(path, now)

    def build(made: Connection) -> None:
        opening.create_tables(made)
        copy_rows(source, made)

    if sqlite.make_file(path, build):
        return None
    return sqlite.open_file(path, Opening.WRITE)


def _replace_rows(source: Connection, target: Transactions, *, replace: bool) -> None:
    with target.writing(LOCK_TIMEOUT_S) as connection:
        attempts = None
        found = opening.found_version(connection, target.place)
        if found is None:
            opening.create_tables(connection)
        else:
            opening.require_head(found, target.place)
            if not replace and _holds_anything(connection):
                raise Refused(
                    f"the state store {target.place} is not empty",
                    "add `--replace` to give up what it holds",
                )
            attempts = _attempts(connection, source)
            for table in (*reversed(tables.METADATA.sorted_tables), tables.version):
                connection.execute(table.delete())
        copy_rows(source, connection)
        if attempts is not None:
            connection.execute(tables.login_attempts.delete())
        if attempts:
            connection.execute(insert(tables.login_attempts), attempts)
        if connection.dialect.name == "postgresql":
            _advance_sequences(connection)


def _holds_anything(connection: Connection) -> bool:
    kept = (tables.connections, tables.events, tables.runs, tables.sealed)
    return any(connection.execute(select(table).limit(1)).first() for table in kept)


def _attempts(target: Connection, source: Connection) -> list[dict[str, Any]] | None:
    """Returns the login attempts of `target`; None where `source` is another store's.

    Then another key has named the credentials.
    """
    lineage = select(tables.meta.c.lineage)
    if target.execute(lineage).scalar() != source.execute(lineage).scalar():
        return None
    found = target.execute(select(tables.login_attempts)).mappings()
    return [dict(row) for row in found]


def _advance_sequences(connection: Connection) -> None:
    """Makes PostgreSQL number new rows after the copied ones; SQLite does so by itself."""
    for name, column in tables.COUNTERS.items():
        sequence = func.pg_get_serial_sequence(name, column.name)
        newest = func.coalesce(func.max(column), 0) + 1
        connection.execute(select(func.setval(sequence, newest, False)))


def _move_aside(path: Path, now: datetime) -> None:
    """Renames a damaged file, and what SQLite keeps beside it, out of the way."""
    kept = f"{path.name}.damaged-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    try:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(path.with_name(kept + suffix))
    except OSError:
        raise faults.SQLITE[sqlite3.SQLITE_READONLY].at(str(path)) from None
