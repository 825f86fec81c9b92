"""What differs between the databases: how a transaction begins, waits, ends and is copied.

`database.py` holds every statement and is the same for all; one implementation of this Protocol
per database gives it connections. There is one writer at a time on both: `BEGIN IMMEDIATE` on
SQLite, a transaction advisory lock on PostgreSQL. So nothing is lost between reading and writing,
nothing deadlocks, event ids rise in the order of commits, and no lock outlives its process.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

#: How long health writes wait for the lock; applies bring their own time.
LOCK_TIMEOUT_S = 30.0


class Transactions(Protocol):
    """Gives connections that are inside a transaction, and translates every error of theirs."""

    @property
    def place(self) -> str:
        """Returns where the store is, as shown to people: never with a password."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Enters a read-only transaction that sees one moment of the whole store."""

    def writing(self, lock_timeout_s: float) -> AbstractContextManager[Connection]:
        """Enters the one write transaction; commits at the end, rolls back on any exception.

        Raises:
            Conflict: the lock was not free in time.
            StoreUnavailable: it could not be committed; nothing is written.
        """

    def integrity(self) -> tuple[str, ...]:
        """Returns what the database itself finds wrong, a sentence each."""

    def copy_to(self, path: Path) -> None:
        """Fills the empty file `path` with a SQLite copy of the store."""

    def close(self) -> None:
        """Releases connections."""
