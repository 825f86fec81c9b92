"""MySQL and MariaDB through PyMySQL: one login over a socket of ours, and one read-only row.

The socket is opened here, to a checked address, and handed to PyMySQL, so that nothing is resolved
twice and the loop can end what blocks. PyMySQL trusts the server in three places where we do not;
each is closed below: older versions go on without TLS when a server offers none, any server may ask
for the password as it is, and any server may ask for a file (LOAD DATA LOCAL).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import SSCursor

from reconciler.clients import mysql_refusals, sql, sql_errors, sql_rows, sql_socket, tls
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.clients.sql_rows import Rows
from reconciler.model import StageName


def open_connection(login: Login, attempt: Attempt) -> _Session:
    """Logs in once and returns the connection.

    The server ends each of its queries after `attempt.query_s`.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    session = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), mysql_refusals.translated(login, attempt):
            _limit_queries(session, attempt.query_s)
    except BaseException:
        session.drop()
        raise
    return session


def _log_in(login: Login, attempt: Attempt) -> _Session:
    plain = sql_socket.connect(login, attempt)
    try:
        session = _Session(login, attempt)
        with mysql_refusals.translated(login, attempt), ExitStack() as running:
            session.log_in(plain, running)
    except BaseException:
        plain.close()
        raise
    return session


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Logs in once, runs `query` read-only, fetches one row, and closes the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    read(login, query, 1, attempt)


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    session = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), mysql_refusals.translated(login, attempt):
            return _read_rows(session, query, limit, attempt)
    finally:
        session.drop()


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


_DEFAULTS: dict[str, Any] = {"charset": "utf8mb4", "program_name": "reconciler"}


def _context(login: Login) -> ssl.SSLContext:
    mode = tls.TlsMode(login.tls_mode)
    return tls.context(mode, login.ca, own=login.identity, minimum=login.tls_minimum)


class _Session(pymysql.connections.Connection):
    """PyMySQL's connection, its steps timed, and sending nothing that the login does not allow."""

    server_capabilities: int
    server_version: str
    _result: pymysql.connections.MySQLResult | None
    _sock: socket.socket

    def __init__(self, login: Login, attempt: Attempt) -> None:
        self._attempt = attempt
        self._login = login
        self._running = ExitStack()
        self._is_in = False
        #: bytes that may still be read; None as long as nobody counts
        self.budget_bytes: int | None = None
        is_plain = login.tls_mode == "disable"
        context = None if is_plain else _context(login)
        patience_s = seconds_until(attempt.end_by)
        super().__init__(
            host=login.certified_name,  # of the certificate; the socket is there already
            port=login.port,
            # bytes, because PyMySQL encodes text as Latin-1
            password=login.password.reveal().encode() if login.password else b"",
            database=login.database,
            ssl=context,
            ssl_disabled=is_plain,
            connect_timeout=patience_s,
            read_timeout=patience_s,
            write_timeout=patience_s,
            local_infile=False,
            auth_plugin_map=mysql_refusals.refused_plugins(login),
            server_public_key=mysql_refusals.NeverKey() if is_plain else None,
            defer_connect=True,
            **{**_DEFAULTS, **login.options},
        )
        self.user = login.username  # PyMySQL takes an empty one for the name of the OS user
        if context is not None:
            self.ctx = _TimedContext(context, self._begin_login)

    @property
    def password(self) -> bytes:
        """The password that PyMySQL sends, kept where nobody who prints the session finds it."""
        return self._login.password.reveal().encode() if self._login.password else b""

    @password.setter
    def password(self, value: object) -> None:
        del value  # PyMySQL's copy

    def log_in(self, plain: socket.socket, running: ExitStack) -> None:
        """Logs in over `plain`; the stage that is under way is left when `running` is."""
        self._running = running
        first = StageName.AUTH if self._login.tls_mode == "disable" else StageName.TLS
        running.enter_context(self._attempt.stages.stage(first))
        self.connect(plain)
        self._is_in = True

    def abandon_rows(self) -> None:
        """Keeps PyMySQL from reading the rows that are left, which it does even as garbage."""
        if self._result is not None:
            self._result.unbuffered_active = False

    def drop(self) -> None:
        """Closes the connection, if it still is one."""
        if self.open:
            self.close()

    def _write_bytes(self, data: bytes) -> None:
        """Sends `data`; of a server that does not take our certificate, reads why it left.

        TLS 1.3 judges a client after its handshake, so that writing fails first, without a reason.
        """
        if self._login.identity is None or self._is_in:
            super()._write_bytes(data)  # type: ignore[misc]  # left out of the stubs
            return
        try:
            self._sock.sendall(data)
        except OSError:
            self._sock.recv(1)
            raise

    def _read_bytes(self, num_bytes: int) -> bytes:
        """Reads a piece of a packet, at most 16 MiB, unless more than a query may give has come."""
        if self.budget_bytes is not None:
            self.budget_bytes -= num_bytes
            if self.budget_bytes < 0:
                raise sql_errors.ROWS_TOO_LARGE.at(StageName.QUERY)
        data: bytes = super()._read_bytes(num_bytes)  # type: ignore[misc]  # left out of the stubs
        return data

    def _begin_login(self) -> None:
        self._running.close()
        self._running.enter_context(self._attempt.stages.stage(StageName.AUTH))

    def _get_server_information(self) -> None:
        """Reads the server's greeting; ends here when TLS is wanted and not offered.

        PyMySQL before 1.2 has no such check and logs in without TLS.
        """
        super()._get_server_information()  # type: ignore[misc]  # left out of the stubs
        if self._login.method in mysql_refusals.SENT_AS_IS:
            self._auth_plugin_name = "mysql_clear_password"  # else a hash would be sent unasked
        if self._login.tls_mode != "disable" and not self.server_capabilities & CLIENT.SSL:
            raise sql_errors.NO_TLS.at(StageName.TLS)


class _TimedContext:
    """The one method of an SSL context that PyMySQL calls; says when the handshake is done."""

    __slots__ = ("_context", "_done")

    def __init__(self, context: ssl.SSLContext, done: Callable[[], None]) -> None:
        self._context = context
        self._done = done

    def wrap_socket(self, plain: socket.socket, server_hostname: str) -> ssl.SSLSocket:
        try:
            wrapped = self._context.wrap_socket(plain, server_hostname=server_hostname)
        except ssl.SSLError as error:  # PyMySQL would make "cannot connect" of it
            raise tls.failure(error) from None
        self._done()
        return wrapped


#: The server's own limit for a query, which then ends there too: MariaDB in seconds, MySQL in
#: milliseconds. Servers and proxies that know neither answer with errno 1193.
_TIME_LIMITS = {
    True: ("SET SESSION max_statement_time = {:.3f}", 1.0),
    False: ("SET SESSION max_execution_time = {:.0f}", 1000.0),
}


def _limit_queries(session: _Session, seconds: float) -> None:
    statement, scale = _TIME_LIMITS["MariaDB" in session.server_version]
    with mysql_refusals.unknown_variables_ignored(), session.cursor() as cursor:
        cursor.execute(statement.format(max(0.001, seconds) * scale))


def _read_rows(session: _Session, query: str, limit: int, attempt: Attempt) -> Rows:
    cursor = session.cursor(SSCursor)
    try:
        _limit_queries(session, attempt.query_by - time.monotonic())
        cursor.execute("START TRANSACTION READ ONLY")
        session.budget_bytes = attempt.longest_answer_bytes
        cursor.execute(query)
        columns = [column[0] for column in cursor.description or ()]
        found = sql_rows.collect(columns, iter(cursor.fetchone, None), limit=limit)
        if not found.is_cut:
            session.rollback()  # else rows are left, and closing ends the transaction as well
        return found
    finally:
        session.budget_bytes = None
        session.abandon_rows()
