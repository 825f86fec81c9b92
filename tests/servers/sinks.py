"""Listeners that write down what arrives, and hang up: where nothing should ever arrive.

with sink() as there:
    ...  there.port, there.connections, there.received
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_PIECE = 65536


@dataclass(slots=True, kw_only=True)
class Sink:
    """A listener and what it saw."""

    host: str
    port: int
    connections: int = 0
    pieces: list[bytes] = field(default_factory=list)

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)


@contextmanager
def sink(host: str = "127.0.0.1", port: int = 0) -> Iterator[Sink]:
    """Listens on `host`, an address of this machine; `::` listens on every address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            seen.connections += 1
            seen.pieces.append(self.request.recv(_PIECE))

    class Listener(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        allow_reuse_address = True
        request_queue_size = 128

    with Listener((host, port), Handler) as listener:
        seen = Sink(host=host, port=listener.server_address[1])
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            listener.shutdown()
            thread.join()
