"""SQLite files through Python's own library: opened read-only, never created, one row read.

A file has no login, so everything happens at the stage `query`. What a file says is no more trusted
than what a server says: its schema may not call functions with effects, a value has a largest size,
and the progress handler ends a query that runs too long.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from reconciler.clients import files, sql, sql_errors, sql_rows
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: Longest value or row that is read.
_LONGEST_VALUE_BYTES = 16 * 1024 * 1024
#: Instructions of SQLite's machine between two looks at the clock, about half a millisecond.
_INSTRUCTIONS = 10_000

#: `stores.sqlite.APPLICATION_ID`: a state of this tool, in any folder and under any name. It holds
#: the key of all fingerprints, and the rows of other projects.
_STATE_MARK = 0x52636E63

_NO_DATABASE = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the file is not a SQLite database, or is damaged",
    hint="check `database`",
)
_LOCKED = Meaning(
    reason=Reason.SERVER_ERROR,
    message="another process keeps the database locked",
)
_UNREADABLE = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the database cannot be opened for reading",
    hint="give the user that runs this the permission to read it and its folder",
)
#: Primary result code -> meaning (SQLite, "Result and Error Codes").
_MEANINGS = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CANTOPEN: _UNREADABLE,
    sqlite3.SQLITE_PERM: _UNREADABLE,
    sqlite3.SQLITE_CORRUPT: _NO_DATABASE,
    sqlite3.SQLITE_NOTADB: _NO_DATABASE,
    sqlite3.SQLITE_INTERRUPT: sql_errors.QUERY_TIMED_OUT,
    sqlite3.SQLITE_IOERR: sql_errors.SERVER_TROUBLE,
    sqlite3.SQLITE_NOMEM: sql_errors.SERVER_TROUBLE,
    sqlite3.SQLITE_READONLY: sql_errors.QUERY_WRITES,
}


def open_connection(login: Login, attempt: Attempt) -> sqlite3.Connection:
    """Returns a read-only connection to the file.

    Raises:
        ConnectionFailed: DatabaseMissing, PermissionDenied, or it is no database.
    """
    with attempt.stages.stage(StageName.QUERY):
        return _open(login, attempt)


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Opens the file read-only, runs `query`, fetches one row, and closes it.

    Raises:
        ConnectionFailed: why it was not possible.
    """
    with _running(login, query, attempt) as cursor:
        cursor.fetchone()


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why it was not possible.
    """
    with _running(login, query, attempt) as cursor:
        columns = [column[0] for column in cursor.description or ()]
        return sql_rows.collect(columns, cursor, limit=limit)


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


@contextmanager
def _running(login: Login, query: str, attempt: Attempt) -> Iterator[sqlite3.Cursor]:
    with attempt.stages.stage(StageName.QUERY):
        connection = _open(login, attempt)
        try:
            by = attempt.query_by
            connection.set_progress_handler(
                lambda: attempt.lifeline.is_cut or time.monotonic() >= by, _INSTRUCTIONS
            )
            yield connection.execute(query)
        except sqlite3.Error as error:
            raise _explain(error, attempt) from None
        finally:
            connection.close()


def _open(login: Login, attempt: Attempt) -> sqlite3.Connection:
    file = files.locate(login.database, login.root)
    patience_s = max(0.0, attempt.end_by - time.monotonic())
    try:
        connection = sqlite3.connect(
            f"file:{quote(file.path)}?mode=ro",
            uri=True,
            timeout=patience_s,
            # an application's pool hands it from thread to thread, never to two at once
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise _explain(error, attempt) from None
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.executescript("PRAGMA query_only = 1; PRAGMA trusted_schema = 0")
        # Reads the file's header: a query that uses no table would not touch the file.
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        files.confirm(file)
        if mark == _STATE_MARK:
            raise files.OWN.at(StageName.QUERY)
    except sqlite3.Error as error:
        connection.close()
        raise _explain(error, attempt) from None
    except ConnectionFailed:
        connection.close()
        raise
    return connection


def _explain(error: sqlite3.Error, attempt: Attempt) -> ConnectionFailed:
    """Returns the meaning of SQLite's result code; Python's own refusals carry none."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    meaning = _MEANINGS.get(code & 0xFF, sql_errors.QUERY_FAILED)
    name = getattr(error, "sqlite_errorname", "")
    text = str(error) if meaning is sql_errors.QUERY_FAILED else ""
    return sql_errors.refused(attempt, meaning, name, text)
