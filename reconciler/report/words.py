"""How the smaller things are written wherever they occur: actions, fields, commits, places.

Pure. A table per thing, so that one word means the same on every screen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from reconciler import kinds, plan
from reconciler.model import (
    SECRET_KIND,
    Action,
    Change,
    Endpoint,
    FieldChange,
    FieldOp,
    GitFacts,
    Json,
    Reason,
    Recorded,
    Ref,
    SecretChange,
    Source,
    canonical,
    parse_pointer,
)
from reconciler.report import layout
from reconciler.report.layout import Cell
from reconciler.report.style import Style, Tone
from reconciler.values import dataclass

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
#: What a change's other lines say already.
_EVIDENT = frozenset({plan.NOT_RECORDED, plan.CHANGED})
#: A key that reads well after a dot.
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
#: Cells of the longest action.
ACTION_CELLS = max(len(action) for action in Action)


def action(name: Action, style: Style) -> Cell:
    """Returns an action with its glyph, as wide as the longest: `+ create`."""
    mark = ACTIONS[name]
    return Cell(f"{style.glyph(mark.glyph)} {name:<{ACTION_CELLS}}", mark.tone)


def alias(ref: Ref) -> str:
    """Returns the kind of `ref` as the command line abbreviates it: `sql`."""
    return "secret" if ref.kind == SECRET_KIND else kinds.kind(ref.kind).alias


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


def explained(reason: str, message: str) -> str:
    """Returns on one line what was found, and last its reason: `no such host [DnsFailure]`.

    The message comes first because the end is what a narrow table cuts. A reason alone stands
    without brackets, and that all is well needs no reason.
    """
    said = "" if reason == Reason.OK else layout.one_line(reason)
    told = "" if message in _EVIDENT else layout.one_line(message)
    return f"{told} [{said}]" if told and said else told or said


def reason(change: Change) -> str:
    """Returns on one line why a change is made, empty where its other lines show it."""
    return "" if change.reason in _EVIDENT else layout.one_line(change.reason)


def destination(change: Change) -> str:
    """Returns on one line where a new connection will connect to; empty for any other change."""
    if change.action is not Action.CREATE or change.resource is None:
        return ""
    where = kinds.kind(change.ref.kind).endpoint(change.resource.spec).shown
    return f"connects to {layout.one_line(where)}"


def field_name(pointer: str) -> str:
    """Returns a JSON pointer from the manifest's root as people write it: `auth.password`.

    What is not under `spec` keeps its beginning: `metadata.labels.team`. A key that a dot would
    tear is quoted: `metadata.labels["example.com/team"]`.
    """
    keys = parse_pointer(pointer)
    if len(keys) > 1 and keys[0] == "spec":
        keys = keys[1:]
    first, *inner = keys or [""]
    parts = [f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]" for key in inner]
    return layout.one_line(first + "".join(parts))


def plain(data: Json) -> str:
    """Returns JSON from a manifest without its syntax, on one line: `env ORDERS`, `verify true`."""
    match data:
        case str():
            return layout.one_line(data)
        case Mapping():
            return ", ".join(f"{layout.one_line(key)} {plain(data[key])}" for key in sorted(data))
        case _:
            return layout.one_line(canonical(data))


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
    """Returns one aligned line per field and changed secret: `~ port  5432 -> 6432`."""
    told = [
        (FIELDS[field.op], field_name(field.pointer), field_value(field, style)) for field in fields
    ]
    if secret is not None:
        mark = FIELDS[FieldOp.REPLACE]
        told += [(mark, name, "secret changed") for name in secret_names(secret)]
    width = max((layout.cells(name) for _, name, _ in told), default=0)
    room = None if style.width is None else style.width - len(indent)
    lines = []
    for mark, name, value in told:
        text = f"{mark.glyph} {layout.pad(name, width)}  {value}"
        lines.append(indent + style.paint(layout.cut(text, room, style), mark.tone))
    return lines


def alarms(change: Change) -> list[tuple[str, str]]:
    """Returns what nobody must overlook about a change: what it is, and about what, on one line."""
    named = (
        ("BLOCKED", change.blocked_by),
        ("CREDENTIAL REBIND", change.rebind),
        ("CONSENT NEEDED AGAIN", change.consent),
    )
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
            not change.consent,
            not is_removal(change),
            change.ref,
        ),
    )


def is_removal(change: Change) -> bool:
    """Whether the connection is gone after the change."""
    return change.action in (Action.ARCHIVE, Action.DELETE)


def secret_names(change: SecretChange) -> list[str]:
    """Returns the fields of which the secret changed: `auth.password`."""
    return [field_name(f"/spec{pointer}") for pointer in change.pointers]


def action_counts(actions: Iterable[Action]) -> str:
    """Returns `1 create, 2 update`, in the order of `Action`; empty for none."""
    found = list(actions)
    return ", ".join(f"{found.count(action)} {action}" for action in Action if action in found)


def plural(number: int, noun: str) -> str:
    """Returns `1 connection`, `2 connections`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
