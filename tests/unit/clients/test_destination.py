from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.clients import destination
from reconciler.destinations import parse
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.network import NetworkPolicy, StateServer

TRUSTED = NetworkPolicy()
METADATA = "a cloud metadata service"
UNSPECIFIED = "an unspecified address"
LINK_LOCAL = "a link-local address"
MULTICAST = "a multicast address"
BROADCAST = "the broadcast address"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", METADATA),
        ("169.254.170.2", METADATA),
        ("169.254.170.23", METADATA),
        ("169.254.42.42", METADATA),
        ("100.100.100.200", METADATA),
        ("168.63.129.16", METADATA),
        ("192.0.0.192", METADATA),
        ("fd00:ec2::254", METADATA),
        ("fd00:ec2::23", METADATA),
        ("fd00:0ec2:0:0:0:0:0:254", METADATA),
        ("FD00:EC2::254", METADATA),
        ("fd20:ce::254", METADATA),
        ("fd00:42::42", METADATA),
        ("::ffff:169.254.169.254", METADATA),
        ("::ffff:a9fe:a9fe", METADATA),
        ("0:0:0:0:0:ffff:a9fe:a9fe", METADATA),
        ("::169.254.169.254", METADATA),
        ("::ffff:0:169.254.169.254", METADATA),
        ("64:ff9b::169.254.169.254", METADATA),
        ("64:ff9b::a9fe:a9fe", METADATA),
        ("64:ff9b:1::a9fe:a9fe", METADATA),
        ("64:ff9b:1:a9fe:a9:fe00::", METADATA),
        ("2002:a9fe:a9fe::1", METADATA),
        ("2001:0:a9fe:a9fe::1", METADATA),
        ("2001:0:4136:e378:8000:63bf:5601:5601", METADATA),
        ("::ffff:100.100.100.200", METADATA),
        ("64:ff9b::168.63.129.16", METADATA),
        ("2002:a83f:8110::", METADATA),
        ("0.0.0.0", UNSPECIFIED),
        ("0.1.2.3", UNSPECIFIED),
        ("::", UNSPECIFIED),
        ("::0", UNSPECIFIED),
        ("::ffff:0.0.0.0", UNSPECIFIED),
        ("64:ff9b::", UNSPECIFIED),
        ("2002::", UNSPECIFIED),
        ("::2", UNSPECIFIED),
        ("169.254.0.1", LINK_LOCAL),
        ("169.254.255.255", LINK_LOCAL),
        ("fe80::1", LINK_LOCAL),
        ("fe80::1%eth0", LINK_LOCAL),
        ("febf::1", LINK_LOCAL),
        ("::ffff:169.254.1.1", LINK_LOCAL),
        ("224.0.0.1", MULTICAST),
        ("239.255.255.250", MULTICAST),
        ("ff02::1", MULTICAST),
        ("ff0e::1", MULTICAST),
        ("::ffff:224.0.0.1", MULTICAST),
        ("255.255.255.255", BROADCAST),
        ("::ffff:255.255.255.255", BROADCAST),
        ("127.0.0.1", ""),
        ("127.8.8.8", ""),
        ("::1", ""),
        ("10.4.7.12", ""),
        ("172.16.0.1", ""),
        ("192.168.1.1", ""),
        ("100.64.0.1", ""),
        ("fd12:3456::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("64:ff9b::8.8.8.8", ""),
        ("2002:808:808::1", ""),
        ("8.8.8.8", ""),
        ("2001:4860:4860::8888", ""),
        ("168.63.129.17", ""),
        ("170.0.0.1", ""),
    ],
)
def test_addresses_are_judged_by_what_they_reach(address: str, why: str) -> None:
    assert destination.denial(address, 80, TRUSTED) == (
        f"{why}, which is never contacted" if why else ""
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "2852039166",
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.16689662",
        "0xa9.16689662",
        "0",
        "0x0",
        "00.0",
    ],
)
def test_numeric_spellings_are_denied_by_what_they_mean(spelling: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        asyncio.run(destination.resolve(spelling, 80, TRUSTED))
    assert raised.value.reason is Reason.DESTINATION_DENIED


@pytest.mark.parametrize(
    "spelling", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.1", "0x7f000001"]
)
def test_numeric_spellings_of_loopback_are_resolved(spelling: str) -> None:
    assert asyncio.run(destination.resolve(spelling, 80, TRUSTED)) == ("127.0.0.1",)


def test_a_numeric_address_is_not_looked_up() -> None:
    assert asyncio.run(destination.resolve("10.4.7.12", 80, TRUSTED)) == ("10.4.7.12",)


def answer_with(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_one_denied_address_denies_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, "10.4.7.12", "169.254.169.254")
    with pytest.raises(ConnectionFailed) as raised:
        asyncio.run(destination.resolve("db.example", 80, TRUSTED))
    assert (raised.value.reason, raised.value.stage, raised.value.message) == (
        Reason.DESTINATION_DENIED,
        StageName.DNS,
        "169.254.169.254 is a cloud metadata service, which is never contacted",
    )


def test_addresses_keep_the_order_of_the_resolver_without_repeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_with(monkeypatch, "10.0.0.2", "10.0.0.1", "10.0.0.2")
    assert asyncio.run(destination.resolve("db.example", 80, TRUSTED)) == ("10.0.0.2", "10.0.0.1")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (socket.EAI_NONAME, "the host name does not exist"),
        (socket.EAI_AGAIN, "the name server gives no answer"),
        (socket.EAI_FAIL, "the name server refuses to answer"),
        (socket.EAI_MEMORY, "the host name cannot be resolved"),
    ],
)
def test_resolver_errors_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "library text")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectionFailed) as raised:
        asyncio.run(destination.resolve("db.example", 80, TRUSTED))
    assert (raised.value.reason, raised.value.message) == (Reason.DNS_FAILURE, message)


def test_a_label_that_no_resolver_takes_is_a_dns_failure() -> None:
    with pytest.raises(ConnectionFailed) as raised:
        asyncio.run(destination.resolve("x" * 64 + ".example", 80, TRUSTED))
    assert raised.value.reason is Reason.DNS_FAILURE


OWN = NetworkPolicy(
    is_restricted=True,
    allow=(parse("127.0.0.0/8"), parse("::1")),
    own=(StateServer(host="localhost", port=5432), StateServer(socket="/run/x/.s.PGSQL.5432")),
)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.9", "127.1", "::1", "::ffff:127.0.0.1"]
)
def test_server_of_the_state_is_no_target(host: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        asyncio.run(destination.resolve(host, 5432, OWN))
    assert raised.value.reason is Reason.DESTINATION_DENIED
    assert raised.value.message == "this is the state store of this tool"
    assert asyncio.run(destination.resolve(host, 5433, OWN))


def test_other_server_on_the_port_of_the_state_is_a_target() -> None:
    assert asyncio.run(destination.resolve("8.8.8.8", 5432, OWN)) == ("8.8.8.8",)


def test_state_whose_name_is_not_known_here_is_compared_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = NetworkPolicy(is_restricted=True, own=(StateServer(host="state.example", port=5432),))
    answer_with(monkeypatch, "8.8.8.8")
    with pytest.raises(ConnectionFailed, match="this is the state store"):
        asyncio.run(destination.resolve("State.example", 5432, own))


def test_link_to_a_socket_is_judged_as_the_socket(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/run/x/.s.PGSQL.5432")
    allowed = replace(OWN, allow=(parse(str(tmp_path / "link")),))
    with pytest.raises(ConnectionFailed) as raised:
        destination.refuse_socket(str(tmp_path / "link"), allowed)
    assert raised.value.message == "the socket is that of the state store of this tool"
    destination.refuse_socket(str(tmp_path / "link"), TRUSTED)
