"""One connection that carries one request: a socket, and TLS on top of it where asked for.

Between `tcp.py`, which opens the socket, and `http.py`, which decides what is said. Straight calls
on a non-blocking socket and not an asyncio transport: a transport prepares for a long stream with
two independent directions, which costs a third of a probe, and hides the handshake. A connection
serves one exchange, so that no answer can be taken for the answer to another request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from reconciler.clients import tcp, tls
from reconciler.clients.tls_session import TlsSession
from reconciler.errors import ConnectionFailed
from reconciler.model import StageName

#: One read; small, because most answers are and a buffer is allocated for each read.
_READ_BYTES = 16 * 1024


class Connection:
    """Owns `connected`, a non-blocking socket, until `close`."""

    __slots__ = ("_loop", "_session", "_socket")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._session: TlsSession | None = None

    async def secure(self, context: ssl.SSLContext, server_name: str) -> TlsSession:
        """Returns the TLS session after its handshake; what follows is encrypted.

        Raises:
            ConnectionFailed: the handshake failed, or the connection ended before it did.
        """
        session = TlsSession(context, server_name)
        data = b""
        try:
            while True:
                failure = _advance(session, data)
                # of a failed handshake, the alert that tells the server why
                await self._loop.sock_sendall(self._socket, session.pending())
                if failure is not None:
                    raise failure
                if session.is_open:
                    self._session = session
                    return session
                data = await self._loop.sock_recv(self._socket, _READ_BYTES)
                if not data:
                    raise tls.cut()
        except OSError:
            raise tls.cut() from None

    async def send(self, data: bytes) -> None:
        """Sends all of `data`.

        Raises:
            ConnectionFailed: the connection broke.
        """
        try:
            await self._loop.sock_sendall(
                self._socket, self._session.encrypt(data) if self._session else data
            )
        except OSError as error:
            raise tcp.cut(error, StageName.QUERY) from None

    async def receive(self) -> bytes:
        """Returns the next bytes of the answer, `b""` at its end.

        Raises:
            ConnectionFailed: the connection broke, or TLS did.
        """
        try:
            while True:
                data = await self._loop.sock_recv(self._socket, _READ_BYTES)
                if self._session is None or not data:
                    return data
                plain = self._session.receive(data)
                if plain or self._session.is_closed:
                    return plain
        except ssl.SSLError as error:  # with TLS 1.3 also a refused or missing client certificate
            raise tls.failure(error) from None
        except OSError as error:
            raise tcp.cut(error, StageName.QUERY) from None

    @property
    def is_end_proven(self) -> bool:
        """Whether the end of the answer was said by the server and not by somebody on the way."""
        return self._session is None or self._session.is_closed

    def close(self) -> None:
        """Closes the socket, whatever is still under way."""
        self._socket.close()


def _advance(session: TlsSession, data: bytes) -> ConnectionFailed | None:
    try:
        session.receive(data)
    except ssl.SSLError as error:
        return tls.failure(error)
    return tls.cut() if session.is_closed and not session.is_open else None
