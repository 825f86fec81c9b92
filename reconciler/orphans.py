"""Live connections whose manifest is gone: who they are, and what pruning would do to them.

Pure, a part of planning. Silence is not deletion: an orphan is always shown and goes only with
`--prune`, in limited numbers, and never where its last manifest said `deletionPolicy: protect`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler import matching, selection
from reconciler.model import (
    Action,
    Change,
    DeletionPolicy,
    Guard,
    PlanOptions,
    Recorded,
    Resource,
)

#: Pruning up to this many connections never needs `--prune-limit`.
PRUNE_ALWAYS_ALLOWED = 10
#: Beyond it, at most one live row in this many may go.
PRUNE_FRACTION = 5
#: Why a protected connection stays.
PROTECTED = "`deletionPolicy: protect` was applied last; apply another policy first"


def find(
    rows: matching.Rows,
    claimed: set[str],
    matches: Sequence[tuple[Resource, Recorded | None]],
    options: PlanOptions,
    selector: selection.Selector,
) -> list[Change]:
    """Returns a change for every live row of the stack, under the given roots, without a manifest.

    Without `--prune` each is a noop that says what `--prune` would do. `claimed` are the uids that
    manifests are about.
    """
    owned = [row for row in rows.live.values() if row.stack == options.stack]
    found = [
        row
        for row in owned
        if row.uid not in claimed
        and is_under_any(row.source.path, options.roots)
        and selection.matches_row(selector, row)
    ]
    if not found:
        return []
    names = {(resource.ref.namespace, resource.ref.name) for resource, _ in matches}
    allowed = max(PRUNE_ALWAYS_ALLOWED, len(owned) // PRUNE_FRACTION)
    limit = allowed if options.prune_limit is None else options.prune_limit
    too_many = ""
    if len(found) > limit:
        number = len(found)
        too_many = f"{number} orphans are more than {limit}; `--prune-limit {number}` allows it"
    return [
        _change(row, prune=options.prune, too_many=too_many, is_other_kind=_name(row) in names)
        for row in found
    ]


def _change(row: Recorded, *, prune: bool, too_many: str, is_other_kind: bool) -> Change:
    why = "its kind changed in the manifest" if is_other_kind else "no manifest declares it"
    deletes = row.deletion_policy is DeletionPolicy.DELETE
    action = Action.DELETE if deletes else Action.ARCHIVE
    change = Change(
        action=action, ref=row.ref, uid=row.uid, recorded=row, hold=row.hold, reason=why
    )
    is_protected = row.deletion_policy is DeletionPolicy.PROTECT
    if not prune:
        would = (
            "`deletionPolicy: protect` keeps it" if is_protected else f"`--prune` would {action} it"
        )
        return replace(change, action=Action.NOOP, reason=f"orphan: {why}; {would}")
    if is_protected:
        return replace(change, blocked_by=PROTECTED, guard=Guard.PROTECTION)
    return replace(change, blocked_by=too_many, guard=Guard.PRUNE_LIMIT if too_many else None)


def is_under_any(path: str, roots: Sequence[str]) -> bool:
    """Whether the file `path` is, or lies under, one of `roots`; `""` and `.` are everything."""
    return any(root in ("", ".") or path == root or path.startswith(f"{root}/") for root in roots)


def _name(row: Recorded) -> tuple[str, str]:
    return (row.ref.namespace, row.ref.name)
