from __future__ import annotations

import pytest

from reconciler.clients import http_response
from reconciler.clients.http_response import Answer, ResponseParser
from reconciler.errors import ConnectionFailed

CAP = 1000


def parser(*, is_head: bool = False) -> ResponseParser:
    return ResponseParser(is_head=is_head, body_bytes=CAP)


def fed(*pieces: bytes, is_head: bool = False) -> Answer | None:
    parsing = parser(is_head=is_head)
    for piece in pieces:
        found = parsing.feed(piece)
        if found is not None:
            return found
    return None


def refusal(*pieces: bytes) -> str:
    with pytest.raises(ConnectionFailed) as raised:
        fed(*pieces)
    return raised.value.message


def test_an_answer_is_complete_with_its_length() -> None:
    assert fed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") == Answer(
        status=200, headers=((b"Content-Length", b"2"),), body=b"hi", is_cut=False
    )


def test_an_answer_may_come_one_byte_at_a_time() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    found = fed(*(data[at : at + 1] for at in range(len(data))))
    assert found is not None
    assert found.body == b"hi"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="no content"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", id="not modified"),
    ],
)
def test_some_statuses_have_no_body(data: bytes) -> None:
    found = fed(data)
    assert found is not None
    assert found.body == b""


def test_an_answer_to_head_has_no_body_whatever_follows() -> None:
    found = fed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", is_head=True)
    assert found is not None
    assert found.body == b""


def test_interim_responses_are_dropped() -> None:
    found = fed(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    )
    assert found == Answer(status=200, headers=((b"Content-Length", b"0"),), body=b"", is_cut=False)


def test_whatever_follows_the_answer_is_ignored() -> None:
    found = fed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi\x1b[31m")
    assert found is not None
    assert found.body == b"hi"


def test_trailers_are_dropped() -> None:
    found = fed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Late: 1\r\n\r\n")
    assert found is not None
    assert found.headers == ((b"Transfer-Encoding", b"chunked"),)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * (CAP + 1)),
            id="huge length",
        ),
        pytest.param(
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"7d0\r\n" + b"x" * 2000 + b"\r\n",
            ),
            id="chunks",
        ),
        pytest.param((b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (CAP + 1),), id="no length"),
    ],
)
def test_a_body_is_cut_at_the_cap(pieces: tuple[bytes, ...]) -> None:
    found = fed(*pieces)
    assert found is not None
    assert (found.body, found.is_cut) == (b"x" * CAP, True)


def test_endless_framing_counts_as_a_body_over_the_cap() -> None:
    found = fed(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1;" + b"x" * 100_000,
    )
    assert found is not None
    assert found.is_cut


def test_a_head_may_not_be_endless() -> None:
    line = b"X-Padding: " + b"x" * 1000 + b"\r\n"
    assert refusal(b"HTTP/1.1 200 OK\r\n", *[line] * 70) == "the head of the answer is too long"


def test_one_header_line_may_not_be_endless() -> None:
    assert (
        refusal(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1_000_000) == "the head of the answer is too long"
    )


def test_endless_interim_responses_are_a_head_that_is_too_long() -> None:
    assert (
        refusal(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 3000) == "the head of the answer is too long"
    )


def test_a_large_body_in_the_read_that_ends_the_head_is_no_long_head() -> None:
    found = fed(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000)
    assert found is not None
    assert found.is_cut


def test_headers_are_counted() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (http_response.MOST_HEADERS + 1) + b"\r\n"
    assert refusal(head) == "the answer has too many headers"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"\xff\xfe\r\n\r\n", "the server does not speak HTTP/1.1 on this port", id="noise"
        ),
        pytest.param(
            b"SSH-2.0-OpenSSH\r\n", "the server does not speak HTTP/1.1 on this port", id="ssh"
        ),
        pytest.param(
            b"\x15\x03\x01\x00\x02\x02\x16", "the server speaks TLS on this port", id="tls"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "the answer breaks the rules of HTTP/1.1",
            id="two lengths",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "the answer breaks the rules of HTTP/1.1",
            id="length and chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "the answer breaks the rules of HTTP/1.1",
            id="bad chunk",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
            "the answer breaks the rules of HTTP/1.1",
            id="upgrade",
        ),
        pytest.param(
            b"HTTP/1.1 2xx OK\r\n\r\n", "the answer breaks the rules of HTTP/1.1", id="bad status"
        ),
    ],
)
def test_what_is_no_answer_is_told_apart(data: bytes, message: str) -> None:
    assert refusal(data) == message


def test_the_end_completes_a_body_without_a_length() -> None:
    parsing = parser()
    parsing.feed(b"HTTP/1.1 200 OK\r\n\r\nhi")
    assert parsing.end(is_proven=True).body == b"hi"


@pytest.mark.parametrize(
    ("data", "is_proven", "message"),
    [
        pytest.param(b"", True, "the server closed the connection without an answer", id="none"),
        pytest.param(
            b"HTTP/1.1 200",
            True,
            "the server closed the connection in the middle of its answer",
            id="in the head",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
            True,
            "the server closed the connection in the middle of its answer",
            id="before the length",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi",
            True,
            "the server closed the connection in the middle of its answer",
            id="in a chunk",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\nhi",
            False,
            "the server closed the connection in the middle of its answer",
            id="cut TLS",
        ),
    ],
)
def test_an_end_in_the_middle_is_a_failure(data: bytes, is_proven: bool, message: str) -> None:
    parsing = parser()
    if data:
        parsing.feed(data)
    with pytest.raises(ConnectionFailed) as raised:
        parsing.end(is_proven=is_proven)
    assert raised.value.message == message


def test_headers_are_found_in_any_case_and_any_bytes() -> None:
    found = fed(b"HTTP/1.1 200 OK\r\nX-Name: \xff\xfe\r\nContent-Length: 0\r\n\r\n")
    assert found is not None
    assert (found.header("x-NAME"), found.header("x-other")) == ("ÿþ", "")


@pytest.mark.parametrize(
    ("encoding", "is_compressed"), [(b"gzip", True), (b"identity", False), (b"Identity", False)]
)
def test_a_compressed_body_is_noticed(encoding: bytes, is_compressed: bool) -> None:
    found = fed(b"HTTP/1.1 204 No Content\r\nContent-Encoding: " + encoding + b"\r\n\r\n")
    assert found is not None
    assert found.is_compressed is is_compressed
