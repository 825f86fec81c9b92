"""Where something is sent, and patterns of it: `api.example.com`, `*.internal:5432`, `10.0.0.0/8`.

Pure floor, below the settings that hold such patterns. A host in a manifest is judged as it is
written, before any name is resolved: a name is matched by names, an address by networks, however
it is spelled. What is neither for certain is matched by `*` alone.
"""

from __future__ import annotations

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import TypeAlias

from reconciler.values import dataclass

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_PATTERN = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?"
    r"(?:\[(?P<bracketed>[^\[\]]*)\]|(?P<host>[^\[\]:]+))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_*](?:[a-z0-9_*-]{0,61}[a-z0-9_*])?")
#: How the last part of a host looks that no name has (WHATWG URL, "ends in a number checker").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: A part of an IPv4 address as inet_aton(3) takes it: hexadecimal, octal or decimal.
_PART = re.compile(r"0x(?P<hex>[0-9a-f]+)|0(?P<octal>[0-7]*)|(?P<decimal>[1-9][0-9]*)")
_MAPPED = IPv6Network("::ffff:0:0/96")
_LAST_PORT = 65535
_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One place that something is sent to: a server, or a socket on this machine."""

    #: `https`, `postgresql`, `ssh`, `socks5` ...
    scheme: str
    #: as written; empty for a socket
    host: str = ""
    port: int | None = None
    #: path of a socket, or empty
    path: str = ""

    @property
    def text(self) -> str:
        """What a person reads: `https://api.example.com:443`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{self.path or host + port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a list of destinations has in one entry."""

    text: str
    #: empty for every scheme
    scheme: str = ""
    #: addresses, where the entry is of addresses
    network: Network | None = None
    #: expression for a whole name in lower case, where it is of names
    name: str = ""
    #: path of a socket, where it is of a socket
    path: str = ""
    #: None for every port
    port: int | None = None

    @property
    def is_any_host(self) -> bool:
        return not (self.network or self.name or self.path)

    def matches(self, destination: Destination) -> bool:
        """Whether `destination` is one of those that are meant."""
        is_scheme = self.scheme in ("", destination.scheme.lower())
        is_port = self.port in (None, destination.port)
        return is_scheme and is_port and (self.is_any_host or self._is_place(destination))

    def _is_place(self, destination: Destination) -> bool:
        if destination.path or self.path:
            return destination.path == self.path
        address = numeric(destination.host)
        if self.network is not None:
            return address is not None and address in self.network
        if address is not None or ends_in_number(destination.host):
            return False
        return bool(re.fullmatch(self.name, _plain(destination.host)))

    def covers(self, address: Address, port: int | None) -> bool:
        """Whether a connection to a resolved address is meant; never so for names and sockets."""
        is_port = self.port is None or self.port == port
        return is_port and self.network is not None and address in self.network


def parse(text: str) -> Pattern:
    """Returns the pattern that `text` means.

    In a name `*` stands for any characters but a dot; as the first label of several it stands for
    one label or more, alone for every host.

    Raises:
        ValueError: it is none; says what it must be.
    """
    if text.startswith("/"):
        return Pattern(text=text, path=text)
    if text.count(":") > 1 and "://" not in text and "[" not in text:
        return Pattern(text=text, network=_network(text))
    match = _PATTERN.fullmatch(text)
    if match is None or int(match["port"] or 1) > _LAST_PORT:
        raise ValueError("a host, `*.name`, a network such as 10.0.0.0/8 or a socket, then a port")
    scheme = (match["scheme"] or "").lower()
    port = int(match["port"]) if match["port"] else None
    host = match["host"]
    if host == "*":
        return Pattern(text=text, scheme=scheme, port=port)
    if host is None or ends_in_number(host.partition("/")[0]):
        network = _network(match["bracketed"] if host is None else host)
        return Pattern(text=text, scheme=scheme, network=network, port=port)
    return Pattern(text=text, scheme=scheme, name=_name(host), port=port)


def numeric(host: str) -> Address | None:
    """Returns the address that `host` spells, or None where it is none.

    Takes every form of inet_aton(3), which resolvers take as well: `127.1`, `0x7f.1`, `2130706433`.
    An IPv4 address that IPv6 maps (RFC 4291, section 2.5.5.2) is that address.
    """
    if ":" not in host:
        return _inet_aton(host.lower())
    try:
        address = IPv6Address(host.strip("[]").partition("%")[0])
    except AddressValueError:
        return None
    return address.ipv4_mapped or address


def ends_in_number(host: str) -> bool:
    """Whether no resolver may take `host` for a name: its last part is a number."""
    return bool(_NUMBER.fullmatch(_plain(host).rpartition(".")[2]))


def _plain(host: str) -> str:
    """Returns the form in which names are compared: lower case, without the dot of the root."""
    return host.lower().removesuffix(".")


def _inet_aton(host: str) -> IPv4Address | None:
    parts = [_PART.fullmatch(part) for part in host.split(".")]
    if len(parts) > _PARTS:
        return None
    number = 0
    for index, part in enumerate(parts):
        if part is None:
            return None
        value = int(part["decimal"] or part["hex"] or part["octal"] or "0", _base(part))
        size = 8 if index < len(parts) - 1 else 8 * (_PARTS - index)
        if value >> size:
            return None
        number = number << size | value
    return IPv4Address(number)


def _base(part: re.Match[str]) -> int:
    return 10 if part["decimal"] else 16 if part["hex"] else 8


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(
            "a network such as 10.0.0.0/8, with no bit set behind its length"
        ) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        raise ValueError("a network of IPv4, written as one")
    return network


def _name(host: str) -> str:
    labels = _plain(host).split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("a name of letters, digits, `-`, `_` and `*`; others in their ASCII form")
    if labels[-1] == "*":
        raise ValueError("a name whose last label is written out")
    first = r"[^.]+(?:\.[^.]+)*" if labels[0] == "*" else _label(labels[0])
    return r"\.".join((first, *map(_label, labels[1:])))


def _label(label: str) -> str:
    return "[^.]*".join(map(re.escape, label.split("*")))
