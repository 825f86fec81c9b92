"""What a plain (unquoted) YAML scalar means: the core schema of YAML 1.2, stricter where it traps.

Pure. Apart from the loader because it is a table of text forms and knows nothing of documents.
The sources are YAML 1.2.2, section 10.3.2, and the type repository of YAML 1.1
(yaml.org/type: bool, int, float, timestamp, merge, value), which most readers still follow. Where
the two disagree the reading here stands and a warning says so. On one point this module is
stricter than the core schema: `0123` is text, because readers make 83 and 123 of it.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

from reconciler.manifests.findings import Note

#: What a scalar may be once it is read.
Scalar: TypeAlias = "str | int | float | bool | None"

#: Integers outside are refused: databases and JSON readers would round or fail.
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1


def _differs(reading: str, hint: str) -> Note:
    return Note(code="W012", message=reading, hint=hint)


_QUOTE = "put the text in quotes"
_WORD = _differs(
    "this is text here, but readers of YAML 1.1 take it for a boolean",
    "put it in quotes for text, or write `true` or `false`",
)
_INDICATOR = _differs("this is text here, but readers of YAML 1.1 refuse it", _QUOTE)
_LEADING_ZERO = _differs(
    "this is text here, but other readers take it for a number, some of them octal",
    "put it in quotes for text, or write the number without the leading zero",
)
_OLD_NUMBER = _differs(
    "this is text here, but readers of YAML 1.1 take it for a number",
    "put it in quotes for text, or write the number in plain decimal digits",
)
_SEXAGESIMAL = _differs(
    "this is text here, but readers of YAML 1.1 take it for a number in base 60", _QUOTE
)
_TIMESTAMP = _differs("this is text here, but readers of YAML 1.1 take it for a date", _QUOTE)
_OCTAL = _differs(
    "this is a number here, but text to readers of YAML 1.1",
    "write the number in decimal, or put it in quotes for text",
)
_NEW_FLOAT = _differs(
    "this is a number here, but text to readers of YAML 1.1",
    "write it with digits around a dot and a signed exponent, as in 1.0e+3, or put it in quotes",
)
_TOO_LARGE = Note(
    code="E018",
    message="the number does not fit into 64 bits",
    hint="put it in quotes if it is text",
)
_NOT_FINITE = Note(
    code="E018",
    message="infinity and not-a-number are not values of a manifest",
    hint="write a finite number, or put it in quotes if it is text",
)


def _cases(*words: str) -> tuple[str, ...]:
    """Returns the three ways of writing each word that YAML knows: `no`, `No`, `NO`."""
    return tuple(form for word in words for form in (word, word.capitalize(), word.upper()))


#: Plain scalars that are told by the whole word.
WORDS: dict[str, tuple[Scalar, Note | None]] = {
    **dict.fromkeys(("", "~", *_cases("null")), (None, None)),
    **dict.fromkeys(_cases("true"), (True, None)),
    **dict.fromkeys(_cases("false"), (False, None)),
    **{word: (word, _WORD) for word in _cases("yes", "no", "on", "off", "y", "n")},
    **{word: (word, _INDICATOR) for word in ("=", "<<")},
}
#: First characters of every plain scalar that could be a number, a date or not finite.
NUMERIC_STARTS = frozenset("0123456789+-.")

#: Tried in this order; the name of the group that matches is a key of `_READERS` or `_TEXT_NOTES`.
_FORMS = re.compile(
    r"""
      (?P<integer>     [-+]? (?: 0 | [1-9][0-9]* ) )
    | (?P<hex>         0x [0-9a-fA-F]+ )
    | (?P<octal>       0o [0-7]+ )
    | (?P<zeros>       [-+]? 0 [0-9_]+ )
    | (?P<float>       (?: [-+]? [0-9]+ \. [0-9]* | \. [0-9]+ ) (?: [eE][-+][0-9]+ )? )
    | (?P<new_float>   [-+]? (?: \. [0-9]+ | [0-9]+ (?: \. [0-9]* )? ) (?: [eE][-+]?[0-9]+ )? )
    | (?P<not_finite>  [-+]? (?: \.inf | \.Inf | \.INF ) | \.nan | \.NaN | \.NAN )
    | (?P<timestamp>   [0-9]{4} - [0-9]{2} - [0-9]{2}
                     | [0-9]{4} - [0-9]{1,2} - [0-9]{1,2} (?: [Tt] | [ \t]+ )
                       [0-9]{1,2} : [0-9]{2} : [0-9]{2} (?: \. [0-9]* )?
                       (?: [ \t]* (?: Z | [-+][0-9]{1,2} (?: : [0-9]{2} )? ) )? )
    | (?P<sexagesimal> [-+]? [0-9][0-9_]* (?: : [0-5]?[0-9] )+ (?: \. [0-9_]* )? )
    | (?P<old_number>  [-+]? (?: 0b [01_]+ | 0x [0-9a-fA-F_]+ | [1-9][0-9_]*
                     | [0-9][0-9_]* \. [0-9_]* (?: [eE][-+][0-9]+ )?
                     | \. [0-9][0-9_]* (?: [eE][-+][0-9]+ )? ) )
    """,
    re.VERBOSE,
)
_TEXT_NOTES = {
    "zeros": _LEADING_ZERO,
    "timestamp": _TIMESTAMP,
    "sexagesimal": _SEXAGESIMAL,
    "old_number": _OLD_NUMBER,
}


def resolve(text: str) -> tuple[Scalar, Note | None]:
    """Returns what the plain scalar `text` means, and what is to be said about it.

    With an E note the value is of no use. Time is linear in the length of `text`: digits beyond
    64 bits are counted and never converted.
    """
    if text in WORDS:
        return WORDS[text]
    match = _FORMS.fullmatch(text)
    if match is None:
        return text, None
    form = str(match.lastgroup)
    return _READERS[form](text) if form in _READERS else (text, _TEXT_NOTES[form])


def _integer(text: str) -> tuple[Scalar, Note | None]:
    if len(text) > len(str(SMALLEST_INTEGER)):
        return None, _TOO_LARGE
    return _bounded(int(text))


def _hex(text: str) -> tuple[Scalar, Note | None]:
    return _bounded(int(text, 16))


def _octal(text: str) -> tuple[Scalar, Note | None]:
    value, note = _bounded(int(text, 8))
    return value, note or _OCTAL


def _bounded(value: int) -> tuple[Scalar, Note | None]:
    if SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        return value, None
    return None, _TOO_LARGE


def _float(text: str) -> tuple[Scalar, Note | None]:
    value = float(text)
    return (value, None) if math.isfinite(value) else (None, _TOO_LARGE)


def _new_float(text: str) -> tuple[Scalar, Note | None]:
    value, note = _float(text)
    return value, note or _NEW_FLOAT


def _not_finite(_: str) -> tuple[Scalar, Note | None]:
    return None, _NOT_FINITE


_READERS = {
    "integer": _integer,
    "hex": _hex,
    "octal": _octal,
    "float": _float,
    "new_float": _new_float,
    "not_finite": _not_finite,
}
