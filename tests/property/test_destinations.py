"""Patterns of destinations against Python's own reading of addresses, and against a plain model."""

from __future__ import annotations

import fnmatch
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from hypothesis import given
from hypothesis import strategies as st

from reconciler import destinations
from reconciler.destinations import Destination

_LABELS = st.text("abc-1", min_size=1, max_size=5).filter(
    lambda text: not (text.startswith("-") or text.endswith("-") or text.isdigit())
)
NAMES = st.lists(_LABELS, min_size=1, max_size=4).map(".".join)
V4 = st.integers(0, 2**32 - 1)
_BASES = st.sampled_from(("{}", "0x{:x}", "0X{:X}", "0{:o}"))


def to(host: str) -> Destination:
    return Destination(scheme="https", host=host, port=443)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[int, str]:
    """Gives an IPv4 address and one of the ways in which inet_aton(3) takes it."""
    number, parts = draw(V4), draw(st.integers(1, 4))
    leading = [number >> (24 - 8 * index) & 0xFF for index in range(parts - 1)]
    rest = number & ((1 << (8 * (5 - parts))) - 1)
    texts = [draw(_BASES).format(part) for part in (*leading, rest)]
    return number, ".".join(texts)


@given(spellings())
def test_every_spelling_is_the_address_that_the_system_reads(spelt: tuple[int, str]) -> None:
    number, text = spelt
    assert socket.inet_aton(text) == number.to_bytes(4)
    assert destinations.numeric(text) == IPv4Address(number)
    assert destinations.numeric(f"::ffff:{IPv4Address(number)}") == IPv4Address(number)


@given(st.text("0123456789xXabcfo.-", max_size=16))
def test_what_the_system_reads_as_an_address_is_never_a_name(text: str) -> None:
    try:
        number = int.from_bytes(socket.inet_aton(text))
    except OSError:
        assert destinations.numeric(text) is None
        return
    assert destinations.numeric(text) == IPv4Address(number)
    assert destinations.ends_in_number(text)


@given(spellings(), st.integers(0, 32), V4)
def test_network_matches_by_number(spelt: tuple[int, str], length: int, base: int) -> None:
    number, text = spelt
    network = ip_network((base, length), strict=False)
    assert isinstance(network, IPv4Network)
    is_in = number >> (32 - length) == base >> (32 - length)
    assert destinations.parse(str(network)).matches(to(text)) is is_in


@given(st.integers(0, 2**128 - 1), st.integers(0, 128), st.integers(0, 2**128 - 1))
def test_ipv6_network_matches_by_number(number: int, length: int, base: int) -> None:
    network = IPv6Network((base, length), strict=False)
    address = IPv6Address(number)
    is_in = number >> (128 - length) == base >> (128 - length) and not address.ipv4_mapped
    try:
        pattern = destinations.parse(f"[{network}]:443")
    except ValueError:
        assert network.subnet_of(IPv6Network("::ffff:0:0/96"))
        return
    assert pattern.matches(to(address.exploded)) is is_in


@given(NAMES, NAMES)
def test_name_without_a_star_matches_itself_alone(one: str, other: str) -> None:
    pattern = destinations.parse(one)
    assert pattern.matches(to(one.upper() + "."))
    assert pattern.matches(to(other)) is (one == other)
    for host in (f"x{one}", f"{one}x", f"a.{one}", f"{one}.a", f"{one}\n"):
        assert not pattern.matches(to(host))


@given(NAMES, st.lists(st.sampled_from(("*", "a", "b-*", "*c")), min_size=1, max_size=3), NAMES)
def test_stars_stay_within_their_label(host: str, labels: list[str], suffix: str) -> None:
    labels = [*labels, *suffix.split(".")]
    parts = host.split(".")
    extra = len(parts) - len(labels)
    if labels[0] == "*" and extra > 0:
        parts = ["x", *parts[extra + 1 :]]
    expected = len(parts) == len(labels) and all(
        fnmatch.fnmatchcase(part, label) and part for part, label in zip(parts, labels, strict=True)
    )
    assert destinations.parse(".".join(labels)).matches(to(host)) is expected
