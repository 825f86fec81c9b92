"""The way to a server as values: which hops there are, and what is told to each.

Made from a normalised spec on the event loop; `hops` walks it. Apart from `hops` so that the
modules of the single hops can import the values without importing each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.kinds import hops
from reconciler.model import JsonObject
from reconciler.redact import Secret
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy, and how to log in there."""

    #: `http`, `https` or `socks5`
    scheme: str
    host: str
    port: int
    username: str = ""
    #: None sends no login
    password: Secret | None = None
    #: PEM text of the authorities to trust for `https`; empty trusts the machine's
    ca: str = ""

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """What the login consists of, for its fingerprint; empty where there is none."""
        return {} if self.password is None else {"password": self.password}


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHost:
    """An SSH server, and how to log in there: with a password or with a key."""

    host: str
    port: int
    username: str
    password: Secret | None = None
    private_key: Secret | None = None
    passphrase: Secret | None = None
    #: text of a known_hosts file; keys that it does not hold are refused
    known_hosts: str

    @property
    def scheme(self) -> str:
        return "ssh"

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """What the login consists of, for its fingerprint."""
        named = {"password": self.password, "key": self.private_key, "pass": self.passphrase}
        return {name: secret for name, secret in named.items() if secret is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class HopLogin:
    """One login at a hop, as it is counted: where, as whom, with what, and on whose behalf."""

    #: `ssh`, `http`, `https` or `socks5`
    scheme: str
    host: str
    port: int
    username: str
    secrets: Mapping[str, Secret]
    uid: str
    #: None: whatever the phase of the connection is
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Via:
    """The hops between this machine and a server, in the order in which they are contacted."""

    #: the jump host first
    tunnels: tuple[SshHost, ...] = ()
    proxy: Proxy | None = None
    #: path of the server's own socket on this machine, or empty
    socket: str = ""
    #: on whose behalf: connection and row version that a login at a hop is counted for
    uid: str = ""
    version: int | None = 0

    @property
    def is_direct(self) -> bool:
        return not (self.tunnels or self.proxy or self.socket)

    def login_of(self, hop: Proxy | SshHost) -> HopLogin:
        """Returns the login at one of the hops."""
        return HopLogin(
            scheme=hop.scheme,
            host=hop.host,
            port=hop.port,
            username=hop.username,
            secrets=hop.secrets,
            uid=self.uid,
            version=self.version,
        )


#: Nearly every connection; made once, since every check asks for its way.
_DIRECT = Via()


def describe(
    spec: JsonObject,
    secrets: Mapping[str, Secret],
    read_public: Callable[[JsonObject], str],
    *,
    uid: str = "",
    version: int | None = 0,
) -> Via:
    """Returns the way that a normalised `spec` asks for.

    `secrets` maps the JSON pointer of each reference inside `spec` to its value.

    Raises:
        SecretError: `knownHosts` or `ca` cannot be read.
    """
    if hops.ACCESS_FIELDS.isdisjoint(spec):
        return _DIRECT
    tunnels = []
    if "ssh" in spec:
        ssh = spec["ssh"]
        if "jump" in ssh:
            tunnels.append(_ssh_host(ssh["jump"], "/ssh/jump", secrets, read_public))
        tunnels.append(_ssh_host(ssh, "/ssh", secrets, read_public))
    return Via(
        tunnels=tuple(tunnels),
        proxy=_proxy(spec["proxy"], secrets, read_public) if "proxy" in spec else None,
        socket=spec.get("socket", ""),
        uid=uid,
        version=version,
    )


def _ssh_host(
    hop: JsonObject,
    at: str,
    secrets: Mapping[str, Secret],
    read_public: Callable[[JsonObject], str],
) -> SshHost:
    return SshHost(
        host=hop["host"],
        port=hop["port"],
        username=hop["username"],
        password=secrets.get(f"{at}/password"),
        private_key=secrets.get(f"{at}/privateKey"),
        passphrase=secrets.get(f"{at}/passphrase"),
        known_hosts=read_public(hop["knownHosts"]),
    )


def _proxy(
    proxy: JsonObject, secrets: Mapping[str, Secret], read_public: Callable[[JsonObject], str]
) -> Proxy:
    url = hops.split_proxy(proxy["url"])
    assert url is not None  # `hops.findings` has refused any other
    return Proxy(
        scheme=url.scheme,
        host=url.host,
        port=url.port,
        username=proxy.get("auth", {}).get("username", ""),
        password=secrets.get("/proxy/auth/password"),
        ca=read_public(proxy["ca"]) if "ca" in proxy else "",
    )
