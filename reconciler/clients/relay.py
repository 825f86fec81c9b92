"""Joins a stream that only we can read to a socket that any library can use.

A TLS session to a proxy and a channel of an SSH connection are no sockets, and some database
drivers connect by themselves to a host and a port. `Relay` gives both what they need: one end of a
socket pair, or a port on loopback that takes exactly one connection, of this very process. Bytes
are moved by two tasks on the event loop, which end with the `Relay`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from typing import Protocol, Self

from reconciler.errors import ConnectionFailed

_LOOPBACK = "127.0.0.1"
_PIECE_BYTES = 64 * 1024


class Stream(Protocol):
    """Bytes in both directions; `receive` gives `b""` at the end."""

    async def send(self, data: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    def close(self) -> None: ...


class SocketStream:
    """A connected, non-blocking socket as a stream; owns it."""

    __slots__ = ("_loop", "_socket")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Sends all of `data`; raises OSError when the connection broke."""
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """Returns the next bytes; raises OSError when the connection broke."""
        return await self._loop.sock_recv(self._socket, _PIECE_BYTES)

    def close(self) -> None:
        self._socket.close()


class Relay:
    """Moves bytes between a stream, which it owns, and one socket; an async context."""

    def __init__(self, stream: Stream, *, already_read: bytes = b"") -> None:
        self._stream = stream
        self._already_read = already_read
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._sockets: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        for each in self._sockets:
            each.close()
        self._stream.close()

    def pair(self) -> socket.socket:
        """Returns a connected, non-blocking socket whose other end is the stream.

        The caller closes it.
        """
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self._sockets.append(far)
        self._task = asyncio.create_task(self._move(far))
        return near

    def listen(self) -> int:
        """Returns a port on 127.0.0.1 that takes one connection of this process, and no other."""
        listening = socket.create_server((_LOOPBACK, 0), backlog=4)
        listening.setblocking(False)
        self._sockets.append(listening)
        self._task = asyncio.create_task(self._welcome(listening))
        port: int = listening.getsockname()[1]
        return port

    async def _welcome(self, listening: socket.socket) -> None:
        while True:
            accepted, peer = await self._loop.sock_accept(listening)
            if _is_ours(peer):
                break
            accepted.close()  # somebody else on this machine: gets nothing, and takes no turn
        self._sockets.append(accepted)
        listening.close()
        await self._move(accepted)

    async def _move(self, near: socket.socket) -> None:
        """Returns when both directions have ended, or `near` has."""
        inward = asyncio.create_task(self._move_in(near))
        try:
            await self._move_out(near)
        finally:
            inward.cancel()
            await asyncio.wait((inward,))
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)
            self._stream.close()

    async def _move_out(self, near: socket.socket) -> None:
        with suppress(OSError, ConnectionFailed):
            while data := await self._loop.sock_recv(near, _PIECE_BYTES):
                await self._stream.send(data)

    async def _move_in(self, near: socket.socket) -> None:
        with suppress(OSError, ConnectionFailed):
            data = self._already_read or await self._stream.receive()
            while data:
                await self._loop.sock_sendall(near, data)
                data = await self._stream.receive()
        with suppress(OSError):
            near.shutdown(socket.SHUT_WR)  # the driver reads what is left, and then the end


def _is_ours(peer: object) -> bool:
    """Whether a socket of this process has the address `peer`, so that it made the connection.

    Any user of this machine may connect to loopback; this is how the one connection that the relay
    takes is known to be the driver's. Descriptors of other threads may vanish meanwhile.
    """
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  # names, not paths
        with suppress(OSError):
            number = int(name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as own:
                if own.family == socket.AF_INET and own.getsockname() == peer:
                    return True
    return False
