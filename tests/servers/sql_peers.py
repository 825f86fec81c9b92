"""Servers that misbehave on purpose: scripts that speak just enough of two database protocols.

Real servers cannot be made to send hostile answers; these can. A peer remembers every byte that it
was sent, so that a test can say what never left the client.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

HOST = "127.0.0.1"
#: A peer gives up on a client that says nothing for so long.
_PATIENCE_S = 30.0

#: PostgreSQL, "Message Formats": AuthenticationCleartextPassword, AuthenticationMD5Password with a
#: salt, AuthenticationSASL that offers SCRAM-SHA-256.
POSTGRESQL_CLEARTEXT = b"R\0\0\0\x08\0\0\0\x03"
POSTGRESQL_MD5 = b"R\0\0\0\x0c\0\0\0\x05salt"
POSTGRESQL_SCRAM = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
#: MySQL, "Generic Response Packets": OK with the autocommit flag, and a request for a local file.
MYSQL_OK = b"\0\0\0\x02\0\0\0"
MYSQL_FILE_REQUEST = b"\xfb/etc/hostname"

_CLIENT_SSL = 0x0800
#: CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH, CLIENT_CONNECT_WITH_DB
_CAPABILITIES = 0x0200 | 0x8000 | 0x80000 | 0x0008


class Peer:
    """A listening server with one script for every connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        #: every byte that clients sent, after decryption
        self.received = bytearray()
        self.connections = 0
        #: set while a client is connected and the script waits for it
        self.is_waiting = threading.Event()
        #: set when a client has closed its connection
        self.is_left = threading.Event()

    def serve(self, script: Callable[[Conversation], None]) -> None:
        """Runs `script` for one client after another until the listener is closed."""
        for client in self._clients():
            self._talk(client, script)

    def serve_at_once(self, script: Callable[[Conversation], None]) -> None:
        """Runs `script` for every client as it comes; waits for all of them when it is closed."""
        threads = []
        for client in self._clients():
            thread = threading.Thread(target=self._talk, args=(client, script), name="sql-client")
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _clients(self) -> Iterator[socket.socket]:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            client.settimeout(_PATIENCE_S)
            yield client

    def _talk(self, client: socket.socket, script: Callable[[Conversation], None]) -> None:
        with suppress(OSError), Conversation(self, client) as conversation:
            script(conversation)

    def close(self) -> None:
        """Stops listening; wakes a thread that waits in `accept`."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Conversation:
    """One client's connection, seen from the server."""

    def __init__(self, peer: Peer, client: socket.socket) -> None:
        self._peer = peer
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._peer.is_left.set()

    def send(self, data: bytes) -> None:
        self._client.sendall(data)

    def receive(self, length: int) -> bytes:
        """Returns exactly `length` bytes; ends the script when the client has left."""
        data = b""
        while len(data) < length:
            piece = self._client.recv(length - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        self._peer.received += data
        return data

    def receive_until(self, end: bytes) -> bytes:
        """Returns what the client sends up to and with `end`."""
        data = self.receive(len(end))
        while not data.endswith(end):
            data += self.receive(1)
        return data

    def relay(self, server: socket.socket) -> None:
        """Lets the client talk to `server` from now on, until one of them leaves.

        Both take turns in these protocols, so one thread does: a TLS connection stands no two.
        """
        ends = {self._client: server, server: self._client}
        while True:
            waiting = [end for end in ends if isinstance(end, ssl.SSLSocket) and end.pending()]
            for end in waiting or select.select(list(ends), (), (), _PATIENCE_S)[0] or [None]:
                data = end.recv(65536) if end else b""
                if end is None or not data:
                    return
                ends[end].sendall(data)

    def start_tls(self, context: ssl.SSLContext) -> None:
        self._client = context.wrap_socket(self._client, server_side=True)

    def wait(self) -> None:
        """Says nothing until the client leaves."""
        self._peer.is_waiting.set()
        while data := self._client.recv(4096):
            self._peer.received += data

    def pause(self, seconds: float) -> None:
        """Lets time pass; ends the script when the client leaves meanwhile."""
        self._client.settimeout(seconds)
        with suppress(TimeoutError):
            if not self._client.recv(4096):
                raise ConnectionError
        self._client.settimeout(_PATIENCE_S)

    def postgresql_start(self) -> bytes:
        """Returns the client's first message, or the one after a request for TLS."""
        return self.receive(int.from_bytes(self.receive(4)) - 4)

    def postgresql_message(self) -> bytes:
        """Returns one message of the client, without type and length."""
        return self.receive(int.from_bytes(self.receive(5)[1:]) - 4)

    def mysql_packet(self) -> bytes:
        """Returns one packet of the client, without length and number."""
        return self.receive(int.from_bytes(self.receive(4)[:3], "little"))

    def mysql_send(self, number: int, payload: bytes) -> None:
        self.send(len(payload).to_bytes(3, "little") + bytes((number,)) + payload)


@contextmanager
def sql_peer(script: Callable[[Conversation], None], *, at_once: bool = False) -> Iterator[Peer]:
    """Serves `script` on a free loopback port for the length of the block, `at_once` or in turn."""
    peer = Peer()
    serve = peer.serve_at_once if at_once else peer.serve
    thread = threading.Thread(target=serve, args=(script,), name="sql-peer")
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join()


def postgresql_error(code: str, text: bytes, severity: str = "FATAL") -> bytes:
    """Returns an ErrorResponse; `severity` is the translated word that a server would send."""
    fields = b"S" + severity.encode() + b"\0VFATAL\0C" + code.encode() + b"\0M" + text + b"\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4) + fields


def mysql_greeting(*, has_tls: bool = False, plugin: str = "mysql_native_password") -> bytes:
    """Returns the first packet of a server (Protocol::HandshakeV10)."""
    flags = _CAPABILITIES | (_CLIENT_SSL if has_tls else 0)
    low, high = flags & 0xFFFF, flags >> 16
    return (
        b"\x0a8.0.36\0"
        + (7).to_bytes(4, "little")
        + b"saltsalt\0"
        + low.to_bytes(2, "little")
        + b"\x2d\x02\0"
        + high.to_bytes(2, "little")
        + b"\x15"
        + b"\0" * 10
        + b"saltsaltsalt\0"
        + plugin.encode()
        + b"\0"
    )


def mysql_error(code: int, state: str, text: bytes) -> bytes:
    """Returns an ERR packet's payload."""
    return b"\xff" + code.to_bytes(2, "little") + b"#" + state.encode() + text
