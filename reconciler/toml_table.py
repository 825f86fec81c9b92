"""Reads the tables of a settings file: each by a function, made out of the functions of its fields.

Apart from `operator_file` and `operator_policy`, which say what the tables are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from posixpath import normpath
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from reconciler.model import Json

Where: TypeAlias = tuple[str, ...]
#: Reads the value of a field that stands at a path; raises `Wrong`.
Read: TypeAlias = Callable[["Json", Where], "Json"]


class Wrong(Exception):
    """Something in the file is wrong; `where` is the path of its key."""

    def __init__(self, where: Where, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.where = where
        self.hint = hint


def table(
    fields: Mapping[str, Read],
    make: Callable[..., Json] = dict,
    required: Sequence[str] = (),
) -> Read:
    """Returns what reads a table: each field by its function, all of them handed to `make`."""

    def read_table(raw: Json, where: Where) -> Json:
        if not isinstance(raw, dict):
            raise Wrong(where, "must be a table")
        for key in raw:
            if key not in fields:
                known = ", ".join(sorted(fields))
                raise Wrong((*where, key), "is no setting", f"use one of: {known}")
        for key in required:
            if key not in raw:
                raise Wrong((*where, key), "is required")
        return make(**{key: fields[key](value, (*where, key)) for key, value in raw.items()})

    return read_table


def text(raw: Json, where: Where) -> str:
    """Returns printable text that is not empty."""
    if not isinstance(raw, str) or not raw or re.search(r"[\x00-\x1f\x7f]", raw):
        raise Wrong(where, "must be text, printable and not empty")
    return raw


def path(raw: Json, where: Where) -> str:
    """Returns an absolute path, `.` and `..` folded."""
    named = text(raw, where)
    if not named.startswith("/"):
        raise Wrong(where, "must be an absolute path")
    return normpath(named)


def list_of(item: Read, *, fewest: int = 0) -> Read:
    """Returns what reads a list whose items are read by `item`."""

    def read_list(raw: Json, where: Where) -> tuple[Json, ...]:
        if not isinstance(raw, list) or len(raw) < fewest:
            raise Wrong(where, "must be a list" + (" that is not empty" if fewest else ""))
        return tuple(item(each, where) for each in raw)

    return read_list
