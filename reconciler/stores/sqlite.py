"""The state store in a SQLite file, or in memory.

Writers use WAL, `synchronous=FULL` and `BEGIN IMMEDIATE`: the one mode that loses no update and
reports no false "locked" (reliability M1-M3). A new store is built under a draft name and linked,
so that a file of zero bytes is damage and never a store being made. Opening for reading never
makes a store, and SQLite itself forbids every change of its content (`query_only`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from reconciler.errors import StoreDamaged, StoreUnavailable
from reconciler.network import StateReach
from reconciler.stores import (
    Opening,
    Store,
    database,
    faults,
    new_file,
    opening,
    sqlite_file,
    tables,
)
from reconciler.stores.transactions import LOCK_TIMEOUT_S

#: Marks the file as ours (https://sqlite.org/pragma.html#pragma_application_id): "Rcnc".
APPLICATION_ID = 0x52636E63
#: One database per process, gone when its last store is closed.
_MEMORY = "file:/reconciler?vfs=memdb"


def open_store(
    url: str,
    opened: Opening,
    *,
    keys: Sequence[bytes],
    now: datetime,
    reach: StateReach = StateReach(),  # noqa: B008 -- frozen
) -> Store:
    """Opens `sqlite:///path`, or `sqlite://` for memory; see `stores.open_store`.

    For writing it makes a missing file and a missing last folder, and migrates older tables after
    leaving a copy beside the file.
    """

    def build(made: Connection) -> None:
        opening.create(made, keys=keys, now=now)

    path = sqlite_file.parse_path(url, reach)
    if path is None:
        transactions = SqliteTransactions(_MEMORY, "sqlite://", is_memory=True)
    else:
        if opened is Opening.WRITE and not path.exists():
            make_file(path, build)
        transactions = open_file(path, opened)
    try:
        if path is not None and opened is Opening.WRITE:
            _migrate_older(transactions, path, now)
        meta = opening.open_meta(transactions, opened, keys=keys, now=now)
    except BaseException:
        transactions.close()
        raise
    return database.DatabaseStore(transactions, meta)


def open_file(path: Path, opened: Opening) -> SqliteTransactions:
    """Opens the file of a store, whatever the version of its tables.

    Raises:
        StoreUnavailable: it is missing, or cannot be opened.
        StoreDamaged: it is empty, short, damaged or of another program.
    """
    sqlite_file.require_file(path)
    is_reading = opened is Opening.READ
    uri = sqlite_file.reading_uri(path) if is_reading else sqlite_file.writing_uri(path)
    transactions = SqliteTransactions(uri, str(path), is_reading=is_reading)
    try:
        _require_sound(transactions, path)
    except BaseException:
        transactions.close()
        raise
    return transactions


def make_file(path: Path, build: Callable[[Connection], None]) -> bool:
    """Makes the store file `path` and what it holds; returns False where another was first.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    sqlite_file.make_folder(path.parent)
    try:
        with new_file.new_file(path) as draft:
            fill(draft, build)
    except StoreUnavailable:
        if not path.exists():
            raise
        return False
    return True


def fill(path: Path, build: Callable[[Connection], None]) -> None:
    """Builds a store in the empty file `path`: `build` in one transaction, then our marks.

    Raises:
        StoreUnavailable: the file cannot be written, or its file system knows no WAL.
    """
    transactions = SqliteTransactions(sqlite_file.writing_uri(path), str(path))
    try:
        with transactions.writing(LOCK_TIMEOUT_S) as connection:
            build(connection)
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {len(tables.REVISIONS)}")
    finally:
        transactions.close()
    with faults.translated(faults.sqlite_fault, str(path)), closing(sqlite3.connect(path)) as file:
        mode = file.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreUnavailable(
            f"the file system of {path} cannot hold a state store",
            "use a local disk, or PostgreSQL",
        )


class SqliteTransactions:
    """Transactions on one SQLite database."""

    def __init__(
        self, uri: str, place: str, *, is_memory: bool = False, is_reading: bool = False
    ) -> None:
        self._place = place
        connect = _connector(uri, is_reading=is_reading)
        self._engine = _make_engine(connect)
        # Memory lives as long as one connection to it.
        self._anchor = connect() if is_memory else None

    @property
    def place(self) -> str:
        return self._place

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._transaction("BEGIN", LOCK_TIMEOUT_S) as connection:
            yield connection

    @contextmanager
    def writing(self, lock_timeout_s: float) -> Iterator[Connection]:
        with self._transaction("BEGIN IMMEDIATE", lock_timeout_s) as connection:
            yield connection

    def integrity(self) -> tuple[str, ...]:
        with self.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        found = [f"the file is damaged: {page}" for page in pages if page != "ok"]
        found += [f"a row of `{table}` belongs to no connection" for table, *_ in orphans[:20]]
        return tuple(found)

    def copy_to(self, path: Path) -> None:
        with self.reading() as connection, closing(sqlite3.connect(path)) as copy:
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(copy)
            copy.execute(f"PRAGMA application_id = {APPLICATION_ID}")  # memory has none
            # A copy is one file, which can be read from a medium that cannot be written.
            copy.execute("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        self._engine.dispose()
        if self._anchor is not None:
            self._anchor.close()

    @contextmanager
    def _transaction(self, begin: str, wait_s: float) -> Iterator[Connection]:
        with faults.translated(faults.sqlite_fault, self._place), self._engine.connect() as raw:
            connection = raw.execution_options(begin=begin, wait_s=wait_s)
            with connection.begin():
                yield connection


def _make_engine(connect: Callable[[], sqlite3.Connection]) -> Engine:
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, max_overflow=-1, hide_parameters=True
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """Opens the transaction that the execution options ask for; the driver opens none itself."""
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(options['wait_s'] * 1000)}")
    connection.exec_driver_sql(options["begin"])


def _connector(uri: str, *, is_reading: bool) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            f"query_only = {int(is_reading)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    return connect


def _require_sound(transactions: SqliteTransactions, path: Path) -> None:
    """Refuses files of other programs, and short or damaged ones before anything is believed.

    The long check runs only where a `-wal` file was left, by a killed process or a running one.
    """
    was_left_open = sqlite_file.wal_of(path).exists()
    with transactions.reading() as connection:
        mark = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        if mark != APPLICATION_ID:
            raise StoreDamaged(
                f"{path} is not a state store, or its first page is damaged",
                "name another file with `--state`, or restore a backup; the file was left as it is",
            )
        if was_left_open:
            is_sound = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() == "ok"
        else:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            page_bytes = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            is_sound = path.stat().st_size >= pages * page_bytes
    if not is_sound:
        raise faults.SQLITE[sqlite3.SQLITE_CORRUPT].at(str(path))


def _migrate_older(transactions: SqliteTransactions, path: Path, now: datetime) -> None:
    with transactions.reading() as connection:
        found = opening.found_version(connection, transactions.place)
    if found in tables.REVISIONS[:-1]:
        from reconciler.stores import migrate

        migrate.upgrade_store(transactions, path, now=now)
