"""Secrets that cannot be printed, and the one gate that takes them out of text.

`Secret` is opaque: no text of it can be made by accident. `Redactor` knows every secret that was
resolved during a command and removes its value, in every form that libraries and servers give it,
from whatever leaves the program: both output streams, logs, the database. Redaction goes by value
and not by field, because leaks come from places that know no fields: driver errors, echoed
headers, tracebacks. Pure floor; one `Redactor` is made per command and handed down.
"""

from __future__ import annotations

import base64
import json
import re
from threading import Lock
from typing import NoReturn
from urllib.parse import quote, quote_plus

#: What stands in the place of a secret, of fixed length so that it tells nothing.
MASK = "***"
#: Shorter values occur in ordinary words; replacing them would garble text and still betray them.
SHORTEST_REDACTED = 4
#: Foreign text is cut to this many characters before it is stored or shown.
LONGEST_FOREIGN = 1000
#: So many forms are looked for one by one before a pattern is made of them.
_FEW_FORMS = 256

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


class Secret:
    """A resolved secret; only `reveal` gives the value, and only adapters call it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Returns the value, for the library call that needs it."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are not compared; compare their fingerprints")

    __hash__ = None  # type: ignore[assignment]  # a hash would make secrets dictionary keys

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


class Redactor:
    """Knows the secrets of one command and removes them from text; shows none itself."""

    __slots__ = ("_forms", "_later", "_lock", "_pattern")

    def __init__(self) -> None:
        self._forms: set[str] = set()
        #: of all forms but those in `_later`, which came since it was made
        self._pattern: re.Pattern[str] | None = None
        self._later: set[str] = set()
        # secrets are learnt in threads while others print: a pattern made meanwhile would lack the
        # newest one, and be kept
        self._lock = Lock()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a redactor holds secrets and is not pickled or copied")

    def add(self, value: str, username: str = "") -> None:
        """Remembers `value` in every form in which it may come back.

        With `username`, the Basic header of the pair as well (RFC 7617, section 2).
        """
        if len(value) < SHORTEST_REDACTED:
            return
        forms = _forms(value)
        if username:
            forms |= _base64_forms(f"{username}:{value}")
        with self._lock:
            self._later |= forms - self._forms
            self._forms |= forms

    def redact(self, text: str) -> str:
        """Returns `text` with every form of every known secret masked."""
        with self._lock:
            if self._later and not self._is_free_of_later(text):
                longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
                self._later = set()
            pattern = self._pattern
        return text if pattern is None else pattern.sub(MASK, text)

    def _is_free_of_later(self, text: str) -> bool:
        """Whether the pattern as it is does for `text`.

        To make one costs a thousand times what it costs to see that a text has none of a few forms,
        and a pass that gets tokens learns a secret with every check.
        """
        if len(self._later) > max(_FEW_FORMS, len(self._forms) - len(self._later)):
            return False
        # a later form may be longer than one that the pattern would mask a part of
        is_clean = self._pattern is None or self._pattern.search(text) is None
        return is_clean and not any(form in text for form in self._later)

    def clean(self, text: str, limit: int = LONGEST_FOREIGN) -> str:
        """Returns foreign `text` fit to be stored and shown: redacted, on one line, escaped, cut.

        Redaction comes first: a secret that the cut splits would no longer be found.
        """
        one_line = " ".join(escape(self.redact(text)).split())
        return one_line if len(one_line) <= limit else one_line[: limit - 1] + "…"


def escape(text: str) -> str:
    r"""Returns `text` with control, bidirectional and surrogate characters as `\x..` escapes.

    Tab and newline stay. A terminal or a log reader then shows what was sent and obeys none of it.
    """
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()


def _forms(value: str) -> set[str]:
    lines = {line for line in value.splitlines() if len(line) >= SHORTEST_REDACTED}
    forms = {value, value.strip(), *lines}
    forms |= {quote(value, safe=""), quote(value), quote_plus(value)}
    forms |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    forms |= {escape(value), value.encode().hex(), value.encode().hex().upper()}
    forms |= _repr_forms(value) | _base64_forms(value)
    return {form for form in forms if len(form) >= SHORTEST_REDACTED}


def _repr_forms(value: str) -> set[str]:
    """Returns `value` as it stands in the repr of a longer text or of bytes.

    Whether its single quotes are escaped there depends on the quotes in all of that text.
    """
    escaped = {repr(f'"{value}')[2:-1], repr(b'"' + value.encode())[3:-1]}
    return escaped | {form.replace("\\'", "'") for form in escaped}


def _base64_forms(value: str) -> set[str]:
    """Returns what of `value`'s base64 is the same wherever it stands in a longer encoded text.

    Base64 encodes three bytes at a time, so the same bytes have three encodings; characters at the
    ends that also depend on neighbours are left off.
    """
    raw = value.encode()
    forms = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        start = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        for form in (encoded[start:end], encoded[start:end].translate(_URL_SAFE)):
            if len(form) >= 2 * SHORTEST_REDACTED:
                forms.add(form)
    return forms


_URL_SAFE = str.maketrans("+/", "-_")
