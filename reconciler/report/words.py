"""How the smaller things are written wherever they occur: actions, fields, commits, places.

Pure. A table per thing, so that one word means the same on every screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler import kinds, plan
from reconciler.model import (
    Action,
    Change,
    Endpoint,
    FieldChange,
    FieldOp,
    GitFacts,
    Json,
    Recorded,
    Ref,
    SecretChange,
    Source,
)
from reconciler.report import layout
from reconciler.report.style import Style, Tone

_COMMIT_CHARACTERS = 7
_DIGEST_CHARACTERS = 12
#: A value longer than this tells nothing more in a list of changes.
_VALUE_CELLS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How an action or a field operation is shown."""

    glyph: str
    tone: Tone


ACTIONS = {
    Action.CREATE: Mark(glyph="+", tone=Tone.GOOD),
    Action.UPDATE: Mark(glyph="~", tone=Tone.WARNING),
    Action.RENAME: Mark(glyph="~", tone=Tone.WARNING),
    Action.ADOPT: Mark(glyph="~", tone=Tone.WARNING),
    Action.SUSPEND: Mark(glyph="=", tone=Tone.WARNING),
    Action.RESUME: Mark(glyph="+", tone=Tone.GOOD),
    Action.ARCHIVE: Mark(glyph="-", tone=Tone.BAD),
    Action.DELETE: Mark(glyph="-", tone=Tone.BAD),
    Action.NOOP: Mark(glyph="·", tone=Tone.QUIET),
}
FIELDS = {
    FieldOp.ADD: Mark(glyph="+", tone=Tone.GOOD),
    FieldOp.REMOVE: Mark(glyph="-", tone=Tone.BAD),
    FieldOp.REPLACE: Mark(glyph="~", tone=Tone.WARNING),
}
#: Cells of the longest action.
ACTION_CELLS = max(len(action) for action in Action)


def alias(ref: Ref) -> str:
    """Returns the kind of `ref` as the command line abbreviates it: `sql`."""
    return kinds.kind(ref.kind).alias


def endpoint(row: Recorded) -> Endpoint:
    """Returns where a recorded connection goes; never holds a password."""
    return kinds.kind(row.ref.kind).endpoint(plan.normal_manifest(row)["spec"])


def commit(git: GitFacts | None) -> str:
    """Returns the commit as `9c1e2ab` or `9c1e2ab (dirty)`, empty outside git."""
    if git is None:
        return ""
    return git.commit[:_COMMIT_CHARACTERS] + (" (dirty)" if git.dirty else "")


def short_digest(digest: str) -> str:
    """Returns enough of a digest to tell two plans apart."""
    return digest[:_DIGEST_CHARACTERS]


def source(where: Source) -> str:
    """Returns `manifests/orders.yaml:31`; line 0 or less is left out."""
    text = f"{where.path}:{where.line}" if where.line > 0 else where.path
    return layout.one_line(text)


def place(change: Change) -> str:
    """Returns where a change's manifest stands, else where it stood; empty where unknown."""
    if change.location is not None:
        return source(Source(path=change.location.path, line=change.location.line))
    return source(change.recorded.source) if change.recorded is not None else ""


def field_value(field: FieldChange, style: Style) -> str:
    """Returns what became of a field: `5432 -> 6432`, the new value, or the value that went."""

    def shown(data: Json) -> str:
        return layout.value(data, _VALUE_CELLS, style)

    match field.op:
        case FieldOp.ADD:
            return shown(field.new)
        case FieldOp.REMOVE:
            return shown(field.old)
        case FieldOp.REPLACE:
            return f"{shown(field.old)} -> {shown(field.new)}"


def field_lines(
    fields: Sequence[FieldChange], secret: SecretChange | None, indent: str, style: Style
) -> list[str]:
    """Returns one aligned line per field and changed secret: `~ /spec/port  5432 -> 6432`."""
    told = [
        (FIELDS[field.op], layout.one_line(field.pointer), field_value(field, style))
        for field in fields
    ]
    if secret is not None:
        mark = FIELDS[FieldOp.REPLACE]
        told += [(mark, pointer, "secret changed") for pointer in secret_pointers(secret)]
    width = max((layout.cells(pointer) for _, pointer, _ in told), default=0)
    room = None if style.width is None else style.width - len(indent)
    lines = []
    for mark, pointer, value in told:
        text = f"{mark.glyph} {layout.pad(pointer, width)}  {value}"
        lines.append(indent + style.paint(layout.cut(text, room, style), mark.tone))
    return lines


def alarms(change: Change) -> list[tuple[str, str]]:
    """Returns what nobody must overlook about a change: what it is, and about what, on one line."""
    named = (("BLOCKED", change.blocked_by), ("CREDENTIAL REBIND", change.rebind))
    return [(name, layout.one_line(told)) for name, told in named if told]


def gravest_first(changes: Iterable[Change]) -> list[Change]:
    """Returns `changes` so that a cut at the end loses only harmless ones.

    What is blocked, sends a credential elsewhere or removes comes first, then by name.
    """
    return sorted(
        changes,
        key=lambda change: (
            not change.blocked_by,
            not change.rebind,
            not is_removal(change),
            change.ref,
        ),
    )


def is_removal(change: Change) -> bool:
    """Whether the connection is gone after the change."""
    return change.action in (Action.ARCHIVE, Action.DELETE)


def secret_pointers(change: SecretChange) -> list[str]:
    """Returns the changed secrets as pointers from the manifest's root: `/spec/auth/password`."""
    return [layout.one_line(f"/spec{pointer}") for pointer in change.pointers]


def action_counts(actions: Iterable[Action]) -> str:
    """Returns `1 create, 2 update`, in the order of `Action`; empty for none."""
    found = list(actions)
    return ", ".join(f"{found.count(action)} {action}" for action in Action if action in found)


def plural(number: int, noun: str) -> str:
    """Returns `1 connection`, `2 connections`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
