"""The status screen: one line per connection, worst first, for people on call.

Two tables over the same rows; `wide` adds where the connection goes and where it was declared.
WHY is last because it is the long one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from reconciler.model import Recorded
from reconciler.report import layout, standing, times, words
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import StatusView

_MakeCell = Callable[[Recorded, datetime, Style], Cell]


def _name(row: Recorded, _now: datetime, style: Style) -> Cell:
    look = standing.standing_of(row.status).value
    ref = row.ref
    return Cell(f"{style.glyph(look.glyph)} {ref.namespace}/{ref.name}", look.tone)


def _phase(row: Recorded, _now: datetime, _style: Style) -> Cell:
    status = row.status
    return Cell(status.phase, standing.standing_of(status).value.tone)


_NARROW: tuple[tuple[Column, _MakeCell], ...] = (
    (Column(title="  NAME"), _name),
    (Column(title="KIND"), lambda row, _now, _style: Cell(words.alias(row.ref))),
    (Column(title="PHASE"), _phase),
    (
        Column(title="SINCE", right=True),
        lambda row, now, _style: Cell(times.age(row.status.since_at, now)),
    ),
    (
        Column(title="CHECKED", right=True, optional=True),
        lambda row, now, _style: Cell(times.age(row.status.checked_at, now)),
    ),
    (
        Column(title="LATENCY", right=True, optional=True),
        lambda row, _now, _style: Cell(times.duration(row.status.latency_s)),
    ),
)
_WIDE: tuple[tuple[Column, _MakeCell], ...] = (
    *_NARROW,
    (
        Column(title="ENDPOINT"),
        lambda row, _now, _style: Cell(layout.one_line(words.endpoint(row).shown)),
    ),
    (
        Column(title="GEN", right=True),
        lambda row, _now, _style: Cell(str(row.generation)),
    ),
    (
        Column(title="REV", right=True),
        lambda row, _now, _style: Cell(str(row.revision)),
    ),
    (
        Column(title="SOURCE"),
        lambda row, _now, _style: Cell(words.source(row.source)),
    ),
    (Column(title="STACK"), lambda row, _now, _style: Cell(layout.one_line(row.stack))),
)


def table(view: StatusView, style: Style) -> str:
    """Returns the table that fits `style.width`, and a summary."""
    return _screen(view, _NARROW, style)


def wide(view: StatusView, style: Style) -> str:
    """Returns the table with everything, uncut, however wide; and a summary."""
    uncut = Style(width=None, colour=style.colour, unicode=style.unicode)
    return _screen(view, _WIDE, uncut)


def _screen(view: StatusView, columns: Sequence[tuple[Column, _MakeCell]], style: Style) -> str:
    if not view.rows:
        return f"no connection is selected; the state holds {view.total}\n"
    rows = [
        [
            *(make(row, view.now, style) for _, make in columns),
            Cell(standing.why(row.status, row.hold, view.now)),
        ]
        for row in sorted(view.rows, key=standing.worst_first)
    ]
    shape = [*(column for column, _ in columns), Column(title="WHY")]
    lines = layout.table(shape, rows, style)
    return "\n".join([*lines, *_summary(view, style)]) + "\n"


def _summary(view: StatusView, style: Style) -> list[str]:
    selected = len(view.rows)
    share = f"{selected} of " if selected != view.total else ""
    commit = words.commit(view.git)
    parts = [
        Cell(share + words.plural(view.total, "connection")),
        *standing.summary(row.status for row in view.rows),
        *([Cell(f"as of commit {commit}", Tone.QUIET)] if commit else []),
    ]
    return layout.flow(parts, style)
