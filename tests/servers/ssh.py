"""A real SSH server on loopback for tests, of asyncssh's server side.

    with ssh_server() as server:
        ...  server.port, server.known_hosts, server.logins, server.failed_logins

User `ops` logs in with `PASSWORD` or with the key in `private_key`. The server opens connections to
whatever address it is asked for; `hosts` is its name service, `ports` says where services are that
its clients know under another port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import asyncssh

from tests.servers.proxies import Listening, serving

USER = "ops"
PASSWORD = "correct horse battery staple"
PASSPHRASE = "open sesame, please"


@dataclass(slots=True, kw_only=True)
class SshServer:
    """A running server and what it saw."""

    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    port: int = 0
    hosts: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)
    #: whether connections are opened for clients
    forwards: bool = True
    #: whether it ends the connection instead
    dies: bool = False
    logins: int = 0
    failed_logins: int = 0
    connections: int = 0
    #: "host:port" as it was asked for, in order
    targets: list[str] = field(default_factory=list)
    #: shows another host key to those who connect from now on
    show: Callable[[asyncssh.SSHKey], None] = field(default=lambda _: None, repr=False)
    #: how to end each connection, from any thread
    endings: list[Callable[[], object]] = field(default_factory=list)

    def drop(self) -> None:
        """Ends every connection at once, as a server that dies does."""
        for end in self.endings:
            end()

    @property
    def known_hosts(self) -> str:
        """The line of a known_hosts file for this server, under two of its names."""
        key = self.host_key.export_public_key().decode().strip()
        return f"[127.0.0.1]:{self.port},[bastion.test]:{self.port} {key}\n"

    @property
    def private_key(self) -> str:
        return self.client_key.export_private_key().decode()

    @property
    def encrypted_key(self) -> str:
        """The private key under `PASSPHRASE`, as PKCS#8."""
        return self.client_key.export_private_key("pkcs8-pem", PASSPHRASE).decode()


class _Server(asyncssh.SSHServer):
    def __init__(self, seen: SshServer) -> None:
        self._seen = seen

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._seen.connections += 1
        self._connection = conn
        loop = asyncio.get_running_loop()
        self._seen.endings.append(partial(loop.call_soon_threadsafe, conn.abort))

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._count((username, password) == (USER, PASSWORD))

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = self._seen.client_key.convert_to_public()
        return self._count(username == USER and key == known)

    def _count(self, is_good: bool) -> bool:
        self._seen.logins += 1
        self._seen.failed_logins += not is_good
        return is_good

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool | asyncssh.SSHTCPSession[bytes]:
        self._seen.targets.append(f"{dest_host}:{dest_port}")
        if self._seen.dies:
            self._connection.abort()
            return False
        if not self._seen.forwards:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "forwarding is disabled"
            )
        address = self._seen.hosts.get(dest_host, dest_host)
        port = self._seen.ports.get(dest_port, dest_port)
        if (address, port) == (dest_host, dest_port):
            return True
        return self._connection.forward_connection(address, port)  # type: ignore[return-value]  # a coroutine, as asyncssh's documentation shows


@contextmanager
def ssh_server(
    *,
    hosts: Mapping[str, str] | None = None,
    ports: Mapping[int, int] | None = None,
    forwards: bool = True,
    port: int = 0,
) -> Iterator[SshServer]:
    """Runs a server with keys of its own on loopback, on a free port unless `port` says which."""
    seen = SshServer(
        host_key=asyncssh.generate_private_key("ssh-ed25519"),
        client_key=asyncssh.generate_private_key("ssh-ed25519"),
        hosts=hosts or {},
        ports=ports or {},
        forwards=forwards,
    )

    async def make() -> tuple[Listening, int]:
        server = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=lambda: _Server(seen),
            server_host_keys=[seen.host_key],
            gss_host=None,
            config=None,
        )
        seen.show = lambda key: server.update(server_host_keys=[key])
        return server, server.get_port()

    with serving(make) as chosen:
        seen.port = chosen
        yield seen
