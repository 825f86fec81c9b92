"""The doctor screen: what was found of this machine, a mark and a line or more for each thing.

Pure. Engines that share a driver are one check; its screen begins with the first of them, so that
the column of names stays narrow. Every line fits the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from reconciler.report import layout
from reconciler.report.layout import Cell
from reconciler.report.style import Style, Tone
from reconciler.values import dataclass


class State(StrEnum):
    """How one thing stands; the value is what the screen shows."""

    GOOD = "ok"
    ABSENT = "--"
    WARNING = "!"
    BAD = "x"


_TONES = {
    State.GOOD: Tone.GOOD,
    State.ABSENT: Tone.QUIET,
    State.WARNING: Tone.WARNING,
    State.BAD: Tone.ALARM,
}
_MARK_CELLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found of one thing."""

    state: State
    #: a name; or several, with commas between
    subject: str
    text: str
    #: more of the kind of `text`
    details: tuple[str, ...] = ()
    #: each a thing to do, or what is lacking
    hints: tuple[str, ...] = ()


def screen(checks: Sequence[Check], style: Style) -> str:
    """Returns a line per check and detail, and under it, a line each, what to do."""
    room = max(layout.cells(_name(check)) for check in checks)
    lines = []
    for check in checks:
        mark = Cell(layout.pad(check.state, _MARK_CELLS), _TONES[check.state])
        lead = [mark, Cell(f"  {layout.pad(_name(check), room)}  ")]
        indent = Cell(" " * sum(layout.cells(cell.text) for cell in lead))
        lines += layout.hanging(lead, layout.one_line(_text(check)), style)
        for detail in check.details:
            lines += layout.hanging([indent], layout.one_line(detail), style)
        arrow = [indent, Cell("->", Tone.NOTE), Cell(" ")]
        for hint in check.hints:
            lines += layout.hanging(arrow, layout.one_line(hint), style)
    return "\n".join(lines) + "\n"


def data(check: Check) -> dict[str, str]:
    """Returns a check for programs: everything of one kind is one text."""
    return {
        "state": check.state.name.lower(),
        "subject": check.subject,
        "text": "; ".join((check.text, *check.details)),
        "hint": "; ".join(check.hints),
    }


def _name(check: Check) -> str:
    return check.subject.partition(", ")[0]


def _text(check: Check) -> str:
    others = check.subject.partition(", ")[2]
    return f"{check.text}; also for {others}" if others else check.text
