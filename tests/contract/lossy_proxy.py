"""A TCP proxy in front of PostgreSQL that loses one COMMIT, or the answer to it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from enum import StrEnum

_HOST = "127.0.0.1"


class Loss(StrEnum):
    """What is lost, once; later connections pass."""

    NOTHING = "nothing"
    COMMIT = "the COMMIT never arrives"
    ANSWER = "the COMMIT is carried out, its answer is lost"
    MIDDLE = "the connection ends right after the COMMIT was passed on"
    ALL = "the COMMIT is passed on, and nothing can connect any more"


class LossyProxy:
    """Passes bytes between clients and `port` until `loss` strikes."""

    def __init__(self, port: int) -> None:
        self.loss = Loss.NOTHING
        self._target = port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((_HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [self._run(self._accept)]

    def close(self) -> None:
        """Ends every connection and waits for the threads."""
        _end(self._listener)
        with self._lock:
            for end in self._open:
                _end(end)
        for thread in self._threads:
            thread.join()

    def _run(self, target: object, *args: object) -> threading.Thread:
        assert callable(target)
        thread = threading.Thread(target=target, args=args)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((_HOST, self._target))
            answers_lost = threading.Event()
            with self._lock:
                self._open |= {client, server}
            self._threads.append(self._run(self._to_server, client, server, answers_lost))
            self._threads.append(self._run(self._to_client, server, client, answers_lost))

    def _to_server(
        self, client: socket.socket, server: socket.socket, answers_lost: threading.Event
    ) -> None:
        while data := _receive(client):
            loss = Loss.NOTHING
            if b"COMMIT\0" in data:
                loss, self.loss = self.loss, Loss.NOTHING
            if loss is Loss.COMMIT:
                break
            if loss is Loss.ALL:
                _end(self._listener)
            if loss is not Loss.NOTHING:
                answers_lost.set()
            with suppress(OSError):
                server.sendall(data)
            if loss in (Loss.MIDDLE, Loss.ALL):
                break
        _end(client)
        _end(server)

    def _to_client(
        self, server: socket.socket, client: socket.socket, answers_lost: threading.Event
    ) -> None:
        while data := _receive(server):
            if answers_lost.is_set():
                break
            with suppress(OSError):
                client.sendall(data)
        _end(client)
        _end(server)


def _receive(end: socket.socket) -> bytes:
    with suppress(OSError):
        return end.recv(65536)
    return b""


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
