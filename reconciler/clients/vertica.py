"""Vertica through vertica-python: one login over a socket of ours, and one read-only row.

The protocol began as PostgreSQL's. vertica-python goes on without TLS by default, follows a server
to another node, sends the password in whatever form it is asked for, and tells the server the names
of this machine and its user; so the login is made here, message by message, over a socket and with
TLS of ours, and the library reads and writes the messages. It has no way to a second connection.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import vertica_python  # type: ignore[import-untyped]  # has no types
from vertica_python.vertica import messages  # type: ignore[import-untyped]  # the same

from reconciler.clients import sql, sql_errors, sql_rows, sql_socket, tcp, tls, vertica_refusals
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.clients.sql_rows import Rows
from reconciler.model import StageName

#: A server sends less until the login is done.
_LOGIN_BYTES = 64 * 1024


class _Session(vertica_python.Connection):  # type: ignore[misc]  # has no types
    """vertica-python's connection, which logs in as the login says, and only once."""

    def __init__(self, login: Login, attempt: Attempt) -> None:
        self._login = login
        self._attempt = attempt
        self._has_answered = False
        #: so much may still be read
        self._left = _LOGIN_BYTES
        #: the server's notices, which would become Python's warnings, with its text
        self.notice_handler = _ignore
        super().__init__(
            {
                "host": login.host,
                "port": login.port,
                "database": login.database,
                "user": login.username,
                "session_label": "reconciler",
                "disable_copy_local": True,
                "request_complex_types": False,
                **login.options,
            }
        )

    def startup_connection(self) -> None:
        """Does nothing, where vertica-python would log in; see `log_in`."""

    def log_in(self) -> None:
        """Connects, agrees on TLS and proves who we are; done once."""
        plain = sql_socket.connect(self._login, self._attempt)
        self.socket: socket.socket | None = plain  # closed by `drop`, whatever happens
        plain.settimeout(seconds_until(self._attempt.end_by))
        if self._login.tls_mode != "disable":
            with self._attempt.stages.stage(StageName.TLS):
                self.socket = self._encrypted(plain)
        with self._attempt.stages.stage(StageName.AUTH):
            self._greet(self.socket)
            while not isinstance(message := self.read_message(), messages.ReadyForQuery):
                self._answer(message)

    def _encrypted(self, plain: socket.socket) -> ssl.SSLSocket:
        """Asks for TLS (PostgreSQL, "SSL Session Encryption") and shakes hands."""
        login = self._login
        plain.sendall(messages.SslRequest().get_message())
        answer = plain.recv(1)
        if not answer:
            raise EOFError
        if answer != b"S":
            raise vertica_refusals.without_tls(answer)
        mode = tls.TlsMode(login.tls_mode)
        context = tls.context(mode, login.ca, own=login.identity, minimum=login.tls_minimum)
        return context.wrap_socket(plain, server_hostname=login.certified_name)

    def _greet(self, connected: socket.socket) -> None:
        """Sends the first message; of a server that does not take our certificate, reads why.

        TLS 1.3 judges a client after its handshake, so that writing fails first, without a reason.
        """
        try:
            connected.sendall(self._greeting().get_message())
        except OSError:
            connected.recv(1)
            raise

    def _greeting(self) -> Any:
        """Returns the first message: who wants to log in, and nothing of this machine."""
        options = self.options
        category = "User" if self._login.password else ""
        greeting = messages.Startup(
            *(options["user"], options["database"], options["session_label"], ""),
            *(False, False, False, "", "", category),
        )
        for name in (b"client_os", b"client_os_hostname", b"client_pid"):
            greeting.parameters[name] = ""
        return greeting

    def _answer(self, message: Any) -> None:
        """Answers one message of the server's before the login is done."""
        match message:
            case messages.Authentication(code=code):
                self._prove(message, code)
            case messages.BackendKeyData():
                self.backend_pid, self.backend_key = message.pid, message.key
            case messages.ErrorResponse():
                raise vertica_refusals.refused_login(
                    message, self._login, self._attempt, has_answered=self._has_answered
                )
            case _:
                raise sql_errors.NOT_UNDERSTOOD.at(StageName.AUTH)

    def _prove(self, request: Any, code: int) -> None:
        if code in (messages.Authentication.OK, messages.Authentication.PASSWORD_GRACE):
            return
        problem = vertica_refusals.unanswered(code, self._login)
        if problem is not None:
            raise problem.at(StageName.AUTH)
        assert self._login.password is not None  # `unanswered` says so
        salts = {name: getattr(request, name, None) for name in ("salt", "usersalt")}
        self._has_answered = True
        password = self._login.password.reveal()
        self.write(messages.Password(password, code, {"user": self._login.username, **salts}))

    def read_bytes(self, n: int) -> bytes:
        """Returns exactly so many bytes; a server that wants to send too many is left."""
        self._left -= n
        if self._left < 0:
            raise OverflowError
        try:
            data: bytes = self._socket_as_file().read(n)
        except ssl.SSLError as error:  # vertica-python would make a text of it
            raise (
                self._attempt.timed_out() if self._attempt.is_over else tls.failure(error)
            ) from None
        if len(data) < n:
            raise EOFError
        return data

    def read_message(self) -> Any:
        """Returns the next message, none that asks for a file of this machine."""
        message = super().read_message()
        if isinstance(message, messages.VerifyFiles):
            raise sql_errors.FILE_REQUESTED.at(self._attempt.stages.last or StageName.QUERY)
        return message

    def allow(self, most_bytes: int) -> None:
        """Lets the server send so much from now on."""
        self._left = most_bytes

    def _socket(self) -> Any:
        return self.establish_socket_connection() if self.socket is None else self.socket

    def establish_socket_connection(self, *_: object) -> NoReturn:
        """Refuses a second connection, to whichever node."""
        raise vertica_python.errors.ConnectionError("the connection is closed")

    def close_socket(self) -> None:
        super().close_socket()
        # Python keeps every logger by name, and this one's is its own
        logging.Logger.manager.loggerDict.pop(self._logger.name, None)

    def drop(self) -> None:
        """Closes the connection without a word, if it still is one."""
        if self.socket is not None:
            self.close_socket()


def _ignore(notice: object) -> None:
    """Does nothing."""


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """Logs in once, runs `query` read-only, and returns at most `limit` rows.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    session = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), _translated(attempt):
            session.allow(sql_rows.LARGEST_BYTES)
            cursor = session.cursor()
            cursor.execute("START TRANSACTION READ ONLY")
            cursor.execute(query)
            columns = [column.name for column in cursor.description or ()]
            found = sql_rows.collect(columns, iter(cursor.fetchone, None), limit=limit)
            session.close()  # which ends the transaction as well
            return found
    finally:
        session.drop()


DRIVER = sql.Driver(read=read)


def _log_in(login: Login, attempt: Attempt) -> _Session:
    session = _Session(login, attempt)
    try:
        with _translated(attempt):
            session.log_in()
    except BaseException:
        session.drop()
        raise
    return session


@contextmanager
def _translated(attempt: Attempt) -> Iterator[None]:
    """Turns whatever vertica-python raises inside into `ConnectionFailed`."""
    try:
        yield
    except ssl.SSLError as error:
        raise (attempt.timed_out() if attempt.is_over else tls.failure(error)) from None
    except (OSError, EOFError, vertica_python.errors.ConnectionError) as error:
        if attempt.is_over or isinstance(error, TimeoutError):
            raise attempt.timed_out() from None
        known = error if isinstance(error, OSError) else None
        raise tcp.cut(known, attempt.stages.last or StageName.TCP) from None
    except (vertica_python.errors.Error, *sql_errors.GARBLED) as error:
        raise vertica_refusals.explain(error, attempt) from None
