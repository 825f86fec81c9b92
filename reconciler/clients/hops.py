"""Opens the way to a server: through SSH tunnels, through a proxy, or to a socket on this machine.

`Hops` is shared by all connections of one health pass or one application, so that a hundred
databases behind one bastion log in there once. A `Way` is what a client gets: whatever hops there
are, it gives a connected socket, or a port on loopback for drivers that connect by themselves.

Every address that *we* connect to is resolved once and checked. What lies behind a hop is resolved
at the far end: it is refused when it is a denied address, or when this machine resolves it to one;
what only the far end can resolve cannot be known here.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Self

from reconciler.clients import destination, http_connection, proxy, tcp, tls
from reconciler.clients.hop_logins import Guard, HopLogins
from reconciler.clients.meaning import TUNNEL_BROKEN
from reconciler.clients.relay import Relay, SocketStream, Stream
from reconciler.clients.stages import Stages
from reconciler.clients.tunnels import Tunnels
from reconciler.clients.via import Proxy, Via
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.network import NetworkPolicy
from reconciler.values import dataclass

if TYPE_CHECKING:
    import asyncssh


class Hops:
    """Shared tunnels and proved credentials; `close` when no way is needed any more."""

    def __init__(self, guard: Guard | None = None, *, network: NetworkPolicy) -> None:
        #: which addresses may be contacted, for connections without hops as well
        self.network = network
        self.logins = HopLogins(guard)
        self.tunnels = Tunnels(self.logins, network)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every tunnel."""
        await self.tunnels.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one connection reaches its server."""

    hops: Hops
    via: Via

    @asynccontextmanager
    async def open(
        self, host: str, port: int, *, stages: Stages, connect_by: float
    ) -> AsyncIterator[socket.socket]:
        """Gives a connected, non-blocking socket to `host`, which is open inside the context.

        `connect_by` (loop time) only shares out time; the caller's `asyncio.timeout` ends the wait.
        Stages `tunnel`, `proxy` and, where a hop or we connect to the server, `tcp` are recorded.

        Raises:
            ConnectionFailed: why and at which hop it was not possible.
        """
        async with AsyncExitStack() as stack:
            if self.via.socket:
                opened = await self._open_path(stages)
            else:
                await destination.refuse_denied(host, port, self.hops.network)
                opened = await self._open_hops(stack, host, port, stages, connect_by)
            stack.callback(opened.close)
            yield opened

    @asynccontextmanager
    async def listen(
        self, host: str, port: int, *, stages: Stages, connect_by: float
    ) -> AsyncIterator[int]:
        """Gives a port on 127.0.0.1 whose one connection, of this process, leads to `host`.

        As `open` otherwise: the way is open before the port is.
        """
        async with AsyncExitStack() as stack:
            opening = self.open(host, port, stages=stages, connect_by=connect_by)
            opened = await stack.enter_async_context(opening)
            relay = await stack.enter_async_context(Relay(SocketStream(opened)))
            yield relay.listen()

    async def _open_path(self, stages: Stages) -> socket.socket:
        with stages.stage(StageName.TCP) as stage:
            stage.detail = self.via.socket
            destination.refuse_socket(self.via.socket, self.hops.network)
            return await tcp.connect_path(self.via.socket)

    async def _open_hops(
        self, stack: AsyncExitStack, host: str, port: int, stages: Stages, connect_by: float
    ) -> socket.socket:
        through = self.via.proxy
        if not self.via.tunnels:
            assert through is not None  # else there is no hop and no way to open
            with stages.stage(StageName.PROXY) as stage:
                opened, stage.detail = await _dial(through, connect_by, self.hops.network)
                return await self._pass_on(stack, opened, through, host, port)
        with stages.stage(StageName.TUNNEL) as stage:
            if through is not None:
                await _refuse_denied(through, self.hops.network)
            connection = await stack.enter_async_context(self.hops.tunnels.through(self.via))
            stack.enter_context(_blamed(connection))
            stage.detail = self.via.tunnels[-1].host
        ssh = import_module("reconciler.clients.ssh")
        if through is None:
            with stages.stage(StageName.TCP):
                channel = await ssh.open_channel(connection, host, port, StageName.TCP)
                return await _joined(stack, channel)
        with stages.stage(StageName.PROXY):
            try:
                channel = await ssh.open_channel(
                    connection, through.host, through.port, StageName.PROXY
                )
            except ConnectionFailed as failure:
                raise _unreachable(failure) from None
            opened = await _joined(stack, channel)
            return await self._pass_on(stack, opened, through, host, port)

    async def _pass_on(
        self, stack: AsyncExitStack, opened: socket.socket, through: Proxy, host: str, port: int
    ) -> socket.socket:
        """Returns a socket to `host`, made by the proxy at the other end of `opened`."""
        stack.callback(opened.close)
        stream: Stream = SocketStream(opened)
        if through.scheme == "https":
            stream = await _secured(opened, through)

        async def shake() -> bytes:
            return await _shake(proxy.handshake(through, host, port), stream)

        login = self.via.login_of(through)
        rest = await (self.hops.logins.prove(login, shake) if login.secrets else shake())
        if isinstance(stream, SocketStream) and not rest:
            return opened
        return await _joined(stack, stream, rest)


@contextmanager
def _blamed(connection: asyncssh.SSHClientConnection) -> Iterator[None]:
    """Says that it was the tunnel where a server seems to hang up and the tunnel has ended."""
    try:
        yield
    except ConnectionFailed as failure:
        if failure.reason is Reason.PROTOCOL_ERROR and connection.is_closed():
            raise TUNNEL_BROKEN.at(StageName.TUNNEL) from None
        raise


async def _joined(stack: AsyncExitStack, stream: Stream, rest: bytes = b"") -> socket.socket:
    """Returns a socket whose other end is `stream`, for as long as `stack` is open."""
    relay = await stack.enter_async_context(Relay(stream, already_read=rest))
    return relay.pair()


async def _dial(
    through: Proxy, connect_by: float, network: NetworkPolicy
) -> tuple[socket.socket, str]:
    try:
        addresses = await destination.resolve(through.host, through.port, network)
        return await tcp.connect(addresses, through.port, deadline=connect_by)
    except ConnectionFailed as failure:
        raise _unreachable(failure) from None


async def _refuse_denied(through: Proxy, network: NetworkPolicy) -> None:
    try:
        await destination.refuse_denied(through.host, through.port, network)
    except ConnectionFailed as failure:
        raise _unreachable(failure) from None


async def _secured(opened: socket.socket, through: Proxy) -> http_connection.Connection:
    connection = http_connection.Connection(opened)
    try:
        context = tls.context(tls.TlsMode.VERIFY_FULL, through.ca)
        await connection.secure(context, through.host)
    except ConnectionFailed as failure:
        raise ConnectionFailed(
            failure.reason,
            StageName.PROXY,
            f"TLS with the proxy: {failure.message}",
            failure.hint.replace("tls: {ca:", "proxy: {ca:").removesuffix(tls.SERVER_NAME_HINT),
        ) from None
    return connection


async def _shake(handshake: proxy.Handshake, stream: Stream) -> bytes:
    """Returns what came behind the last answer of the proxy: the first words of the server."""
    received = b""
    answer = b""
    while True:
        try:
            step = handshake.send(answer) if answer else next(handshake)
        except StopIteration:
            return received
        try:
            if isinstance(step, proxy.Send):
                answer = b""
                await stream.send(step.data)
                continue
            while (size := _size(step, received)) < 0:
                piece = await stream.receive()
                if not piece or len(received) > proxy.LONGEST_HEAD:
                    raise proxy.cut()
                received += piece
        except ConnectionFailed as failure:
            raise (failure if failure.stage is StageName.PROXY else proxy.cut()) from None
        except OSError:
            raise proxy.cut() from None
        answer, received = received[:size], received[size:]


def _size(step: proxy.Read, received: bytes) -> int:
    """Returns how much of `received` answers `step`, -1 when there is too little."""
    if step.is_head:
        end = received.find(b"\r\n\r\n")
        return end + 4 if end >= 0 else -1
    return step.size if len(received) >= step.size else -1


def _unreachable(failure: ConnectionFailed) -> ConnectionFailed:
    """Returns what it means for a proxy that its address cannot be connected to."""
    keeps = failure.reason is Reason.DESTINATION_DENIED or failure.stage is StageName.TUNNEL
    return ConnectionFailed(
        failure.reason if keeps else Reason.PROXY_FAILURE,
        failure.stage if failure.stage is StageName.TUNNEL else StageName.PROXY,
        f"the proxy is not reached: {failure.message}",
        failure.hint,
    )
