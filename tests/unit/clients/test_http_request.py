from __future__ import annotations

import pytest

from reconciler._version import __version__
from reconciler.auth.exchange import Request
from reconciler.clients import http_request
from reconciler.errors import ConnectionFailed

CANARY = "TOPSECRET-canary"


def serialised(method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    request = Request(method=method, url="http://api.example/v2/ping", headers=headers)
    return http_request.serialise(request, http_request.parse(request.url))


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "target"),
    [
        ("http://api.example", "api.example", 80, "api.example", "/"),
        ("https://api.example/v2?a=b", "api.example", 443, "api.example", "/v2?a=b"),
        ("https://API.example:8443/", "api.example", 8443, "api.example:8443", "/"),
        ("http://[::1]:8080/x", "::1", 8080, "[::1]:8080", "/x"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/"),
        ("http://api.example/ö", "api.example", 80, "api.example", "/%C3%B6"),
    ],
)
def test_urls_say_where_to_connect_and_what_to_ask(
    url: str, host: str, port: int, authority: str, target: str
) -> None:
    origin = http_request.parse(url)
    assert (origin.host, origin.port, origin.authority, origin.target) == (
        host,
        port,
        authority,
        target,
    )


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{CANARY}@api.example/",
        f"ftp://api.example/{CANARY}",
        f"http://api.example/\r\n{CANARY}",
        f"http://api.example/ {CANARY}",
        f"http://api.example:x{CANARY}/",
        f"http:///{CANARY}",
        f"http://[{CANARY}/",
    ],
)
def test_urls_that_cannot_be_asked_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        http_request.parse(url)
    assert str(raised.value) == "the request cannot be sent: the URL is no http or https URL"


def test_a_request_is_what_the_standard_says() -> None:
    assert (
        serialised(headers=(("Accept", "application/json"),))
        == (
            "GET /v2/ping HTTP/1.1\r\n"
            "Host: api.example\r\n"
            "Accept: application/json\r\n"
            f"user-agent: reconciler/{__version__}\r\n"
            "accept-encoding: identity\r\n"
            "connection: close\r\n"
            "\r\n"
        ).encode()
    )


def test_routing_and_framing_headers_are_ours_alone() -> None:
    sent = serialised(
        headers=(
            ("Host", "other.example"),
            ("Transfer-Encoding", "chunked"),
            ("content-length", "7"),
            ("Accept-Encoding", "gzip"),
            ("Connection", "keep-alive"),
        )
    )
    assert sent == serialised()


def test_a_post_without_a_body_says_so() -> None:
    assert b"\r\ncontent-length: 0\r\n" in serialised("POST")


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x1b", "\u0100"])
def test_a_value_that_no_header_carries_is_refused_without_being_repeated(character: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        serialised(headers=(("X-Key", f"{CANARY}{character}Injected: 1"),))
    assert str(raised.value) == (
        "the request cannot be sent: the header X-Key holds a character that HTTP does not allow"
    )


@pytest.mark.parametrize("name", ["X Key", "X:Key", "X\r\nKey", "", "Schlüssel"])
def test_a_name_that_no_header_has_is_refused(name: str) -> None:
    with pytest.raises(ConnectionFailed):
        serialised(headers=((name, "1"),))


def test_a_method_that_is_no_token_is_refused() -> None:
    with pytest.raises(ConnectionFailed):
        serialised("GET / HTTP/1.1\r\nX: y")
