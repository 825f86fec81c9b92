"""A TCP proxy that ends one connection after a chosen number of pieces, in either direction.

A piece is what one `recv` gives: for a database, a request or an answer. Cutting after each of them
in turn reaches every moment that a client can tell apart.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select

_HOST = "127.0.0.1"
_PIECE_BYTES = 1 << 16


class CuttingProxy:
    """Passes bytes between its clients and a server until it cuts."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        #: pieces until the cut; below 0 it does not come
        self._left = -1
        self._listener = socket.create_server((_HOST, 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def arm(self, pieces: int) -> None:
        """Makes it end the connection that passes the piece number `pieces`, from 1, once."""
        self._left = pieces

    def disarm(self) -> bool:
        """Makes it pass everything; returns whether it had cut."""
        with self._lock:
            left, self._left = self._left, -1
        return left <= 0

    def close(self) -> None:
        """Takes no more connections and waits until the others have ended."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection((_HOST, self._target)) as server, suppress(OSError):
            other = {client: server, server: client}
            while True:
                for ready in select([client, server], [], [])[0]:
                    piece = ready.recv(_PIECE_BYTES)
                    if not piece:
                        return
                    other[ready].sendall(piece)
                    if self._cuts():
                        return

    def _cuts(self) -> bool:
        with self._lock:
            if self._left > 0:
                self._left -= 1
                return self._left == 0
            return False


@contextmanager
def cutting_proxy(port: int) -> Iterator[CuttingProxy]:
    """Gives a proxy in front of the server at `port`."""
    proxy = CuttingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
