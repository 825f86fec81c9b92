"""TLS over bytes, sans I/O: ciphertext in, plain text out.

Between `tls.py`, which makes contexts, and `http_connection.py`, which owns the socket. Apart from
asyncio's own TLS so that the handshake is a step of its own, with its own time and its own errors,
on a connection that exists already; and because one request and one response need a third of the
work that asyncio does for a stream.
"""

from __future__ import annotations

import ssl

#: Largest plain text of one TLS record (RFC 8446, section 5.1).
_RECORD_BYTES = 16384


class TlsSession:
    """One TLS client session; the caller moves bytes between it and the socket."""

    __slots__ = ("_incoming", "_object", "_outgoing", "is_closed", "is_open")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        #: whether the handshake is done and the certificate accepted
        self.is_open = False
        #: whether the peer said that nothing more will come (close_notify)
        self.is_closed = False

    def receive(self, data: bytes) -> bytes:
        """Returns the plain text that `data` completes; `b""` begins the handshake.

        Raises:
            ssl.SSLError: the handshake or a record is bad. `pending` may hold an alert to send.
        """
        self._incoming.write(data)
        plain = bytearray()
        try:
            if not self.is_open:
                self._object.do_handshake()
                self.is_open = True
            while not self.is_closed:
                piece = self._object.read(_RECORD_BYTES)
                self.is_closed = not piece  # read() gives b"" on a close_notify
                plain += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_closed = True
        return bytes(plain)

    def encrypt(self, data: bytes) -> bytes:
        """Returns the ciphertext of `data`; only after the handshake."""
        self._object.write(data)
        return self.pending()

    def pending(self) -> bytes:
        """Returns the ciphertext that waits to be sent, once."""
        return self._outgoing.read()

    def describe(self) -> str:
        """Returns the TLS version, and until when the certificate is valid where it was checked."""
        version = self._object.version() or "TLS"
        until = self.not_after()
        return f"{version}, certificate until {until}" if until else version

    def not_after(self) -> str:
        """Returns the last day of the certificate, `2027-01-31`, or `""` where it is unchecked."""
        certificate = self._object.getpeercert()
        stated = certificate.get("notAfter") if certificate else None
        return _iso_date(stated) if isinstance(stated, str) else ""


def _iso_date(stated: str) -> str:
    """Returns `Jan 31 12:00:00 2027 GMT` as `2027-01-31`.

    By hand, because `strptime` reads month names of the user's locale.
    """
    month, day, _, year = stated.split()[:4]
    number = "JanFebMarAprMayJunJulAugSepOctNovDec".index(month) // 3 + 1
    return f"{year}-{number:02}-{int(day):02}"
