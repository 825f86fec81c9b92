"""Words for fields, types and values in messages.

A value is shown only by `shown`, which knows how to keep it short, on one line and in ASCII: what a
look-alike letter or a control character really is must be visible. Whether a value may be shown at
all is for the caller to decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from reconciler import redact
from reconciler.model import Json, Path

#: Longer names and values are cut, with an ellipsis.
LONGEST_SHOWN = 60

#: JSON Schema type -> what a person calls it.
TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}

_JSON_TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}
#: Text that needs no quotes in YAML, in block and flow style.
_PLAIN_TEXT = re.compile(r"(?!.*(?:: |:$| #))[A-Za-z0-9_./(<>+*-](?:[ -~](?<![\[\]{},]))*(?<! )")
#: Text that would be something else without quotes.
_NOT_TEXT = re.compile(
    r"true|false|null|~|[-+]?(?:\.?[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|0[xo].*)",
    re.IGNORECASE,
)
#: Text with one of these may be a URL with a credential, a connection string or a query.
_MAYBE_CREDENTIAL = re.compile(r"[:@?&=#$'\"]")


def field(path: Path) -> str:
    """Returns `path` the way people write it, `spec.auth.method` or `metadata.tags[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{name(part)}"
    return text.removeprefix(".")


def name(key: str) -> str:
    """Returns a key fit to be shown: escaped, on one line and cut."""
    return _cut(redact.escape(key).replace("\n", "\\n").replace("\t", "\\t"))


def shown(value: Json) -> str:
    """Returns a scalar as one would write it in YAML: short, on one line, in ASCII."""
    if isinstance(value, float):
        return f"{value:.15g}"
    is_plain = isinstance(value, str) and _PLAIN_TEXT.fullmatch(value)
    return _cut(value if is_plain and not _NOT_TEXT.fullmatch(value) else json.dumps(value))


def may_show(value: Json) -> bool:
    """Returns whether a scalar of a plain field is free of what often surrounds a credential."""
    return not (isinstance(value, str) and _MAYBE_CREDENTIAL.search(value))


def type_of(value: Json) -> str:
    """Returns what kind of value this is, in words."""
    return TYPES[_JSON_TYPES[type(value)]]


def quoted(values: Iterable[Json], last: str = "or") -> str:
    """Returns values in back-ticks as a phrase: `a`, `b` or `c`."""
    words = [f"`{shown(value)}`" for value in values]
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def similar(word: str, known: Iterable[str]) -> str:
    """Returns the entry of `known` that `word` was probably meant to be, or `""`."""
    import difflib  # 8 ms, needed only when something is wrong

    forms = _forms(sorted(known))
    matches = difflib.get_close_matches(word.casefold()[:LONGEST_SHOWN], forms, n=1)
    return forms[matches[0]] if matches else ""


def _forms(entries: list[str]) -> dict[str, str]:
    """Returns names by themselves and, where only one has it, by their last word: `url`."""
    tails = [re.sub("^.*(?=[A-Z])", "", entry).casefold() for entry in entries]
    by_tail = {
        tail: entry for tail, entry in zip(tails, entries, strict=True) if tails.count(tail) == 1
    }
    return by_tail | {entry.casefold(): entry for entry in entries}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
