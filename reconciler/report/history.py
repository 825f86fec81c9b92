"""The applied changes of one connection, newest first, with the fields that each one changed.

`plan --revision` shows one such difference by the same words.
"""

from __future__ import annotations

from reconciler.report import layout, times, words
from reconciler.report.layout import Cell
from reconciler.report.style import Style, Tone
from reconciler.report.views import HistoryRow, HistoryView

_INDENT = "        "


def text(view: HistoryView, style: Style) -> str:
    """Returns one block per revision."""
    row = view.recorded
    if view.since is not None:
        return _comparison(view, view.since, style)
    lines = layout.flow([Cell(f"History of {row.ref}", Tone.STRONG), Cell(row.uid)], style)
    for entry in sorted(view.rows, key=lambda entry: -entry.revision.number):
        lines += ["", *_revision(entry, view, style)]
    return "\n".join(lines) + "\n"


def _comparison(view: HistoryView, since: int, style: Style) -> str:
    """Returns how the connection differs from an earlier revision of it."""
    (entry,) = view.rows
    title = f"{view.recorded.ref}  revision {since} -> {entry.revision.number}"
    lines = layout.flow([Cell(title, Tone.STRONG)], style)
    differing = words.field_lines(entry.fields, None, "  ", style)
    return "\n".join([*lines, *(differing or ["  nothing differs"])]) + "\n"


def _revision(entry: HistoryRow, view: HistoryView, style: Style) -> list[str]:
    revision = entry.revision
    when = f"  {times.utc(revision.at)} ({times.age(revision.at, view.now)})"
    commit = words.commit(revision.git)
    facts = [f"by {revision.actor}", f"commit {commit}" if commit else "", f"run {revision.run_id}"]
    if revision.ref != view.recorded.ref:
        facts.insert(0, f"as {revision.ref}")
    title = [Cell(f"{revision.number:>4}  "), words.action(revision.action, style), Cell(when)]
    lines = layout.sides(title, words.source(revision.source), style)
    told = layout.one_line(", ".join(fact for fact in facts if fact))
    lines += layout.hanging([Cell(_INDENT)], told, style)
    return [*lines, *words.field_lines(entry.fields, None, _INDENT, style)]
