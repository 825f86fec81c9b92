"""The field-level difference of two manifests, by JSON pointer.

Pure, and apart from `plan` because `history` and `diff --revision` compare revisions with it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model import FieldChange, FieldOp, Json, JsonObject, Path, pointer


def changes(old: JsonObject, new: JsonObject) -> tuple[FieldChange, ...]:
    """Returns the leaves in which two normal manifests differ, sorted by JSON pointer.

    Lists are compared whole: an item has no name by which to say that it moved.
    """
    return tuple(sorted(_differences(old, new, ()), key=lambda change: change.pointer))


def _differences(old: JsonObject, new: JsonObject, at: Path) -> Iterator[FieldChange]:
    for key, value in old.items():
        if key not in new:
            yield from _added(FieldOp.REMOVE, value, pointer((*at, key)))
            continue
        other = new[key]
        # Nearly every field is the same, so that is what costs the least.
        if value is other:
            continue
        if isinstance(value, dict) and isinstance(other, dict):
            yield from _differences(value, other, (*at, key))
        elif value != other or type(value) is not type(other):
            inside = pointer((*at, key))
            yield FieldChange(op=FieldOp.REPLACE, pointer=inside, old=value, new=other)
    for key in new.keys() - old.keys():
        yield from _added(FieldOp.ADD, new[key], pointer((*at, key)))


def _added(op: FieldOp, value: Json, at: str) -> Iterator[FieldChange]:
    """Yields every leaf of a subtree that came or went."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from _added(op, value[key], at + pointer((key,)))
    elif op is FieldOp.ADD:
        yield FieldChange(op=op, pointer=at, old=None, new=value)
    else:
        yield FieldChange(op=op, pointer=at, old=value, new=None)
