"""The result of a health pass: one line per checked connection, worst first.

`apply` ends with the same lines, so they are made here and take the rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import Observation, Outcome, Phase
from reconciler.report import layout, standing, times, words
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import HealthRow, HealthView

#: How an outcome is shown: glyph, word and colour.
OUTCOMES = {
    Outcome.OK: ("✓", "ok", Tone.GOOD),
    Outcome.FAILED: ("✗", "failed", Tone.BAD),
    Outcome.INCONCLUSIVE: ("!", "inconclusive", Tone.WARNING),
}
_COLUMNS = (
    Column(title="  RESULT"),
    Column(title="KIND", optional=True),
    Column(title="NAME"),
    Column(title="PHASE"),
    Column(title="LATENCY", right=True, optional=True),
    Column(title="WHY"),
)


def table(view: HealthView, style: Style) -> str:
    """Returns a line per check, the hints of those that failed, and a summary."""
    lines = checks(view.rows, style) if view.rows else []
    lines += [*hints(view.rows, style), _summary(view, style)]
    if view.next_command:
        lines.append(f"next: {style.paint(view.next_command, Tone.NOTE)}")
    return "\n".join(lines) + "\n"


def checks(rows: Sequence[HealthRow], style: Style) -> list[str]:
    """Returns a header and one line per row, worst first."""
    cells = []
    for row in worst_first(rows):
        glyph, word, tone = OUTCOMES[row.observation.outcome]
        look = standing.standing_of(row.status).value
        cells.append(
            [
                Cell(f"{style.glyph(glyph)} {word}", tone),
                Cell(words.alias(row.ref)),
                Cell(f"{row.ref.namespace}/{row.ref.name}"),
                Cell(phase_change(row.before, row.status.phase), look.tone),
                Cell(times.duration(row.observation.latency_s)),
                Cell(finding(row.observation)),
            ]
        )
    return layout.table(_COLUMNS, cells, style)


def hints(rows: Sequence[HealthRow], style: Style) -> list[str]:
    """Returns what to try, one line per different hint, with the first connection that needs it."""
    found: dict[str, list[HealthRow]] = {}
    for row in worst_first(rows):
        if row.observation.outcome is not Outcome.OK and row.observation.hint:
            found.setdefault(layout.one_line(row.observation.hint), []).append(row)
    lines = []
    for hint, needing in found.items():
        more = f" and {len(needing) - 1} more" if len(needing) > 1 else ""
        name = f"{needing[0].ref.namespace}/{needing[0].ref.name}{more}"
        lines.append(f"  {style.paint('hint', Tone.NOTE)} {name}: {hint}")
    return lines


def counts(view: HealthView, style: Style) -> str:
    """Returns `2 ok, 1 failed, 3 not checked`."""
    outcomes = [row.observation.outcome for row in view.rows]
    parts = [
        style.paint(f"{outcomes.count(outcome)} {word}", tone)
        for outcome, (_, word, tone) in OUTCOMES.items()
        if outcome in outcomes
    ]
    if view.skipped:
        parts.append(f"{view.skipped} not checked")
    return ", ".join(parts) or "nothing to check"


def finding(observation: Observation) -> str:
    """Returns on one line which stage ended the check and why; empty where all is well."""
    message = layout.one_line(observation.message)
    told = f"{observation.reason}: {message}" if message else str(observation.reason)
    if observation.outcome is Outcome.OK:
        return message
    return f"{observation.stages[-1].name}: {told}" if observation.stages else told


def phase_change(before: Phase, after: Phase) -> str:
    """Returns `PENDING -> ACTIVE`, or the phase alone where it stayed."""
    return str(after) if before is after else f"{before} -> {after}"


def worst_first(rows: Sequence[HealthRow]) -> list[HealthRow]:
    """Returns `rows` in the order of the screen: by standing, then by name."""
    return sorted(rows, key=lambda row: (standing.rank(row.status), row.ref))


def _summary(view: HealthView, style: Style) -> str:
    if not view.rows:
        return counts(view, style)
    checked = words.plural(len(view.rows), "connection")
    return f"checked {checked} in {times.duration(view.elapsed_s)}: {counts(view, style)}"
