"""The store on a relational database: every statement, the same for SQLite and PostgreSQL.

Implements the `Store` Protocol on top of `Transactions`, which alone knows the database. Core with
`executemany`, no ORM: as fast as the bare driver, and no object of it travels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import (
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    or_,
    select,
    update,
)

from reconciler.errors import RowsMoved
from reconciler.model import Event, Observation, Phase, Recorded, Revision, Run
from reconciler.stores import (
    EventQuery,
    HealthWrite,
    LoginRequest,
    Meta,
    RowOp,
    RowWrite,
    Verdict,
    Write,
    bulk,
    inspection,
    logins,
    new_file,
    rows,
    sealed,
    tables,
    texts,
)
from reconciler.stores.batches import batches
from reconciler.stores.rows import Value
from reconciler.stores.transactions import LOCK_TIMEOUT_S, Transactions
from reconciler.values import dataclass

_row = tables.connections.c


class DatabaseStore(sealed.SealedStore):
    """A `Store` on a database whose tables are at this program's version."""

    def __init__(self, transactions: Transactions, meta: Meta) -> None:
        self._transactions = transactions
        self._meta = meta

    @property
    def meta(self) -> Meta:
        return self._meta

    def recorded(self, *, archived: bool = False) -> tuple[Recorded, ...]:
        statement = select(tables.connections)
        if not archived:
            is_live = _row.phase != Phase.ARCHIVED.value
            statement = statement.where(or_(is_live, _row.hold.is_not(None)))
        found = self._read("connections", rows.recorded, statement)
        last_first = sorted(found, key=lambda row: row.status.since_at, reverse=True)
        return tuple(sorted(last_first, key=_ref_order))

    def readings(self, stack: str) -> Mapping[str, str]:
        kept = tables.readings.c
        statement = select(kept.path, kept.fact).where(kept.stack == stack)
        with self._transactions.reading() as connection:
            found = connection.execute(statement).all()
        # SQLite keeps whatever it is given; what is no text is no entry.
        return {path: fact for path, fact in found if type(path) is type(fact) is str}

    def find(self, uids: Sequence[str]) -> tuple[Recorded, ...]:
        with self._transactions.reading() as connection:
            found = {
                row[0]: rows.parsed("connections", rows.recorded, row)
                for batch in batches(uids)
                for row in connection.execute(select(tables.connections).where(_row.uid.in_(batch)))
            }
        return tuple(found[uid] for uid in uids if uid in found)

    def commit(self, write: Write, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        if write.is_empty:
            return
        with self._transactions.writing(lock_timeout_s) as connection:
            _write_rows(connection, write.rows)
            if ended := [row.row.uid for row in write.rows if row.is_end]:
                sealed.forget_tokens(connection, ended)
            _insert(connection, tables.revisions, rows.revision_columns, _kept_revisions(write))
            _insert(connection, tables.events, rows.event_columns, write.events)
            if write.run is not None:
                _insert(connection, tables.runs, rows.run_columns, (write.run,))
            _write_readings(connection, write)
            if write.forgive:
                logins.forgive(connection, write.forgive, now=_moment_of(write))

    def reserve(
        self, requests: Sequence[LoginRequest], *, now: datetime, budget: int
    ) -> tuple[Verdict, ...]:
        if not requests:
            return ()
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            return logins.reserve(connection, requests, now=now, budget=budget)

    def has_failed(self, credential_key: str) -> bool:
        with self._transactions.reading() as connection:
            return logins.has_failed(connection, credential_key)

    def release(self, requests: Sequence[LoginRequest]) -> None:
        if not requests:
            return
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            logins.release(connection, requests)

    def bar(self, request: LoginRequest, *, now: datetime) -> None:
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            logins.bar(connection, request, now=now)

    def settle(self, request: LoginRequest, *, is_accepted: bool, now: datetime) -> None:
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            logins.settle_one(connection, request, is_accepted=is_accepted, now=now)

    def record(self, writes: Sequence[HealthWrite], *, now: datetime) -> tuple[str, ...]:
        if not writes:
            return ()
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            versions = {
                uid: row.version
                for uid, row in _current(connection, {write.row.uid for write in writes}).items()
            }
            fresh: list[HealthWrite] = []
            moved: list[str] = []
            for write in writes:
                if versions.get(write.row.uid) == write.expected:
                    versions[write.row.uid] = write.row.version
                    fresh.append(write)
                else:
                    moved.append(write.row.uid)
            _update(connection, [write.row for write in fresh])
            found = [write.observation for write in fresh]
            _insert(connection, tables.observations, rows.observation_columns, found)
            events = [event for write in fresh for event in write.events]
            _insert(connection, tables.events, rows.event_columns, events)
            logins.settle(connection, writes, now=now)
        return tuple(moved)

    def revisions(self, uid: str) -> tuple[Revision, ...]:
        table = tables.revisions
        statement = select(table).where(table.c.uid == uid).order_by(table.c.number)
        return self._read("revisions", rows.revision, statement)

    def events(self, query: EventQuery) -> tuple[Event, ...]:
        event = tables.events.c
        statement = select(tables.events).where(event.id > query.after_id)
        if query.uid is not None:
            statement = statement.where(event.uid == query.uid)
        if query.ref is not None:
            statement = statement.where(event.ref_key == query.ref.key)
        if query.types:
            statement = statement.where(event.type.in_(query.types))
        if query.since is not None:
            statement = statement.where(event.at >= texts.moment_text(query.since))
        newest_first = statement.order_by(event.id.desc()).limit(query.limit)
        return self._read("events", rows.event, newest_first)[::-1]

    def observations(self, uid: str, *, limit: int = 100) -> tuple[Observation, ...]:
        seen = tables.observations.c
        statement = select(tables.observations).where(seen.uid == uid)
        newest_first = statement.order_by(seen.id.desc()).limit(limit)
        return self._read("observations", rows.observation, newest_first)

    def runs(self, *, limit: int = 50) -> tuple[Run, ...]:
        statement = select(tables.runs).order_by(tables.runs.c.number.desc()).limit(limit)
        return self._read("runs", rows.run, statement)

    def check(self) -> tuple[str, ...]:
        return inspection.findings(self._transactions)

    def backup(self, path: str) -> None:
        with new_file.new_file(Path(path).absolute()) as draft:
            self._transactions.copy_to(draft)

    def close(self) -> None:
        self._transactions.close()

    def _read(
        self, table: str, parse: Callable[[rows.Row], Value], statement: Select[*tuple[object, ...]]
    ) -> tuple[Value, ...]:
        with self._transactions.reading() as connection:
            found = connection.execute(statement).all()
        return tuple(rows.parsed(table, parse, row) for row in found)


def _ref_order(row: Recorded) -> tuple[str, str, str, bool]:
    return row.ref.kind, row.ref.namespace, row.ref.name, not row.status.is_live


def _moment_of(write: Write) -> datetime | None:
    """Returns when `write` happens, as its own values say, else None; a store has no clock."""
    moments = [event.at for event in write.events] + [row.row.updated_at for row in write.rows]
    moments += [write.run.at] if write.run else []
    return max(moments, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Current:
    version: int
    ref_key: str


def _current(connection: Connection, uids: Collection[str]) -> dict[str, _Current]:
    """Returns the rows as they are now, locked until the transaction ends."""
    columns = select(_row.uid, _row.version, _row.ref_key)
    return {
        uid: _Current(version=version, ref_key=ref_key)
        for batch in batches(uids)
        for uid, version, ref_key in connection.execute(
            columns.where(_row.uid.in_(batch)).with_for_update()
        ).all()
    }


def _write_rows(connection: Connection, writes: Sequence[RowWrite]) -> None:
    """Compares and sets; names are freed before others take them, so that swaps work."""
    if not writes:
        return
    # A uid that is taken, or a name, is what the insert itself fails at.
    known = [write.row.uid for write in writes if write.op is not RowOp.INSERT]
    current = _current(connection, known)
    _require_unmoved(writes, current)
    by_op = {op: [write.row for write in writes if write.op is op] for op in RowOp}
    if deleted := by_op[RowOp.DELETE]:
        statement = delete(tables.connections).where(_row.uid == bindparam("row_uid"))
        connection.execute(statement, [{"row_uid": row.uid} for row in deleted])
    updated = sorted(by_op[RowOp.UPDATE], key=lambda row: row.status.is_live)
    renamed = [row.uid for row in updated if row.ref.key != current[row.uid].ref_key]
    for batch in batches(renamed):
        connection.execute(
            update(tables.connections).where(_row.uid.in_(batch)).values(ref_key=_row.uid)
        )
    _update(connection, updated)
    _insert(connection, tables.connections, rows.recorded_columns, by_op[RowOp.INSERT])


def _require_unmoved(writes: Sequence[RowWrite], current: dict[str, _Current]) -> None:
    moved = [
        write.row.ref for write in writes if _version(current.get(write.row.uid)) != write.expected
    ]
    if moved:
        others = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
        message = f"another process changed {moved[0]}{others} meanwhile"
        raise RowsMoved(message, "run it again: the plan is made anew")


def _version(row: _Current | None) -> int | None:
    return None if row is None else row.version


def _kept_revisions(write: Write) -> tuple[Revision, ...]:
    """Returns the revisions to store: a deleted row takes its revisions with it."""
    deleted = {row.row.uid for row in write.rows if row.op is RowOp.DELETE}
    return tuple(revision for revision in write.revisions if revision.uid not in deleted)


def _write_readings(connection: Connection, write: Write) -> None:
    kept = tables.readings.c
    for batch in batches(write.forgotten):
        gone = delete(tables.readings).where(kept.stack == write.stack, kept.path.in_(batch))
        connection.execute(gone)
    values = [(write.stack, reading.path, reading.fact) for reading in write.readings]
    bulk.replace(connection, tables.readings, values)


def _update(connection: Connection, changed: Sequence[Recorded]) -> None:
    bulk.update(connection, tables.connections, [rows.recorded_columns(row) for row in changed])


def _insert(
    connection: Connection,
    table: Table,
    columns_of: Callable[[Value], rows.Columns],
    values: Sequence[Value],
) -> None:
    bulk.insert(connection, table, [columns_of(value) for value in values])
