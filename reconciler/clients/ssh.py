"""SSH through asyncssh: one login to one server whose host key is known, and channels through it.

Imports asyncssh, so `hops` imports this module when it is first needed. Nothing is taken from the
home folder or the environment: no configuration, no agent, no default keys, and no host key but
those of the file that the manifest names. A credential is sent at most once for each login.
"""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from dataclasses import replace
from typing import Final

import asyncssh

from reconciler.clients.meaning import Meaning
from reconciler.clients.via import SshHost
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: A login ends after so long, whoever waits for it.
LOGIN_S: Final = 30.0
#: A silent server is asked so often whether it is still there, and given up after three times.
_KEEPALIVE_S: Final = 15.0
_PIECE_BYTES: Final = 64 * 1024

_KEY_UNKNOWN: Final = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the host key of the SSH server is not in the file of `knownHosts`",
    hint="ask its administrator for the key, and add the line that `ssh-keyscan` writes for it",
)
_KEY_WRONG: Final = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the SSH server shows another host key than the file of `knownHosts` has for it",
    hint="somebody may pose as it; where its key was replaced on purpose, replace the line",
)
_KNOWN_HOSTS_BROKEN: Final = Meaning(
    reason=Reason.SECRET_UNRESOLVED,
    message="the file of `knownHosts` is not in the format of OpenSSH",
    hint="each line is a host, a type and a key, as `ssh-keyscan` writes it",
)
_LOGIN_REFUSED: Final = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the SSH server refuses the user name, or the password or key",
    hint="check `ssh.username`, and the secret of `password` or `privateKey`",
)
_KEY_UNREADABLE: Final = Meaning(
    reason=Reason.SECRET_UNRESOLVED,
    message="the secret of `privateKey` is no private key, or `passphrase` does not open it",
    hint="check both; the key is a whole file in OpenSSH or PEM format",
)
_KEY_NEEDS_BCRYPT: Final = Meaning(
    reason=Reason.DRIVER_MISSING,
    message="the library that opens encrypted OpenSSH keys is not installed here",
    hint="install it: `pip install bcrypt`, or write the key as PKCS#8: `ssh-keygen -p -m PKCS8`",
)
_NO_COMMON_METHOD: Final = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the SSH server and this program have no key type or cipher in common",
    hint="check that `knownHosts` has a key of a type that the server still uses",
)
_LOST: Final = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the SSH connection broke, or the server does not speak SSH",
    hint="check host and port of `ssh`, and the log of the SSH server",
)
_NOT_ALLOWED: Final = Meaning(
    reason=Reason.TUNNEL_FAILURE,
    message="the SSH server does not allow a connection to this server",
    hint="have it allow it: `AllowTcpForwarding` and `PermitOpen` of OpenSSH",
)
_REFUSED: Final = Meaning(
    reason=Reason.CONNECT_REFUSED,
    message="the SSH server says that it cannot reach the server",
    hint="check host and port, and that the SSH server can resolve and reach the host",
)


async def log_in(
    host: SshHost, *, connected: socket.socket | None, through: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    """Returns a connection that is logged in; the caller closes it.

    It runs over `connected`, or `through` another SSH connection, which then resolves the host.

    Raises:
        ConnectionFailed: TunnelFailure or AuthFailed at stage `tunnel`; SecretUnresolved where the
            key or the known hosts cannot be read, and nothing was sent.
    """
    key = await asyncio.to_thread(_private_key, host) if host.private_key else None
    try:
        known = asyncssh.import_known_hosts(host.known_hosts)
    except ValueError:  # its text is the line
        raise _KNOWN_HOSTS_BROKEN.at(StageName.TUNNEL) from None
    witness = _Witness()
    options = asyncssh.SSHClientConnectionOptions(
        client_factory=lambda: witness,
        config=None,
        known_hosts=known,
        username=host.username,
        password=host.password.reveal() if host.password else None,
        client_keys=[key] if key is not None else None,
        agent_path=None,
        agent_forwarding=False,
        client_host_keys=None,
        gss_kex=False,
        gss_auth=False,
        host_based_auth=False,
        pkcs11_provider=None,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        login_timeout=LOGIN_S,
        keepalive_interval=_KEEPALIVE_S,
    )
    try:
        return await asyncssh.connect(
            host.host, host.port, config=None, options=options, sock=connected, tunnel=through
        )
    except asyncssh.HostKeyNotVerifiable:
        raise _host_key(host, known, witness).at(StageName.TUNNEL) from None
    except asyncssh.PermissionDenied:
        raise _LOGIN_REFUSED.at(StageName.TUNNEL) from None
    except asyncssh.KeyExchangeFailed:
        raise _NO_COMMON_METHOD.at(StageName.TUNNEL) from None
    except asyncssh.ChannelOpenError as error:
        raise _channel_failure(error, StageName.TUNNEL) from None
    except (asyncssh.Error, OSError, ValueError):
        raise _LOST.at(StageName.TUNNEL) from None


class Channel:
    """A connection that an SSH server opened for us; a `relay.Stream`."""

    __slots__ = ("_reader", "_writer")

    def __init__(
        self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]
    ) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Sends `data`; raises OSError when the channel broke."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except asyncssh.Error as error:
            raise ConnectionResetError from error

    async def receive(self) -> bytes:
        """Returns the next bytes, `b""` at the end; raises OSError when the channel broke."""
        try:
            return await self._reader.read(_PIECE_BYTES)
        except asyncssh.Error as error:
            raise ConnectionResetError from error

    def close(self) -> None:
        self._writer.close()


async def open_channel(
    connection: asyncssh.SSHClientConnection, host: str, port: int, stage: StageName
) -> Channel:
    """Returns a channel to `host`, which the SSH server resolves and connects to.

    Raises:
        ConnectionFailed: TunnelFailure at stage `tunnel`, or ConnectRefused at `stage` where the
            SSH server cannot reach the host.
    """
    try:
        reader, writer = await connection.open_connection(host, port)
    except asyncssh.ChannelOpenError as error:
        if connection.is_closed():  # then it is asyncssh that says that the channel was refused
            raise _LOST.at(StageName.TUNNEL) from None
        raise _channel_failure(error, stage) from None
    except (asyncssh.Error, OSError):
        raise _LOST.at(StageName.TUNNEL) from None
    return Channel(reader, writer)


def _private_key(host: SshHost) -> asyncssh.SSHKey:
    assert host.private_key is not None
    passphrase = host.passphrase.reveal() if host.passphrase else None
    text = host.private_key.reveal()
    try:
        return asyncssh.import_private_key(text if text.endswith("\n") else f"{text}\n", passphrase)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        is_openssh = "BEGIN OPENSSH PRIVATE KEY" in text
        if is_openssh and passphrase and importlib.util.find_spec("bcrypt") is None:
            raise _KEY_NEEDS_BCRYPT.at(StageName.TUNNEL) from None
        raise _KEY_UNREADABLE.at(StageName.TUNNEL) from None


class _Witness(asyncssh.SSHClient):
    """Remembers the host key that was not known; trusts none."""

    def __init__(self) -> None:
        #: `SHA256:...` as `ssh-keygen -l` prints it, or empty
        self.fingerprint = ""

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002  # the signature is asyncssh's
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        self.fingerprint = key.get_fingerprint()
        return False


def _host_key(host: SshHost, known: asyncssh.SSHKnownHosts, witness: _Witness) -> Meaning:
    found = known.match(host.host, "", host.port)
    meaning = _KEY_WRONG if any(found[:2]) else _KEY_UNKNOWN
    shown = f" ({witness.fingerprint})" if witness.fingerprint else ""
    return replace(meaning, message=meaning.message + shown)


def _channel_failure(error: asyncssh.ChannelOpenError, stage: StageName) -> ConnectionFailed:
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return _NOT_ALLOWED.at(StageName.TUNNEL)
    return _REFUSED.at(stage)
