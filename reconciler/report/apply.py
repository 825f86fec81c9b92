"""What an apply did: a line per change, then the health pass, then what to do next.

The end is for whoever reads only the end: what was applied, what is not healthy, the next command.
"""

from __future__ import annotations

from reconciler.model import ChangeResult, Outcome, Phase
from reconciler.report import health, layout, plan, standing, words
from reconciler.report.style import Style, Tone
from reconciler.report.views import ApplyView, HealthRow, HealthView

#: A pass over more than this shows only what is not well.
_SHOWN_CHECKS = 20
#: Unhealthy connections named at the end; beyond, they are counted.
_SHOWN_UNHEALTHY = 10
#: A glyph, a space and the longest phase.
_WORD_CELLS = 2 + max(len(phase) for phase in Phase)


def text(view: ApplyView, style: Style) -> str:
    """Returns the whole report for a person."""
    lines = plan.headline("Apply", view.plan, view.git, style)
    refs = [change.ref for change in view.changes.results] + [s.ref for s in view.secrets]
    width = max((len(str(ref)) for ref in refs), default=0)
    results = [_result(result, width, style) for result in view.changes.results]
    results += [plan.secret_line(change, width, style) for change in view.secrets]
    lines += ["", *results] if results else []
    lines += plan.left_alone(view.plan, view.now, style)
    if view.health is not None and view.health.rows:
        lines += ["", *_checks(view.health, style)]
    return "\n".join([*lines, "", *_ending(view, style)]) + "\n"


def _result(result: ChangeResult, width: int, style: Style) -> str:
    action = words.action(result.action, style)
    generation = style.paint(f"generation {result.generation}", Tone.QUIET)
    return f"  {style.paint(action.text, action.tone)}  {result.ref!s:<{width}}  {generation}"


def _checks(passed: HealthView, style: Style) -> list[str]:
    rows = passed.rows
    if len(rows) > _SHOWN_CHECKS:
        rows = tuple(row for row in rows if not _is_well(row))
    lines = health.checks(rows, style) if rows else []
    return [*lines, *health.hints(rows, style)] or [f"all {len(passed.rows)} checks are ok"]


def _ending(view: ApplyView, style: Style) -> list[str]:
    results = view.changes.results
    done = words.action_counts(result.action for result in results)
    secrets = words.plural(len(view.secrets), "changed secret") if view.secrets else ""
    told = ", ".join(part for part in (done, secrets) if part)
    lines = [f"applied: {told}" if told else "applied: nothing, the state is as the manifests say"]
    if view.health is not None:
        lines.append(f"health:  {health.counts(view.health, style)}")
        lines += _unhealthy(view.health, style)
    else:
        lines.append("health:  no check was asked for")
    if view.next_command:
        lines.append(f"next:    {style.paint(view.next_command, Tone.NOTE)}")
    return lines


def _unhealthy(passed: HealthView, style: Style) -> list[str]:
    rows = [row for row in passed.rows if not _is_well(row)]
    rows.sort(key=standing.worst_first)
    lines = []
    for row in rows[:_SHOWN_UNHEALTHY]:
        word = layout.pad(standing.word(row.status, style), _WORD_CELLS)
        tone = standing.standing_of(row.status).value.tone
        lines.append(f"  {style.paint(word, tone)}  {row.ref}")
    more = len(rows) - _SHOWN_UNHEALTHY
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _is_well(row: HealthRow) -> bool:
    is_healthy = standing.standing_of(row.status).value.is_healthy
    return is_healthy and row.observation.outcome is Outcome.OK
