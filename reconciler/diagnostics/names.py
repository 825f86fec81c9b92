"""What is wrong with a name, and the valid name that its author may have meant.

Names are never rewritten on the way into the store: the proposal is only a hint. Pure.
"""

from __future__ import annotations

from reconciler.diagnostics import wording
from reconciler.kinds import names
from reconciler.model import Json, Path

RULE = "1 to 63 of a-z, 0-9, `-` and `_`, with a letter or digit at both ends"
_FIELDS = frozenset({("metadata", "name"), ("metadata", "namespace")})
_PREVIOUS = ("metadata", "previousNames")


def is_name(path: Path) -> bool:
    """Returns whether the field at `path` holds a name."""
    return path in _FIELDS or path[:-1] == _PREVIOUS


def explain(path: Path, value: Json) -> tuple[str, str]:
    """Returns the message and the hint for a name that the schema refused."""
    if path[:-1] == _PREVIOUS:
        message = f"`{wording.shown(value)}` is not a valid previous name"
        return message, "write `name` or `namespace/name`"
    proposal = names.propose_name(value)
    hint = f"a valid {path[-1]} is `{proposal}`" if proposal else ""
    if names.is_reserved(value):
        return f"the {path[-1]} `{wording.shown(value)}` is reserved", hint
    return f"`{wording.shown(value)}` is not a valid {path[-1]}: {RULE}", hint
