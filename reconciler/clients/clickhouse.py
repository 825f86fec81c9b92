"""ClickHouse through clickhouse-connect, over HTTP: a login, and one read-only row.

Every request carries the credential (ClickHouse manual, "HTTP Interface"), so the login is the
first of them, in which the driver asks for the server's version and settings. The driver's own
pool, retries and environment are replaced by `pinned_pool`. A certificate logs in by the headers
that the manual's "SSL X.509 certificate authentication" names.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from clickhouse_connect.dbapi import connection as dbapi
from clickhouse_connect.driver import exceptions, httputil

from reconciler.clients import sql, sql_errors, sql_rows
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.pinned_pool import PinnedPool
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import StageName

#: Of a row's text so much is read, and dropped.
_ROW_BYTES = 65536
_ROWS_FORMAT = "JSONCompactEachRowWithNamesAndTypes"
#: How the server writes numbers that JSON has no form for; a text may be the same.
_NOT_FINITE = ("nan", "inf", "-inf")
#: Number of ClickHouse's error -> meaning (its source, "ErrorCodes.cpp").
_MEANINGS: dict[int, Meaning] = {
    81: sql_errors.DATABASE_MISSING,
    159: sql_errors.QUERY_TIMED_OUT,
    164: sql_errors.QUERY_WRITES,
    192: sql_errors.LOGIN_REFUSED,
    193: sql_errors.LOGIN_REFUSED,
    194: sql_errors.LOGIN_REFUSED,
    195: sql_errors.NOT_LET_IN,
    202: sql_errors.TOO_MANY_CLIENTS,
    241: sql_errors.SERVER_TROUBLE,
    497: sql_errors.NOT_PERMITTED,
    516: sql_errors.LOGIN_REFUSED,
}


class _Connection(dbapi.Connection):
    """The driver's connection, which closes its pool with itself."""

    def __init__(self, pool: PinnedPool, **settings: Any) -> None:
        self.pool = pool
        super().__init__(pool_mgr=pool, **settings)

    def close(self) -> None:
        super().close()
        _drop(self.pool)


def _drop(pool: PinnedPool) -> None:
    pool.drop()
    httputil.all_managers.pop(pool, None)  # the driver keeps every pool that it has ever seen


def open_connection(login: Login, attempt: Attempt) -> _Connection:
    """Logs in once and returns the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    connection = _log_in(login, attempt)
    connection.pool.release()
    return connection


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Logs in once, runs `query` read-only, fetches one row, and closes the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    connection = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), _translated(login, attempt):
            _read_one_row(connection, query, attempt)
    finally:
        connection.close()


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why it was not possible.
    """
    connection = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), _translated(login, attempt):
            # else what is not finite would come as null
            settings = {**_settings(limit + 1, attempt), "output_format_json_quote_denormals": 1}
            found = connection.client.raw_stream(query, settings=settings, fmt=_ROWS_FORMAT)
            answer = cast("io.IOBase", found)
            try:
                with connection.pool.translated():
                    text = answer.read(sql_rows.LARGEST_BYTES + 1)
            finally:
                answer.close()
            if len(text) > sql_rows.LARGEST_BYTES:
                raise sql_errors.too_large(StageName.QUERY)
            columns, types, *rows = map(json.loads, text.splitlines())
            fetched = (tuple(map(_value, row, types)) for row in rows)
            return sql_rows.collect(columns, fetched, limit=limit)
    finally:
        connection.close()


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


def _value(value: object, kind: str) -> object:
    if isinstance(value, str) and value in _NOT_FINITE and "Float" in kind:
        return float(value)
    return value


def _log_in(login: Login, attempt: Attempt) -> _Connection:
    pool = PinnedPool(login, attempt)
    options: dict[str, Any] = {"compress": False, **login.options}
    headers = {"User-Agent": options.pop("client_name", "reconciler")}
    if login.method == "clientCertificate":
        headers |= {"X-ClickHouse-User": login.username, "X-ClickHouse-SSL-Certificate-Auth": "on"}
    try:
        with attempt.stages.stage(StageName.AUTH), _translated(login, attempt):
            return _Connection(
                pool,
                host=f"[{login.host}]" if ":" in login.host else login.host,
                port=login.port,
                username="" if login.method == "clientCertificate" else login.username,
                password=login.password.reveal() if login.password else "",
                database=login.database,
                interface=pool.scheme,
                headers=headers,
                query_retries=0,
                autogenerate_session_id=False,
                **options,
            )
    except BaseException:
        _drop(pool)
        raise


def _read_one_row(connection: _Connection, query: str, attempt: Attempt) -> None:
    """Runs `query` in a way in which the server itself stops after a row and refuses to write."""
    settings = _settings(1, attempt)
    found = connection.client.raw_stream(query, settings=settings, fmt="TabSeparated")
    answer = cast("io.IOBase", found)  # as the driver's HTTP client promises
    try:
        with connection.pool.translated():
            answer.read(_ROW_BYTES)
    finally:
        answer.close()


def _settings(rows: int, attempt: Attempt) -> dict[str, int | str]:
    return {
        "readonly": 1,
        "max_execution_time": max(1, round(attempt.query_by - time.monotonic())),
        "max_block_size": rows,
        "max_result_rows": rows,
        "result_overflow_mode": "break",
        # else an error in the middle would stand in the text of the rows
        "wait_end_of_query": 1,
    }


@contextmanager
def _translated(login: Login, attempt: Attempt) -> Iterator[None]:
    """Turns whatever clickhouse-connect raises inside into `ConnectionFailed`."""
    try:
        yield
    except exceptions.Error as error:
        raise _explain(error, login, attempt) from None
    except sql_errors.GARBLED:
        raise _foreign(attempt) from None


def _explain(error: exceptions.Error, login: Login, attempt: Attempt) -> ConnectionFailed:
    code = error.code
    if code is None:
        return _foreign(attempt)
    meaning = _MEANINGS.get(code) or sql_errors.unknown(attempt.stages.last)
    if meaning is sql_errors.LOGIN_REFUSED and login.password is None:
        is_certified = login.method == "clientCertificate"
        meaning = sql_errors.CERTIFICATE_REFUSED if is_certified else sql_errors.PASSWORD_WANTED
    return sql_errors.refused(attempt, meaning, str(code), str(error.name or ""))


def _foreign(attempt: Attempt) -> ConnectionFailed:
    return sql_errors.NOT_UNDERSTOOD.at(attempt.stages.last or StageName.AUTH)
