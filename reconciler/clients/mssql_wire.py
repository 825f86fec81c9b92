"""The socket under pytds: TLS inside of TDS packets, an end to every wait, a limit to every answer.

pytds can do TLS through pyOpenSSL, and is not asked to: it knows neither `tls.serverName` nor
addresses in certificates, takes a name from the subject although others are listed, and reads those
through functions that newer releases of pyOpenSSL do not have. Here the contexts of `tls` judge, as
for every other driver. Until TLS is there, each of its messages is the content of a PRELOGIN packet
(MS-TDS, section 2.2.6.5); then TLS carries the packets. That order cannot carry TLS 1.3, whose
handshake goes on when the server no longer looks for it: Microsoft has it in TDS 8.0 only.
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress

from reconciler.clients import sql_errors, tls
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.tls_session import TlsSession
from reconciler.model import Reason, StageName

#: Types of messages (MS-TDS, section 2.2.3.1.1).
REPLY, LOGIN, PRELOGIN = 0x04, 0x10, 0x12
#: Size of a packet before another one is agreed on, and that we agree to.
PACKET_BYTES = 4096
#: Type, status, length with these eight bytes, three fields that servers do not look at.
_HEADER = struct.Struct(">BBH4x")
_LAST = 0x01
#: Options of PRELOGIN (MS-TDS, section 2.2.6.5): number, offset, length; and what ENCRYPTION says.
_OPTION = struct.Struct(">BHH")
_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _END = 0, 1, 2, 3, 4, 0xFF
_ON, _NOT_SUPPORTED, _REQUIRED = 1, 2, 3
#: Of all that a server says until we are in, so much is read; a usual one needs 2 KiB.
LOGIN_BYTES = 256 * 1024

_TOO_LARGE = Meaning(
    reason=Reason.BODY_TOO_LARGE,
    message="the server's answer is too large to be read",
    hint="choose a query that reads less",
)


class Wire:
    """A connection to a server, as pytds wants a socket; nothing is sent when it is made."""

    def __init__(self, plain: socket.socket, attempt: Attempt) -> None:
        self._socket = plain
        self._attempt = attempt
        self._by = attempt.connect_by
        self._left = LOGIN_BYTES
        self._tls: TlsSession | None = None
        #: received, decrypted, and not asked for yet
        self._held = bytearray()

    def limit(self, by: float, most_bytes: int) -> None:
        """Makes whatever follows end at `by`, after at most so many bytes."""
        self._by, self._left = by, most_bytes

    def close(self) -> None:
        self._socket.close()

    def sendall(self, data: bytes | bytearray, flags: int = 0) -> None:
        """Sends all of `data`.

        Raises:
            OSError: TimeoutError when time is up, or what the socket says.
        """
        del flags
        self._set_time()
        self._socket.sendall(self._tls.encrypt(bytes(data)) if self._tls else data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Returns at most `size` bytes, `b""` at the end of the connection.

        Raises:
            OSError: as `sendall`.
            ConnectionFailed: BodyTooLarge.
        """
        del flags
        while not self._held:
            piece = b"" if self._tls is not None and self._tls.is_closed else self._receive()
            if not piece:
                return b""
            self._held += self._tls.receive(piece) if self._tls else piece
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def recv_into(self, buffer: memoryview, size: int = 0, flags: int = 0) -> int:
        """Fills `buffer` with at most `size` bytes and returns how many these were.

        Raises:
            OSError, ConnectionFailed: as `recv`.
            ValueError: a packet is larger than was agreed on, and `buffer` is full.
        """
        room = min(size or len(buffer), len(buffer))
        if room <= 0:
            raise ValueError("a packet is larger than was agreed on")
        data = self.recv(room, flags)
        buffer[: len(data)] = data
        return len(data)

    def send_message(self, kind: int, content: bytes) -> None:
        """Sends one message in as many packets as it needs."""
        room = PACKET_BYTES - _HEADER.size
        pieces = [content[start : start + room] for start in range(0, len(content), room)]
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            status = 0 if left else _LAST
            self.sendall(_HEADER.pack(kind, status, _HEADER.size + len(piece)) + piece)

    def negotiate(self, login: Login) -> None:
        """Agrees with the server whether there is TLS, and lets nothing but that happen.

        Raises:
            OSError: as `sendall`.
            struct.error, IndexError: this is no server of ours.
            ConnectionFailed: neither is this, or it does not want what `login` wants, or its
                certificate is not the right one.
        """
        is_plain = login.tls_mode == "disable"
        self.send_message(PRELOGIN, _offer(_NOT_SUPPORTED if is_plain else _ON))
        agreed = _agreed(self._message((REPLY,)))
        if is_plain:
            if agreed != _NOT_SUPPORTED:
                raise sql_errors.TLS_REQUIRED.at(self._stage)
            return
        if agreed not in (_ON, _REQUIRED):
            raise sql_errors.NO_TLS.at(self._stage)
        mode = tls.TlsMode(login.tls_mode)
        context = tls.context(mode, login.ca, minimum=login.tls_minimum, maximum=login.tls_newest)
        session = TlsSession(context, login.certified_name)
        try:
            self._shake_hands(session)
        except ssl.SSLError as error:
            with suppress(OSError):
                self.send_message(PRELOGIN, session.pending())  # tells the server why
            raise tls.failure(error) from None
        except ConnectionError:
            if self._attempt.is_over:
                raise
            raise tls.cut() from None
        self._tls = session

    def _shake_hands(self, session: TlsSession) -> None:
        self._held += session.receive(b"")
        while True:
            self.send_message(PRELOGIN, session.pending())
            if session.is_open:
                return
            # servers of the first days, and a few of today, say REPLY here
            self._held += session.receive(self._message((PRELOGIN, REPLY)))

    def _message(self, kinds: tuple[int, ...]) -> bytes:
        """Returns the content of the next message, which is of one of `kinds`."""
        content = bytearray()
        status = 0
        while not status & _LAST:
            kind, status, length = _HEADER.unpack(self._exactly(_HEADER.size))
            if kind not in kinds or length < _HEADER.size:
                raise sql_errors.NOT_UNDERSTOOD.at(self._stage)
            content += self._exactly(length - _HEADER.size)
        return bytes(content)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.recv(size - len(data))
            if not piece:
                raise ConnectionAbortedError
            data += piece
        return data

    def _receive(self) -> bytes:
        self._set_time()
        data = self._socket.recv(min(65536, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise _TOO_LARGE.at(self._stage)
        return data

    def _set_time(self) -> None:
        self._socket.settimeout(self._attempt.remaining(self._by))

    @property
    def _stage(self) -> StageName:
        return self._attempt.stages.last or StageName.QUERY


def _offer(encryption: int) -> bytes:
    """Returns the content of our PRELOGIN message; it names nobody."""
    values = {
        _VERSION: bytes(6),
        _ENCRYPTION: bytes((encryption,)),
        _INSTANCE: b"\0",
        _THREAD: bytes(4),
        _MARS: b"\0",
    }
    offset = _OPTION.size * len(values) + 1
    head = b""
    for option, value in values.items():
        head += _OPTION.pack(option, offset, len(value))
        offset += len(value)
    return head + bytes((_END,)) + b"".join(values.values())


def _agreed(content: bytes) -> int:
    """Returns what a server's PRELOGIN message says of encryption; nothing means that it has none.

    Raises:
        struct.error, IndexError: it is no such message.
    """
    start = 0
    while content[start] != _END:
        option, offset, length = map(int, _OPTION.unpack_from(content, start))
        if option == _ENCRYPTION and length == 1:
            return content[offset]
        start += _OPTION.size
    return _NOT_SUPPORTED
