"""One HTTP/1.1 exchange on one connection: the response is parsed within limits.

Below `http.py`, which resolves, connects and keeps the deadline. Separate because everything that
a hostile server can do to the bytes is answered here: endless heads, endless bodies, lying
lengths, broken framing. A connection serves one exchange (`Connection: close`), so that no answer
can be taken for the answer to another request. Parsing is llhttp's, through httptools.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import httptools

from reconciler.clients import tcp, tls
from reconciler.clients.tls_session import TlsSession
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: A response head (status line and headers, interim responses included) may not be longer.
LONGEST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 256
#: Chunk framing may be this many times larger than the body it carries.
_FRAMING_FACTOR = 8


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


class Exchange(asyncio.Protocol):
    """One connection that carries one request and one response.

    `answer` is done when the response is complete or its body exceeds `body_bytes`, and fails with
    `ConnectionFailed`.
    """

    def __init__(self, *, is_head: bool, body_bytes: int) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._opened: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._session: TlsSession | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._is_head = is_head
        self._body_bytes = body_bytes
        self._received = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: Headers | None = None
        self._body = bytearray()

    # --- the caller's side ---

    async def secure(self, context: ssl.SSLContext, server_name: str) -> TlsSession:
        """Returns the TLS session after its handshake.

        Raises:
            ConnectionFailed: the handshake failed, or the connection broke.
        """
        self._opened = asyncio.get_running_loop().create_future()
        self._session = TlsSession(context, server_name)
        self._decrypt(self._session, b"")
        await self._opened
        return self._session

    def send(self, data: bytes) -> None:
        """Sends the request, encrypted when a TLS session is open."""
        if self._transport is not None:
            self._transport.write(self._session.encrypt(data) if self._session else data)

    def close(self) -> None:
        """Drops the connection, whatever is still under way."""
        if self._transport is not None:
            self._transport.abort()
        for future in (self._opened, self.answer):
            if future is not None and not future.cancel() and not future.cancelled():
                future.exception()  # else asyncio would log a failure that nobody waited for

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Decrypts and parses what came, until the answer is complete."""
        if self.answer.done():
            return
        if self._session is not None:
            data = self._decrypt(self._session, data)
        if data:
            self._parse(data)
        if self._session is not None and self._session.is_closed:
            self._end(None)  # nothing more will come, whenever the socket says so

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the exchange: a body without a length is complete now, anything else is cut."""
        self._end(exc if isinstance(exc, OSError) else None)

    # --- the parser's side ---

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
        if self._is_head:
            self._finish()

    def on_body(self, body: bytes) -> None:
        """Keeps as much of the body as may be kept."""
        room = self._body_bytes - len(self._body)
        self._body += body[:room]
        if len(body) > room:
            self._finish(is_cut=True)

    def on_message_complete(self) -> None:
        """Ends the exchange, unless the response was an interim one."""
        if self._head is not None:
            self._finish()

    # --- within ---

    def _decrypt(self, session: TlsSession, data: bytes) -> bytes:
        plain = b""
        failure: ConnectionFailed | None = None
        try:
            plain = session.receive(data)
        except ssl.SSLError as error:
            failure = tls.failure(error)
        pending = session.pending()
        if pending and self._transport is not None:
            self._transport.write(pending)  # of a failed handshake, the alert that says why
        if failure is not None:
            self._fail(failure)
        elif session.is_open and self._opened is not None and not self._opened.done():
            self._opened.set_result(None)
        return plain

    def _parse(self, data: bytes) -> None:
        self._received += len(data)
        if self._head is None and self._received > LONGEST_HEAD_BYTES:
            # One read may bring the end of the head and much of the body.
            room = LONGEST_HEAD_BYTES - (self._received - len(data))
            self._feed(data[:room])
            data = data[room:]
            if self._head is None:
                self._fail(_bad_answer("the head of the answer is too long"))
        if not self.answer.done():
            self._feed(data)
        if self._received > LONGEST_HEAD_BYTES + _FRAMING_FACTOR * self._body_bytes:
            self._finish(is_cut=True)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # A server that sends more than its answer changes nothing about the answer.
            self._fail(_bad_answer(_describe_noise(data, is_first=self._received == len(data))))
        if len(self._headers) > MOST_HEADERS:
            self._fail(_bad_answer("the answer has too many headers"))

    def _end(self, error: OSError | None) -> None:
        if self._session is not None and not self._session.is_open:
            self._fail(tls.cut())
        elif error is None and self._ends_with_connection():
            self._finish()
        else:
            self._fail(tcp.cut(error, StageName.QUERY))

    def _ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112, section 6.3)."""
        if self._head is None:
            return False
        has_framing = any(
            name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self._head
        )
        # Over TLS only a close_notify proves that nobody cut the rest off (RFC 9112, section 9.8).
        return not has_framing and (self._session is None or self._session.is_closed)

    def _finish(self, *, is_cut: bool = False) -> None:
        if not self.answer.done() and self._head is not None:
            self.answer.set_result(
                Answer(
                    status=self._parser.get_status_code(),
                    headers=self._head,
                    body=bytes(self._body),
                    is_cut=is_cut,
                )
            )

    def _fail(self, failure: ConnectionFailed) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(failure)
        elif not self.answer.done():
            self.answer.set_exception(failure)


def _bad_answer(message: str, hint: str = "") -> ConnectionFailed:
    return ConnectionFailed(Reason.PROTOCOL_ERROR, StageName.QUERY, message, hint)


def _describe_noise(data: bytes, *, is_first: bool) -> str:
    if is_first and data.startswith((b"\x15\x03", b"\x16\x03")):  # alert or handshake, RFC 8446 5.1
        return "the server speaks TLS on this port, and baseUrl says `http://`"
    if is_first and not data.startswith(b"HTTP/"):
        return "the server does not speak HTTP/1.1 on this port"
    return "the answer breaks the rules of HTTP/1.1"
