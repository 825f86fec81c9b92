"""Lines of the append-only log, oldest first, one line each.

`describe` shows the transitions among them by the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import Event, Phase
from reconciler.report import layout, times, words
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import EventsView

_COLUMNS = (
    Column(title="AT"),
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
    """Returns one line per event."""
    if not view.events:
        return "no events\n"
    rows = [
        [
            Cell(times.utc(event.at), Tone.QUIET),
            Cell(f"{words.alias(event.ref)}/{event.ref.namespace}/{event.ref.name}"),
            Cell(_what(event), _tone(event)),
            Cell(layout.one_line(event.actor)),
            Cell(_why(event)),
        ]
        for event in view.events
    ]
    return "\n".join(layout.table(_COLUMNS, rows, style)) + "\n"


def transitions(events: Sequence[Event], style: Style) -> list[str]:
    """Returns one aligned line per event: when, from where to where, why."""
    phases = [_what(event) for event in events]
    width = max((len(phase) for phase in phases), default=0)
    lines = []
    for event, phase in zip(events, phases, strict=True):
        painted = style.paint(phase, _tone(event)) + " " * (width - len(phase))
        by = f" by {layout.one_line(event.actor)}" if event.actor else ""
        lines.append(f"{times.utc(event.at)}  {painted}  {_why(event)}{by}".rstrip())
    return lines


def _what(event: Event) -> str:
    """Returns the transition, or the type of an event that is none."""
    if event.source is None or event.target is None or event.source is event.target:
        return layout.one_line(event.type)
    return f"{event.source} -> {event.target}"


def _why(event: Event) -> str:
    return layout.one_line(": ".join(part for part in (event.reason, event.message) if part))


def _tone(event: Event) -> Tone:
    return _TONES[event.target] if event.target is not None else Tone.PLAIN
