"""DuckDB files: opened read-only, never created, cut off from files and network, one row read.

A file has no login, so everything happens at the stage `query`. A DuckDB query can read any file,
load extensions from the network and see Python's variables; the settings below end all three, and
lock themselves.
"""

from __future__ import annotations

from typing import TypeAlias

import duckdb

from reconciler.clients import files, memory, sql, sql_errors, sql_rows
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_Settings: TypeAlias = dict[str, str | bool | int | float | list[str]]

_SETTINGS: _Settings = {
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "threads": "1",
    "lock_configuration": "true",
}

#: As well for a query that is made here, not for what an application does: what it collects stays
#: within bounds, and nothing is laid aside in files. DuckDB does not count what a function makes of
#: one value; `memory.bounded` does.
_QUERY_SETTINGS: _Settings = {**_SETTINGS, "memory_limit": "256MB", "temp_directory": ""}

_TOO_MUCH = Meaning(
    reason=Reason.BODY_TOO_LARGE,
    message="the health query needs more memory than it may take",
    hint="choose a cheaper `health.query`",
)
_UNREADABLE = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the file is no DuckDB database, or another process has it open for writing",
    hint="check `database`, and whether a program keeps the file open",
)
#: Exception class -> meaning, the most specific first; others mean a wrong query.
_MEANINGS: tuple[tuple[type[duckdb.Error], Meaning], ...] = (
    (duckdb.InterruptException, sql_errors.QUERY_TIMED_OUT),
    (duckdb.PermissionException, sql_errors.NOT_PERMITTED),
    (duckdb.OutOfMemoryException, _TOO_MUCH),
    (duckdb.InternalException, sql_errors.SERVER_TROUBLE),
    (duckdb.FatalException, sql_errors.SERVER_TROUBLE),
)


def open_connection(login: Login, attempt: Attempt) -> duckdb.DuckDBPyConnection:
    """Returns a read-only connection to the file.

    Raises:
        ConnectionFailed: DatabaseMissing, PermissionDenied, or it is no database.
    """
    with attempt.stages.stage(StageName.QUERY):
        return _open(login, _SETTINGS)


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Opens the file read-only, runs `query`, fetches one row, and closes it.

    Raises:
        ConnectionFailed: why it was not possible.
    """
    read(login, query, 1, attempt)


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why it was not possible.
    """
    with attempt.stages.stage(StageName.QUERY):
        connection = _open(login, _QUERY_SETTINGS)
        try:
            attempt.lifeline.hold(connection.interrupt)
            if attempt.is_over:
                raise attempt.timed_out()
            with memory.bounded():
                relation = connection.sql(query)
                # `execute` would fetch all rows first
                return sql_rows.collect(
                    relation.columns, relation.limit(limit + 1).fetchall(), limit=limit
                )
        except MemoryError:
            raise _TOO_MUCH.at(StageName.QUERY) from None
        except duckdb.Error as error:
            raise _explain(error, attempt) from None
        finally:
            attempt.lifeline.release()
            connection.close()


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


def _open(login: Login, settings: _Settings) -> duckdb.DuckDBPyConnection:
    file = files.locate(login.database, login.root)
    try:
        connection = duckdb.connect(file.path, read_only=True, config=settings)
    except duckdb.Error:
        raise _UNREADABLE.at(StageName.QUERY) from None
    try:
        files.confirm(file)
    except ConnectionFailed:
        connection.close()
        raise
    return connection


def _explain(error: duckdb.Error, attempt: Attempt) -> ConnectionFailed:
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return meaning.at(StageName.QUERY)
    return sql_errors.refused(attempt, sql_errors.QUERY_FAILED, type(error).__name__, str(error))
