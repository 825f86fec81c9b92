"""The statements behind `vault.Vault`: sealed records, leases, uses; the same on every database.

Apart from `database.py`, whose store inherits them: nothing here touches a connection's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, literal, select, update

from reconciler.model import Event
from reconciler.stores import bulk, opening, rows, tables
from reconciler.stores.batches import batches
from reconciler.stores.texts import moment_text, parse_moment
from reconciler.stores.transactions import LOCK_TIMEOUT_S, Transactions
from reconciler.stores.vault import LONGEST_LEASE_S, SPACES, TOKEN, SealedRecord

_record = tables.sealed.c
_lease = tables.leases.c
_use = tables.uses.c


class SealedStore:
    """The part of a store that keeps sealed records, leases and uses."""

    _transactions: Transactions

    def sealed(self, space: str) -> tuple[SealedRecord, ...]:
        statement = select(tables.sealed).where(_record.space == space).order_by(_record.name)
        with self._transactions.reading() as connection:
            found = connection.execute(statement).all()
        values = (rows.parsed("sealed", record, row) for row in found)
        return tuple(sorted(values, key=lambda value: value.name))

    def find_sealed(self, space: str, name: str) -> SealedRecord | None:
        with self._transactions.reading() as connection:
            row = connection.execute(select(tables.sealed).where(_is(space, name))).first()
        return None if row is None else rows.parsed("sealed", record, row)

    def write_sealed(
        self, record: SealedRecord, *, expected: int | None, events: Sequence[Event] = ()
    ) -> bool:
        place = _is(record.space, record.name)
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            if _version(connection, place) != expected:
                return False
            if expected is None:
                connection.execute(insert(tables.sealed), columns(record))
            else:
                connection.execute(update(tables.sealed).where(place), columns(record))
            _log(connection, events)
        return True

    def delete_sealed(
        self, space: str, name: str, *, expected: int, events: Sequence[Event] = ()
    ) -> bool:
        place = _is(space, name)
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            if _version(connection, place) != expected:
                return False
            connection.execute(delete(tables.sealed).where(place))
            _log(connection, events)
        return True

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> bool:
        latest = now + timedelta(seconds=LONGEST_LEASE_S)
        if until > latest:
            raise ValueError("a lease is longer than any can be")
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            found = connection.execute(
                select(_lease.holder, _lease.until_at).where(_lease.name == name)
            ).first()
            if found is not None:
                other, ends = found
                if other != holder and moment_text(now) < ends <= moment_text(latest):
                    return False
                connection.execute(delete(tables.leases).where(_lease.name == name))
            values = {"name": name, "holder": holder, "until_at": moment_text(until)}
            connection.execute(insert(tables.leases), values)
        return True

    def release_lease(self, name: str, holder: str) -> None:
        statement = delete(tables.leases).where(_lease.name == name, _lease.holder == holder)
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            connection.execute(statement)

    def used(self, uid: str, at: datetime) -> None:
        moment = moment_text(at)
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            found = connection.execute(select(_use.used_at).where(_use.uid == uid)).scalar()
            if found is None:
                there = select(tables.connections.c.uid, literal(moment)).where(
                    tables.connections.c.uid == uid
                )
                connection.execute(insert(tables.uses).from_select(["uid", "used_at"], there))
            elif found < moment:
                later = update(tables.uses).where(_use.uid == uid)
                connection.execute(later.values(used_at=moment))

    def last_used(self, uid: str) -> datetime | None:
        with self._transactions.reading() as connection:
            row = connection.execute(select(tables.uses).where(_use.uid == uid)).first()
        return None if row is None else rows.parsed("uses", use, row)

    def rewrap(self, keys: Sequence[bytes], *, events: Sequence[Event] = ()) -> bool:
        with self._transactions.writing(LOCK_TIMEOUT_S) as connection:
            is_changed = opening.rewrap(connection, self._transactions.place, keys)
            if is_changed:
                _log(connection, events)
        return is_changed


def record(row: rows.Row) -> SealedRecord:
    """Returns the value of one row of `sealed`."""
    space, name, version, key_id, ciphertext, updated_at, expires_at = row
    if space not in SPACES:
        raise ValueError("a space that this program does not know")
    return SealedRecord(
        space=space,
        name=name,
        version=version,
        key_id=key_id,
        ciphertext=ciphertext,
        updated_at=_moment(updated_at),
        expires_at=None if expires_at is None else _moment(expires_at),
    )


def _moment(text: str) -> datetime:
    """Returns the moment; its text is bound to what is sealed, so another spelling is refused."""
    moment = parse_moment(text)
    if moment_text(moment) != text:
        raise ValueError("a moment written in another way")
    return moment


def lease_end(row: rows.Row) -> datetime:
    """Returns when the lease of one row of `leases` ends."""
    _name, _holder, until_at = row
    return parse_moment(until_at)


def use(row: rows.Row) -> datetime:
    """Returns the moment of one row of `uses`."""
    _uid, used_at = row
    return parse_moment(used_at)


def columns(record: SealedRecord) -> dict[str, object]:
    """Returns the columns of a sealed record."""
    return {
        "space": record.space,
        "name": record.name,
        "version": record.version,
        "key_id": record.key_id,
        "ciphertext": record.ciphertext,
        "updated_at": moment_text(record.updated_at),
        "expires_at": record.expires_at and moment_text(record.expires_at),
    }


def forget_tokens(connection: Connection, uids: Sequence[str]) -> None:
    """Deletes the tokens of connections that have ended."""
    for batch in batches(uids):
        of_them = and_(_record.space == TOKEN, _record.name.in_(batch))
        connection.execute(delete(tables.sealed).where(of_them))


def _is(space: str, name: str) -> ColumnElement[bool]:
    return and_(_record.space == space, _record.name == name)


def _version(connection: Connection, place: ColumnElement[bool]) -> int | None:
    return connection.execute(select(_record.version).where(place)).scalar()


def _log(connection: Connection, events: Sequence[Event]) -> None:
    bulk.insert(connection, tables.events, [rows.event_columns(e) for e in events])
