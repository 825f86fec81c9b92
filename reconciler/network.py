"""Which addresses may be contacted, as the operator file says it: one value for all clients.

Pure floor. What is never contacted, whatever the file says, stands in `clients.destination`, which
judges the addresses that a name was resolved to.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from reconciler.destinations import Address, Pattern
from reconciler.values import dataclass

#: What is not the public internet, the most specific first (IANA special-purpose address
#: registries, RFC 6890; RFC 1918, RFC 6598, RFC 4193, RFC 3879).
_INTERNAL = tuple(
    (ip_network(network), why)
    for network, why in (
        ("127.0.0.0/8", "a loopback address"),
        ("::1/128", "a loopback address"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("100.64.0.0/10", "an address shared behind carrier-grade NAT"),
        ("fc00::/7", "a unique local address"),
        ("fec0::/10", "a site-local address"),
        ("192.0.0.0/24", "an address reserved for protocols"),
        ("198.18.0.0/15", "an address reserved for benchmarks"),
        ("2001:2::/48", "an address reserved for benchmarks"),
        ("192.0.2.0/24", "an address reserved for documentation"),
        ("198.51.100.0/24", "an address reserved for documentation"),
        ("203.0.113.0/24", "an address reserved for documentation"),
        ("2001:db8::/32", "an address reserved for documentation"),
        ("3fff::/20", "an address reserved for documentation"),
        ("240.0.0.0/4", "a reserved address"),
        ("100::/64", "a reserved address"),
        ("5f00::/16", "a reserved address"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateServer:
    """Where this tool's own state store is, if a server keeps it."""

    host: str = ""
    port: int | None = None
    #: path of its socket, or empty
    socket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """Profile `trusted`, unless `is_restricted`: then internal addresses have to be listed."""

    is_restricted: bool = False
    #: networks and sockets that the profile `restricted` may contact all the same
    allow: tuple[Pattern, ...] = ()
    #: networks and sockets that are not contacted in any profile; wins over `allow`
    deny: tuple[Pattern, ...] = ()
    #: never contacted in the profile `restricted`
    own: tuple[StateServer, ...] = ()

    def denial(self, addresses: Iterable[Address], port: int | None) -> str:
        """Returns why a connection is not made, as a noun phrase, or `""`.

        `addresses` are an address and those that it carries: each of them is judged.
        """
        if not (self.is_restricted or self.deny):
            return ""
        for address in addresses:
            for pattern in self.deny:
                if pattern.covers(address, port):
                    return f"in `network.deny` of the operator file: {pattern.text}"
            if not self.is_restricted or any(each.covers(address, port) for each in self.allow):
                continue
            for network, why in _INTERNAL:
                if address.version == network.version and address in network:
                    return f"{why}, which the profile `restricted` does not contact"
        return ""

    def socket_denial(self, path: str) -> str:
        """Returns why a socket on this machine is not connected to, in the form of `denial`."""
        if any(pattern.path == path for pattern in self.deny):
            return "in `network.deny` of the operator file"
        if not self.is_restricted:
            return ""
        if any(own.socket == path for own in self.own):
            return "that of the state store of this tool"
        if any(pattern.path == path for pattern in self.allow):
            return ""
        return "on this machine, which the profile `restricted` does not contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReach:
    """Where the state may be kept; a URL in a project file may come with a pull request.

    As it is made here it is for a URL of whoever runs the command, or the machine.
    """

    #: absolute folder that the file of a state must lie in, links followed; empty for anywhere
    root: str = ""
    #: which servers may be contacted
    network: NetworkPolicy = NetworkPolicy()
