from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds import api, engines, hops, sql
from reconciler.kinds.hops import ProxyUrl
from reconciler.model import Path

REFERENCE = {"env": "SECRET"}
KNOWN = {"file": "known_hosts"}


def make_ssh(**changes: Any) -> dict[str, Any]:
    hop = {"host": "bastion", "port": 22, "username": "ops", "knownHosts": KNOWN}
    return hop | ({} if "privateKey" in changes else {"password": REFERENCE}) | changes


def found(**way: Any) -> list[tuple[str, Path]]:
    return [(finding.code, finding.path) for finding in hops.findings(way)]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://px:3128", ProxyUrl(scheme="http", host="px", port=3128)),
        ("https://PX.example.com/", ProxyUrl(scheme="https", host="px.example.com", port=443)),
        ("SOCKS5://10.0.0.7", ProxyUrl(scheme="socks5", host="10.0.0.7", port=1080)),
        ("http://[2001:db8::7]", ProxyUrl(scheme="http", host="2001:db8::7", port=80)),
        ("http://px:65536", None),
        ("http://px:0", None),
        ("http://px:", None),
        ("http://", None),
        ("http://px/path", None),
        ("http://px?a=b", None),
        ("http://u:p@px", None),
        ("ftp://px", None),
        ("px:3128", None),
    ],
)
def test_a_proxy_url_is_scheme_host_and_port(url: str, expected: ProxyUrl | None) -> None:
    assert hops.split_proxy(url) == expected


@pytest.mark.parametrize(
    "way",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"proxy": {"url": "http://px:3128"}}, id="proxy"),
        pytest.param(
            {
                "proxy": {
                    "url": "https://px",
                    "ca": KNOWN,
                    "auth": {"username": "a", "password": REFERENCE},
                }
            },
            id="proxy-with-login",
        ),
        pytest.param(
            {
                "proxy": {
                    "url": "socks5://[::1]",
                    "auth": {"username": "a:b", "password": REFERENCE},
                }
            },
            id="socks5-here",
        ),
        pytest.param({"ssh": make_ssh()}, id="ssh"),
        pytest.param(
            {"ssh": make_ssh(privateKey=REFERENCE, passphrase=REFERENCE, jump=make_ssh())},
            id="ssh-with-jump",
        ),
        pytest.param({"socket": "/run/docker.sock"}, id="socket"),
    ],
)
def test_a_sound_way_has_no_findings(way: dict[str, Any]) -> None:
    assert found(**way) == []


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        pytest.param(
            {"proxy": {"url": "socks9://px"}}, [("E140", ("proxy", "url"))], id="unknown-scheme"
        ),
        pytest.param(
            {"proxy": {"url": "http://u:hunter2@px"}}, [("E140", ("proxy", "url"))], id="user-info"
        ),
        pytest.param({"proxy": {"url": "http://-px-"}}, [("E117", ("proxy", "url"))], id="host"),
        pytest.param(
            {"proxy": {"url": "http://px", "ca": KNOWN}}, [("E141", ("proxy", "ca"))], id="ca"
        ),
        pytest.param(
            {"proxy": {"url": "https://px", "auth": {"username": "a:b", "password": REFERENCE}}},
            [("E140", ("proxy", "auth", "username"))],
            id="colon",
        ),
        pytest.param(
            {"proxy": {"url": "socks5://px", "auth": {"username": "a", "password": REFERENCE}}},
            [("W202", ("proxy", "url"))],
            id="password-in-the-open",
        ),
        pytest.param(
            {"ssh": make_ssh(host="bastion:22")}, [("E117", ("ssh", "host"))], id="ssh-host"
        ),
        pytest.param(
            {"ssh": make_ssh(privateKey=REFERENCE, password=REFERENCE)},
            [("E141", ("ssh",))],
            id="two-logins",
        ),
        pytest.param(
            {"ssh": make_ssh(jump={"host": "a", "username": "b", "knownHosts": KNOWN})},
            [("E141", ("ssh", "jump"))],
            id="no-login",
        ),
        pytest.param(
            {"ssh": make_ssh(passphrase=REFERENCE)},
            [("E141", ("ssh", "passphrase"))],
            id="passphrase-of-nothing",
        ),
        pytest.param({"socket": "run/x"}, [("E142", ("socket",))], id="relative"),
        pytest.param({"socket": "/run/"}, [("E142", ("socket",))], id="folder"),
        pytest.param({"socket": "/a/../x"}, [("E142", ("socket",))], id="dots"),
        pytest.param({"socket": "/a/.reconciler/x"}, [("E142", ("socket",))], id="own"),
        pytest.param(
            {"socket": "/run/x", "proxy": {"url": "http://px"}, "ssh": make_ssh()},
            [("E141", ("proxy",)), ("E141", ("ssh",))],
            id="hops-to-a-socket",
        ),
    ],
)
def test_what_is_wrong_with_a_way_is_found(
    way: dict[str, Any], expected: list[tuple[str, Path]]
) -> None:
    assert found(**way) == expected


def test_a_way_reads_in_the_order_in_which_it_is_gone() -> None:
    spec = {
        "ssh": make_ssh(host="2001:db8::7", jump=make_ssh(host="Edge", port=2222)),
        "proxy": {"url": "https://PX", "auth": {"username": "report", "password": REFERENCE}},
    }
    assert hops.via(spec) == (
        "ssh://ops@edge:2222 > ssh://ops@[2001:db8::7]:22 > https://report@px:443"
    )
    assert hops.via({"ssh": make_ssh()}) == "ssh://ops@bastion:22"
    assert hops.via({"proxy": {"url": "http://px"}}) == "http://px:80"
    assert (
        hops.via({"proxy": {"url": "what an older release took"}}) == "what an older release took"
    )
    assert hops.via({}) == ""


def test_an_endpoint_is_bound_to_its_way_and_counted_without() -> None:
    spec = {"baseUrl": "https://api.example.com/v2", "auth": {"method": "none"}, "ssh": make_ssh()}
    endpoint = api.endpoint(spec)
    assert endpoint.server == "https://api.example.com:443"
    assert endpoint.destination == "https://api.example.com:443 via ssh://ops@bastion:22"
    assert endpoint.shown == "https://api.example.com/v2 via ssh://ops@bastion:22"


def test_an_endpoint_may_be_a_socket() -> None:
    spec = {
        "engine": "postgresql",
        "socket": "/run/postgresql/.s.PGSQL.5432",
        "port": 5432,
        "database": "orders",
        "auth": {"method": "password", "username": "report", "password": REFERENCE},
    }
    endpoint = sql.endpoint(spec)
    assert endpoint.text == "postgresql://report@/run/postgresql/.s.PGSQL.5432/orders"
    assert endpoint.destination == "postgresql:///run/postgresql/.s.PGSQL.5432"
    assert (endpoint.host, endpoint.port) == ("", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"engine": "mysql"}, [], id="mysql"),
        pytest.param({"engine": "mysql", "tls": {"mode": "verify-ca"}}, [], id="mysql-tls"),
        pytest.param({"engine": "postgresql", "tls": {"mode": "disable"}}, [], id="postgresql"),
        pytest.param(
            {"engine": "mysql", "tls": {"mode": "verify-full"}, "port": 3306}, [], id="defaults"
        ),
        pytest.param(
            {"engine": "postgresql", "tls": {"mode": "require"}},
            [("E141", ("tls", "mode"))],
            id="no-tls",
        ),
        pytest.param(
            {"engine": "postgresql", "socket": "/run/postgresql"},
            [("E142", ("socket",))],
            id="name-of-another",
        ),
        pytest.param(
            {"engine": "mysql", "host": "db", "port": 3307},
            [("E141", ("host",)), ("E141", ("port",))],
            id="two-places",
        ),
    ],
)
def test_a_socket_stands_for_the_network(
    changes: dict[str, Any], expected: list[tuple[str, Path]]
) -> None:
    spec = {"socket": "/run/db/.s.PGSQL.5432", "database": "orders", **changes}
    assert [(finding.code, finding.path) for finding in sql.checks(spec)] == expected


def test_an_engine_without_sockets_says_so() -> None:
    (finding,) = sql.checks({"engine": "trino", "socket": "/run/x", "database": "orders"})
    assert (finding.code, finding.path) == ("E113", ("socket",))
    having = ", ".join(f"`{row.name}`" for row in engines.ROWS if row.has_socket)
    assert finding.message == f"`socket` belongs to engine {having}"


def test_a_server_has_a_host_or_a_socket() -> None:
    (finding,) = sql.checks({"engine": "mysql", "database": "orders"})
    assert (finding.code, finding.message) == ("E103", "`host` is required")
