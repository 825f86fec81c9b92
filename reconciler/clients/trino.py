"""Trino through its own client, over HTTP: a login, and one read-only row.

A query is a chain of requests, each of which carries the credential (Trino manual, "Client REST
API"); the next address of the chain comes from the server, which `pinned_pool` holds to its own.
The login is the first request of the chain: it begins a transaction that may only read. Trino wants
to be told a user in any case; where the manifest names none it is told `reconciler`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
import requests.adapters
from trino import auth, constants, dbapi, exceptions, transaction

from reconciler.clients import sql, sql_errors, sql_rows
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.clients.meaning import Meaning
from reconciler.clients.pinned_pool import PinnedPool
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_NEEDS_TLS = Meaning(
    reason=Reason.TLS_FAILURE,
    message="Trino takes passwords over TLS only; nothing was sent",
    hint="use it: `tls: {mode: verify-full}`",
)
#: Name of Trino's error -> meaning (its source, "StandardErrorCode.java").
_MEANINGS: dict[str, Meaning] = {
    "CATALOG_NOT_FOUND": sql_errors.DATABASE_MISSING,
    "CLUSTER_OUT_OF_MEMORY": sql_errors.SERVER_TROUBLE,
    "EXCEEDED_TIME_LIMIT": sql_errors.QUERY_TIMED_OUT,
    "GENERIC_INTERNAL_ERROR": sql_errors.SERVER_TROUBLE,
    "PERMISSION_DENIED": sql_errors.NOT_PERMITTED,
    "QUERY_QUEUE_FULL": sql_errors.TOO_MANY_CLIENTS,
    "READ_ONLY_VIOLATION": sql_errors.QUERY_WRITES,
    "SERVER_SHUTTING_DOWN": sql_errors.NOT_READY,
    "SERVER_STARTING_UP": sql_errors.NOT_READY,
}


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends what requests prepares through our pool."""

    def __init__(self, pool: PinnedPool) -> None:
        super().__init__()
        self._pool = pool

    def send(  # noqa: PLR0917  # as requests calls it
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Returns the answer to one request; whatever is passed beside it is not obeyed."""
        del stream, timeout, verify, cert, proxies
        answer = self._pool.urlopen(
            request.method or "GET",
            request.url or "",
            body=request.body,
            headers=dict(request.headers),
        )
        return self.build_response(request, answer)


class _Reading(transaction.Transaction):
    """A transaction that may only read; the client's own begins one that may write."""

    def begin(self) -> None:
        """Begins it, and takes note of the name that the server gives it."""
        response = self.request.post("START TRANSACTION READ ONLY")
        status = self.request.process(response)
        while True:
            self._id = response.headers.get(constants.HEADER_STARTED_TRANSACTION, self._id)
            if not status.next_uri:
                break
            response = self.request.get(status.next_uri)
            status = self.request.process(response)
        if self._id == transaction.NO_TRANSACTION:
            raise exceptions.DatabaseError  # whatever answers, it would let the query write
        self.request.transaction_id = self._id


class _Connection(dbapi.Connection):
    """The client's connection, which closes its pool with itself."""

    def __init__(self, pool: PinnedPool, **settings: Any) -> None:
        self.pool = pool
        session = requests.Session()
        session.trust_env = False  # proxies and netrc
        session.mount("http://", _Adapter(pool))
        session.mount("https://", _Adapter(pool))
        super().__init__(http_session=session, **settings)

    def begin_reading(self) -> None:
        """Begins a transaction that may only read."""
        reading = _Reading(self._create_request())  # type: ignore[no-untyped-call]  # has no types
        reading.begin()
        self._transaction = reading  # type: ignore[assignment]  # trino begins with None

    def close(self) -> None:
        super().close()  # type: ignore[no-untyped-call]  # trino has no types
        self.pool.drop()


def open_connection(login: Login, attempt: Attempt) -> _Connection:
    """Logs in once and returns the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    connection = _log_in(login, attempt)
    try:
        with _translated(login, attempt):
            connection.rollback()  # type: ignore[no-untyped-call]  # trino has no types
    except BaseException:
        connection.close()
        raise
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
            cursor = connection.cursor()
            cursor.execute(query)
            cursor.fetchone()
            cursor.cancel()  # spares both sides all the other rows
            connection.rollback()  # type: ignore[no-untyped-call]  # trino has no types
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
            cursor = connection.cursor()
            cursor.execute(query)
            fetched = iter(cursor.fetchone, None)
            columns = [column[0] for column in cursor.description or ()]
            rows = sql_rows.collect(columns, fetched, limit=limit)
            cursor.cancel()
            connection.rollback()  # type: ignore[no-untyped-call]  # trino has no types
            return rows
    finally:
        connection.close()


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


def _log_in(login: Login, attempt: Attempt) -> _Connection:
    pool = PinnedPool(login, attempt)
    try:
        with attempt.stages.stage(StageName.AUTH), _translated(login, attempt):
            connection = _Connection(
                pool,
                host=login.host,
                port=login.port,
                user=login.username or "reconciler",
                catalog=login.database,
                http_scheme=pool.scheme,
                auth=_credential(login),
                max_attempts=1,
                request_timeout=seconds_until(attempt.end_by),
                encoding=None,  # else results would be fetched from wherever the server says
                heartbeat_interval=None,
                **{"source": "reconciler", **login.options},
            )
            connection.begin_reading()
            return connection
    except BaseException:
        pool.drop()
        raise


def _credential(login: Login) -> auth.Authentication | None:
    if login.password is None:
        return None
    return auth.BasicAuthentication(login.username, login.password.reveal())


@contextmanager
def _translated(login: Login, attempt: Attempt) -> Iterator[None]:
    """Turns whatever Trino's client raises inside into `ConnectionFailed`."""
    stage = StageName.AUTH
    try:
        yield
    except exceptions.TrinoQueryError as error:
        raise _explain(error, attempt) from None
    except exceptions.TrinoAuthError:
        raise _NEEDS_TLS.at(StageName.TLS) from None
    except exceptions.HttpError as error:
        stage = attempt.stages.last or stage
        raise _refused(error, login).at(stage) from None
    except (exceptions.Error, requests.RequestException, *sql_errors.GARBLED):
        stage = attempt.stages.last or stage
        raise sql_errors.NOT_UNDERSTOOD.at(stage) from None


def _refused(error: exceptions.HttpError, login: Login) -> Meaning:
    """Returns what an answer with a bad status means; its text may repeat what was sent."""
    status = str(error).removeprefix("error ")[:3]
    if status in ("401", "403"):
        return sql_errors.LOGIN_REFUSED if login.password else sql_errors.PASSWORD_WANTED
    return sql_errors.NOT_READY if status in ("502", "503", "504") else sql_errors.NOT_UNDERSTOOD


def _explain(error: exceptions.TrinoQueryError, attempt: Attempt) -> ConnectionFailed:
    name = str(error.error_name)
    meaning = _MEANINGS.get(name) or sql_errors.unknown(attempt.stages.last)
    return sql_errors.refused(attempt, meaning, name, str(error.message))
