"""The rows of a statement: a table for people, one JSON object or one line of CSV a row.

Pure. Everything here was written by a database: in a table each cell is one line, in the others
texts are whole, and the gate of the command line takes out what a terminal would obey.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

from reconciler.model import Json, JsonObject
from reconciler.report import layout, words
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import QueryView

#: On a terminal no cell is wider.
_WIDEST = 60


def table(view: QueryView, style: Style) -> str:
    """Returns a header, one line per row, and how many rows there are."""
    columns = [
        Column(title=_shown(name, style), right=_is_numeric(view, index))
        for index, name in enumerate(view.columns)
    ]
    rows = [[_cell(value, style) for value in row] for row in view.rows]
    lines = layout.table(columns, rows, style) if columns else []
    more = ", and there are more: --limit" if view.is_cut else ""
    lines.append(style.paint(f"{words.plural(len(rows), 'row')}{more}", Tone.QUIET))
    return "\n".join(lines) + "\n"


def lines(view: QueryView, _style: Style) -> str:
    """Returns one JSON object per row, by the names of the columns."""
    # DEL is the one control character that JSON leaves bare (RFC 8259, section 7)
    text = "".join(json.dumps(row) + "\n" for row in objects(view))
    return text.replace("\x7f", "\\u007f")


def csv_text(view: QueryView, _style: Style) -> str:
    """Returns a line of names and one per row (RFC 4180, but for the ends of lines)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(view.columns)
    writer.writerows([_plain(value) for value in row] for row in view.rows)
    return text.getvalue()


def objects(view: QueryView) -> Iterator[JsonObject]:
    """Yields the rows by the names of the columns; the second `id` is `id_2`."""
    names = unique(view.columns)
    for row in view.rows:
        yield dict(zip(names, row, strict=True))


def unique(names: Sequence[str]) -> list[str]:
    """Returns `names` with what makes each of them another: the second `id` is `id_2`."""
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _cell(value: Json, style: Style) -> Cell:
    """Returns a cell that is never empty: a table leaves out columns that are."""
    if value is None:
        return Cell("null", Tone.QUIET)
    return Cell(_shown(value, style) or '""')


def _is_numeric(view: QueryView, index: int) -> bool:
    values = [row[index] for row in view.rows if row[index] is not None]
    return bool(values) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _plain(value: Json) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Json, style: Style) -> str:
    line = layout.one_line(_plain(value))
    return layout.cut(line, None if style.width is None else _WIDEST, style)
