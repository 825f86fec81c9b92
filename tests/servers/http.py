"""A real HTTP server on loopback for tests: written on asyncio streams, one thread per server.

    with http_server({"/ping": http_routes.answer(200)}) as server:
        ...  server.url, server.requests, server.logins, server.failed_logins

`http_routes` holds what a path may do, from a plain answer to a hostile one. Routes may be changed
while the server runs (`server.routes["/ping"] = ...`). Unknown paths answer 404.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

#: Turns of the loop until an accepted connection is in the hands of its stream.
_TURNS_TO_ACCEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it arrived."""

    method: str
    #: path and query
    target: str
    #: names in lower case
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server and what it saw; read it after the client is done."""

    host: str
    port: int
    scheme: str
    routes: dict[str, Route]
    requests: list[Received] = field(default_factory=list)
    #: how often a credential was looked at, and how often it was wrong
    logins: int = 0
    failed_logins: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The other end of one connection, as a route sees it."""

    server: Server
    request: Received
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def send(self, data: bytes) -> None:
        """Sends `data`; raises ConnectionError when the client is gone."""
        self.writer.write(data)
        await self.writer.drain()

    async def until_gone(self) -> None:
        """Waits until the client closes the connection."""
        while await self.reader.read(65536):
            pass


Route: TypeAlias = Callable[[Client], Awaitable[None]]


@contextmanager
def http_server(
    routes: Mapping[str, Route],
    *,
    context: ssl.SSLContext | None = None,
    name: str = "",
) -> Iterator[Server]:
    """Runs a server on a free loopback port; `context` makes it TLS, `name` is the URL's host."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(
            host=name or "127.0.0.1",
            port=listening.getsockname()[1],
            scheme="https" if context else "http",
            routes=dict(routes),
        )
        started, stop = threading.Event(), _Stop()
        thread = threading.Thread(
            target=lambda: asyncio.run(_serve(server, listening, context, started, stop))
        )
        thread.start()
        started.wait()
        try:
            yield server
        finally:
            stop.now()
            thread.join()


class _Stop:
    """Ends a server from another thread."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def now(self) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.event.set)


async def _serve(
    server: Server,
    listening: socket.socket,
    context: ssl.SSLContext | None,
    started: threading.Event,
    stop: _Stop,
) -> None:
    stop.loop = asyncio.get_running_loop()
    clients: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        writers.append(writer)
        server.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _answer(server, reader, writer)
        finally:
            clients.discard(task)
            writer.close()

    running = await asyncio.start_server(welcome, sock=listening, ssl=context, limit=2**20)
    started.set()
    await stop.event.wait()
    # a server that is closed drops what it has just accepted without closing it
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(_TURNS_TO_ACCEPT):
        await asyncio.sleep(0)
    running.close()
    for task in tuple(clients):
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    for writer in writers:
        writer.transport.abort()  # else one that waits for the end of TLS is left open
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _answer(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    request = Received(method=method, target=target, headers=headers, body=body)
    server.requests.append(request)
    client = Client(server=server, request=request, writer=writer, reader=reader)
    route = server.routes.get(request.path)
    if route is None:
        await client.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    else:
        await route(client)


@contextmanager
def silent_server() -> Iterator[int]:
    """Gives the port of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def black_hole() -> Iterator[int]:
    """Gives a port where a connection is neither accepted nor refused: the queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting: list[socket.socket] = []
        try:
            while _is_accepting(port, waiting):
                pass
            yield port
        finally:
            for client in waiting:
                client.close()


def _is_accepting(port: int, waiting: list[socket.socket]) -> bool:
    client = socket.socket()
    client.settimeout(0.2)
    waiting.append(client)
    try:
        client.connect(("127.0.0.1", port))
    except TimeoutError:
        return False
    return True


def closed_port() -> int:
    """Returns a port on which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port
