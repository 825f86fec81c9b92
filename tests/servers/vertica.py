"""A peer that speaks Vertica's protocol, which began as PostgreSQL's: login, TLS, a few statements.

Messages are as vertica-python reads them (its source, `vertica/messages`). It checks proofs of the
password, and knows no SQL: what a statement does is told by its words. No Vertica can be had here.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.model import Json, JsonObject
from tests.servers.certificates import Authority
from tests.servers.sql_peers import HOST, Conversation, Peer, sql_peer
from tests.servers.sql_specs import password_of

USER, PASSWORD, DATABASE = "report", "p@/:% '\"\\;#ł&=?", "orders"
CLEARTEXT, MD5, GSS, EXPIRED, GRACE, OAUTH = 3, 5, 7, 9, 11, 12
HASH, HASH_MD5, HASH_SHA512 = 65536, 65541, 66048
_SALT, _USER_SALT = b"salt", b"0123456789abcdef"
_SSL_REQUEST = 80877103
_INTEGER = 6


def message(kind: bytes, body: bytes) -> bytes:
    """Returns a message with its length."""
    return kind + (len(body) + 4).to_bytes(4) + body


def error(state: str, text: bytes) -> bytes:
    """Returns an ErrorResponse."""
    return message(b"E", b"SFATAL\0C" + state.encode() + b"\0M" + text + b"\0\0")


def authentication(code: int) -> bytes:
    """Returns a request for a proof, or the news that none is needed."""
    salts = b""
    if code in (MD5, HASH_MD5):
        salts = _SALT
    elif code in (HASH, HASH_SHA512):
        salts = _SALT + len(_USER_SALT).to_bytes(4) + _USER_SALT
    return message(b"R", code.to_bytes(4) + salts)


def proof(code: int) -> bytes:
    """Returns what a client that knows the password answers."""
    password = PASSWORD.encode()
    if code == CLEARTEXT:
        return password
    is_old = code in (MD5, HASH_MD5)
    hashed = hashlib.md5 if is_old else hashlib.sha512
    inner = hashed(password + (USER.encode() if is_old else _USER_SALT)).hexdigest()
    outer = hashed(inner.encode() + _SALT).hexdigest()
    return (b"md5" if is_old else b"sha512") + outer.encode()


READY = message(b"Z", b"I")
_ROWS = (
    message(
        b"T",
        (1).to_bytes(2)
        + bytes(4)
        + b"answer\0"
        + bytes(8 + 2)
        + b"\0"
        + _INTEGER.to_bytes(4)
        + (8).to_bytes(2)
        + bytes(2 + 2)
        + b"\xff\xff\xff\xff"
        + bytes(2),
    ),
    *(message(b"D", (1).to_bytes(2) + (1).to_bytes(4) + digit) for digit in (b"1", b"2", b"3")),
)
#: A word of a statement -> what it is answered with.
_REFUSED = {
    "insert": error("25006", b"Cannot issue this command in a read-only transaction"),
    "hidden": error("42501", b"Permission denied for relation hidden"),
    "nothing": error("42V01", b'Relation "nothing" does not exist'),
}


@dataclass(slots=True, kw_only=True)
class Vertica:
    """A running peer; `statements` has what was asked, `startups` how it was greeted."""

    authority: Authority
    context: ssl.SSLContext | None
    #: the proof that is asked for; 0: none
    code: int
    statements: list[str] = field(default_factory=list)
    startups: list[dict[str, str]] = field(default_factory=list)
    failed_logins: int = 0
    is_ended: bool = False
    peer: Peer | None = None

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the password, over verified TLS where there is TLS."""
        assert self.peer is not None
        mode = "verify-full" if self.context else "disable"
        return {
            "engine": "vertica",
            "host": HOST,
            "port": self.peer.port,
            "database": DATABASE,
            "auth": password_of(USER),
            "tls": {"mode": mode, "ca": {"file": self.authority.pem}},
            **changes,
        }

    def speak(self, client: Conversation) -> None:
        """Serves one client until it leaves."""
        greeting = client.postgresql_start()
        if int.from_bytes(greeting) == _SSL_REQUEST:
            client.send(b"S" if self.context else b"N")
            if self.context is not None:
                client.start_tls(self.context)
            greeting = client.postgresql_start()
        pairs = greeting[4:].split(b"\0")
        # the protocol's version is binary and begins the pairs
        words = [word.decode() for word in pairs[pairs.index(b"user") : -2]]
        startup = dict(zip(words[::2], words[1::2], strict=True))
        self.startups.append(startup)
        if startup["database"] != DATABASE:
            client.send(error("3D000", b'Database "elsewhere" does not exist'))
            return
        if self.code:
            client.send(authentication(self.code))
            if client.postgresql_message() != proof(self.code) + b"\0":
                self.failed_logins += 1
                client.send(error("28000", b"Invalid username or password"))
                return
        client.send(message(b"N", b"SNOTICE\0C00000\0Mwelcome\0\0"))
        client.send(authentication(0) + message(b"K", bytes(8)) + READY)
        while self._answer(client):
            pass

    def _answer(self, client: Conversation) -> bool:
        kind, length = client.receive(1), int.from_bytes(client.receive(4)) - 4
        if kind == b"X":
            self.is_ended = True
            return False
        statement = client.receive(length)[:-1].decode()
        self.statements.append(statement)
        if "sleep" in statement:
            client.wait()
            return False
        refusal = next((_REFUSED[word] for word in _REFUSED if word in statement), None)
        if refusal is not None:
            client.send(refusal + READY)
        elif statement.startswith("select"):
            client.send(b"".join(_ROWS) + message(b"C", b"SELECT\0") + READY)
        else:
            client.send(message(b"C", b"BEGIN\0") + message(b"Z", b"T"))
        return True


@contextmanager
def vertica_peer(
    code: int = HASH_SHA512, *, has_tls: bool = True, clients: Authority | None = None
) -> Iterator[Vertica]:
    """Runs the peer; with `clients`, it demands a certificate of theirs."""
    authority = Authority()
    context = None
    if clients is not None:
        context = authority.demanding_context(clients, HOST)
    elif has_tls:
        context = authority.server_context(HOST)
    vertica = Vertica(authority=authority, context=context, code=code)
    with sql_peer(vertica.speak) as peer:
        vertica.peer = peer
        yield vertica
