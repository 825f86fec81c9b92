"""The plan screen: what an apply would do, for people (`text`) and for `grep` (`concise`).

Changed fields only. What a reviewer must not overlook has its own loud line: a blocked change, a
credential that would go to another destination, a standing order of a command.
"""

from __future__ import annotations

from datetime import datetime

from reconciler.model import Action, Change, GitFacts, Plan, SecretChange
from reconciler.report import diagnostics, layout, standing, words
from reconciler.report.layout import Cell
from reconciler.report.style import Style, Tone
from reconciler.report.views import PlanView

_INDENT = Cell("      ")


def text(view: PlanView, style: Style) -> str:
    """Returns the whole plan for a person."""
    plan = view.plan
    secrets, lonely = by_change(view)
    lines = headline("Plan", plan, view.git, style)
    for change in plan.changes:
        lines += ["", *_change(change, secrets.get(change.uid), view, style)]
    if lonely:
        width = max(len(str(change.ref)) for change in lonely)
        lines += ["", *(secret_line(change, width, style) for change in lonely)]
    lines += left_alone(plan, view.now, style)
    if plan.warnings:
        found = diagnostics.Findings(diagnostics=plan.warnings, files=0)
        lines += ["", diagnostics.text(found, style).rstrip()]
    return "\n".join([*lines, "", *_footer(view, style)]) + "\n"


def concise(view: PlanView, _style: Style) -> str:
    """Returns one line per change, `path:line: action ref: fields`, nothing for no change."""
    secrets, lonely = by_change(view)
    lines = [_concise(change, secrets.get(change.uid)) for change in view.plan.changes]
    lines += [
        f"-: secret {change.ref}: {', '.join(words.secret_names(change))}" for change in lonely
    ]
    return "".join(f"{line}\n" for line in lines)


def headline(title: str, plan: Plan, git: GitFacts | None, style: Style) -> list[str]:
    """Returns the first line: which plan, of which stack, at which commit."""
    commit = words.commit(git)
    parts = [
        Cell(f"{title} {words.short_digest(plan.digest)}", Tone.STRONG),
        Cell(f"stack {layout.one_line(plan.options.stack)}"),
        *([Cell(f"git {commit}")] if commit else []),
    ]
    return layout.flow(parts, style)


def counts(view: PlanView) -> str:
    """Returns `1 create, 1 secret changed, 210 unchanged`, which every format shows."""
    plan = view.plan
    actions = words.action_counts(change.action for change in plan.changes)
    secrets = f"{words.plural(len(view.secrets), 'secret')} changed" if view.secrets else ""
    return ", ".join(part for part in (actions, secrets, f"{plan.unchanged} unchanged") if part)


def by_change(view: PlanView) -> tuple[dict[str | None, SecretChange], list[SecretChange]]:
    """Returns the secret changes by uid, and those of connections that change in nothing else."""
    changed = {change.uid for change in view.plan.changes}
    secrets: dict[str | None, SecretChange] = {change.uid: change for change in view.secrets}
    return secrets, [change for change in view.secrets if change.uid not in changed]


def secret_line(change: SecretChange, width: int, style: Style) -> str:
    """Returns the line of a connection of which only secrets changed; `width` is that of refs."""
    action = style.paint(f"~ {'secret':<{words.ACTION_CELLS}}", Tone.WARNING)
    return f"  {action}  {change.ref!s:<{width}}  {', '.join(words.secret_names(change))} changed"


def left_alone(plan: Plan, now: datetime, style: Style) -> list[str]:
    """Returns the block of what has nothing to do but something to say, empty without any."""
    if not plan.notices:
        return []
    lines = ["", "Left alone"]
    for notice in plan.notices:
        lines += _notice(notice, now, style)
    return lines


def _change(change: Change, secret: SecretChange | None, view: PlanView, style: Style) -> list[str]:
    title = [Cell("  "), words.action(change.action, style), Cell(f"  {change.ref}")]
    lines = layout.sides(title, words.place(change), style)
    for name, told in words.alarms(change):
        alarm = Cell(f"! {name}: ", Tone.ALARM)
        lines += layout.hanging([_INDENT, alarm], told, style, Tone.ALARM)
    if why := words.reason(change):
        lines += layout.hanging([_INDENT], why, style, Tone.QUIET)
    if where := words.destination(change):
        lines += layout.hanging([_INDENT], where, style)
    lines += words.field_lines(change.fields, secret, _INDENT.text, style)
    if change.hold is not None:
        held = standing.held(change.hold, view.now)
        lines += layout.hanging([_INDENT], held, style, Tone.NOTE)
    return lines


def notice_reason(notice: Change, now: datetime) -> str:
    """Returns on one line why a connection is left alone."""
    if not notice.reason and notice.hold is not None:
        return standing.held(notice.hold, now)
    return layout.one_line(notice.reason)


def _notice(notice: Change, now: datetime, style: Style) -> list[str]:
    mark = words.ACTIONS[Action.NOOP]
    lead = [Cell("  "), Cell(style.glyph(mark.glyph), mark.tone), Cell(f" {notice.ref}  ")]
    return layout.hanging(lead, notice_reason(notice, now), style)


def _footer(view: PlanView, style: Style) -> list[str]:
    plan = view.plan
    blocked = sum(1 for change in plan.changes if change.blocked_by)
    lines = [style.paint(counts(view), Tone.STRONG)]
    if not plan.changes and not view.secrets:
        lines = [f"Nothing to do: {words.plural(plan.unchanged, 'connection')} unchanged"]
    if blocked:
        told = f"apply refuses this plan: {words.plural(blocked, 'change')} blocked"
        lines.append(style.paint(told, Tone.ALARM))
    if not view.secrets_compared:
        lines.append(style.paint("no secret was read; `--secrets` compares them", Tone.QUIET))
    if view.next_command:
        lines.append(f"next: {style.paint(view.next_command, Tone.NOTE)}")
    return lines


def _concise(change: Change, secret: SecretChange | None) -> str:
    names = [words.field_name(field.pointer) for field in change.fields]
    names += words.secret_names(secret) if secret else []
    marks = [f" [{name}: {told}]" for name, told in words.alarms(change)]
    listed = f": {', '.join(names)}" if names else ""
    was = f" (was {change.previous})" if change.previous else ""
    where = words.place(change) or "-"
    return f"{where}: {change.action} {change.ref}{was}{listed}{''.join(marks)}"
