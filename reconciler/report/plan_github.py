"""The plan as annotations of a GitHub Actions job, and a summary line.

GitHub shows ten annotations per level and step and drops the rest silently, so what must be seen
comes first and the summary says how many there are. Syntax and escapes are those of
`diagnostics_github`.
"""

from __future__ import annotations

from reconciler.model import Change, Location
from reconciler.report import diagnostics_github, layout, plan, words
from reconciler.report.style import Style
from reconciler.report.views import PlanView

#: Annotations per level and step; the summary is one of the notices.
_PER_LEVEL = 10


def github(view: PlanView, _style: Style) -> str:
    """Returns workflow commands: at most ten warnings and ten notices, the summary the last."""
    warnings: list[str] = []
    notices: list[str] = []
    for change in words.gravest_first(view.plan.changes):
        is_grave = bool(words.alarms(change)) or words.is_removal(change)
        level, annotations = ("warning", warnings) if is_grave else ("notice", notices)
        title = f"{change.action} {change.ref}"
        annotations.append(_annotation(level, change.location, title, _told(change)))
    warnings += [diagnostics_github.annotation(warning) for warning in view.plan.warnings]
    shown = [*warnings[:_PER_LEVEL], *notices[: _PER_LEVEL - 1]]
    left_out = len(warnings) + len(notices) - len(shown)
    more = f"; {words.plural(left_out, 'annotation')} left out" if left_out else ""
    summary = _annotation("notice", None, "reconciler plan", plan.counts(view) + more)
    return "".join(f"{line}\n" for line in (*shown, summary))


def _told(change: Change) -> str:
    fields = ", ".join(words.field_name(field.pointer) for field in change.fields)
    alarms = (f"{name}: {told}" for name, told in words.alarms(change))
    parts = (*alarms, change.reason, fields)
    return layout.one_line("; ".join(part for part in parts if part))


def _annotation(level: str, location: Location | None, title: str, message: str) -> str:
    # Where nothing is left to point at, a file would send the reader to a line that is gone.
    where = {"file": location.path, "line": str(location.line)} if location else {}
    return diagnostics_github.command(level, {**where, "title": title}, message)
