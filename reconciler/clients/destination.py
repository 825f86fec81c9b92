"""Which addresses are contacted: one name is resolved once, and every answer is judged.

HTTP and SQL clients connect to the numeric addresses that `resolve` returns and to nothing else,
so a name that answers differently the second time changes nothing. Spellings of one address
(`127.1`, `0x7f.1`, `2130706433`, an address wrapped in IPv6) are not compared as text: the resolver
turns them into numbers, and `denial` judges numbers. Loopback and private addresses are allowed
unless the operator's `NetworkPolicy` says otherwise: internal databases and APIs are what most
connections are for.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.network import NetworkPolicy

_Address: TypeAlias = IPv4Address | IPv6Address

#: Never contacted, the most specific first. Metadata services hand credentials of the machine to
#: whoever asks; their addresses are from the vendors' pages (AWS, Alibaba, Azure, Google, Oracle,
#: Scaleway), the others from the IANA special-purpose address registries (RFC 6890).
_DENIED = tuple(
    (ip_network(network), why)
    for network, why in (
        ("169.254.169.254/32", "a cloud metadata service"),
        ("169.254.170.2/32", "a cloud metadata service"),
        ("169.254.170.23/32", "a cloud metadata service"),
        ("169.254.42.42/32", "a cloud metadata service"),
        ("100.100.100.200/32", "a cloud metadata service"),
        ("168.63.129.16/32", "a cloud metadata service"),
        ("192.0.0.192/32", "a cloud metadata service"),
        ("fd00:ec2::254/128", "a cloud metadata service"),
        ("fd00:ec2::23/128", "a cloud metadata service"),
        ("fd20:ce::254/128", "a cloud metadata service"),
        ("fd00:42::42/128", "a cloud metadata service"),
        ("0.0.0.0/8", "an unspecified address"),
        ("::/128", "an unspecified address"),
        ("169.254.0.0/16", "a link-local address"),
        ("fe80::/10", "a link-local address"),
        ("224.0.0.0/4", "a multicast address"),
        ("ff00::/8", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
    )
)
#: IPv6 prefixes that carry an IPv4 address in their last 32 bits: IPv4-compatible and IPv4-mapped
#: (RFC 4291, section 2.5.5), IPv4-translated (RFC 2765, section 2.1), NAT64 (RFC 6052, section 2.1,
#: and RFC 8215).
_LAST_32_BITS = tuple(
    map(ip_network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_LOOPBACK_V6 = IPv6Address("::1")

#: A name that the far end resolves is looked up here for so long.
_FAR_NAME_S = 1.0

#: Why a name has no address, by the resolver's code; other codes say the same as EAI_FAIL.
_RESOLVER_ERRORS = {
    socket.EAI_NONAME: "the host name does not exist",
    socket.EAI_AGAIN: "the name server gives no answer",
    socket.EAI_FAIL: "the name server refuses to answer",
}


def denial(address: str, port: int | None, network: NetworkPolicy) -> str:
    """Returns why the numeric `address` is not contacted, as a noun phrase, or `""`.

    An IPv6 address that carries an IPv4 address is judged as both.

    Raises:
        ValueError: `address` is not numeric.
    """
    return _denial(address) or network.denial(_carried(address), port)


@lru_cache(maxsize=4096)
def _carried(address: str) -> tuple[_Address, ...]:
    """Returns the numeric `address` and those that it carries."""
    outer = ip_address(address.partition("%")[0])
    return (outer, *_embedded(outer))


@lru_cache(maxsize=4096)
def _denial(address: str) -> str:
    """Returns why `address` is contacted under no policy."""
    for candidate in _carried(address):
        for network, why in _DENIED:
            if candidate.version == network.version and candidate in network:
                return f"{why}, which is never contacted"
    return ""


async def resolve(host: str, port: int, network: NetworkPolicy) -> tuple[str, ...]:
    """Returns the numeric addresses of `host`, each checked, in the resolver's order of preference.

    Numeric spellings such as `127.1` are names to this function. Has no deadline of its own: the
    caller's `asyncio.timeout` ends the wait.

    Raises:
        ConnectionFailed: DnsFailure when there is no address; DestinationDenied when any one of
            them is not contacted, because the next connection might pick it.
    """
    addresses = (host,) if _is_numeric(host) else await _look_up(host, port)
    _judge(addresses, port, network)
    if network.is_restricted:
        await _refuse_own(host, addresses, port, network)
    return addresses


def resolve_now(host: str, port: int, network: NetworkPolicy) -> tuple[str, ...]:
    """As `resolve`, for the state store, which is opened where no event loop runs.

    Blocks as long as the system's resolver does.

    Raises:
        ConnectionFailed: as `resolve`.
    """
    found = (host,) if _is_numeric(host) else _ask_resolver(host, port)
    if isinstance(found, ConnectionFailed):
        raise found
    _judge(found, port, network)
    return found


def _judge(addresses: Iterable[str], port: int, network: NetworkPolicy) -> None:
    for address in addresses:
        why = denial(address, port, network)
        if why:
            raise _denied(f"{address} is {why}", StageName.DNS)


async def _refuse_own(
    host: str, addresses: tuple[str, ...], port: int, network: NetworkPolicy
) -> None:
    """Refuses the server of the state store; it is looked up only where the port is the same."""
    for own in network.own:
        if own.port != port:
            continue
        known: tuple[str, ...] = (own.host,)
        with suppress(ConnectionFailed):  # then its name is all that there is to compare
            known = (own.host,) if _is_numeric(own.host) else await _look_up(own.host, port)
        ours = _places(address for address in known if _is_numeric(address))
        theirs = _places(addresses)
        if host.lower() == own.host.lower() or ours & theirs:
            raise _denied("this is the state store of this tool", StageName.DNS)


def _places(addresses: Iterable[str]) -> set[_Address]:
    """Returns what `addresses` stand for; a server on one loopback address is there on all."""
    carried = {each for address in addresses for each in _carried(address)}
    return {_LOOPBACK_V6 if each.is_loopback else each for each in carried}


def refuse_socket(path: str, network: NetworkPolicy) -> None:
    """Judges a socket on this machine.

    Raises:
        ConnectionFailed: DestinationDenied.
    """
    # a link that leads to another socket is judged as that one, too
    for each in dict.fromkeys((path, os.path.realpath(path))):
        why = network.socket_denial(each)
        if why:
            raise _denied(f"the socket is {why}", StageName.TCP)


def _denied(message: str, stage: StageName) -> ConnectionFailed:
    return ConnectionFailed(
        Reason.DESTINATION_DENIED, stage, message, "name a host that belongs to the service itself"
    )


async def refuse_denied(host: str, port: int, network: NetworkPolicy) -> None:
    """Judges a host that somebody else will resolve, as far as this machine can tell.

    A numeric address is judged, and what this machine resolves the name to within a moment. A name
    that only the far end knows passes: what it means there cannot be known here.

    Raises:
        ConnectionFailed: DestinationDenied.
    """
    try:
        async with asyncio.timeout(_FAR_NAME_S):
            await resolve(host, port, network)
    except TimeoutError:
        return
    except ConnectionFailed as failure:
        if failure.reason is Reason.DESTINATION_DENIED:
            raise


async def _look_up(host: str, port: int) -> tuple[str, ...]:
    """Asks the system's resolver in a thread of its own.

    `loop.getaddrinfo` would use the loop's pool: a few names whose servers do not answer then hold
    up all others, and the program cannot end before the last of them gave up. A daemon thread
    holds up nobody; it ends by itself when the resolver does (`resolv.conf`: 5 s, twice).
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def settle(found: tuple[str, ...] | ConnectionFailed) -> None:
        if answer.done():
            return
        if isinstance(found, ConnectionFailed):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        found = _ask_resolver(host, port)
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    return await answer


def _ask_resolver(host: str, port: int) -> tuple[str, ...] | ConnectionFailed:
    code: int | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    except socket.gaierror as error:
        code = error.errno
    except (OSError, UnicodeError):  # a label over 63 octets fails in the codec, not the resolver
        pass
    message = _RESOLVER_ERRORS.get(code or 0, "the host name cannot be resolved")
    return ConnectionFailed(
        Reason.DNS_FAILURE,
        StageName.DNS,
        message,
        "check the spelling of the host, and that this machine can resolve it",
    )


@lru_cache(maxsize=4096)
def _is_numeric(host: str) -> bool:
    if "%" in host:  # an address with a zone is for the resolver
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _embedded(address: _Address) -> Iterator[IPv4Address]:
    """Yields every IPv4 address that a gateway or the kernel may contact in place of `address`."""
    if isinstance(address, IPv4Address) or address == _LOOPBACK_V6:
        return
    number = int(address)
    last = number & 0xFFFFFFFF
    if address in _LOCAL_NAT64 and not last:
        # a /48, split around octet 8 (RFC 6052, section 2.2); else a /96 inside it, as below
        yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
    elif any(address in prefix for prefix in _LAST_32_BITS):
        yield IPv4Address(last)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
