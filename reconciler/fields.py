"""The field-level difference of two manifests, by JSON pointer.

Pure, and apart from `plan` because `history` and `diff --revision` compare revisions with it too.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import FieldChange, FieldOp, Json, JsonObject, Path, pointer


def changes(old: JsonObject, new: JsonObject) -> tuple[FieldChange, ...]:
    """Returns the leaves in which two normal manifests differ, sorted by JSON pointer.

    Lists are compared whole: an item has no name by which to say that it moved.
    """
    found: list[FieldChange] = []
    _compare(old, new, (), found)
    return tuple(sorted(found, key=lambda change: change.pointer))


def _compare(old: JsonObject, new: JsonObject, at: Path, found: list[FieldChange]) -> None:
    # Nearly every field is the same, so that is what costs the least.
    for key, value in old.items():
        if key not in new:
            _add(FieldOp.REMOVE, value, pointer((*at, key)), found)
            continue
        other = new[key]
        if type(value) is dict and type(other) is dict:
            _compare(value, other, (*at, key), found)
        elif value != other or type(value) is not type(other):
            inside = pointer((*at, key))
            found.append(FieldChange(op=FieldOp.REPLACE, pointer=inside, old=value, new=other))
    if new.keys() != old.keys():
        for key in new.keys() - old.keys():
            _add(FieldOp.ADD, new[key], pointer((*at, key)), found)


def _add(op: FieldOp, value: Json, at: str, found: list[FieldChange]) -> None:
    """Adds every leaf of a subtree that came or went."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            _add(op, value[key], at + pointer((key,)), found)
    elif op is FieldOp.ADD:
        found.append(FieldChange(op=op, pointer=at, old=None, new=value))
    else:
        found.append(FieldChange(op=op, pointer=at, old=value, new=None))
