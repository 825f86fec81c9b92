"""What is said to proxies, word by word, without any network."""

from __future__ import annotations

import pytest

from reconciler.clients import proxy
from reconciler.clients.proxy import Handshake, Send
from reconciler.clients.via import Proxy
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.redact import Secret

NOT_UNDERSTOOD = (Reason.PROXY_FAILURE, StageName.PROXY)


def make(scheme: str, password: str | None = None) -> Proxy:
    secret = Secret(password) if password is not None else None
    return Proxy(scheme=scheme, host="px", port=1, username="üser", password=secret)


def play(handshake: Handshake, *answers: bytes) -> list[bytes]:
    """Returns what is sent when every `Read` gets the next answer."""
    sent, given = [], iter(answers)
    step = next(handshake)
    try:
        while True:
            if isinstance(step, Send):
                sent.append(step.data)
                step = handshake.send(b"")
            else:
                answer = next(given)
                assert step.is_head or len(answer) == step.size
                step = handshake.send(answer)
    except StopIteration:
        return sent


def failure(handshake: Handshake, *answers: bytes) -> tuple[Reason, StageName]:
    with pytest.raises(ConnectionFailed) as caught:
        play(handshake, *answers)
    return caught.value.reason, caught.value.stage


@pytest.mark.parametrize(
    ("host", "authority"), [("db.test", "db.test:5432"), ("2001:db8::7", "[2001:db8::7]:5432")]
)
def test_connect_names_the_server_and_the_login(host: str, authority: str) -> None:
    sent = play(proxy.handshake(make("http", "p:w"), host, 5432), b"HTTP/1.1 200 OK\r\n\r\n")
    assert sent == [
        (
            f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
            "Proxy-Authorization: Basic w7xzZXI6cDp3\r\n\r\n"
        ).encode()
    ]


def test_connect_without_a_login_sends_none() -> None:
    (sent,) = play(proxy.handshake(make("https"), "db", 1), b"HTTP/1.0 204 x\r\n\r\n")
    assert b"Authorization" not in sent


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_not_understood(head: bytes) -> None:
    assert failure(proxy.handshake(make("http"), "db", 1), head) == NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("db.test", b"\x03\x07db.test"),
        ("10.0.0.7", b"\x01\x0a\0\0\x07"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
    ],
)
def test_socks_names_the_server(host: str, address: bytes) -> None:
    answers = (b"\x05\x00", b"\x05\0\0\x01", bytes(6))
    sent = play(proxy.handshake(make("socks5"), host, 5432), *answers)
    assert sent == [b"\x05\x01\x00", b"\x05\x01\x00" + address + b"\x15\x38"]


def test_socks_logs_in_with_utf8() -> None:
    answers = (b"\x05\x02", b"\x01\0", b"\x05\0\0\x03", b"\x02", bytes(4))
    sent = play(proxy.handshake(make("socks5", "pä"), "db", 1), *answers)
    assert sent[1] == b"\x01\x05\xc3\xbcser\x03p\xc3\xa4"


@pytest.mark.parametrize(
    ("password", "answers", "expected"),
    [
        pytest.param(None, (b"\x04\x00",), NOT_UNDERSTOOD, id="another-version"),
        pytest.param(None, (b"\x05\x02",), NOT_UNDERSTOOD, id="what-was-not-offered"),
        pytest.param(None, (b"\x05\xff",), (Reason.AUTH_FAILED, StageName.PROXY), id="wants-login"),
        pytest.param("p", (b"\x05\xff",), NOT_UNDERSTOOD, id="takes-no-password"),
        pytest.param(
            "p", (b"\x05\x02", b"\x01\x01"), (Reason.AUTH_FAILED, StageName.PROXY), id="refused"
        ),
        pytest.param(None, (b"\x05\0", b"\x04\0\0\x01"), NOT_UNDERSTOOD, id="version-later"),
        pytest.param(None, (b"\x05\0", b"\x05\0\0\x09"), NOT_UNDERSTOOD, id="unknown-address"),
    ],
)
def test_what_socks_refuses_is_said(
    password: str | None, answers: tuple[bytes, ...], expected: tuple[Reason, StageName]
) -> None:
    assert failure(proxy.handshake(make("socks5", password), "db", 1), *answers) == expected


@pytest.mark.parametrize("password", ["", "x" * 256])
def test_a_password_that_socks_cannot_carry_is_not_sent(password: str) -> None:
    handshake = proxy.handshake(make("socks5", password), "db", 1)
    expected = (Reason.SECRET_UNRESOLVED, StageName.PROXY)
    assert failure(handshake, b"\x05\x02") == expected
