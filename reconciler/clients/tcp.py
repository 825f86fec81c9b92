"""Opens a TCP connection to checked addresses, and says what a failing socket means.

Below HTTP; the SQL clients that own a socket use the same table. Operating systems word their
errors differently, so an `OSError` is judged by errno and its text is dropped.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence

from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_DESCRIPTORS = Meaning(
    reason=Reason.PROBE_CRASHED,
    message="this machine has no file descriptors left",
    hint="lower the concurrency, or raise the limit of open files",
)
_NO_ROUTE = Meaning(
    reason=Reason.CONNECT_REFUSED,
    message="there is no route to the server",
    hint="check the network, and that a firewall between lets the connection through",
)
_NO_FAMILY = Meaning(
    reason=Reason.CONNECT_REFUSED,
    message="this machine has no address to connect from",
    hint="check that it speaks the server's IP version, and has free ports",
)
_FORBIDDEN = Meaning(
    reason=Reason.CONNECT_REFUSED,
    message="this machine forbids the connection",
    hint="check its firewall and sandbox, and the permissions of a socket",
)
#: errno -> meaning, while a connection is being opened (connect(2)).
_CONNECT_ERRORS = {
    errno.ECONNREFUSED: Meaning(
        reason=Reason.CONNECT_REFUSED,
        message="the server refuses connections on this port",
        hint="check the port, and that the service runs",
    ),
    errno.ECONNRESET: Meaning(
        reason=Reason.CONNECT_REFUSED, message="the server resets the connection at once"
    ),
    errno.ETIMEDOUT: Meaning(
        reason=Reason.CONNECT_TIMEOUT,
        message="the server does not answer",
        hint="check the host and the port, and that a firewall between lets the connection through",
    ),
    errno.EHOSTUNREACH: _NO_ROUTE,
    errno.ENETUNREACH: _NO_ROUTE,
    errno.EHOSTDOWN: _NO_ROUTE,
    errno.ENETDOWN: _NO_ROUTE,
    errno.EADDRNOTAVAIL: _NO_FAMILY,
    errno.EAFNOSUPPORT: _NO_FAMILY,
    errno.ENOENT: Meaning(
        reason=Reason.CONNECT_REFUSED,
        message="there is no such socket in the file system",
        hint="check `socket`, and that the service runs on this machine",
    ),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
}


async def connect(
    addresses: Sequence[str], port: int, *, deadline: float
) -> tuple[socket.socket, str]:
    """Returns a connected, non-blocking socket and which of `addresses` it is connected to.

    They are tried in order; each but the last gets an even share of the time that is left until
    `deadline` (loop time), so that a silent first address does not use up all of it. `addresses`
    are numeric and checked: nothing is resolved here. The caller's `asyncio.timeout` ends the wait
    for the last one.

    Raises:
        ConnectionFailed: what the last address answered.
    """
    loop = asyncio.get_running_loop()
    for left, address in zip(range(len(addresses), 1, -1), addresses, strict=False):
        try:
            async with asyncio.timeout((deadline - loop.time()) / left):
                return await _connect_to(address, port), address
        except (TimeoutError, ConnectionFailed):
            continue
    return await _connect_to(addresses[-1], port), addresses[-1]


async def connect_path(path: str) -> socket.socket:
    """Returns a non-blocking socket that is connected to the socket at `path`.

    Raises:
        ConnectionFailed: why it is not possible.
    """
    return await _connected(socket.AF_UNIX, path)


async def _connect_to(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return await _connected(family, (address, port))


async def _connected(family: socket.AddressFamily, target: str | tuple[str, int]) -> socket.socket:
    connecting: socket.socket | None = None
    try:
        connecting = socket.socket(family, socket.SOCK_STREAM)
        connecting.setblocking(False)
        if isinstance(target, str):
            await asyncio.get_running_loop().sock_connect(connecting, target)
        else:
            await _await_connection(connecting, target)
    except BaseException as error:
        if connecting is not None:
            connecting.close()
        if isinstance(error, OSError):
            raise connect_failure(error) from None
        raise
    return connecting


async def _await_connection(connecting: socket.socket, there: tuple[str, int]) -> None:
    """Connects; where the server is near, without a turn of the loop.

    On the same machine the handshake is over by the time connect(2) says that it has begun.
    """
    code = connecting.connect_ex(there)
    if code in (0, errno.EINPROGRESS):
        try:
            connecting.getpeername()
        except OSError:  # not yet, or refused meanwhile: asking again tells
            await asyncio.get_running_loop().sock_connect(connecting, there)
    else:
        raise OSError(code, os.strerror(code))


def connect_failure(error: OSError) -> ConnectionFailed:
    """Returns what `error` means while a connection is being opened, without its text."""
    code = error.errno or 0
    fallback = Meaning(
        reason=Reason.CONNECT_REFUSED, message=f"the connection cannot be opened ({_name(code)})"
    )
    return _CONNECT_ERRORS.get(code, fallback).at(StageName.TCP)


def cut(error: OSError | None, stage: StageName) -> ConnectionFailed:
    """Returns what a connection that ended during `stage` means; no error is an orderly end."""
    how = f" ({_name(error.errno)})" if error is not None and error.errno else ""
    return ConnectionFailed(
        Reason.PROTOCOL_ERROR, stage, f"the server closed the connection too early{how}"
    )


def _name(code: int) -> str:
    return errno.errorcode.get(code, f"errno {code}")
