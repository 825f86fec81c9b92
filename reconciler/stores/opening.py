"""Making a store and judging one that exists: the version of its tables, its key, its lineage.

Shared by all databases and apart from `database.py`, which may then assume tables that are its
own. A new store is made from `tables.py`; Alembic is imported only by `migrate.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, inspect, select, update

from reconciler.errors import MigrationRequired, StoreDamaged, StoreMissing
from reconciler.stores import Meta, Opening, fingerprint_key, tables, texts
from reconciler.stores.faults import RESTORE
from reconciler.stores.transactions import LOCK_TIMEOUT_S, Transactions


def open_meta(
    transactions: Transactions, opening: Opening, *, keys: Sequence[bytes], now: datetime
) -> Meta:
    """Returns what the store says of itself; for writing, makes the tables where there are none.

    Raises:
        StoreMissing: there is no store, and it is opened for reading.
        MigrationRequired: its tables have another version than this program's.
        ConfigError: the key that wraps its own is not among `keys`.
    """
    with transactions.reading() as connection:
        found = found_version(connection, transactions.place)
        if found is not None:
            require_head(found, transactions.place)
            meta, is_wrapped = _read_meta(connection, transactions.place, keys)
    if found is None:
        if opening is Opening.READ:
            raise missing(transactions.place)
        with transactions.writing(LOCK_TIMEOUT_S) as connection:
            if found_version(connection, transactions.place) is None:
                create(connection, keys=keys, now=now)
        return open_meta(transactions, opening, keys=keys, now=now)
    if opening is Opening.WRITE and keys and not is_wrapped:
        with transactions.writing(LOCK_TIMEOUT_S) as connection:
            rewrap(connection, transactions.place, keys)
    return meta


def found_version(connection: Connection, place: str) -> str | None:
    """Returns the version of the tables that are there, None where there are none."""
    if not inspect(connection).has_table(tables.VERSION_TABLE):
        return None
    versions = connection.execute(select(tables.version.c.version_num)).scalars().all()
    if len(versions) != 1:
        raise StoreDamaged(f"the state store {place} does not say its version", RESTORE)
    return str(versions[0])


def require_head(found: str, place: str) -> None:
    """Refuses tables of another version.

    Raises:
        MigrationRequired: older or newer.
    """
    if found == tables.HEAD:
        return
    if found in tables.REVISIONS:
        raise MigrationRequired(
            f"the state store {place} was written by an older version",
            "run `reconciler state migrate`",
        )
    raise MigrationRequired(
        f"the state store {place} was written by a newer version",
        "upgrade reconciler on this machine",
    )


def missing(place: str) -> StoreMissing:
    """Returns the error for a store that is not there."""
    return StoreMissing(
        f"there is no state store at {place}", "`reconciler apply` makes it, or check `--state`"
    )


def create(connection: Connection, *, keys: Sequence[bytes], now: datetime) -> None:
    """Makes the tables of a new store, its lineage and its key, inside the caller's transaction."""
    create_tables(connection)
    connection.execute(insert(tables.version).values(version_num=tables.HEAD))
    add_meta(connection, keys=keys, now=now)


def create_tables(connection: Connection) -> None:
    """Makes empty tables, not even with a version, inside the caller's transaction."""
    tables.METADATA.create_all(connection, checkfirst=False)
    tables.version.create(connection, checkfirst=False)


def add_meta(connection: Connection, *, keys: Sequence[bytes], now: datetime) -> None:
    """Gives a store its lineage and its key."""
    lineage, key = str(uuid.uuid4()), fingerprint_key.make_key()
    connection.execute(
        insert(tables.meta).values(
            id=1,
            lineage=lineage,
            fingerprint_key=fingerprint_key.seal(key, lineage=lineage, keys=keys),
            key_id=fingerprint_key.key_id(key),
            created_at=texts.moment_text(now),
        )
    )


def _read_meta(connection: Connection, place: str, keys: Sequence[bytes]) -> tuple[Meta, bool]:
    table = tables.meta.c
    row = connection.execute(select(table.lineage, table.fingerprint_key, table.key_id)).first()
    damaged = StoreDamaged(f"the state store {place} has lost its lineage or its key", RESTORE)
    if row is None:
        raise damaged
    lineage, kept, key_id = row
    try:
        key = fingerprint_key.unseal(kept, lineage=lineage, keys=keys)
    except (ValueError, AttributeError):
        raise damaged from None
    if fingerprint_key.key_id(key) != key_id:
        raise damaged
    meta = Meta(lineage=lineage, schema=tables.HEAD, fingerprint_key=key, key_id=key_id)
    return meta, fingerprint_key.is_wrapped(kept)


def rewrap(connection: Connection, place: str, keys: Sequence[bytes]) -> bool:
    """Wraps the fingerprint key with the first of `keys`; returns False where it is already.

    Raises:
        ConfigError: none of `keys` opens it.
    """
    meta, _ = _read_meta(connection, place, keys)
    kept = connection.execute(select(tables.meta.c.fingerprint_key)).scalar_one()
    if fingerprint_key.opens(kept, lineage=meta.lineage, keys=keys[:1]):
        return False
    wrapped = fingerprint_key.seal(meta.fingerprint_key, lineage=meta.lineage, keys=keys)
    connection.execute(update(tables.meta).values(fingerprint_key=wrapped))
    return True
