"""Rows that were read for a person or a program, as plain values.

Beside `sql.py`; drivers fill it. A database has hundreds of types, and a report needs few: what is
a number or a truth value stays one, everything else becomes the text that its driver makes of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from reconciler.values import dataclass

#: Of the answer to a query that reads rows, so much is read.
LARGEST_BYTES: Final = 16 * 1024 * 1024

#: A value as JSON knows it; numbers are finite.
Cell: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a query gave; names and texts are the database's own, and foreign."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    #: whether there were more rows than were asked for
    is_cut: bool


def collect(columns: Iterable[object], fetched: Iterable[Sequence[object]], *, limit: int) -> Rows:
    """Returns at most `limit` rows of `fetched`; at most one more is looked at."""
    rows: list[tuple[Cell, ...]] = []
    for row in fetched:
        if len(rows) == limit:
            return Rows(columns=tuple(map(str, columns)), rows=tuple(rows), is_cut=True)
        rows.append(tuple(map(cell, row)))
    return Rows(columns=tuple(map(str, columns)), rows=tuple(rows), is_cut=False)


def cell(value: object) -> Cell:
    """Returns `value` of a driver as it is shown: bytes in hexadecimal, lists as JSON."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            # as PostgreSQL writes them, and as decimals of other drivers are written
            return value if math.isfinite(value) else str(Decimal(value))
        case bytes() | bytearray() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)
