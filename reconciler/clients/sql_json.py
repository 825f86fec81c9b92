"""What stands in the JSON of an answer, taken as if anything might stand there.

Beside `sql_api`, which receives it; pure. APIs write values as text and say in which column they
stand; a table from its type to a function makes them what they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from reconciler.clients import sql_rows
from reconciler.clients.sql_rows import Cell, Rows
from reconciler.model import Json, JsonObject

#: Type of a column -> what its text means; raises ArithmeticError, LookupError or ValueError
#: where it is none of that type.
Cells: TypeAlias = Mapping[str, Callable[[str], Cell]]

#: What may stand as a part of a path; the names of statements come from the server.
_PART = re.compile(r"[A-Za-z0-9_-]{1,200}")


def block(data: JsonObject, name: str) -> JsonObject:
    """Returns the object called `name`, an empty one where there is none."""
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def text(data: JsonObject, name: str) -> str:
    """Returns the text or number called `name` as text, `""` where there is none."""
    found = data.get(name)
    return str(found) if isinstance(found, str | int) else ""


def items(data: JsonObject, name: str) -> list[Json]:
    """Returns the list called `name`, an empty one where there is none."""
    found = data.get(name)
    return found if isinstance(found, list) else []


def blocks(data: JsonObject, name: str) -> list[JsonObject]:
    """Returns the objects in the list called `name`, an empty one for whatever else is there."""
    return [found if isinstance(found, dict) else {} for found in items(data, name)]


def part(data: JsonObject, name: str) -> str:
    """Returns the text called `name` as it may stand in a path, `""` where it may not."""
    found = data.get(name)
    return found if isinstance(found, str) and _PART.fullmatch(found) else ""


def table(columns: list[tuple[str, str]], found: list[Json], cells: Cells, *, limit: int) -> Rows:
    """Returns at most `limit` rows of `found`, lists of values; `columns` are names and types."""
    rows = [
        [cell(value, cells.get(kind)) for value, (_, kind) in zip(row, columns, strict=False)]
        for row in found
        if isinstance(row, list)
    ]
    return sql_rows.collect([name for name, _ in columns], rows, limit=limit)


def cell(value: Json, convert: Callable[[str], Cell] | None) -> Cell:
    """Returns a value in its type; what has none, or is none of it, as it came."""
    try:
        if isinstance(value, str) and convert is not None:
            return convert(value)
        return sql_rows.cell(value)
    except (ArithmeticError, LookupError, ValueError):
        return str(value)
    except RecursionError:  # of something built for that
        return None


def number(value: str) -> Cell:
    """Returns the number that `value` says, as text where it is not finite."""
    return sql_rows.cell(float(value))


def truth(value: str) -> Cell:
    """Returns the truth value that `value` says."""
    return {"true": True, "false": False}[value.lower()]
