"""What `state check` finds: every row of the store read and compared with what it should say.

Apart from `database.py` because nothing else needs it. A finding is a sentence; nothing is mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Table, select

from reconciler.errors import StoreDamaged
from reconciler.model import Recorded
from reconciler.redact import LONGEST_FOREIGN
from reconciler.stores import rows, sealed, tables
from reconciler.stores.rows import Value
from reconciler.stores.transactions import Transactions

#: Every table whose rows have a value, and how it is read.
_PARSERS: tuple[tuple[Table, Callable[[rows.Row], object]], ...] = (
    (tables.revisions, rows.revision),
    (tables.events, rows.event),
    (tables.observations, rows.observation),
    (tables.runs, rows.run),
    (tables.sealed, sealed.record),
    (tables.leases, sealed.lease_end),
    (tables.uses, sealed.use),
)


def findings(transactions: Transactions) -> tuple[str, ...]:
    """Returns what is wrong with the store, a sentence each; reads every row.

    Raises:
        StoreUnavailable: it cannot be read at all.
    """
    try:
        found = list(transactions.integrity())
        with transactions.reading() as connection:
            found += _row_findings(connection)
    except StoreDamaged as error:
        return (error.message,)
    return tuple(found)


def _row_findings(connection: Connection) -> list[str]:
    found: list[str] = []
    recorded = list(_parsed(connection, tables.connections, rows.recorded, found))
    for table, parse in _PARSERS:
        for _ in _parsed(connection, table, parse, found):
            pass
    found += _long_findings(recorded)
    found += _clash_findings(recorded)
    kept = select(tables.revisions.c.uid, tables.revisions.c.number)
    numbers = {(uid, number) for uid, number in connection.execute(kept)}
    with_events = set(connection.execute(select(tables.events.c.uid).distinct()).scalars())
    for row in recorded:
        if (row.uid, row.revision) not in numbers:
            found.append(f"{row.ref} ({row.uid}) lacks its revision {row.revision}")
        if row.uid not in with_events:
            found.append(f"{row.ref} ({row.uid}) has no event")
    return found


def _parsed(
    connection: Connection, table: Table, parse: Callable[[rows.Row], Value], found: list[str]
) -> Iterator[Value]:
    for row in connection.execution_options(yield_per=1000).execute(select(table)):
        try:
            yield rows.parsed(table.name, parse, row)
        except StoreDamaged as error:
            found.append(error.message)


def _long_findings(values: list[Recorded]) -> Iterator[str]:
    for value in values:
        if len(value.status.last_error) > LONGEST_FOREIGN:
            yield f"the last error of {value.ref} ({value.uid}) is longer than it can be"


def _clash_findings(values: list[Recorded]) -> Iterator[str]:
    counts = Counter(value.ref.key for value in values if value.status.is_live)
    for key, count in sorted(counts.items()):
        if count > 1:
            yield f"{count} live connections are named {key}"
