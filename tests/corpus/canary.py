"""Finds a secret in whatever left the program, however it was written there.

The rule of the reliability promises: no output holds the secret as it is, quoted for a URL, as
JSON or a Python literal, in hexadecimal, in base64 at any of its three alignments, as a Basic
header or backwards, nor any piece of these that is long enough not to be there by chance.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, quote_plus

#: Pieces of so many characters are looked for. Hexadecimal digits are everywhere, and eight of them
#: meet by chance in a state file; eight of 62 letters and digits do not.
_PIECE, _HEX_PIECE = 8, 20
#: Characters that some encoding changes.
_AWKWARD = "\"'\\/+=%&@:;<>#?{}$`|^~"


def make_canary(awkward: str = _AWKWARD) -> str:
    """Returns a random secret in which letters stand around each of `awkward`."""
    alphabet = string.ascii_letters + string.digits
    chunks = ["".join(secrets.choice(alphabet) for _ in range(9)) for _ in range(4)]
    between = ["".join(secrets.choice(awkward) for _ in range(3)) if awkward else "" for _ in "123"]
    return "".join(part for pair in zip(chunks, [*between, ""], strict=True) for part in pair)


def make_key() -> str:
    """Returns a random key of 64 hexadecimal digits."""
    return secrets.token_hex(32)


def leaks(canaries: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Returns which of `canaries` shows in which of `places`, in which form; never the text."""
    pieces = {
        piece: f"{name} ({form})"
        for name, value in canaries.items()
        for form, text in _forms(value).items()
        for piece in _pieces(text, value)
    }
    lengths = {len(piece) for piece in pieces}
    found = {
        f"{place}: {pieces[piece]}"
        for place, data in places.items()
        for piece in pieces.keys() & _windows(data, lengths)
    }
    return sorted(found)


def _forms(value: str) -> dict[str, str]:
    raw = value.encode()
    aligned = {
        f"base64, shifted by {shift}": base64.b64encode(b"\0" * shift + raw).decode()[
            -(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6
        ]
        for shift in range(3)
    }
    return {
        "as it is": value,
        "backwards": value[::-1],
        "quoted": quote(value, safe=""),
        "quoted, + for space": quote_plus(value),
        "JSON": json.dumps(value)[1:-1],
        "repr": repr(value)[1:-1],
        "hexadecimal": raw.hex(),
        **aligned,
        **{f"{form}, for URLs": text.translate(_URL_SAFE) for form, text in aligned.items()},
    }


_URL_SAFE = str.maketrans("+/", "-_")


def _pieces(text: str, value: str) -> Iterable[str]:
    is_hex = not set(text) - set(string.hexdigits)
    length = _HEX_PIECE if is_hex else _PIECE if len(text) <= len(value) else _PIECE + 4
    folded = text.lower()
    return (folded[at : at + length] for at in range(len(folded) - length + 1))


def _windows(data: bytes, lengths: Iterable[int]) -> set[str]:
    lines: Sequence[str] = sorted(set(data.decode("latin-1").lower().splitlines()))
    return {
        line[at : at + length]
        for length in lengths
        for line in lines
        for at in range(len(line) - length + 1)
    }
