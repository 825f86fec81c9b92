"""The message LOGIN7 (MS-TDS, section 2.2.6.4): who wants to log in, and with which password.

Made here and not by pytds, whose object of a login keeps the password for as long as there is a
connection, counts characters where the protocol counts 16-bit units, and tells the server the name
and the network address of this machine. Sans I/O.
"""

from __future__ import annotations

import struct
from typing import Final

from reconciler.clients.attempt import Login
from reconciler.clients.meaning import Meaning
from reconciler.model import Reason, StageName

#: TDS 7.4: SQL Server 2012 and newer; an older one answers with its own version.
VERSION: Final = 0x74000004
#: Length, version, packet size, program, process, connection, four bytes of flags, zone, language.
_FIXED = struct.Struct("<6I4BiI")
#: Each text: where it is, and how many 16-bit units it has.
_PLACE = struct.Struct("<2H")
#: Messages of a changed language and database, no bulk load; the login fails with the database.
_FLAGS_1 = 0x80 | 0x40 | 0x20 | 0x10
#: The settings that ANSI demands; a transaction begins when we say so.
_FLAGS_2 = 0x02
_READ_ONLY_INTENT = 0x20
#: The server may use collations that the client does not know.
_FLAGS_3 = 0x08
_ENGLISH_US = 1033
_NAME = "reconciler"
#: Longest name and password, in 16-bit units.
_LONGEST = 128
_TOO_LONG = Meaning(
    reason=Reason.AUTH_FAILED,
    message="SQL Server knows no database, user name or password of more than 128 characters",
    hint="check `database`, `auth.username` and the secret of `auth.password`",
)


def refuse_long(login: Login) -> None:
    """Does nothing where the message can be made.

    Raises:
        ConnectionFailed: AuthFailed, before anything is sent.
    """
    texts = (login.database, login.username, _password(login))
    if any(len(_units(text)) > 2 * _LONGEST for text in texts):
        raise _TOO_LONG.at(StageName.AUTH)


def message(login: Login, packet_bytes: int) -> bytes:
    """Returns the content of the message for `login`, the password in it, hardly hidden."""
    host = login.host if len(_units(login.host)) <= 2 * _LONGEST else ""
    texts = (
        b"",  # the name of this machine
        _units(login.username),
        _hidden(_units(_password(login))),
        _units(str(login.options.get("application_name", _NAME))),
        _units(host),  # by which Azure finds the server behind its gateway
        b"",  # extensions
        _units(_NAME),
        b"",  # language: the user's own
        _units(login.database),
        b"",  # for Windows' own logins
        b"",  # a file to attach
        b"",  # a new password
    )
    offset = _FIXED.size + len(texts) * _PLACE.size + 6 + 4
    places = []
    for text in texts:
        places.append(_PLACE.pack(offset, len(text) // 2))
        offset += len(text)
    is_reading = login.options.get("intent") == "ReadOnly"
    intent = _READ_ONLY_INTENT if is_reading else 0
    flags = (_FLAGS_1, _FLAGS_2, intent, _FLAGS_3)
    fixed = _FIXED.pack(offset, VERSION, packet_bytes, 0, 0, 0, *flags, 0, _ENGLISH_US)
    # the network address of this machine stands before the last three, as zeros, and the long
    # length of the first of these after them
    head = fixed + b"".join(places[:-3]) + bytes(6) + b"".join(places[-3:]) + bytes(4)
    return head + b"".join(texts)


def _password(login: Login) -> str:
    return login.password.reveal() if login.password else ""


def _units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _hidden(units: bytes) -> bytes:
    """Returns a password in the form of MS-TDS: halves of each byte swapped, then XOR 0xA5."""
    return bytes(((unit << 4 | unit >> 4) & 0xFF) ^ 0xA5 for unit in units)
