"""Waits on loopback for a browser to come back from a consent (RFC 8252, section 7.3).

Below `consent`. The listener answers plain text, knows one path, and takes one answer: the one with
the state that was sent along. Whatever else connects is told nothing and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from reconciler.auth.oauth2_answers import (
    CallbackRefused,
    ConsentRefused,
    Expected,
    read_callback,
)
from reconciler.errors import ConfigError
from reconciler.redact import Secret

#: A browser opens connections that it may never use; more than these wait.
_CONNECTIONS = 8
_LONGEST_HEAD_BYTES = 16 * 1024
#: A request is short and comes from this machine.
_REQUEST_S = 5.0
_RECEIVED = "Received. You may close this window; the terminal says how it went."
_NOT_AWAITED = "This is not the answer that is awaited."


class Listener:
    """The one answer of one consent; made by `listening`."""

    def __init__(self, expected: Expected, read: Callable[[str, Expected], Secret]) -> None:
        self._expected = expected
        self._read = read
        self._answer: asyncio.Future[Secret] = asyncio.get_running_loop().create_future()
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def answer(self) -> Secret:
        """Returns the code that the browser brought.

        Raises:
            ConsentRefused: it brought something else.
        """
        return await self._answer

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with self._free:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_REQUEST_S):
                        head = await reader.readuntil(b"\r\n\r\n")
                        writer.write(self._respond(head))
                        await writer.drain()
        writer.close()

    def _respond(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        target = rest.partition(" ")[0]
        if method != "GET" or self._answer.done():  # a state is good once
            return _page(404, _NOT_AWAITED)
        try:
            code = self._read(target, self._expected)
        except CallbackRefused:
            return _page(404, _NOT_AWAITED)
        except ConsentRefused as refusal:
            self._answer.set_exception(refusal)
            return _page(200, _RECEIVED)
        self._answer.set_result(code)
        return _page(200, _RECEIVED)


@asynccontextmanager
async def listening(
    redirect_url: str,
    *,
    state: str,
    issuer: str = "",
    read: Callable[[str, Expected], Secret] = read_callback,
) -> AsyncGenerator[Listener, None]:
    """Listens on `redirect_url` for the length of the block; `read` judges what comes.

    Raises:
        ConfigError: its port is in use.
    """
    url = urlsplit(redirect_url)
    listener = Listener(Expected(path=url.path or "/", state=state, issuer=issuer), read)
    # a browser that finds nobody on ::1 goes on to 127.0.0.1
    host = "127.0.0.1" if url.hostname == "localhost" else url.hostname
    try:
        server = await asyncio.start_server(
            listener.welcome, host, url.port, limit=_LONGEST_HEAD_BYTES
        )
    except OSError:
        raise ConfigError(
            f"nobody can listen on {redirect_url}: the address is in use or not of this machine",
            "end the program that listens there, or register and name another `redirectUrl`",
        ) from None
    try:
        yield listener
    finally:
        server.close()


def _page(status: int, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}",  # noqa: PLR2004
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Content-Security-Policy: default-src 'none'",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body
