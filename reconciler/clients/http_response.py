"""A response parsed within limits, sans I/O: bytes in, one `Answer` out.

Below `http.py`, which moves the bytes and keeps the deadline. Separate because everything that a
hostile server can do to the bytes is answered here: endless heads, endless bodies, lying lengths,
broken framing. Parsing is llhttp's, through httptools.
"""

from __future__ import annotations

import httptools

from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.values import dataclass

#: A response head (status line and headers, interim responses included) may not be longer.
LONGEST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 256
#: Chunk framing may be this many times larger than the body it carries.
_FRAMING_FACTOR = 8

#: Names and values as they came, in order.
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A final response; header names and values as they came, interim responses left out."""

    status: int
    headers: Headers
    #: at most the cap that was asked for
    body: bytes
    #: whether the body went on after the cap, unread
    is_cut: bool

    def header(self, name: str) -> str:
        """Returns the first header called `name`, foreign text, or `""`."""
        wanted = name.lower().encode()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value.decode("latin-1")
        return ""

    def text_headers(self) -> tuple[tuple[str, str], ...]:
        """Returns the headers as foreign text (Latin-1, which decodes any octets)."""
        return tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers
        )

    @property
    def is_compressed(self) -> bool:
        """Whether the body is encoded although `identity` was asked for."""
        return self.header("content-encoding").strip().lower() not in ("", "identity")

    def require_whole(self) -> None:
        """Does nothing where the body is whole and as it is; for whoever wants the body.

        Raises:
            ConnectionFailed: it was cut, or is compressed.
        """
        if self.is_cut:
            raise ConnectionFailed(
                Reason.BODY_TOO_LARGE,
                StageName.QUERY,
                f"the body is larger than {len(self.body)} bytes",
                "ask for less, such as one page of a list",
            )
        if self.is_compressed:
            raise ConnectionFailed(
                Reason.PROTOCOL_ERROR,
                StageName.QUERY,
                "the server compresses the body, which was not asked for",
            )


class ResponseParser:
    """Parses what a server sends on a connection that serves one request."""

    __slots__ = ("_body", "_body_bytes", "_head", "_headers", "_is_done", "_is_head", "_parser",
                 "_received", "is_cut")  # fmt: skip

    def __init__(self, *, is_head: bool, body_bytes: int) -> None:
        self._parser = httptools.HttpResponseParser(self)
        #: the answer to a HEAD has no body, whatever its headers say (RFC 9110, section 9.3.2)
        self._is_head = is_head
        self._body_bytes = body_bytes
        self._received = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: Headers | None = None
        self._body = bytearray()
        self._is_done = False
        self.is_cut = False

    def feed(self, data: bytes) -> Answer | None:
        """Returns the answer once `data` completes it or its body exceeds the cap, else None.

        Raises:
            ConnectionFailed: ProtocolError, when it is not HTTP/1.1 or its head is too long.
        """
        self._received += len(data)
        if self._head is None and self._received > LONGEST_HEAD_BYTES:
            # One read may bring the end of the head and much of the body.
            room = LONGEST_HEAD_BYTES - (self._received - len(data))
            self._parse(data[:room])
            data = data[room:]
            if self._head is None:
                raise _bad_answer("the head of the answer is too long")
        if not self._is_done:
            self._parse(data)
        if self._received > LONGEST_HEAD_BYTES + _FRAMING_FACTOR * self._body_bytes:
            self.is_cut = True
        return self._answer() if self._is_done or self.is_cut else None

    def end(self, *, is_proven: bool) -> Answer:
        """Returns the answer that the end of the connection completes (RFC 9112, section 6.3).

        `is_proven` says that nobody cut the rest off: over TLS only a close_notify proves that
        (RFC 9112, section 9.8).

        Raises:
            ConnectionFailed: ProtocolError, when it was not the end of the answer.
        """
        if self._head is None or not is_proven or _has_framing(self._head):
            what = "in the middle of its answer" if self._received else "without an answer"
            raise _bad_answer(f"the server closed the connection {what}")
        return self._answer()

    # llhttp calls the next four by these names.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header of the head; trailers are dropped."""
        if self._head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Ends the head; interim responses (RFC 9110, section 15.2) are dropped."""
        if self._parser.get_status_code() < 200:  # noqa: PLR2004
            self._headers.clear()
            return
        self._head = tuple(self._headers)
        self._is_done = self._is_head

    def on_body(self, body: bytes) -> None:
        """Keeps as much of the body as may be kept."""
        if self._is_done:  # after the head of an answer to HEAD
            return
        room = self._body_bytes - len(self._body)
        self._body += body[:room]
        if len(body) > room:
            self.is_cut = True

    def on_message_complete(self) -> None:
        """Ends the answer, unless the response was an interim one."""
        self._is_done = self._head is not None

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # A server that sends more than its answer changes nothing about the answer.
            if not self._is_done:
                raise _noise(data, is_first=self._received == len(data)) from None
        if len(self._headers) > MOST_HEADERS:
            raise _bad_answer("the answer has too many headers")

    def _answer(self) -> Answer:
        return Answer(
            status=self._parser.get_status_code(),
            headers=self._head or (),
            body=bytes(self._body),
            is_cut=self.is_cut,
        )


def _has_framing(head: Headers) -> bool:
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in head)


def _bad_answer(message: str, hint: str = "") -> ConnectionFailed:
    return ConnectionFailed(Reason.PROTOCOL_ERROR, StageName.QUERY, message, hint)


def _noise(data: bytes, *, is_first: bool) -> ConnectionFailed:
    """Returns what bytes that are no HTTP/1.1 are likely to be."""
    if is_first and data.startswith((b"\x15\x03", b"\x16\x03")):  # a record of RFC 8446, 5.1
        return _bad_answer("the server speaks TLS on this port", "write `https://` in baseUrl")
    if is_first and not data.startswith(b"HTTP/"):
        return _bad_answer(
            "the server does not speak HTTP/1.1 on this port", "check the port in baseUrl"
        )
    return _bad_answer("the answer breaks the rules of HTTP/1.1")
