from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from reconciler import destinations
from reconciler.destinations import Destination


def to(host: str, port: int | None = 443, scheme: str = "https") -> Destination:
    return Destination(scheme=scheme, host=host, port=port)


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("api.example.com", ("api.example.com", "API.Example.COM", "api.example.com.")),
        ("API.example.com.", ("api.example.com",)),
        ("*.internal", ("db.internal", "a.b.internal", "DB.INTERNAL.")),
        ("db-*.internal", ("db-7.internal", "db-.internal")),
        ("*-db.internal", ("orders-db.internal",)),
        ("eu.*.internal", ("eu.db.internal",)),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example", "XN--BCHER-KVA.example")),
        ("10.0.0.0/8", ("10.1.2.3", "0xa010203", "167838211", "10.66051", "012.1.2.3")),
        ("10.0.0.0/8", ("::ffff:10.1.2.3", "::ffff:a01:203")),
        ("127.0.0.1", ("127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433")),
        ("fd00::/8", ("fd00::1", "FD00:0::1", "fd00::1%eth0")),
        ("[fd00::/8]", ("fd00::1",)),
        ("::1", ("::1", "0:0:0:0:0:0:0:1")),
        ("*", ("anything.example", "10.0.0.1", "::1", "1.2.3.4.5")),
    ],
)
def test_pattern_matches(pattern: str, hosts: tuple[str, ...]) -> None:
    parsed = destinations.parse(pattern)
    assert [host for host in hosts if not parsed.matches(to(host))] == []


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("api.example.com", ("api.example.com.evil.test", "xapi.example.com", "apixexample.com")),
        ("api.example.com", ("api.example.com..", "", ".", "api.example.com\n")),
        ("*.internal", ("internal", ".internal", "a..internal", "db.internal.evil.test")),
        ("*.internal", ("10.0.0.1",)),
        ("db-*.internal", ("db-7.eu.internal", "db.internal", "xdb-7.internal")),
        ("10.0.0.0/8", ("11.0.0.1", "ten.internal", "10.0.0.1.", "10.1.2.3.4", "10.0.0.256")),
        ("10.0.0.0/8", ("::10.0.0.1", "64:ff9b::10.0.0.1", "a00::1", "0x", "08.0.0.1")),
        ("fd00::/8", ("fe80::1", "10.0.0.1", "fd00:::1", "fd00.example")),
    ],
)
def test_pattern_does_not_match(pattern: str, hosts: tuple[str, ...]) -> None:
    parsed = destinations.parse(pattern)
    assert [host for host in hosts if parsed.matches(to(host))] == []


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [
        ("https://api.example.com:443", True),
        ("HTTPS://api.example.com", True),
        ("https://*", True),
        ("*:443", True),
        ("http://api.example.com:443", False),
        ("api.example.com:444", False),
        ("http://*", False),
        ("/run/api.sock", False),
    ],
)
def test_scheme_and_port_limit_a_pattern(pattern: str, is_meant: bool) -> None:
    assert destinations.parse(pattern).matches(to("api.example.com")) is is_meant


def test_port_belongs_to_a_network_as_well() -> None:
    for text, host in (("10.0.0.0/8:5432", "10.0.0.1"), ("[fd00::/8]:5432", "fd00::1")):
        pattern = destinations.parse(text)
        assert pattern.matches(to(host, 5432))
        assert not pattern.matches(to(host, 5433))
        assert pattern.covers(ip_address(host), 5432)
        assert not pattern.covers(ip_address(host), 5433)
        assert not pattern.covers(ip_address("192.0.2.1"), 5432)
    assert not destinations.parse("*").covers(ip_address("10.0.0.1"), 5432)


def test_socket_is_matched_by_its_path_alone() -> None:
    there = Destination(scheme="http", path="/run/docker.sock")
    assert destinations.parse("/run/docker.sock").matches(there)
    assert destinations.parse("*").matches(there)
    for text in ("/run/docker.sock2", "docker.sock", "10.0.0.0/8"):
        assert not destinations.parse(text).matches(there)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a host, "),
        ("a b", "a name of letters"),
        ("api.example.com:0", "a host, "),
        ("api.example.com:65536", "a host, "),
        ("api.example.com/path", "a name of letters"),
        ("https://u@api.example.com", "a name of letters"),
        ("b\u00fccher.example", "a name of letters"),
        ("api..example.com", "a name of letters"),
        ("example.*", "a name whose last label is written out"),
        ("*.", "a name whose last label is written out"),
        ("*.*", "a name whose last label is written out"),
        ("10.0.0.1/8", "a network such as"),
        ("10.0.*.1", "a network such as"),
        ("127.1", "a network such as"),
        ("0x7f000001", "a network such as"),
        ("[api.example.com]", "a network such as"),
        ("fd00::1/8", "a network such as"),
        ("::ffff:10.0.0.0/104", "a network of IPv4"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        destinations.parse(text)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0", IPv4Address("0.0.0.0")),
        ("4294967295", IPv4Address("255.255.255.255")),
        ("4294967296", None),
        ("0x100000000", None),
        ("1.16777215", IPv4Address("1.255.255.255")),
        ("1.16777216", None),
        ("256.1", None),
        ("1.2.3.4.5", None),
        ("1..2", None),
        ("09", None),
        ("\u0661", None),
        ("name", None),
        ("::1", IPv6Address("::1")),
        ("[::1]", IPv6Address("::1")),
        ("::g", None),
    ],
)
def test_address_is_read_as_resolvers_read_it(
    host: str, address: IPv4Address | IPv6Address | None
) -> None:
    assert destinations.numeric(host) == address


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        (to("api.example.com"), "https://api.example.com:443"),
        (to("::1", 5432, "postgresql"), "postgresql://[::1]:5432"),
        (to("a", None), "https://a"),
        (Destination(scheme="http", path="/run/x.sock"), "http:///run/x.sock"),
    ],
)
def test_destination_reads_like_a_url(destination: Destination, text: str) -> None:
    assert destination.text == text
