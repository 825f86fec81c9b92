"""Lines of the append-only log, oldest first, one line each.

`describe` shows the transitions among them by the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import Event, Outcome, Phase, Status
from reconciler.report import layout, times, words
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import EventsView

_AT = Column(title="AT")
#: in place of the time, where that leaves no room to say why
_AGE = Column(title="AGE", right=True)
_COLUMNS = (
    Column(title="CONNECTION"),
    Column(title="WHAT"),
    Column(title="BY", optional=True),
    Column(title="WHY"),
)
_TONES = {
    Phase.PENDING: Tone.NOTE,
    Phase.ACTIVE: Tone.GOOD,
    Phase.FAILED: Tone.BAD,
    Phase.SUSPENDED: Tone.WARNING,
    Phase.ARCHIVED: Tone.QUIET,
}


def table(view: EventsView, style: Style) -> str:
    """Returns one line per event: with its time, or with its age where the line is too narrow."""
    if not view.events:
        return "no events\n"
    columns = (_AT, *_COLUMNS)
    rows = [
        [
            Cell(times.utc(event.at), Tone.QUIET),
            Cell(f"{words.alias(event.ref)}/{event.ref.namespace}/{event.ref.name}"),
            Cell(_what(event), _tone(event)),
            Cell(layout.one_line(event.actor)),
            Cell(words.explained(event.reason, event.message)),
        ]
        for event in view.events
    ]
    if layout.is_cramped(columns, rows, style):
        columns = (_AGE, *_COLUMNS)
        for event, row in zip(view.events, rows, strict=True):
            row[0] = Cell(times.age(event.at, view.now), Tone.QUIET)
    return "\n".join(layout.table(columns, rows, style)) + "\n"


def transitions(events: Sequence[Event], style: Style) -> list[str]:
    """Returns a line per event, aligned and indented: when, from where to where, why.

    What does not fit into the width goes on under its beginning.
    """
    width = max((layout.cells(_what(event)) for event in events), default=0)
    lines = []
    for event in events:
        what = _what(event)
        gap = Cell(" " * (width - layout.cells(what)) + "  ")
        lead = [Cell(f"    {times.utc(event.at)}  "), Cell(what, _tone(event)), gap]
        by = f"by {layout.one_line(event.actor)}" if event.actor else ""
        told = (words.explained(event.reason, event.message), by)
        lines += layout.hanging(lead, ", ".join(part for part in told if part), style)
    return lines


def _what(event: Event) -> str:
    """Returns the transition, the result of a check, or the type of an event that is neither."""
    if event.type == "result" and event.status is not None:
        return _result(event.status)
    if event.source is None or event.target is None or event.source is event.target:
        return layout.one_line(event.type)
    return f"{event.source} -> {event.target}"


def _result(status: Status) -> str:
    match status.last_outcome:
        case Outcome.FAILED:
            return f"failed, {status.consecutive_failures} in a row"
        case Outcome.OK:
            return f"ok, {status.consecutive_successes} in a row"
        case Outcome.INCONCLUSIVE:
            return "inconclusive"
        case None:
            return "result"


def _tone(event: Event) -> Tone:
    return _TONES[event.target] if event.target is not None else Tone.PLAIN
