"""The applies that changed something, newest first, one line each.

What `events --runs` shows: the log by transaction and not by connection.
"""

from __future__ import annotations

from reconciler.model import Action, Run
from reconciler.report import layout, times, words
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import RunsView

_COLUMNS = (
    Column(title="AT"),
    Column(title="AGE", right=True, optional=True),
    Column(title="RUN"),
    Column(title="COMMAND", optional=True),
    Column(title="STACK"),
    Column(title="BY"),
    Column(title="COMMIT"),
    Column(title="CHANGES"),
)


def table(view: RunsView, style: Style) -> str:
    """Returns one line per run."""
    if not view.runs:
        return "no runs\n"
    rows = [
        [
            Cell(times.utc(run.at), Tone.QUIET),
            Cell(times.age(run.at, view.now)),
            Cell(layout.one_line(run.id)),
            Cell(layout.one_line(run.command)),
            Cell(layout.one_line(run.stack)),
            Cell(layout.one_line(run.actor)),
            Cell(words.commit(run.git)),
            Cell(_changes(run)),
        ]
        for run in view.runs
    ]
    return "\n".join(layout.table(_COLUMNS, rows, style)) + "\n"


def _changes(run: Run) -> str:
    counts = [f"{run.counts[action]} {action}" for action in Action if run.counts.get(action)]
    return ", ".join(counts)
