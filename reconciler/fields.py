"""The field-level difference of two manifests, by JSON pointer.

Pure, and apart from `plan` because `history` and `diff --revision` compare revisions with it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model import FieldChange, FieldOp, Json, JsonObject, pointer


def changes(old: JsonObject, new: JsonObject) -> tuple[FieldChange, ...]:
    """Returns the leaves in which two normal manifests differ, sorted by JSON pointer.

    Lists are compared whole: an item has no name by which to say that it moved.
    """
    return tuple(sorted(_differences(old, new, ""), key=lambda change: change.pointer))


def _differences(old: Json, new: Json, at: str) -> Iterator[FieldChange]:
    match old, new:
        case Mapping(), Mapping():
            for key in sorted({*old, *new}):
                inside = at + pointer((key,))
                if key not in old:
                    yield from _added(FieldOp.ADD, new[key], inside)
                elif key not in new:
                    yield from _added(FieldOp.REMOVE, old[key], inside)
                else:
                    yield from _differences(old[key], new[key], inside)
        case _ if old != new or type(old) is not type(new):
            yield FieldChange(op=FieldOp.REPLACE, pointer=at, old=old, new=new)
        case _:
            return


def _added(op: FieldOp, value: Json, at: str) -> Iterator[FieldChange]:
    """Yields every leaf of a subtree that came or went."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from _added(op, value[key], at + pointer((key,)))
    elif op is FieldOp.ADD:
        yield FieldChange(op=op, pointer=at, old=None, new=value)
    else:
        yield FieldChange(op=op, pointer=at, old=value, new=None)
