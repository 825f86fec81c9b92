"""A TLS server that demands a client certificate, and says why where it takes none.

Like real servers, and unlike asyncio's own TLS, it sends the alert of a failed handshake, and waits
for the client to leave.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class MutualServer:
    """A running server; `served` has the subject of each client that was answered."""

    port: int = 0
    served: list[str] = field(default_factory=list)
    #: the names that clients asked for (SNI)
    names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def mutual_tls_server(context: ssl.SSLContext) -> Iterator[MutualServer]:
    """Runs a server on a free loopback port that answers 200 after a handshake by `context`."""
    server, started = MutualServer(), threading.Event()
    context.sni_callback = lambda _session, name, _context: server.names.append(name)
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stopping.append((asyncio.get_running_loop(), stop))

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await _talk(server, context, reader, writer)
            except ConnectionError:
                pass
            finally:
                writer.close()

        async with await asyncio.start_server(welcome, "127.0.0.1", 0) as running:
            server.port = running.sockets[0].getsockname()[1]
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        ((loop, stop),) = stopping
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _talk(
    server: MutualServer,
    context: ssl.SSLContext,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    asked, is_open, is_over = b"", False, False
    while data := await reader.read(65536):
        incoming.write(data)
        try:
            while not is_over:
                if not is_open:
                    session.do_handshake()
                    is_open = True
                asked += session.read(65536)
                if asked.endswith(b"\r\n\r\n"):
                    server.served.append(str((session.getpeercert() or {}).get("subjectAltName")))
                    session.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong")
                    is_over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            is_over = True
        writer.write(outgoing.read())
