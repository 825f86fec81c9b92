"""What is shown of a server's text about a failed health query: our own words, the query's names.

A server puts values of rows into its texts (`invalid input syntax for type integer: "..."`), and
the result of a check goes into logs, reports and the state, which more people read than the
database. So nothing of such a text is shown but a name that stands in the query of the manifest as
well, and what kind of mistake it speaks of, in words from a table. Somebody who runs a statement by
hand sees all of it: they may read the rows. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: At most so many names are shown.
_MOST_NAMES = 3
#: What a text says, in any engine's words -> what is shown for it; the first that fits.
_KINDS = (
    ("syntax error", r"syntax error|error in your sql syntax|token unknown"),
    (
        "no such column",
        r"\b(?:no such|unknown) column|\bcolumn\b.*(?:does not exist|not found|unknown|resolved)",
    ),
    (
        "no such function",
        r"\b(?:no such|unknown) function|\bfunction\b.*(?:does not exist|not found|unknown)",
    ),
    (
        "no such table",
        r"\bno such table|\b(?:table|relation|object|view)\b.*(?:does(?: not|n't) exist|unknown|not found|be found)",  # noqa: E501
    ),
    ("division by zero", r"division by zero|divide by zero"),
    ("a value cannot be converted", r"\bconver|\bcast|invalid input|invalid number"),
)
#: Strings and comments of a query; what is in them is no name.
_NO_NAMES = re.compile(
    r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$", re.DOTALL
)
_NAME = re.compile(r'"([^"]+)"|`([^`]+)`|\[([^\]]+)\]|([^\W\d][\w$]*)')
#: Where a text has a name: in quotes, or behind what says of what it is one.
_QUOTED = re.compile(
    r"""["'`]([^"'`]{1,128})["'`]"""
    r"|(?:no such \w+: |with name |(?:for|to) table |unknown\W+)([\w$.]{1,128})",
    re.IGNORECASE,
)


def about(text: str, query: str) -> str:
    """Returns what may be shown of a server's `text` about `query`, such as `no such table: a`."""
    flags = re.IGNORECASE | re.DOTALL
    kind = next((kind for kind, pattern in _KINDS if re.search(pattern, text, flags)), "")
    names = ", ".join(list(dict.fromkeys(_names(text, query)))[:_MOST_NAMES])
    return ": ".join(part for part in (kind, names) if part)


def _names(text: str, query: str) -> Iterator[str]:
    """Yields the names of the query that `text` has, as the query spells them."""
    found = (next(filter(None, match)) for match in _NAME.findall(_NO_NAMES.sub(" ", query)))
    known = {name.casefold(): name for name in found}
    for quoted, bare in _QUOTED.findall(text):
        parts = (quoted or bare).casefold().split(".")
        # a server adds the name of a schema that the query leaves out
        name = ".".join(known[part] for part in parts if part in known)
        if name:
            yield name
