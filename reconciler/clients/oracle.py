"""Oracle Database through oracledb in its thin mode: one login, and one read-only row.

oracledb opens its sockets itself, and goes on to whatever host a listener sends it to (TNS
"redirect"), with the login. It is therefore handed a socket of ours for its first connection, and
none for a second: whoever names a cluster's listener that only sends clients on is told so. The
socket is put under it where it looks for Python's `socket` module; other users of oracledb in this
process, whose threads make no attempt of ours, have it as before. TLS is ours as well: oracledb
switches the check of the host name off in the context that it is given, and makes its own.

In the same way, a server cannot have it hash for hours before the login.

Nothing is read from `TNS_ADMIN`: places are given as parameters, never as a connect string.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import oracledb
import oracledb.thin_impl as thin  # type: ignore[import-not-found]  # compiled, without stubs

from reconciler.clients import oracle_refusals, sql, sql_rows, sql_socket, tls
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import StageName

#: Oracle's own servers ask for 4096.
_MOST_ITERATIONS = 1_000_000
#: What stands where oracledb would tell of this machine; it takes no empty text.
_UNTOLD = "unknown"


class _Dial:
    """The one connection of a login, made where oracledb makes it: TCP, TLS, and then the login."""

    def __init__(self, login: Login, attempt: Attempt) -> None:
        self._login = login
        self._attempt = attempt
        self._running = ExitStack()
        #: what oracledb was given, to be closed where it makes no connection of it
        self._given: list[socket.socket] = []
        #: connections that oracledb has asked for
        self.count = 0
        #: why there was none, behind whatever oracledb makes of it
        self.failure: ConnectionFailed | None = None
        #: what oracledb sets here, and does not judge by
        self.check_hostname = False

    def connect(self) -> socket.socket:
        """Returns the socket; the second time it was asked to move on, which ends the login."""
        self.count += 1
        if self.count > 1:
            raise self._ended(oracle_refusals.SENT_ON.at(StageName.AUTH))
        try:
            plain = sql_socket.connect(self._login, self._attempt)
        except ConnectionFailed as failure:
            raise self._ended(failure) from None
        self._given.append(plain)
        if self._login.tls_mode == "disable":
            self._begin(StageName.AUTH)
        return plain

    def wrap_socket(self, plain: socket.socket, server_hostname: str | None = None) -> object:
        """Returns `plain` with TLS on it, verified as the login says; oracledb names no host.

        A server may ask for another handshake after the first (`TLS renegotiation` of TNS).
        """
        del server_hostname
        login = self._login
        mode = tls.TlsMode(login.tls_mode)
        self._begin(StageName.TLS)
        try:
            context = tls.context(mode, login.ca, own=login.identity, minimum=login.tls_minimum)
            wrapped = context.wrap_socket(plain, server_hostname=login.certified_name)
        except ConnectionFailed as failure:
            raise self._ended(failure) from None
        except OSError as error:
            raise self._ended(self._broken(error)) from None
        self._given.append(wrapped)
        self._begin(StageName.AUTH)
        return wrapped

    def end(self) -> None:
        """Ends the stage that is under way."""
        self._running.close()

    def drop(self) -> None:
        """Closes whatever there is; oracledb leaves that open when a login fails."""
        for given in self._given:
            given.close()

    def _broken(self, error: OSError) -> ConnectionFailed:
        if self._attempt.is_over or isinstance(error, TimeoutError):
            return self._attempt.timed_out()
        return tls.failure(error) if isinstance(error, ssl.SSLError) else tls.cut()

    def _begin(self, stage: StageName) -> None:
        self._running.close()
        self._running.enter_context(self._attempt.stages.stage(stage))

    def _ended(self, failure: ConnectionFailed) -> ConnectionFailed:
        self.failure = failure
        return failure


class _Sockets:
    """Python's `socket` module as oracledb sees it: a thread with a `_Dial` gets its connection."""

    def __init__(self) -> None:
        self._here = threading.local()

    def __getattr__(self, name: str) -> object:
        return getattr(socket, name)

    def create_connection(self, place: tuple[str, int], *rest: Any, **named: Any) -> socket.socket:
        """Returns a socket of the thread's own login, or what Python makes for everybody else."""
        dial: _Dial | None = getattr(self._here, "dial", None)
        return dial.connect() if dial else socket.create_connection(place, *rest, **named)

    @contextmanager
    def through(self, dial: _Dial) -> Iterator[None]:
        """Gives this thread the connection of `dial` inside, and none beside it."""
        self._here.dial = dial
        try:
            yield
        finally:
            self._here.dial = None
            dial.end()


class _Hashing:
    """cryptography's `pbkdf2` as oracledb sees it: for a server, nobody hashes without end.

    The server says how often, up to thousands of millions of times, and no deadline ends that.
    """

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> object:
        return getattr(self._original, name)

    def PBKDF2HMAC(self, *, iterations: int, **rest: object) -> object:  # noqa: N802  # its name
        if iterations > _MOST_ITERATIONS:
            raise ValueError("the server wants too much work")
        return self._original.PBKDF2HMAC(iterations=iterations, **rest)


_SOCKETS = _Sockets()
thin.socket = _SOCKETS
thin.pbkdf2 = _Hashing(thin.pbkdf2)


def open_connection(login: Login, attempt: Attempt) -> oracledb.Connection:
    """Logs in once and returns the connection, each of whose calls ends after `attempt.query_s`.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    connection = _log_in(login, attempt)
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
    connection = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), oracle_refusals.translated(attempt):
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


def _log_in(login: Login, attempt: Attempt) -> oracledb.Connection:
    dial = _Dial(login, attempt)
    try:
        with oracle_refusals.translated(attempt, dial), _SOCKETS.through(dial):
            connection = _connect(login, attempt, dial)
    except BaseException:
        dial.drop()
        raise
    if not dial.count:  # oracledb found another way out: never used, and never again
        connection.close()
        raise oracle_refusals.SENT_ON.at(StageName.TCP)
    return connection


def _connect(login: Login, attempt: Attempt, dial: _Dial) -> oracledb.Connection:
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
        tcp_connect_timeout=max(0.001, attempt.connect_by - time.monotonic()),
        disable_oob=True,  # no tunnel or proxy carries urgent bytes
        # else the names of this machine and its user would be told
        machine=_UNTOLD,
        osuser=_UNTOLD,
        terminal=_UNTOLD,
        **{"program": "reconciler", **login.options},
    )
