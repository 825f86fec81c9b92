"""PostgreSQL through psycopg: one login to one checked address, and one read-only row.

The steps of a login are driven here, through libpq's own non-blocking interface (libpq, "Database
Connection Control Functions"), for three reasons: each is timed, all end by one deadline, and a
login is never repeated behind our back, as `psycopg.connect` does for several addresses. Why a
server refused is read by `postgresql_refusals`. Every parameter that libpq would take from the
environment or from the home folder is given explicitly (`libpq`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import sys
import tempfile
import termios
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn, PGresult

from reconciler.clients import (
    libpq,
    postgresql_refusals,
    sql,
    sql_errors,
    sql_rows,
    tcp,
    tls_identity,
)
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.sql_rows import Cell, Rows
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import StageName

#: Ways to log in that a server may ask for (libpq, `require_auth`). `none` is trust: nothing is
#: sent. MD5 answers can be guessed offline, so they go over TLS only; a password goes as it is only
#: to a server that has proved who it is.
_ACCEPTED_LOGINS = {
    "disable": "none,scram-sha-256",
    "require": "none,scram-sha-256,md5",
    "verify-ca": "none,scram-sha-256,md5,password",
    "verify-full": "none,scram-sha-256,md5,password",
}
#: The one way to log in that belongs to a method, whatever the mode: a directory needs the password
#: as it is, and so does AWS the token; with a certificate nothing more is to be asked for.
_ONLY_LOGIN = {"ldap": "password", "awsIam": "password", "clientCertificate": "none"}

_TCP_STATES = frozenset({pq.ConnStatus.NEEDED, pq.ConnStatus.STARTED})
_TLS_STATES = frozenset({pq.ConnStatus.MADE, pq.ConnStatus.SSL_STARTUP})
_AUTH_STATES = frozenset(pq.ConnStatus) - {pq.ConnStatus.OK, pq.ConnStatus.BAD}
_EVENTS = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
#: Where `tcpi_bytes_received` is in Linux's `struct tcp_info` (linux/tcp.h), which only grows.
_RECEIVED_AT = 128
#: What `strerror` says for each errno that a connect can end with; libpq tells only the text.
_ERRNO_TEXTS = {
    os.strerror(code): code
    for code in (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
    )
}


def open_connection(login: Login, attempt: Attempt) -> psycopg.Connection:
    """Logs in once and returns the connection; not in a transaction.

    The server ends each of its queries after `attempt.query_s`.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    connection = _log_in(login, attempt)
    milliseconds = max(1, round(attempt.query_s * 1000))
    try:
        with attempt.stages.stage(StageName.QUERY):
            connection.send_query(f"SET statement_timeout = {milliseconds}".encode())
            for result in _results(connection, attempt, attempt.end_by):
                _expect(result, attempt)
    except BaseException:
        connection.finish()
        raise
    return psycopg.Connection(connection)


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
    connection = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY):
            return _read_rows(connection, query, limit, attempt)
    finally:
        connection.finish()


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


def _log_in(login: Login, attempt: Attempt) -> PGconn:
    if not login.username:  # libpq would take the name of the OS user
        raise sql_errors.PASSWORD_WANTED.at(StageName.AUTH)
    with _authorities_file(login) as authorities, _identity_files(login) as own:
        material: dict[str, str | int] = {"sslrootcert": authorities, **own}
        handshake = _connect(login, material, attempt)
        try:
            _authenticate(handshake, login, attempt)
        except BaseException:
            handshake.connection.finish()
            raise
    handshake.connection.nonblocking = 1
    return handshake.connection


def _authenticate(handshake: _Handshake, login: Login, attempt: Attempt) -> None:
    connection = handshake.connection
    if login.tls_mode != "disable":
        with attempt.stages.stage(StageName.TLS):
            if not handshake.leave(_TLS_STATES, attempt.connect_by):
                raise postgresql_refusals.explain_tls(connection, login, attempt)
    with attempt.stages.stage(StageName.AUTH):
        if not handshake.leave(_AUTH_STATES, attempt.connect_by):
            raise postgresql_refusals.explain_login(connection, login, attempt)


def _connect(login: Login, material: dict[str, str | int], attempt: Attempt) -> _Handshake:
    """Returns a connection that has reached a server and sent nothing of the login yet.

    Addresses are tried in order, each for an even share of the time that is left.
    """
    # connecting to a port of our own is no step of its own: the way behind it is open already
    stages = Stages() if login.is_relayed else attempt.stages
    with stages.stage(StageName.TCP) as stage:
        addresses = (login.socket,) if login.socket else login.addresses
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            stage.detail = address
            share = time.monotonic() + max(0.0, attempt.connect_by - time.monotonic()) / left
            connection = pq.PGconn.connect_start(_conninfo(login, address, material))
            try:
                return _reach(connection, attempt, share)
            except BaseException as error:
                connection.finish()
                if left == 1 or attempt.is_over or not isinstance(error, ConnectionFailed):
                    raise
    raise AssertionError("a login has at least one address")


def _reach(connection: PGconn, attempt: Attempt, by: float) -> _Handshake:
    postgresql_refusals.ask_for_codes(connection)
    handshake = _Handshake(connection, attempt)
    if connection.status != pq.ConnStatus.BAD:
        attempt.lifeline.hold_socket(connection.socket)
        if handshake.leave(_TCP_STATES, by):
            return handshake
    text = postgresql_refusals.text_of(connection)
    codes = (code for words, code in _ERRNO_TEXTS.items() if words in text)
    raise tcp.connect_failure(OSError(next(codes, 0), ""))


class _Handshake:
    """Lets libpq take its steps, each when the socket is ready for it."""

    __slots__ = ("_attempt", "_waits_for", "connection")

    def __init__(self, connection: PGconn, attempt: Attempt) -> None:
        self.connection = connection
        self._attempt = attempt
        # libpq's manual: "as if PQconnectPoll had last returned PGRES_POLLING_WRITING"
        self._waits_for = select.POLLOUT

    def leave(self, states: frozenset[pq.ConnStatus], by: float) -> bool:
        """Goes on until the connection is in none of `states`; returns whether it is still good."""
        connection = self.connection
        while connection.status in states:
            _wait(connection, self._waits_for, self._attempt, by)
            self._waits_for = _EVENTS.get(pq.PollingStatus(connection.connect_poll()), 0)
        if connection.status == pq.ConnStatus.BAD and self._attempt.is_over:
            raise self._attempt.timed_out()
        return connection.status != pq.ConnStatus.BAD


def _wait(connection: PGconn, events: int, attempt: Attempt, by: float) -> None:
    """Returns when the socket is ready; nothing else blocks, since no name is left to resolve."""
    poller = select.poll()
    poller.register(connection.socket, events)
    try:
        ready = poller.poll(attempt.remaining(by) * 1000)
    except TimeoutError:
        ready = []
    if not ready:
        raise attempt.timed_out()


def _conninfo(login: Login, address: str, material: dict[str, str | int]) -> bytes:
    folder, _, port = login.socket.rpartition("/.s.PGSQL.")
    place: dict[str, str | int] = (
        {"host": folder or "/", "port": port}
        if login.socket
        else {"host": login.certified_name, "hostaddr": address, "port": login.port}
    )
    parameters: dict[str, str | int] = {
        **libpq.NEUTRAL,
        **login.options,
        **place,
        "dbname": login.database,
        "user": login.username,
        "password": login.password.reveal() if login.password else "",
        "sslmode": login.tls_mode,
        "ssl_min_protocol_version": f"TLSv{login.tls_minimum}",
        "require_auth": _ONLY_LOGIN.get(login.method, _ACCEPTED_LOGINS[login.tls_mode]),
        **material,
    }
    known = {name: value for name, value in parameters.items() if name in libpq.KNOWN}
    return make_conninfo("", **known).encode()


@contextmanager
def _identity_files(login: Login) -> Iterator[dict[str, str | int]]:
    """Yields the parameters of a client certificate; libpq takes it from files only."""
    if login.identity is None or login.tls_mode == "disable":
        yield {}
        return
    with tls_identity.as_files(login.identity) as files:
        yield {
            "sslcert": files.certificate,
            "sslkey": files.key,
            "sslpassword": files.passphrase,
            "sslcertmode": "allow",
        }


@contextmanager
def _authorities_file(login: Login) -> Iterator[str]:
    """Yields the path of the authorities to trust; libpq takes them from a file only."""
    if not login.is_verified:
        yield libpq.NO_FILE
    elif not login.ca:
        yield libpq.authorities()
    else:
        with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="reconciler-ca-") as file:
            file.write(login.ca)
            file.flush()
            yield file.name


def _read_rows(connection: PGconn, query: str, limit: int, attempt: Attempt) -> Rows:
    by = attempt.query_by
    milliseconds = max(1, round((by - time.monotonic()) * 1000))
    begin = f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}"
    connection.send_query(begin.encode())
    for result in _results(connection, attempt, by):
        _expect(result, attempt)
    # The extended protocol takes one statement only, whatever the text holds.
    connection.send_query_params(query.encode(), None)
    connection.set_single_row_mode()
    columns: tuple[str, ...] = ()
    rows: list[tuple[Cell, ...]] = []
    for result in _results(connection, attempt, by, _Meter(connection, attempt)):
        _expect(result, attempt)
        columns = columns or _columns(result)
        rows += [_row(result, number) for number in range(result.ntuples)]
        if len(rows) > limit:
            # closing ends the transaction as well, and spares us all the other rows
            return Rows(columns=columns, rows=tuple(rows[:limit]), is_cut=True)
    connection.send_query(b"ROLLBACK")
    for result in _results(connection, attempt, by):
        _expect(result, attempt)
    return Rows(columns=columns, rows=tuple(rows), is_cut=False)


def _columns(result: PGresult) -> tuple[str, ...]:
    names = (result.fname(column) or b"" for column in range(result.nfields))
    return tuple(name.decode(errors="replace") for name in names)


def _row(result: PGresult, number: int) -> tuple[Cell, ...]:
    return tuple(
        _cell(result.get_value(number, column), result.ftype(column))
        for column in range(result.nfields)
    )


#: Object identifiers of types (pg_type.dat) whose text form JSON has a value for.
_BOOLEAN = 16
_INTEGERS = frozenset({20, 21, 23})
_FLOATS = frozenset({700, 701})


def _cell(value: bytes | None, type_: int) -> Cell:
    """Returns a value from the server's text form, which every type has; it may be any bytes."""
    if value is None:
        return None
    text = value.decode(errors="replace")
    try:
        if type_ == _BOOLEAN:
            return text == "t"
        if type_ in _INTEGERS:
            return int(text)
        return sql_rows.cell(float(text)) if type_ in _FLOATS else text
    except ValueError:  # no server of PostgreSQL sends that
        return text


_GOOD = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_OK})


def _expect(result: PGresult, attempt: Attempt) -> None:
    if result.status not in _GOOD:
        raise postgresql_refusals.explain_query(result, attempt)


class _Meter:
    """Counts what the server sends; libpq itself keeps a whole row, however long it is."""

    __slots__ = ("_before", "_limit_bytes", "_seen", "_socket")

    def __init__(self, connection: PGconn, attempt: Attempt) -> None:
        self._socket = connection.socket
        self._limit_bytes = attempt.longest_answer_bytes
        self._before = self._received()
        self._seen = 0

    def look(self) -> None:
        """Called when there is something to read.

        Raises:
            ConnectionFailed: BodyTooLarge, when more than an attempt reads has come.
        """
        received = self._received()
        if received is None or self._before is None:
            waiting = array("i", (0,))
            fcntl.ioctl(self._socket, termios.FIONREAD, waiting)
            self._seen += waiting[0]
        else:
            self._seen = received - self._before
        if self._seen > self._limit_bytes:
            raise sql_errors.ROWS_TOO_LARGE.at(StageName.QUERY)

    def _received(self) -> int | None:
        """Returns the bytes that came so far, None where only those that wait can be counted."""
        if not sys.platform.startswith("linux"):
            return None
        try:
            with socket.socket(fileno=os.dup(self._socket)) as same:
                facts = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED_AT + 8)
        except OSError:  # a socket in the file system
            return None
        return int.from_bytes(facts[_RECEIVED_AT:], sys.byteorder) if facts[_RECEIVED_AT:] else None


def _results(
    connection: PGconn, attempt: Attempt, by: float, meter: _Meter | None = None
) -> Iterator[PGresult]:
    """Yields what the server answers to the query that was just sent, as it comes in."""
    try:
        while connection.flush():
            _wait(connection, select.POLLIN | select.POLLOUT, attempt, by)
            connection.consume_input()
        while True:
            while connection.is_busy():
                _wait(connection, select.POLLIN, attempt, by)
                if meter is not None:
                    meter.look()
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                return
            yield result
    except psycopg.OperationalError:
        if attempt.is_over:
            raise attempt.timed_out() from None
        raise tcp.cut(None, StageName.QUERY) from None
