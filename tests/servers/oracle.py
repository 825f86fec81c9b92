"""A scripted Oracle listener: as much of TNS as lies before a login, and errors behind it.

No Oracle Database can be had here. Packets are as oracledb's thin mode reads them (its source,
`messages/connect.pyx` and `messages/base.pyx`); a login that succeeds is not among them.
"""

from __future__ import annotations

from tests.servers.sql_peers import Conversation

CONNECT, ACCEPT, REFUSE, REDIRECT, DATA = 1, 2, 4, 5, 6
#: The oldest version that oracledb speaks, which needs no further flags: Oracle Database 12.1.
_VERSION = 315
_ERROR = 4
#: Numbers that say nothing, each a byte that says how long it is, and six plain bytes among them.
_FIELDS_BEFORE = 28


def packet(kind: int, body: bytes, *, is_wide: bool = False) -> bytes:
    """Returns a packet; once a server has accepted, lengths have four bytes."""
    length = len(body) + 8
    head = length.to_bytes(4) if is_wide else length.to_bytes(2) + bytes(2)
    return head + bytes((kind, 0, 0, 0)) + body


def receive_connect(client: Conversation) -> bytes:
    """Returns the client's first packet."""
    head = client.receive(8)
    return head + client.receive(int.from_bytes(head[:2]) - 8)


def refuse(number: int) -> bytes:
    """Returns the refusal of a listener, as `TNS-12514` and its like come."""
    text = (
        f"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={number})(ERROR_STACK=(ERROR=(CODE={number}))))"
    )
    return packet(REFUSE, bytes(2) + len(text).to_bytes(2) + text.encode())


def redirect(host: str, port: int) -> bytes:
    """Returns the order to go on to another address."""
    place = f"(ADDRESS=(PROTOCOL=tcp)(HOST={host})(PORT={port}))".encode()
    data = place + b"\0(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=orders)))"
    return packet(REDIRECT, len(data).to_bytes(2)) + packet(DATA, bytes(2) + data)


def accept() -> bytes:
    """Returns that the login may begin."""
    fields = (_VERSION.to_bytes(2), bytes(2), bytes(10), bytes(1), bytes(9), (8192).to_bytes(4))
    return packet(ACCEPT, b"".join(fields))


def error(number: int, text: bytes) -> bytes:
    """Returns an error of the database behind an accepted connection."""
    number_of = number.to_bytes((number.bit_length() + 7) // 8)
    body = (
        bytes(2)
        + bytes((_ERROR,))
        + bytes(_FIELDS_BEFORE)
        + bytes((len(number_of),))
        + number_of
        + bytes(3)  # row number, and two fields that came with version 20
    )
    return packet(DATA, body + _text(text), is_wide=True)


def _text(text: bytes) -> bytes:
    if len(text) < 254:
        return bytes((len(text),)) + text
    pieces = (text[at : at + 250] for at in range(0, len(text), 250))
    return b"\xfe" + b"".join(bytes((1, len(piece))) + piece for piece in pieces) + b"\0"
