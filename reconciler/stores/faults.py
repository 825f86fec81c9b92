"""What a database error means for the user: tables from error code to exception.

Keys are SQLite result codes (https://sqlite.org/rescode.html) and SQLSTATE codes (PostgreSQL
manual, appendix A). Nothing of the library's own text is kept: it holds statements and values. A
code that no row names is `StoreUnavailable` with the code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from reconciler.errors import (
    Conflict,
    ReconcilerError,
    RowsMoved,
    StoreDamaged,
    StoreUnavailable,
)
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of a table; `{place}` in the message becomes the store's address."""

    error: type[ReconcilerError]
    message: str
    hint: str

    def at(self, place: str) -> ReconcilerError:
        """Returns the exception for the store at `place`."""
        return self.error(self.message.replace("{place}", place), self.hint)


RESTORE = "restore a backup with `reconciler state restore`; the file was left as it is"
_AGAIN = "run it again; `--lock-timeout` waits longer"
_TAKEN = Fault(
    RowsMoved, "another process stored a connection of the same name meanwhile", "run it again"
)
_GONE = Fault(Conflict, "another process deleted the connection meanwhile", "run it again")
_DAMAGED = Fault(StoreDamaged, "the state store {place} is damaged", RESTORE)
_TABLES = Fault(
    StoreDamaged, "the tables of the state store {place} are not as they were made", RESTORE
)
_LOCKED = Fault(Conflict, "another process holds the state store {place}", _AGAIN)
_FULL = Fault(
    StoreUnavailable,
    "the disk of the state store {place} is full",
    "free some space, then run it again",
)

#: Extended or primary result code -> fault; the extended code is looked up first.
SQLITE: Mapping[int, Fault] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _TAKEN,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _TAKEN,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: _GONE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FORMAT: _DAMAGED,
    sqlite3.SQLITE_ERROR: _TABLES,
    sqlite3.SQLITE_SCHEMA: _TABLES,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_TOOBIG: _FULL,
    sqlite3.SQLITE_READONLY: Fault(
        StoreUnavailable,
        "the state store {place} cannot be written",
        "make the file and its folder writable",
    ),
    sqlite3.SQLITE_CANTOPEN: Fault(
        StoreUnavailable,
        "the state store {place} cannot be opened",
        "check that the path exists and that you may read it",
    ),
    sqlite3.SQLITE_PERM: Fault(
        StoreUnavailable, "the state store {place} may not be used", "check its permissions"
    ),
    sqlite3.SQLITE_IOERR: Fault(
        StoreUnavailable,
        "the disk of the state store {place} reports an error",
        "check the disk and its free space, then run `reconciler state check`",
    ),
}

_LOGIN = Fault(
    StoreUnavailable,
    "the server of the state store {place} refuses the login",
    "check user and password of the state URL",
)
_NO_DATABASE = Fault(
    StoreUnavailable,
    "the database of the state store {place} does not exist",
    "create it, or correct the state URL",
)
_UNREACHABLE = Fault(
    StoreUnavailable,
    "the state store {place} cannot be reached",
    "check that the server runs and that the state URL names it",
)
_FORBIDDEN = Fault(
    StoreUnavailable,
    "the login of the state store {place} lacks a permission",
    "grant it CREATE and USAGE on the schema, and all on its tables",
)
_READ_ONLY = Fault(
    StoreUnavailable,
    "the server of the state store {place} only reads",
    "name the primary server in the state URL",
)

#: SQLSTATE, or its two-digit class -> fault; the whole code is looked up first.
POSTGRESQL: Mapping[str, Fault] = {
    "55P03": _LOCKED,
    "40001": _LOCKED,
    "40P01": _LOCKED,
    "23505": _TAKEN,
    "23503": _GONE,
    "42P07": Fault(
        StoreUnavailable,
        "the schema of the state store {place} already has tables of the same names",
        "give the store a schema of its own with `?options=-csearch_path=NAME` in the state URL",
    ),
    "42P01": _TABLES,
    "42703": _TABLES,
    "3F000": Fault(
        StoreUnavailable,
        "the schema of the state store {place} does not exist or may not be used",
        "create it, or grant the login USAGE and CREATE on it",
    ),
    "42501": _FORBIDDEN,
    "25006": _READ_ONLY,
    "28": _LOGIN,
    "3D": _NO_DATABASE,
    "08": _UNREACHABLE,
    "57": _UNREACHABLE,
    "53100": _FULL,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}

#: libpq's own words where the server asks for a password and the URL has none.
_NO_PASSWORD = "no password supplied"
#: libpq gives no SQLSTATE for a refused connection; these are pieces of its untranslated texts.
_CONNECT_TEXTS = (
    ("authentication failed", _LOGIN),
    ("no pg_hba.conf entry", _LOGIN),
    ("role ", _LOGIN),
    ("database ", _NO_DATABASE),
)


def sqlite_fault(error: BaseException | None) -> Fault:
    """Returns what an exception of `sqlite3` means."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Fault(StoreUnavailable, "the state store {place} cannot be used", "try again")
    unknown = Fault(
        StoreUnavailable, f"SQLite reports code {code} for the state store {{place}}", "try again"
    )
    return SQLITE.get(code) or SQLITE.get(code & 0xFF) or unknown


def postgresql_fault(error: BaseException | None) -> Fault:
    """Returns what an exception of psycopg means."""
    code = getattr(error, "sqlstate", None)
    if code is None:
        if _NO_PASSWORD in str(error):
            return _LOGIN
        server_said = str(error).rpartition("FATAL:")[2] if "FATAL:" in str(error) else ""
        known = (fault for piece, fault in _CONNECT_TEXTS if piece in server_said)
        return next(known, _UNREACHABLE)
    unknown = Fault(
        StoreUnavailable, f"PostgreSQL reports {code} for the state store {{place}}", "try again"
    )
    return POSTGRESQL.get(code) or POSTGRESQL.get(code[:2]) or unknown


@contextmanager
def translated(fault_of: Callable[[BaseException | None], Fault], place: str) -> Iterator[None]:
    """Turns database errors inside the block into ours, without their text.

    Raises:
        StoreError, Conflict: as the table says.
    """
    try:
        yield
    except DBAPIError as error:
        raise fault_of(error.orig).at(place) from None
    except sqlite3.Error as error:
        raise sqlite_fault(error).at(place) from None
