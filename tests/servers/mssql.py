"""A peer that speaks TDS 7.4 (Microsoft's "[MS-TDS]: Tabular Data Stream Protocol").

PRELOGIN, TLS inside of its packets, LOGIN7 with the password made readable again and checked, one
answer to each statement. It knows no SQL: what a statement does is told by words in it. It writes
and reads the protocol by itself and not by pytds, so that the two can disagree. Beside pytds,
FreeTDS (through pymssql 2.4.6) was seen to log in here, with TLS and without, and to read the rows.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.model import Json, JsonObject
from tests.servers.certificates import Authority
from tests.servers.sql_peers import Conversation, Peer, sql_peer
from tests.servers.sql_specs import password_of

USER, PASSWORD, DATABASE = "report", "p@/:% #=?ł𝄞", "orders"
_QUERY, _REPLY, _LOGIN, _PRELOGIN, _TRANSACTION = 0x01, 0x04, 0x10, 0x12, 0x0E
#: What ENCRYPTION of PRELOGIN says.
OFF, ON, NOT_SUPPORTED, REQUIRED = 0, 1, 2, 3
_DESCRIPTOR = 0x1122334455667788
#: Flags of DONE: more follows, an error, a count.
_MORE, _ERROR, _COUNT = 0x01, 0x02, 0x10

#: A word of a statement -> number and text of the error that it ends with.
ERRORS: Mapping[str, tuple[int, str]] = {
    "nothing": (208, "Invalid object name 'nothing'."),
    "hidden": (229, "The SELECT permission was denied on the object 'hidden'."),
    "locked": (1222, "Lock request time out period exceeded."),
    "deadlock": (1205, "Transaction was deadlocked and has been chosen as the victim."),
    "linked": (18456, "Login failed for user 'other'."),
    "replica": (3906, "Failed to update database because the database is read-only."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login7:
    """What a client said of itself."""

    host: str
    user: str
    password: str
    application: str
    server: str
    library: str
    database: str
    client_id: bytes
    is_reading: bool
    #: language, a file to attach, a new password
    others: str


@dataclass(slots=True, kw_only=True)
class Mssql:
    """A running peer; `statements` has what was asked, and whether in a transaction."""

    authority: str
    peer: Peer
    logins: list[Login7] = field(default_factory=list)
    statements: list[tuple[str, bool]] = field(default_factory=list)
    failed_logins: int = 0
    #: name -> password
    users: dict[str, str] = field(default_factory=lambda: {USER: PASSWORD})
    #: what a login ends with in place of success
    refusal: bytes = b""
    #: where a login is sent on to
    route: tuple[str, int] | None = None
    #: of the largest answer
    rows: int = 3
    requests: int = 0

    @property
    def port(self) -> int:
        return self.peer.port

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the password, over verified TLS."""
        return {
            "engine": "mssql",
            "host": "127.0.0.1",
            "port": self.port,
            "database": DATABASE,
            "auth": password_of(USER),
            "tls": {"mode": "verify-full", "ca": {"file": self.authority}},
            **changes,
        }


class TdsClient:
    """One client's connection in messages, over TLS after `start_tls`."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._tls: tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO] | None = None

    def message(self) -> tuple[int, bytes]:
        """Returns type and content of the client's next message."""
        content, status = b"", 0
        while not status & 1:
            kind, status, length = struct.unpack(">BBH4x", self._read(8))
            content += self._read(length - 8)
        return kind, content

    def send(self, content: bytes, kind: int = _REPLY) -> None:
        """Sends one message, in packets of 4096 bytes."""
        for start in range(0, len(content), 4088):
            piece = content[start : start + 4088]
            status = 1 if start + 4088 >= len(content) else 0
            self.send_raw(struct.pack(">BBHHBB", kind, status, len(piece) + 8, 51, 1, 0) + piece)

    def send_raw(self, data: bytes) -> None:
        if self._tls is not None:
            tls, _, outgoing = self._tls
            tls.write(data)
            data = outgoing.read()
        self._conversation.send(data)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shakes hands as a server; raises what the handshake ends with."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send(outgoing.read(), _PRELOGIN)
                kind, content = self.message()
                assert kind == _PRELOGIN
                incoming.write(content)
            else:
                break
        self.send(outgoing.read(), _PRELOGIN)
        self._tls = tls, incoming, outgoing

    def _read(self, size: int) -> bytes:
        if self._tls is None:
            return self._conversation.receive(size)
        tls, incoming, _ = self._tls
        data = b""
        while len(data) < size:
            try:
                piece = tls.read(size - len(data))
            except ssl.SSLWantReadError:
                head = self._conversation.receive(5)
                incoming.write(head + self._conversation.receive(int.from_bytes(head[3:])))
            else:
                if not piece:
                    raise ConnectionError
                data += piece
        return data


def prelogin(encryption: int) -> bytes:
    """Returns the content of a server's PRELOGIN message."""
    head = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
    return head + b"\x10\0\x10\0\0\0" + bytes((encryption,))


def offered(content: bytes) -> int:
    """Returns what a client's PRELOGIN message says of encryption."""
    options = {}
    start = 0
    while content[start] != 0xFF:
        option, offset, length = struct.unpack_from(">BHH", content, start)
        options[option] = content[offset : offset + length]
        start += 5
    return options[1][0]


def parse_login(content: bytes) -> Login7:
    """Returns the fields of LOGIN7."""
    total, version = struct.unpack_from("<II", content)
    assert (total, version) == (len(content), 0x74000004)

    def text(at: int, *, is_hidden: bool = False) -> str:
        offset, length = struct.unpack_from("<HH", content, at)
        data = content[offset : offset + 2 * length]
        if is_hidden:
            swapped = (byte ^ 0xA5 for byte in data)
            data = bytes((byte & 0x0F) << 4 | byte >> 4 for byte in swapped)
        return data.decode("utf-16-le")

    return Login7(
        host=text(36),
        user=text(40),
        password=text(44, is_hidden=True),
        application=text(48),
        server=text(52),
        library=text(60),
        database=text(68),
        client_id=content[72:78],
        is_reading=bool(content[26] & 0x20),
        others="".join(map(text, (64, 82, 86))),
    )


def _short(text: str) -> bytes:
    units = text.encode("utf-16-le")
    return bytes((len(units) // 2,)) + units


def change(kind: int, new: bytes, old: bytes = b"\0") -> bytes:
    """Returns ENVCHANGE; both values with their lengths before them."""
    return b"\xe3" + struct.pack("<HB", 1 + len(new) + len(old), kind) + new + old


def told(number: int, text: str, *, is_error: bool = True) -> bytes:
    """Returns ERROR or INFO."""
    units = text.encode("utf-16-le")
    words = struct.pack("<H", len(units) // 2) + units
    severity = 14 if is_error else 0
    body = struct.pack("<iBB", number, 1, severity) + words + _short("PEER") + _short("")
    body += struct.pack("<i", 1)
    return (b"\xaa" if is_error else b"\xab") + struct.pack("<H", len(body)) + body


def done(flags: int = 0, count: int = 0) -> bytes:
    return b"\xfd" + struct.pack("<HHq", flags, 0xC1, count)


def refusal(number: int, text: str) -> bytes:
    """Returns the answer to a login that is refused."""
    return told(number, text) + done(_ERROR)


def acceptance(database: str) -> bytes:
    """Returns the answer to a login that is let in, as SQL Server 2022 gives it."""
    changes = change(1, _short(database), _short("master"))
    changes += told(5701, f"Changed database context to '{database}'.", is_error=False)
    changes += change(7, b"\x05\x09\x04\xd0\x00\x34", b"\0")
    changes += change(2, _short("us_english"), b"\0")
    changes += told(5703, "Changed language setting to us_english.", is_error=False)
    name = "Microsoft SQL Server"
    acknowledged = b"\x01\x74\x00\x00\x04" + _short(name) + b"\x10\x00\x0f\xa0"
    changes += b"\xad" + struct.pack("<H", len(acknowledged)) + acknowledged
    return changes + change(4, _short("4096"), _short("4096"))


#: Columns of the largest answer: name, TYPE_INFO.
COLUMNS = (
    ("id", b"\x26\x04"),  # INTN of 4 bytes
    ("name", b"\xe7\x28\x00\x09\x04\xd0\x00\x34"),  # NVARCHAR(20)
    ("is_paid", b"\x68\x01"),  # BITN
    ("total", b"\x6c\x09\x0a\x02"),  # DECIMALN(10, 2)
    ("seen_at", b"\x2a\x00"),  # DATETIME2N(0)
    ("digest", b"\xa5\x10\x00"),  # VARBINARY(16)
)


def columns(*described: tuple[str, bytes]) -> bytes:
    """Returns COLMETADATA."""
    parts = (struct.pack("<IH", 0, 9) + kind + _short(name) for name, kind in described)
    return b"\x81" + struct.pack("<H", len(described)) + b"".join(parts)


def row(number: int) -> bytes:
    """Returns ROW of `COLUMNS`."""
    name = "ł𝄞".encode("utf-16-le")
    seconds_of_noon = struct.pack("<I", 12 * 3600)[:3]
    days_since_year_1 = struct.pack("<I", 738_000)[:3]
    return b"\xd1" + b"".join(
        (
            b"\x04" + struct.pack("<i", number),
            struct.pack("<H", len(name)) + name if number != 2 else b"\xff\xff",
            b"\x01\x01",
            b"\x05\x00" + struct.pack("<I", 1234),
            b"\x06" + seconds_of_noon + days_since_year_1,
            struct.pack("<H", 2) + b"\xca\xfe",
        )
    )


def _transaction(*, begins: bool) -> bytes:
    value = b"\x08" + struct.pack("<Q", _DESCRIPTOR)
    return change(8, value) if begins else change(10, b"\0", value)


def answer(statement: str, server: Mssql, flags: int = 0) -> bytes:
    """Returns what the peer says to one statement, as the last of its batch or with `_MORE`."""
    words = statement.lower().split()
    if words[0] in ("set", "use"):
        return done(flags)
    if words[0] in ("begin", "rollback"):
        return _transaction(begins=words[0] == "begin") + done(flags)
    failed = next((ERRORS[word] for word in words if word in ERRORS), None)
    if failed is not None:
        return told(*failed) + done(flags | _ERROR)
    if "item" in words:
        rows = b"".join(row(number) for number in range(1, server.rows + 1))
        return columns(*COLUMNS) + rows + done(flags | _COUNT, server.rows)
    if "halfway" in words:
        return columns(*COLUMNS) + row(1) + told(8134, "Divide by zero.") + done(flags | _ERROR)
    number = columns(("", b"\x26\x04")) + b"\xd1\x04\x01\0\0\0"
    return number + done(flags | _COUNT, 1)


def let_in(client: TdsClient, encryption: int, context: ssl.SSLContext | None) -> bool:
    """Shakes hands as a server with that setting does; returns whether a login may follow."""
    kind, content = client.message()
    if kind != _PRELOGIN:
        raise ConnectionError("the client speaks another protocol")
    wanted = offered(content)
    if encryption == REQUIRED and wanted == NOT_SUPPORTED:
        client.send(prelogin(REQUIRED))
        return False
    client.send(prelogin(ON if context and wanted == ON else NOT_SUPPORTED))
    if context and wanted == ON:
        client.start_tls(context)
    return context is None or wanted in (ON, NOT_SUPPORTED)


def _take_login(client: TdsClient, server: Mssql) -> bool:
    kind, content = client.message()
    assert kind == _LOGIN
    login = parse_login(content)
    server.logins.append(login)
    if server.refusal:
        client.send(server.refusal)
    elif server.users.get(login.user) != login.password:
        server.failed_logins += 1
        client.send(refusal(18456, f"Login failed for user '{login.user}'."))
    elif login.database != DATABASE:
        text = f'Cannot open database "{login.database}" requested by the login.'
        client.send(told(4060, text) + refusal(18456, f"Login failed for user '{login.user}'."))
    elif server.route is not None:
        host, port = server.route
        name = struct.pack("<BHH", 0, port, len(host)) + host.encode("utf-16-le")
        new = struct.pack("<H", len(name)) + name
        client.send(acceptance(login.database) + change(20, new, b"\0\0") + done())
    else:
        client.send(acceptance(login.database) + done())
        return True
    return False


def _serve(conversation: Conversation, server: Mssql, let: Callable[[TdsClient], bool]) -> None:
    client = TdsClient(conversation)
    if not let(client) or not _take_login(client, server):
        conversation.wait()
        return
    descriptor = 0
    while True:
        kind, content = client.message()
        total, length, header, given = struct.unpack_from("<IIHQ", content)
        assert (total, length, header, given) == (22, 18, 2, descriptor)
        if kind == _TRANSACTION:
            statement = {5: "begin transaction", 8: "rollback"}[content[22]]
        else:
            assert kind == _QUERY
            statement = content[22:].decode("utf-16-le")
        server.requests += 1
        batch = [part.strip() for part in statement.split(";")]  # no literal here has one
        reply = b""
        for left, part in zip(range(len(batch) - 1, -1, -1), batch, strict=True):
            server.statements.append((part, descriptor != 0))
            reply += answer(part, server, _MORE if left else 0)
            if _transaction(begins=True) in reply:
                descriptor = _DESCRIPTOR
            if _transaction(begins=False) in reply:
                descriptor = 0
        client.send(reply)


@contextmanager
def mssql_peer(
    *, encryption: int = ON, names: tuple[str, ...] = ("localhost", "127.0.0.1")
) -> Iterator[Mssql]:
    """Runs a peer for the length of the block."""
    authority = Authority()
    context = authority.server_context(*names) if encryption != NOT_SUPPORTED else None
    if context is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the newest under TDS 7
    servers: list[Mssql] = []

    def script(conversation: Conversation) -> None:
        server = servers[0]
        _serve(conversation, server, lambda client: let_in(client, encryption, context))

    with sql_peer(script) as peer:
        servers.append(Mssql(authority=authority.pem, peer=peer))
        yield servers[0]
