"""Lines and tables of a given width, for the reports that people read.

Pure. Widths are counted in terminal cells, on the text before it is painted. The last column of a
table is the long one: it takes what is left of the line and is cut, never wrapped, so that one
row stays one line for `grep`. Text outside of tables is wrapped at its spaces and never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from reconciler import redact
from reconciler.model import Json, canonical
from reconciler.report.style import Style, Tone
from reconciler.values import dataclass

_GAP = "  "
#: The last column gets at least this much; columns that may go make room for it. So does wrapped
#: text, however far right it begins.
_LAST_COLUMN_CELLS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    title: str
    #: numbers stand right, words left
    right: bool = False
    #: may be left out where the line is too narrow for the last column
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table; `text` is one line without control characters."""

    text: str
    tone: Tone = Tone.PLAIN


def one_line(text: str) -> str:
    """Returns `text` with white space folded and control characters escaped."""
    return " ".join(redact.escape(text).split())


def value(data: Json, room: int, style: Style) -> str:
    """Returns `data` as compact JSON on one line, cut to `room` cells."""
    return cut(one_line(canonical(data)), room, style)


def cells(text: str) -> int:
    """Returns how many terminal cells `text` takes (UAX 11: wide and full-width take two)."""
    if text.isascii():
        return len(text)
    return sum(_cell(character) for character in text)


def cut(text: str, room: int | None, style: Style) -> str:
    """Returns `text`, or as much of it as fits into `room` cells with an ellipsis at its end."""
    if room is None or cells(text) <= room:
        return text
    if text.isascii():
        return text[: room - 1] + style.glyph("…") if room > 0 else ""
    kept, used = [], 0
    for character in text:
        used += _cell(character)
        if used > room - 1:
            break
        kept.append(character)
    return "".join(kept) + style.glyph("…") if room > 0 else ""


def pad(text: str, room: int) -> str:
    """Returns `text` with spaces after it up to `room` cells."""
    return text + " " * (room - cells(text))


def sides(left: Sequence[Cell], right: str, style: Style) -> list[str]:
    """Returns a line with `left` at its start and `right`, in a quiet tone, at its end.

    Where both do not fit, `right` stands at the end of a line of its own.
    """
    used = sum(cells(cell.text) for cell in left)
    text = "".join(style.paint(cell.text, cell.tone) for cell in left)
    quiet = style.paint(right, Tone.QUIET)
    if not right:
        return [text]
    if style.width is None:
        return [text + _GAP + quiet]
    room = style.width - used - cells(right)
    if room < len(_GAP):
        return [text, " " * (style.width - cells(right)) + quiet]
    return [text + " " * room + quiet]


def wrap(text: str, room: int | None) -> list[str]:
    """Returns `text` as lines of at most `room` cells, broken at its spaces; None breaks nothing.

    A word that is longer has a line of its own and stays whole: it may be an address to copy.
    """
    if room is None or cells(text) <= room:
        return [text]
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cells(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def hanging(lead: Sequence[Cell], text: str, style: Style, tone: Tone = Tone.PLAIN) -> list[str]:
    """Returns `text` after `lead`, wrapped to the width, further lines under the first."""
    used = sum(cells(cell.text) for cell in lead)
    room = None if style.width is None else max(style.width - used, _LAST_COLUMN_CELLS)
    first, *more = [style.paint(line, tone) for line in wrap(text, room)]
    head = "".join(style.paint(cell.text, cell.tone) for cell in lead)
    return [(head + first).rstrip(), *(" " * used + line for line in more)]


def flow(parts: Sequence[Cell], style: Style) -> list[str]:
    """Returns `parts`, none of them broken, with gaps between on as few lines as the width allows.

    Lines but the first are indented.
    """
    lines: list[list[Cell]] = []
    used = 0
    for part in parts:
        taken = len(_GAP) + cells(part.text)
        if lines and (style.width is None or used + taken <= style.width):
            lines[-1].append(part)
            used += taken
        else:
            used = taken if lines else cells(part.text)
            lines.append([part])
    return [
        _GAP * bool(number) + _GAP.join(style.paint(part.text, part.tone) for part in line)
        for number, line in enumerate(lines)
    ]


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], style: Style) -> list[str]:
    """Returns a header line and one line per row, the last column cut to the width.

    Optional columns are left out, rightmost first, until the last column has room; a column in
    which every cell is empty is left out as well.
    """
    widths = _widths(columns, rows)
    shown = _fitting(columns, rows, widths, style)
    header = [Cell(columns[index].title, Tone.STRONG) for index in shown]
    lines = [header, *([row[index] for index in shown] for row in rows)]
    return [_line(line, [(columns[i], widths[i]) for i in shown], style) for line in lines]


def is_cramped(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], style: Style) -> bool:
    """Whether the last column has too little room even without the optional ones."""
    widths = _widths(columns, rows)
    shown = _fitting(columns, rows, widths, style)
    return not _has_room(shown, widths, style)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    return [
        max([cells(column.title), *(cells(row[index].text) for row in rows)])
        for index, column in enumerate(columns)
    ]


def _has_room(shown: Sequence[int], widths: Sequence[int], style: Style) -> bool:
    if style.width is None:
        return True
    taken = sum(widths[index] + len(_GAP) for index in shown[:-1])
    return style.width - taken >= min(_LAST_COLUMN_CELLS, widths[-1])


def _fitting(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], widths: Sequence[int], style: Style
) -> list[int]:
    last = len(columns) - 1
    shown = [
        index
        for index in range(len(columns))
        if index == last or not rows or any(row[index].text for row in rows)
    ]
    for index in sorted((i for i in shown if columns[i].optional), reverse=True):
        if _has_room(shown, widths, style):
            break
        shown.remove(index)
    return shown


def _line(line: Sequence[Cell], shape: Sequence[tuple[Column, int]], style: Style) -> str:
    used, parts = 0, []
    for cell, (column, width) in zip(line[:-1], shape[:-1], strict=True):
        fill = " " * (width - cells(cell.text))
        painted = style.paint(cell.text, cell.tone)
        parts.append(fill + painted if column.right else painted + fill)
        used += width + len(_GAP)
    # A name is copied from the table and so is never cut; the last column then keeps a few cells.
    room = None if style.width is None else max(style.width - used, _LAST_COLUMN_CELLS // 2)
    parts.append(style.paint(cut(line[-1].text, room, style), line[-1].tone))
    return _GAP.join(parts).rstrip()


def _cell(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
