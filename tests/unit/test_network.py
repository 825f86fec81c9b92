from __future__ import annotations

from ipaddress import ip_address

import pytest

from reconciler import destinations
from reconciler.network import NetworkPolicy, StateServer

OWN = StateServer(socket="/run/postgresql/.s.PGSQL.5432")


def make_policy(*allow: str, deny: tuple[str, ...] = (), restricted: bool = True) -> NetworkPolicy:
    return NetworkPolicy(
        is_restricted=restricted,
        allow=tuple(map(destinations.parse, allow)),
        deny=tuple(map(destinations.parse, deny)),
        own=(OWN,),
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("8.8.8.8", ""),
        ("2606:4700::1111", ""),
        ("127.0.0.1", "a loopback address"),
        ("::1", "a loopback address"),
        ("10.1.2.3", "a private address"),
        ("172.31.0.1", "a private address"),
        ("192.168.0.1", "a private address"),
        ("100.127.0.1", "an address shared behind carrier-grade NAT"),
        ("fd12::1", "a unique local address"),
        ("fec0::1", "a site-local address"),
        ("198.19.0.1", "an address reserved for benchmarks"),
        ("203.0.113.9", "an address reserved for documentation"),
        ("240.0.0.1", "a reserved address"),
    ],
)
def test_restricted_profile_contacts_public_addresses_only(address: str, why: str) -> None:
    suffix = ", which the profile `restricted` does not contact" if why else ""
    assert make_policy().denial([ip_address(address)], 443) == f"{why}{suffix}"
    assert make_policy(restricted=False).denial([ip_address(address)], 443) == ""


def test_listed_addresses_are_contacted() -> None:
    policy = make_policy("10.0.0.0/8:5432", "::1")
    assert policy.denial([ip_address("10.0.0.1")], 5432) == ""
    assert policy.denial([ip_address("10.0.0.1")], 5433)
    assert policy.denial([ip_address("::1")], 1) == ""


def test_denied_addresses_win() -> None:
    for restricted in (True, False):
        policy = make_policy("10.0.0.0/8", deny=("10.0.9.0/24",), restricted=restricted)
        assert policy.denial([ip_address("10.0.8.1")], 1) == ""
        said = "in `network.deny` of the operator file: 10.0.9.0/24"
        assert policy.denial([ip_address("10.0.8.1"), ip_address("10.0.9.1")], 1) == said


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/run/docker.sock", ""),
        ("/run/other.sock", "on this machine, which the profile `restricted` does not contact"),
        ("/run/denied.sock", "in `network.deny` of the operator file"),
        (OWN.socket, "that of the state store of this tool"),
    ],
)
def test_socket_is_judged(path: str, why: str) -> None:
    policy = make_policy("/run/docker.sock", OWN.socket, deny=("/run/denied.sock",))
    assert policy.socket_denial(path) == why


def test_trusted_profile_takes_every_socket() -> None:
    assert make_policy(restricted=False).socket_denial("/run/other.sock") == ""
