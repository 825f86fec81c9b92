"""What must be true after an apply, said anew and in other words than the program's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler import kinds
from reconciler.errors import InvalidManifests, ProtectedRow
from reconciler.model import DeletionPolicy, HoldKind, Resource, Status
from tests.reliability.stages import Contents

#: Codes of what is wrong with some sets: no manifest, previous names that clash.
CLASHES = frozenset({"E003", "E202", "E203", "E204", "E205"})


def timeless(status: Status) -> Status:
    """Returns `status` without what a check that finds the same as before writes no event for."""
    return replace(status, checked_at=None, succeeded_at=None, latency_s=None)


def digests(contents: Contents) -> Mapping[str, tuple[str, str]]:
    """Returns uid and digest of every live row, by ref."""
    return {name: (row.uid, row.digest) for name, row in contents.live.items()}


def require_reason(refusal: InvalidManifests | ProtectedRow, before: Contents) -> None:
    """Checks that a refused set was one to refuse."""
    match refusal:
        case InvalidManifests(diagnostics=diagnostics):
            assert {found.code for found in diagnostics} <= CLASHES
        case ProtectedRow():
            policies = {row.deletion_policy for row in before.live.values()}
            assert DeletionPolicy.PROTECT in policies


def require_wanted(
    resources: tuple[Resource, ...], before: Contents, after: Contents, *, prune: bool
) -> None:
    """Checks that the live rows are what was wanted, and those that nobody was asked to touch."""
    live = after.live
    wanted = {str(resource.ref): resource for resource in resources}
    for name, resource in wanted.items():
        row = live.get(name)
        if resource.spec["state"] == "archived":
            assert row is None
        elif row is None:
            assert _intent(resource) in _held(before, name)
        elif row.hold and row.hold.kind is HoldKind.ROLLBACK:
            assert row.hold.digest == _intent(resource)
        else:
            assert row.digest == resource.digest
    for name in live.keys() - wanted.keys():
        assert not prune
        assert (live[name].uid, live[name].digest) == digests(before)[name]
    for name, row in before.live.items():
        now = after.by_uid.get(row.uid)
        if now and now.status.is_live and str(now.ref) != name:
            assert row.ref.name in wanted[str(now.ref)].metadata["previousNames"]
        if now and now.status.is_live and row.hold and row.hold.kind is HoldKind.SUSPEND:
            assert now.hold == row.hold, "only `resume` ends what `suspend` has ordered"


def _intent(resource: Resource) -> str:
    return kinds.intent(resource.ref.kind, resource.manifest)


def _held(contents: Contents, name: str) -> set[str]:
    """Returns the digests of the manifests that `archive` was ordered against."""
    return {
        row.hold.digest
        for row in contents.rows
        if row.hold and not row.status.is_live and str(row.ref) == name
    }
