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
#: Of those that are suspended by health, so many are named.
_SHOWN_SUSPENDED = 5
_HINT = (Cell("  "), Cell("hint", Tone.NOTE), Cell(" "))
_BY_APPLY = "a changed secret, address or login is checked again by the next `apply`"
_COLUMNS = (
    Column(title="  RESULT"),
    Column(title="KIND", optional=True),
    Column(title="NAME"),
    Column(title="PHASE"),
    Column(title="LATENCY", right=True, optional=True),
    Column(title="WHY"),
)


def table(view: HealthView, style: Style) -> str:
    """Returns a line per check, the hints of those that failed, who was left out, a summary."""
    lines = checks(view.rows, style) if view.rows else []
    lines += [*hints(view.rows, style), *_left_out(view, style), _summary(view, style)]
    if view.next_command:
        lines.append(f"next: {style.paint(view.next_command, Tone.NOTE)}")
    return "\n".join(lines) + "\n"


def checks(rows: Sequence[HealthRow], style: Style) -> list[str]:
    """Returns a header and one line per row, worst first."""
    cells = []
    for row in sorted(rows, key=standing.worst_first):
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
    for row in sorted(rows, key=standing.worst_first):
        if row.observation.outcome is not Outcome.OK and row.observation.hint:
            found.setdefault(layout.one_line(row.observation.hint), []).append(row)
    lines = []
    for hint, needing in found.items():
        more = f" and {len(needing) - 1} more" if len(needing) > 1 else ""
        name = f"{needing[0].ref.namespace}/{needing[0].ref.name}{more}"
        lines += layout.hanging(_HINT, f"{name}: {hint}", style)
    return lines


def _left_out(view: HealthView, style: Style) -> list[str]:
    """Returns who is not contacted any more, and what ends that."""
    if not view.suspended:
        return []
    rows = sorted(view.suspended, key=lambda row: row.ref)
    lines = [style.paint("not checked, because earlier checks failed:", Tone.STRONG)]
    for row in rows[:_SHOWN_SUSPENDED]:
        look = standing.standing_of(row.status).value
        name = Cell(f"  {style.glyph(look.glyph)} {row.ref.namespace}/{row.ref.name}", look.tone)
        told = f"suspended {standing.why(row.status, row.hold, view.now)}"
        lines += layout.hanging([name, Cell("  ")], told, style)
    more = len(rows) - _SHOWN_SUSPENDED
    lines += [f"    and {more} more"] if more > 0 else []
    names = " ".join(str(row.ref) for row in rows[:_SHOWN_SUSPENDED])
    # A command is there to be copied and is never wrapped.
    hint = "".join(style.paint(cell.text, cell.tone) for cell in _HINT)
    resume = f"{hint}otherwise, once the cause is gone: reconciler resume {names}"
    return [*lines, *layout.hanging(_HINT, _BY_APPLY, style), resume]


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
    """Returns on one line what the check found; empty where there is nothing to say."""
    return words.explained(observation.reason, observation.message)


def phase_change(before: Phase, after: Phase) -> str:
    """Returns `PENDING -> ACTIVE`, or the phase alone where it stayed."""
    return str(after) if before is after else f"{before} -> {after}"


def _summary(view: HealthView, style: Style) -> str:
    if not view.rows:
        return counts(view, style)
    checked = words.plural(len(view.rows), "connection")
    return f"checked {checked} in {times.duration(view.elapsed_s)}: {counts(view, style)}"
