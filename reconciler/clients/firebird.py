"""Firebird through firebirdsql: one encrypted login over a socket of ours, and one read-only row.

Firebird has no TLS. Its login is a proof by SRP (RFC 2945, with Firebird's own hashes), in which
the password is never sent, and from which both sides have a key that encrypts what follows. A
server that does not know the account's verifier cannot have that key: this is how it is known, so a
server that does not encrypt is left. What firebirdsql does otherwise is replaced here: it draws
one key of SRP for the whole process, from a generator that is not made for keys; it tells the
server the names of this machine, its user and the program; and it sends the password, or a hash
that is worth nothing, to any server that says it is an old one.
"""

from __future__ import annotations

import re
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import firebirdsql
from firebirdsql import consts, fberrmsgs, srp

from reconciler.clients import sql, sql_errors, sql_rows, sql_socket, tcp
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: Ways to log in that only prove the password, the better one first.
_PROOFS = (b"Srp256", b"Srp")
#: A server sends less until the login is done.
_LOGIN_BYTES = 64 * 1024
#: Of rows so much is read.
_ROWS_BYTES = 16 * 1024 * 1024
#: So much is read at once, whatever the server says will follow.
_PIECE_BYTES = 64 * 1024
#: Private keys of SRP have so many bits (RFC 5054, section 2.5.4: at least 256). Far more would
#: fail now and then: firebirdsql reduces the exponent, which the key is in, by the wrong modulus.
_KEY_BITS = 512

_NOT_ENCRYPTED = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server does not encrypt the connection, so it is not known who it is",
    hint="let it: `WireCrypt = Required` in the server's firebird.conf",
)
_TOO_OLD = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server offers no login that keeps the password to itself; nothing was sent",
    hint="it must be Firebird 3 or newer, with Srp256 or Srp in `AuthServer`",
)
_NO_COMMON_WAY = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server takes no login that is spoken here",
    hint="allow Srp256 or Srp in `AuthServer`, and encryption in `WireCrypt`",
)
#: Firebird's error -> meaning (its manual, "Firebird Error Codes"); the first that fits is taken.
_MEANINGS: dict[int, Meaning] = {
    335544472: sql_errors.LOGIN_REFUSED,
    335545106: sql_errors.LOGIN_REFUSED,
    335545064: _NO_COMMON_WAY,
    335544361: sql_errors.QUERY_WRITES,
    335544765: sql_errors.QUERY_WRITES,
    335544352: sql_errors.NOT_PERMITTED,
    335545094: sql_errors.NOT_PERMITTED,
    335545127: sql_errors.QUERY_TIMED_OUT,
    335545128: sql_errors.QUERY_TIMED_OUT,
    335545129: sql_errors.QUERY_TIMED_OUT,
    335544744: sql_errors.TOO_MANY_CLIENTS,
    335544506: sql_errors.NOT_READY,
    335544528: sql_errors.NOT_READY,
    335544856: sql_errors.NOT_READY,
    335545029: sql_errors.NOT_READY,
    335544734: sql_errors.DATABASE_MISSING,
    335544375: sql_errors.DATABASE_MISSING,
}
#: What firebirdsql raises when it stumbles over bytes that no Firebird server sends.
_GARBLED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    TypeError,
    ValueError,
    struct.error,
)
#: In place of a code: the text is the server's own.
_SAID_WHOLE = -1
_BROKEN_OFF = "Can not recv() packets"


class _Stream:
    """The socket as firebirdsql uses one: encrypted once the login is proven, and read in pieces.

    Neither compression, which was not asked for, nor more bytes than are allowed are taken.
    """

    def __init__(self, plain: socket.socket, most_bytes: int) -> None:
        self._sock = plain
        self._reading: Any = None
        self._writing: Any = None
        #: so much may still come; None: whatever comes
        self.left: int | None = most_bytes

    @property
    def is_encrypted(self) -> bool:
        return self._writing is not None

    def recv(self, length: int) -> bytes:
        data = self._sock.recv(min(length, _PIECE_BYTES))
        if self.left is not None:
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


class _Session(firebirdsql.Connection):
    """firebirdsql's connection, which proves the password and tells nothing of this machine."""

    accept_version: int
    _transaction: Any

    def __init__(self, login: Login, attempt: Attempt) -> None:
        self._login = login
        self._attempt = attempt
        self._application = str(login.options.get("process_name", "reconciler"))
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
            raise _TOO_OLD.at(StageName.AUTH)
        return self._login.password.reveal() if self._login.password else ""

    @password.setter
    def password(self, value: object) -> None:
        del value  # firebirdsql's copy

    def _initialize(self) -> None:
        """Logs in over a socket of ours."""
        self._autocommit = False
        self._transaction = None
        self._cursors: dict[object, object] = {}
        self.last_event_id = 0
        plain = sql_socket.connect(self._login, self._attempt)
        plain.settimeout(max(0.001, self._attempt.end_by - time.monotonic()))
        self.sock: Any = _Stream(plain, _LOGIN_BYTES)
        with self._attempt.stages.stage(StageName.AUTH):
            self._op_connect(self.auth_plugin_name, self.wire_crypt)
            self._parse_connect_response()  # type: ignore[no-untyped-call]  # has no types
            if self.accept_version < consts.PROTOCOL_VERSION13:
                raise _TOO_OLD.at(StageName.AUTH)
            if not self.sock.is_encrypted:
                raise _NOT_ENCRYPTED.at(StageName.AUTH)
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


def open_connection(login: Login, attempt: Attempt) -> _Session:
    """Logs in once and returns the connection.

    A server from Firebird 4 on ends each of its queries after `attempt.query_s`.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    session = _log_in(login, attempt)
    session.sock.left = None
    session.statement_timeout = attempt.query_s
    return session


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Logs in once, runs `query` read-only, fetches one row, and closes the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    read(login, query, 1, attempt)


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    session = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), _translated(attempt):
            found = _read_rows(session, query, limit, attempt)
            session.close()
            return found
    finally:
        session.drop()


DRIVER = sql.Driver(open_connection=open_connection, check=check, read=read)


def _log_in(login: Login, attempt: Attempt) -> _Session:
    session = _Session(login, attempt)
    try:
        with _translated(attempt):
            session._initialize()
    except BaseException:
        session.drop()
        raise
    return session


def _read_rows(session: _Session, query: str, limit: int, attempt: Attempt) -> Rows:
    session.sock.left = _ROWS_BYTES
    session.isolation_level = consts.ISOLATION_LEVEL_READ_COMMITED_RO
    session.rows_at_once = limit + 1
    cursor = session.cursor(timeout=max(0.001, attempt.query_by - time.monotonic()))
    cursor.execute(query)
    columns = [column[0] for column in cursor.description or ()]
    return sql_rows.collect(columns, iter(cursor.fetchone, None), limit=limit)


@contextmanager
def _translated(attempt: Attempt) -> Iterator[None]:
    """Turns whatever firebirdsql raises inside into `ConnectionFailed`."""
    try:
        yield
    except OSError as error:
        raise _broken(error, attempt) from None
    except firebirdsql.Error as error:
        raise _explain(error, attempt) from None
    except _GARBLED:
        if attempt.is_over:
            raise attempt.timed_out() from None
        raise sql_errors.NOT_UNDERSTOOD.at(attempt.stages.last or StageName.AUTH) from None


def _broken(error: OSError | None, attempt: Attempt) -> ConnectionFailed:
    if attempt.is_over or isinstance(error, TimeoutError):
        return attempt.timed_out()
    return tcp.cut(error, attempt.stages.last or StageName.TCP)


def _explain(error: firebirdsql.Error, attempt: Attempt) -> ConnectionFailed:
    stage = attempt.stages.last or StageName.AUTH
    codes: set[int] = error.gds_codes
    text = str(error)
    if not codes:
        if text == _BROKEN_OFF or attempt.is_over:
            return _broken(None, attempt)
        # what the client says when the server wants another proof: it did not like this one
        is_login = text == "Unauthorized"
        return (sql_errors.LOGIN_REFUSED if is_login else sql_errors.NOT_UNDERSTOOD).at(stage)
    is_query = stage is StageName.QUERY
    otherwise = sql_errors.QUERY_FAILED if is_query else sql_errors.CONNECTION_REFUSED
    known = (code for code in _MEANINGS if code in codes)
    code = next(known, min(codes))
    return sql_errors.refused(attempt, _MEANINGS.get(code, otherwise), str(code), text)
