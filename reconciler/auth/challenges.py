"""Reads what a server asks for: the challenges of `WWW-Authenticate` (RFC 9110, section 11.6.1).

Apart from `digest`, which uses it, because several challenges may stand in one header and a comma
separates both challenges and the parameters of one. Pure, and total on hostile text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.auth.exchange import Response, headers_named
from reconciler.auth.spec_model import TOKEN

#: A parameter `name=value`, or a scheme; a value in quotes may hold any pair of `\` and character.
_PIECE: Final = re.compile(
    rf'(?P<name>{TOKEN})[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>{TOKEN}))'
    rf"(?=[ \t]*(?:,|$))|(?P<scheme>{TOKEN})(?=[ \t,]|$)"
)
_BETWEEN: Final = re.compile(r"[ \t,]*")
#: What cannot be read, such as the token68 of another scheme, is skipped up to here.
_UNREADABLE: Final = re.compile(r"[^,]*,?")
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to log in that a server offers."""

    #: in lower case
    scheme: str
    #: names in lower case; of a repeated one, the first
    parameters: Mapping[str, str]


def challenges(response: Response) -> tuple[Challenge, ...]:
    """Returns the challenges of `response`, in the server's order of preference."""
    found: list[tuple[str, dict[str, str]]] = []
    for text in headers_named(response, "www-authenticate"):
        position = 0
        while position < len(text):
            piece = _PIECE.match(text, position)
            if piece is None:
                position = _end(_UNREADABLE, text, position)
            elif piece["scheme"]:
                found.append((piece["scheme"].lower(), {}))
                position = piece.end()
            else:
                if found:
                    value = piece["bare"] or _ESCAPED.sub(r"\1", piece["quoted"] or "")
                    found[-1][1].setdefault(piece["name"].lower(), value)
                position = piece.end()
            position = _end(_BETWEEN, text, position)
    return tuple(Challenge(scheme=scheme, parameters=values) for scheme, values in found)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    assert match is not None  # both patterns match nothing as well
    return max(match.end(), position)
