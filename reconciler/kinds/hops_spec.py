"""The way to a server as Pydantic models: an SSH tunnel, a proxy, a socket in the file system.

Both kinds have these fields. Imported by the generator; what a schema cannot say, such as which of
two fields is given, is in `hops.findings`.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from reconciler.auth.spec_model import (
    MASKED,
    PRINTABLE,
    PublicReference,
    SecretReference,
    SpecModel,
    whole,
)
from reconciler.kinds.fields import Port

#: RFC 1929, section 2, holds a user name in 255 bytes; 63 characters of UTF-8 always fit.
_Username: TypeAlias = Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=63)]
_Host: TypeAlias = Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=MASKED)]
#: `sun_path` holds 104 bytes on macOS and 108 on Linux, the final NUL included (unix(7)).
SocketPath: TypeAlias = Annotated[
    str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=103, json_schema_extra=MASKED)
]

SOCKET: Final = "Absolute path of the server's socket in the file system."


class ProxyAuth(SpecModel):
    """A login at the proxy with user name and password."""

    username: _Username = Field(description="User of the proxy.", examples=["report"])
    password: SecretReference = Field(description="Where the password is.")


class Proxy(SpecModel):
    """A proxy that opens the connection to the server, and passes it on unread."""

    url: Annotated[str, Field(min_length=1, max_length=300)] = Field(
        description="`http://`, `https://` or `socks5://`, host and port; without user info.",
        examples=["http://proxy.internal:3128", "socks5://proxy.internal:1080"],
        # somebody will paste one with a password in it
        json_schema_extra=MASKED,
    )
    auth: ProxyAuth | None = Field(default=None, description="How to log in at the proxy.")
    ca: PublicReference | None = Field(
        default=None,
        description="Authorities to trust for an `https://` proxy instead of the system's.",
    )


class SshHost(SpecModel):
    """An SSH server, and how to log in there: with a password or a private key."""

    host: _Host = Field(description="Name or address of the SSH server.", examples=["bastion"])
    port: Port = Field(default=22, description="Port of the SSH server.")
    username: _Username = Field(description="User of the SSH server.", examples=["tunnel"])
    password: SecretReference | None = Field(default=None, description="Where the password is.")
    private_key: SecretReference | None = Field(
        default=None, description="Where the private key is, in OpenSSH or PEM format."
    )
    passphrase: SecretReference | None = Field(
        default=None, description="Where the passphrase of the private key is."
    )
    known_hosts: PublicReference = Field(
        description="File with the server's host key, as in `~/.ssh/known_hosts`; no key is learnt."
    )


class Ssh(SshHost):
    """An SSH server through which the connection is opened."""

    jump: SshHost | None = Field(
        default=None, description="An SSH server through which this one is reached."
    )
