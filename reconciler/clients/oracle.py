"""Oracle Database through oracledb in its thin mode: one login, and one read-only row.

Its one connection is made by `oracle_sockets`: over a socket and with TLS of ours, and to no other
host. Nothing is read from `TNS_ADMIN`: places are given as parameters, never as a connect string.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import oracledb

from reconciler.clients import oracle_refusals, sql, sql_rows
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.clients.oracle_sockets import SOCKETS, Dial
from reconciler.clients.sql_rows import Rows
from reconciler.model import StageName

#: What stands where oracledb would tell of this machine; it takes no empty text.
_UNTOLD = "unknown"


def open_connection(login: Login, attempt: Attempt) -> oracledb.Connection:
    """Logs in once and returns the connection, each of whose calls ends after `attempt.query_s`.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    connection, dial = _log_in(login, attempt)
    dial.allow(None)
    connection.call_timeout = _milliseconds(attempt.query_s)
    return connection


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Logs in once, runs `query` read-only, fetches one row, and closes the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    with _reading(login, query, 1, attempt) as cursor:
        cursor.fetchone()  # what is large in it is not fetched


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    with _reading(login, query, limit, attempt) as cursor:
        columns = [column[0] for column in cursor.description or ()]
        rows = ([_plain(value) for value in row] for row in cursor)
        return sql_rows.collect(columns, rows, limit=limit)


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


@contextmanager
def _reading(login: Login, query: str, limit: int, attempt: Attempt) -> Iterator[oracledb.Cursor]:
    connection, dial = _log_in(login, attempt)
    dial.allow(sql_rows.LARGEST_BYTES)
    try:
        with attempt.stages.stage(StageName.QUERY), oracle_refusals.translated(attempt, dial):
            connection.call_timeout = _milliseconds(attempt.query_by - time.monotonic())
            cursor = connection.cursor()
            cursor.arraysize = cursor.prefetchrows = limit + 1
            cursor.execute("set transaction read only")
            cursor.execute(query)
            yield cursor
            connection.close()
    finally:
        _drop(connection)


def _plain(value: object) -> object:
    return value.read() if isinstance(value, oracledb.LOB) else value


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _drop(connection: oracledb.Connection) -> None:
    """Closes the connection, if it still is one, whatever its server says to that."""
    if connection.is_healthy():
        with oracle_refusals.ignored():
            connection.close()


def _log_in(login: Login, attempt: Attempt) -> tuple[oracledb.Connection, Dial]:
    dial = Dial(login, attempt)
    try:
        with oracle_refusals.translated(attempt, dial), SOCKETS.through(dial):
            connection = _connect(login, attempt, dial)
    except BaseException:
        dial.drop()
        raise
    if not dial.count:  # oracledb found another way out: never used, and never again
        connection.close()
        raise oracle_refusals.SENT_ON.at(StageName.TCP)
    return connection, dial


def _connect(login: Login, attempt: Attempt, dial: Dial) -> oracledb.Connection:
    return oracledb.connect(
        user=login.username,
        password=login.password.reveal() if login.password else None,
        # numeric, so that oracledb has nothing to resolve; it only tells the listener
        host=login.addresses[0] if login.addresses else "127.0.0.1",
        port=login.port,
        protocol="tcp" if login.tls_mode == "disable" else "tcps",
        service_name=login.database,
        ssl_context=dial,
        ssl_server_dn_match=False,  # `wrap_socket` has looked at the certificate
        config_dir="",
        retry_count=0,
        tcp_connect_timeout=seconds_until(attempt.connect_by),
        disable_oob=True,  # no tunnel or proxy carries urgent bytes
        # else the names of this machine and its user would be told
        machine=_UNTOLD,
        osuser=_UNTOLD,
        terminal=_UNTOLD,
        **{"program": "reconciler", **login.options},
    )
