"""The socket that oracledb gets: ours, once, with TLS of ours, and with an end to what it reads.

oracledb's thin mode opens its sockets itself, and goes on to whatever host a listener sends it to
(TNS "redirect"), with the login. It is therefore handed a socket of ours for its first connection,
and none for a second. The socket is put under it where it looks for Python's `socket` module; other
users of oracledb in this process, whose threads make no attempt of ours, have it as before. TLS is
ours as well: oracledb switches the check of the host name off in the context that it is given, and
makes its own. In the same way, a server cannot have it hash for hours before the login.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import oracledb.thin_impl as thin  # type: ignore[import-not-found]  # compiled, without stubs

from reconciler.clients import oracle_refusals, sql_errors, sql_socket, tls
from reconciler.clients.attempt import Attempt, Login
from reconciler.errors import ConnectionFailed
from reconciler.model import StageName

#: Oracle's own servers ask for 4096.
_MOST_ITERATIONS = 1_000_000
#: A server sends less until the login is done.
_LOGIN_BYTES = 256 * 1024


class _Metered:
    """A connected socket that is read up to what its `Dial` allows; otherwise the socket itself."""

    def __init__(self, connected: socket.socket, dial: Dial) -> None:
        self.connected = connected
        self._dial = dial

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connected, name)

    def recv(self, length: int) -> bytes:
        data = self.connected.recv(length)
        self._dial.count_bytes(len(data))
        return data


class Dial:
    """The one connection of a login, made where oracledb makes it: TCP, TLS, and then the login."""

    def __init__(self, login: Login, attempt: Attempt) -> None:
        self._login = login
        self._attempt = attempt
        self._running = ExitStack()
        #: what oracledb was given, to be closed where it makes no connection of it
        self._given: list[socket.socket] = []
        #: so much may still be read; None: whatever comes
        self._left: int | None = _LOGIN_BYTES
        #: connections that oracledb has asked for
        self.count = 0
        #: why there was none, behind whatever oracledb makes of it
        self.failure: ConnectionFailed | None = None
        #: what oracledb sets here, and does not judge by
        self.check_hostname = False

    def connect(self) -> _Metered:
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
        return _Metered(plain, self)

    def wrap_socket(
        self, plain: _Metered | socket.socket, server_hostname: str | None = None
    ) -> _Metered:
        """Returns `plain` with TLS on it, verified as the login says; oracledb names no host.

        A server may ask for another handshake after the first (`TLS renegotiation` of TNS).
        """
        del server_hostname
        login = self._login
        bare = plain.connected if isinstance(plain, _Metered) else plain
        mode = tls.TlsMode(login.tls_mode)
        self._begin(StageName.TLS)
        try:
            context = tls.context(mode, login.ca, own=login.identity, minimum=login.tls_minimum)
            wrapped = context.wrap_socket(bare, server_hostname=login.certified_name)
        except ConnectionFailed as failure:
            raise self._ended(failure) from None
        except OSError as error:
            raise self._ended(self._broken(error)) from None
        self._given.append(wrapped)
        self._begin(StageName.AUTH)
        return _Metered(wrapped, self)

    def allow(self, most_bytes: int | None) -> None:
        """Lets the server send so much from now on, or as much as it likes."""
        self._left = most_bytes

    def count_bytes(self, length: int) -> None:
        """Takes note of what was read; a server that wants to send too much is left."""
        if self._left is not None:
            self._left -= length
            if self._left < 0:
                stage = self._attempt.stages.last or StageName.AUTH
                raise self._ended(sql_errors.NOT_UNDERSTOOD.at(stage))

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
    """Python's `socket` module as oracledb sees it: a thread with a `Dial` gets its connection."""

    def __init__(self) -> None:
        self._here = threading.local()

    def __getattr__(self, name: str) -> object:
        return getattr(socket, name)

    def create_connection(self, place: tuple[str, int], *rest: Any, **named: Any) -> Any:
        """Returns a socket of the thread's own login, or what Python makes for everybody else."""
        dial: Dial | None = getattr(self._here, "dial", None)
        return dial.connect() if dial else socket.create_connection(place, *rest, **named)

    @contextmanager
    def through(self, dial: Dial) -> Iterator[None]:
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


SOCKETS = _Sockets()
thin.socket = SOCKETS
thin.pbkdf2 = _Hashing(thin.pbkdf2)
