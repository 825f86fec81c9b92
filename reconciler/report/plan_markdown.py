"""The plan as a comment on a pull request.

A hidden marker lets a job find its comment and replace it. The summary comes first and is never
dropped; rows and then details are left out, and counted, where the comment would grow beyond what
forges accept (65,536 characters on GitHub). What removes, blocks or redirects is listed first, so
that a flood of harmless changes cannot push it out.
"""

from __future__ import annotations

import re

from reconciler.model import Change, Ref, SecretChange
from reconciler.report import layout, plan, words
from reconciler.report.style import Style
from reconciler.report.views import PlanView

#: Characters that a comment may take; the rest of the forge's limit is for what a job adds.
LIMIT = 60_000
#: Alerts listed one by one; beyond, they are counted.
_ALERTS = 20
#: Characters of a cell, an alert or a field that are shown.
_SHORT = 200
#: Kept free for the lines that say what was left out, and for long fences.
_RESERVE = 1000
_LINE = Style(width=_SHORT)


def markdown(view: PlanView, _style: Style) -> str:
    """Returns the comment, at most `LIMIT` characters, in GitHub Flavored Markdown."""
    secrets, lonely = plan.by_change(view)
    changes = words.gravest_first(view.plan.changes)
    head = "\n".join([*_title(view), *_alerts(changes), ""])
    tail = "\n".join(["", *_tail(view)]) + "\n"
    room = LIMIT - len(head) - len(tail) - _RESERVE
    rows = [_row(change, secrets.get(change.uid)) for change in changes]
    rows += [_secret_row(change) for change in lonely]
    rows += [_notice_row(notice, view) for notice in view.plan.notices]
    listed = _fitting(rows, room)
    details = [
        _detail(change, secret)
        for change in changes
        for secret in (secrets.get(change.uid),)
        if change.fields or secret
    ]
    room -= sum(len(row) + 1 for row in listed)
    # A table that is cut already leaves no room for details.
    unfolded = _fitting(details, room) if len(listed) == len(rows) else []
    return head + _table(rows, listed) + _details(details, unfolded) + tail


def _title(view: PlanView) -> list[str]:
    commit = words.commit(view.git)
    stack = layout.one_line(view.plan.options.stack)
    facts = ", ".join(part for part in (f"stack {_code(stack)}", commit) if part)
    return [
        f"<!-- reconciler plan {re.sub('[^A-Za-z0-9_.]', '_', stack)[:_SHORT]} -->",
        f"### reconciler plan: {plan.counts(view)} ({facts})",
        "",
    ]


def _alerts(changes: list[Change]) -> list[str]:
    alerts = [
        f"- **{name}** {_code(str(change.ref))}: {_code(told)}"
        for change in changes
        for name, told in words.alarms(change)
    ]
    if not alerts:
        return []
    more = [f"- and {len(alerts) - _ALERTS} more"] if len(alerts) > _ALERTS else []
    return ["> [!WARNING]", *(f"> {alert}" for alert in (*alerts[:_ALERTS], *more)), ""]


def _row(change: Change, secret: SecretChange | None) -> str:
    glyph = words.ACTIONS[change.action].glyph
    told = [words.field_name(field.pointer) for field in change.fields]
    told += _secret_words(secret) if secret else []
    told = told or [part for part in (words.reason(change), words.destination(change)) if part]
    return _cells(f"`{glyph}` {change.action}", change.ref, ", ".join(told))


def _secret_row(change: SecretChange) -> str:
    return _cells("`~` secret", change.ref, ", ".join(_secret_words(change)))


def _secret_words(change: SecretChange) -> list[str]:
    return [f"{name} secret changed" for name in words.secret_names(change)]


def _notice_row(notice: Change, view: PlanView) -> str:
    return _cells("left alone", notice.ref, plan.notice_reason(notice, view.now))


def _cells(action: str, ref: Ref, told: str) -> str:
    # A table takes `\|` for a bar even in code, and a backslash before it for an escaped backslash.
    cells = (_code(text).replace("\\|", "\\ |").replace("|", "\\|") for text in (str(ref), told))
    return f"| {action} | {' | '.join(cells)} |"


def _table(rows: list[str], listed: list[str]) -> str:
    if not rows:
        return "Nothing to do.\n"
    left_out = len(rows) - len(listed)
    more = f"\n{words.plural(left_out, 'row')} left out.\n" if left_out else ""
    return "\n".join(["| | connection | change |", "| - | - | - |", *listed]) + "\n" + more


def _detail(change: Change, secret: SecretChange | None) -> str:
    place = words.place(change)
    title = f"# {change.action} {change.ref}" + (f"  {place}" if place else "")
    lines = words.field_lines(change.fields, secret, "", _LINE)
    return "\n".join([layout.cut(title, _SHORT, _LINE), *lines])


def _details(details: list[str], unfolded: list[str]) -> str:
    if not details:
        return ""
    if not unfolded:
        return "\nFields are left out: the plan is too long for a comment.\n"
    # Lines begin with the mark that a `diff` block colours; `!` is its third colour.
    text = "\n".join(re.sub(r"(?m)^~", "!", detail) for detail in unfolded)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    left_out = len(details) - len(unfolded)
    more = f"\nFields of {words.plural(left_out, 'change')} left out.\n" if left_out else ""
    block = f"{fence}diff\n{text}\n{fence}"
    return f"\n<details><summary>fields</summary>\n\n{block}\n\n</details>\n{more}"


def _tail(view: PlanView) -> list[str]:
    read = "" if view.secrets_compared else " No secret was read."
    lines = [f"Plan `{words.short_digest(view.plan.digest)}`.{read}"]
    lines += [
        f"Warning {warning.code} at {_code(str(warning.location))}: {_code(warning.message)}"
        for warning in view.plan.warnings[:_ALERTS]
    ]
    return [*lines, f"Next: {_code(view.next_command)}"] if view.next_command else lines


def _fitting(parts: list[str], room: int) -> list[str]:
    """Returns as many of `parts`, from the first, as fit into `room` characters with newlines."""
    kept = []
    for part in parts:
        room -= len(part) + 1
        if room < 0:
            break
        kept.append(part)
    return kept


def _code(text: str) -> str:
    """Returns foreign text as a code span, in which no mention, link or tag is obeyed.

    The fence is longer than any run of backticks inside (CommonMark 0.31.2, section 6.1).
    """
    shown = layout.cut(layout.one_line(text), _SHORT, _LINE)
    if not shown:
        return ""
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{shown}{space}{fence}"
