"""The transport that puts our own HTTP under an `httpx.AsyncClient` or an `httpx.Client`.

Beside `http.py` and apart from it because importing httpx costs more than a small health pass:
probes do not need it, applications that use a stored connection do. What sends a request is given,
so that whoever makes the client decides about routes and authentication.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeAlias

import httpx

from reconciler.auth import exchange
from reconciler.clients.http_response import Answer
from reconciler.model import Stage

#: Sends one request; returns the answer and the stages that were reached.
Send: TypeAlias = Callable[[exchange.Request], Awaitable[tuple[Answer, tuple[Stage, ...]]]]
#: Runs a coroutine on an event loop elsewhere and returns what it returns.
Run: TypeAlias = Callable[[Coroutine[object, object, httpx.Response]], httpx.Response]


class Transport(httpx.AsyncBaseTransport):
    """Sends each request of a client through `send`; responses carry `extensions["stages"]`.

    Time-outs are those of `send`: httpx's own bound single reads and are not obeyed.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns the whole response.

        Raises:
            ConnectionFailed: from `send`; BodyTooLarge when the body exceeds its cap;
                ProtocolError when it is compressed, which nobody asked for: a small body could
                become a huge one.
        """
        await request.aread()
        return await self.respond(request)

    async def respond(self, request: httpx.Request) -> httpx.Response:
        """Returns the whole response to a request whose body is read; raises as above."""
        url = request.url
        answer, stages = await self._send(
            exchange.Request(
                method=request.method,
                url=f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}",
                headers=tuple(
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in request.headers.raw
                ),
                body=request.content,
            )
        )
        answer.require_whole()
        return httpx.Response(
            answer.status,
            headers=list(answer.headers),
            content=answer.body,
            extensions={"stages": stages},
        )


class BlockingTransport(httpx.BaseTransport):
    """The same for an `httpx.Client`: `run` has another thread's event loop do it."""

    def __init__(self, send: Send, run: Run) -> None:
        self._transport = Transport(send)
        self._run = run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Returns the whole response; raises as `Transport` does."""
        request.read()
        return self._run(self._transport.respond(request))
