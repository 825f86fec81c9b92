"""A connection to Firebird that proves the password, encrypts, and tells nothing of this machine.

firebirdsql's own draws one key of SRP for the whole process, from a generator that is not made for
keys; it tells the server the names of this machine, its user and the program; and it sends the
password, or a hash that is worth nothing, to any server that says it is an old one.
"""

from __future__ import annotations

import re
import secrets
import socket
from typing import Any, NoReturn

import firebirdsql
from firebirdsql import consts, fberrmsgs, srp

from reconciler.clients import firebird_refusals, sql_socket
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.model import StageName

#: Ways to log in that only prove the password, the better one first.
_PROOFS = (b"Srp256", b"Srp")
#: A server sends less until the login is done.
_LOGIN_BYTES = 64 * 1024
#: So much is read at once, whatever the server says will follow.
_PIECE_BYTES = 64 * 1024
#: Private keys of SRP have so many bits (RFC 5054, section 2.5.4: at least 256). Far more would
#: fail now and then: firebirdsql reduces the exponent, which the key is in, by the wrong modulus.
_KEY_BITS = 512
#: In place of a code: the text is the server's own.
_SAID_WHOLE = -1


class _Stream:
    """The socket as firebirdsql uses one: encrypted once the login is proven, and read in pieces.

    Neither compression, which was not asked for, nor more bytes than are allowed are taken.
    """

    def __init__(self, plain: socket.socket, most_bytes: int) -> None:
        self._sock = plain
        self._reading: Any = None
        self._writing: Any = None
        #: so much may still come
        self.left = most_bytes

    @property
    def is_encrypted(self) -> bool:
        return self._writing is not None

    def recv(self, length: int) -> bytes:
        data = self._sock.recv(min(length, _PIECE_BYTES))
        self.left -= len(data)
        if self.left < 0:
            raise OverflowError
        return self._reading.decrypt(data) if self._reading and data else data

    def send(self, data: bytes) -> None:
        self._sock.sendall(self._writing.encrypt(data) if self._writing else data)

    def set_translator(self, reading: object, writing: object) -> None:
        """Encrypts from now on."""
        self._reading, self._writing = reading, writing

    def enable_compression(self) -> NoReturn:
        """Refuses; a few bytes could become a great many."""
        raise ValueError

    def close(self) -> None:
        self._sock.close()


class Session(firebirdsql.Connection):
    """firebirdsql's connection, which proves the password and tells nothing of this machine."""

    accept_version: int
    _transaction: Any

    def __init__(self, login: Login, attempt: Attempt) -> None:
        self._login = login
        self._attempt = attempt
        self._application = str(login.options.get("process_name", "reconciler"))
        self._has_begun = False
        #: rows that are asked for at once
        self.rows_at_once = consts.DEFAULT_FETCH_COUNT
        super().__init__(
            host=login.host,
            port=login.port,
            database=login.database,
            user=login.username,
            role=str(login.options.get("role", "")),
            auth_plugin_name=_PROOFS[0].decode(),
        )

    @property
    def password(self) -> str:
        """The password, kept where nobody who prints the session finds it.

        Raises:
            ConnectionFailed: the server wants more of it than a proof.
        """
        chosen: object = self.accept_plugin_name
        if chosen not in _PROOFS:
            raise firebird_refusals.TOO_OLD.at(StageName.AUTH)
        return self._login.password.reveal() if self._login.password else ""

    @password.setter
    def password(self, value: object) -> None:
        del value  # firebirdsql's copy

    def _initialize(self) -> None:
        """Logs in over a socket of ours, once; firebirdsql would do so again for a `ping`."""
        if self._has_begun:
            raise RuntimeError("a session logs in once")
        self._has_begun = True
        self._autocommit = False
        self._transaction = None
        self._cursors: dict[object, object] = {}
        self.last_event_id = 0
        plain = sql_socket.connect(self._login, self._attempt)
        plain.settimeout(seconds_until(self._attempt.end_by))
        self.sock: Any = _Stream(plain, _LOGIN_BYTES)
        with self._attempt.stages.stage(StageName.AUTH):
            self._op_connect(self.auth_plugin_name, self.wire_crypt)
            self._parse_connect_response()  # type: ignore[no-untyped-call]  # has no types
            if self.accept_version < consts.PROTOCOL_VERSION13:
                raise firebird_refusals.TOO_OLD.at(StageName.AUTH)
            if not self.sock.is_encrypted:
                raise firebird_refusals.NOT_ENCRYPTED.at(StageName.AUTH)
            self._op_attach(None)
            self.db_handle, _, _ = self._op_response()  # type: ignore[no-untyped-call]  # the same

    def uid(self, auth_plugin_name: str, wire_crypt: bool) -> bytes:
        """Returns who logs in and how (Firebird's source, "Authentication block in op_connect")."""
        del wire_crypt
        # firebirdsql's own default is drawn once for the whole process
        public, private = srp.client_seed(  # type: ignore[no-untyped-call]  # has no types
            1 + secrets.randbits(_KEY_BITS)
        )
        self.client_public_key, self.client_private_key = public, private
        self.plugin_list = b",".join(_PROOFS)
        proof = public.to_bytes((public.bit_length() + 7) // 8).hex().encode()
        pieces = [proof[at : at + 254] for at in range(0, len(proof), 254)]
        parts = [
            (consts.CNCT_login, self._login.username.encode()),
            (consts.CNCT_plugin_name, auth_plugin_name.encode()),
            (consts.CNCT_plugin_list, self.plugin_list),
            *((consts.CNCT_specific_data, bytes((n, *piece))) for n, piece in enumerate(pieces)),
            (consts.CNCT_client_crypt, (1).to_bytes(4, "little")),
            (consts.CNCT_user_verification, b""),
        ]
        return b"".join(bytes((tag, len(data), *data)) for tag, data in parts)

    def _op_attach(self, timezone: None) -> None:
        """Asks for the database ("isc_attach_database", database parameter block)."""
        del timezone
        parts = [
            (consts.isc_dpb_lc_ctype, self.charset.encode()),
            (consts.isc_dpb_user_name, self._login.username.encode()),
            (consts.isc_dpb_process_name, self._application.encode()),
        ]
        if self.role:
            parts.append((consts.isc_dpb_sql_role_name, self.role.encode()))
        block = b"".join(bytes((tag, len(data), *data)) for tag, data in parts)
        self.sock.send(
            self.op_attach.to_bytes(4)
            + (0).to_bytes(4)
            + _packed(self._login.database.encode())
            + _packed(bytes((consts.isc_dpb_version1,)) + block)
        )

    def _op_fetch(self, handle: int, blr: bytes, count: int) -> None:
        super()._op_fetch(handle, blr, min(count, self.rows_at_once))

    def _parse_status_vector(self) -> tuple[set[int], int, str]:
        """Returns codes and text of an answer; its own parser lets a server's text grow at will."""
        said: list[tuple[int, list[str]]] = []
        words: list[str] = []
        while (kind := self._integer()) != consts.isc_arg_end:
            match kind:
                case consts.isc_arg_gds:
                    words = []
                    said.append((self._integer(), words))
                case consts.isc_arg_warning:
                    words = []
                    self._integer()
                case consts.isc_arg_number | consts.isc_arg_unix:
                    words.append(str(self._integer()))
                case consts.isc_arg_string:
                    words.append(self._text())
                case consts.isc_arg_interpreted:
                    said.append((_SAID_WHOLE, [self._text()]))
                case consts.isc_arg_sql_state:
                    self._text()
                case _:
                    raise ValueError
        codes = {code for code, _ in said} - {0, _SAID_WHOLE}
        return codes, 0, "; ".join(_worded(*each) for each in said) if codes else ""

    def _integer(self) -> int:
        return int.from_bytes(self._taken(4), signed=True)

    def _text(self) -> str:
        return self._taken(self._integer()).decode(errors="replace")

    def _taken(self, length: int) -> bytes:
        data: bytes = self._recv_channel(  # type: ignore[no-untyped-call]  # has no types
            length, word_alignment=True
        )
        return data

    def drop(self) -> None:
        """Closes the connection without a word; the server may not be there any more."""
        if self.sock is not None:
            self.sock.close()
        self.sock = self.db_handle = None


def _packed(data: bytes) -> bytes:
    """Returns `data` with its length, filled up to words of four bytes (XDR)."""
    return len(data).to_bytes(4) + data + b"\0" * (-len(data) % 4)


def _worded(code: int, words: list[str]) -> str:
    """Returns Firebird's sentence for `code`, with `words` in it."""

    def word(place: re.Match[str]) -> str:
        number = int(place[1]) - 1
        return words[number] if number in range(len(words)) else ""

    text: str = fberrmsgs.messages.get(code, "@1")
    return re.sub("@([1-9])", word, text).strip()
