"""Keeps one SSH connection for each setting, shared by all who need it, and closes all at the end.

A login runs in a task of its own, because those who wait for it have deadlines of their own:
whoever gives up does not end it for the others. Idle connections are closed when there are many.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from reconciler.clients import destination, tcp
from reconciler.clients.hop_logins import HopLogins
from reconciler.clients.meaning import TUNNEL_LATE
from reconciler.clients.via import SshHost, Via
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.network import NetworkPolicy

if TYPE_CHECKING:
    import asyncssh

#: Connections that stay open for the next one who needs them.
_IDLE = 64
#: A login ends after so long, whoever waits for it.
_LOGIN_S = 30.0


class Tunnels:
    """The SSH connections of one pass or one application; `close` ends them."""

    def __init__(self, logins: HopLogins, network: NetworkPolicy) -> None:
        self._logins = logins
        self._network = network
        self._entries: dict[tuple[object, ...], _Entry] = {}
        self._ssh: ModuleType | None = None

    @asynccontextmanager
    async def through(self, via: Via) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Gives a connection to the last of `via.tunnels`, logged in; it is shared.

        Raises:
            ConnectionFailed: TunnelFailure, AuthFailed and others at stage `tunnel`.
        """
        entry = self._entry(via)
        entry.users += 1
        try:
            yield await asyncio.shield(entry.login)
        finally:
            entry.users -= 1
            await self._close_idle()

    async def load(self) -> ModuleType:
        """Returns the module that imports asyncssh, which takes longer than many a login.

        Whoever times a way calls it before.

        Raises:
            ConnectionFailed: DriverMissing at stage `tunnel`.
        """
        if self._ssh is None:
            self._ssh = await asyncio.to_thread(_load)
        return self._ssh

    async def close(self) -> None:
        """Closes every connection and ends every login that is under way."""
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in reversed(entries):  # a jump host came before what is reached through it
            await entry.end()

    def _entry(self, via: Via) -> _Entry:
        key = tuple(map(_key, via.tunnels))
        entry = self._entries.pop(key, None)
        if entry is None or not entry.is_good:
            entry = _Entry(via, asyncio.create_task(self._log_in(via)))
        self._entries[key] = entry  # now the one used last
        return entry

    async def _log_in(self, via: Via) -> asyncssh.SSHClientConnection:
        *before, host = via.tunnels
        try:
            async with asyncio.timeout(_LOGIN_S):
                ssh = await self.load()
                if not before:
                    return await self._logins.prove(
                        via.login_of(host), lambda: self._dial(ssh, host)
                    )
                jump = Via(tunnels=tuple(before), uid=via.uid, version=via.version)
                await refuse_denied(host, self._network)
                entry = self._entry(jump)
                entry.users += 1  # as long as this one is open, which is until all are closed
                through = await asyncio.shield(entry.login)
                return await self._logins.prove(
                    via.login_of(host), lambda: ssh.log_in(host, connected=None, through=through)
                )
        except TimeoutError:
            raise TUNNEL_LATE.at(StageName.TUNNEL) from None

    async def _dial(self, ssh: ModuleType, host: SshHost) -> asyncssh.SSHClientConnection:
        deadline = asyncio.get_running_loop().time() + _LOGIN_S
        try:
            addresses = await destination.resolve(host.host, host.port, self._network)
            connected, _ = await tcp.connect(addresses, host.port, deadline=deadline)
        except ConnectionFailed as failure:
            raise unreachable(failure) from None
        try:
            connection: asyncssh.SSHClientConnection = await ssh.log_in(
                host, connected=connected, through=None
            )
        except BaseException:
            connected.close()
            raise
        return connection

    async def _close_idle(self) -> None:
        idle = [key for key, entry in self._entries.items() if entry.is_idle]
        for key in idle[: max(0, len(idle) - _IDLE)]:
            await self._entries.pop(key).end()


class _Entry:
    """One shared connection, or the login that is to make it."""

    def __init__(self, via: Via, login: asyncio.Task[asyncssh.SSHClientConnection]) -> None:
        #: keeps the secrets alive by whose identity the entry is found
        self.via = via
        self.login = login
        self.users = 0
        login.add_done_callback(lambda _: self.connection)  # a failure nobody waits for is no leak

    @property
    def connection(self) -> asyncssh.SSHClientConnection | None:
        """What the login gave; None while there is none."""
        try:
            return self.login.result()
        except (ConnectionFailed, asyncio.CancelledError, asyncio.InvalidStateError):
            return None

    @property
    def is_good(self) -> bool:
        """Whether the login is under way, or open; one that failed is tried anew.

        A refused credential is not sent again for that: `HopLogins` remembers.
        """
        if not self.login.done():
            return True
        connection = self.connection
        return connection is not None and not connection.is_closed()

    @property
    def is_idle(self) -> bool:
        return not self.users and self.login.done()

    async def end(self) -> None:
        self.login.cancel()
        await asyncio.wait((self.login,))
        connection = self.connection
        if connection is not None:
            connection.abort()
            await connection.wait_closed()


async def refuse_denied(host: SshHost, network: NetworkPolicy) -> None:
    """Judges an SSH server behind another one, as `destination.refuse_denied`."""
    try:
        await destination.refuse_denied(host.host, host.port, network)
    except ConnectionFailed as failure:
        raise unreachable(failure) from None


def unreachable(failure: ConnectionFailed) -> ConnectionFailed:
    """Returns what it means for a tunnel that its server's address cannot be connected to."""
    is_denied = failure.reason is Reason.DESTINATION_DENIED
    return ConnectionFailed(
        failure.reason if is_denied else Reason.TUNNEL_FAILURE,
        StageName.TUNNEL,
        f"the SSH server is not reached: {failure.message}",
        failure.hint,
    )


def _load() -> ModuleType:
    try:
        return import_module("reconciler.clients.ssh")
    except ImportError:
        raise ConnectionFailed(
            Reason.DRIVER_MISSING,
            StageName.TUNNEL,
            "the library for SSH is not installed here",
            'install it: `pip install "reconciler[ssh]"`',
        ) from None


def _key(host: SshHost) -> tuple[object, ...]:
    secrets = tuple((name, id(secret)) for name, secret in sorted(host.secrets.items()))
    return (host.host, host.port, host.username, host.known_hosts, secrets)
