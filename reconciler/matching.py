"""Which recorded row a manifest is about: by its name, or by a previous one.

Pure. A rename keeps the row, so that identity, history and counters stay; chains and swaps of
names work because a row is claimed by its uid. Apart from `plan` because pairing is the part of
planning that has to see all manifests and rows at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.errors import InvalidManifests
from reconciler.model import Diagnostic, Location, Recorded, Ref, Resource, Severity
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Recorded rows by the key of their ref."""

    live: Mapping[str, Recorded]
    #: archived rows that a hold keeps from being created again
    held: Mapping[str, Recorded]
    #: the live rows once more, by namespace and name
    named: Mapping[tuple[str, str], Sequence[Recorded]]

    @classmethod
    def of(cls, recorded: Sequence[Recorded]) -> Rows:
        """Returns `recorded` by key."""
        live = [row for row in recorded if row.status.is_live]
        named: dict[tuple[str, str], list[Recorded]] = {}
        for row in live:
            named.setdefault((row.ref.namespace, row.ref.name), []).append(row)
        return cls(
            live={row.ref.key: row for row in live},
            held={
                row.ref.key: row
                for row in sorted(recorded, key=lambda row: row.updated_at)
                if row.hold and not row.status.is_live
            },
            named=named,
        )

    def of_other_kind(self, ref: Ref) -> Recorded | None:
        """Returns a live row that has the namespace and name of `ref`, but another kind."""
        namesakes = self.named.get((ref.namespace, ref.name), ())
        return next((row for row in namesakes if row.ref.kind != ref.kind), None)


def pair(
    resources: Sequence[Resource], rows: Rows, stack: str
) -> list[tuple[Resource, Recorded | None]]:
    """Pairs every resource with the live row that it is about, if any."""
    by_key = {resource.ref.key: resource for resource in resources}
    intents = {
        key: row
        for key, resource in by_key.items()
        if (row := _intended_rename(resource, rows, stack)) is not None
    }
    if not intents:
        return [(resource, rows.live.get(key)) for key, resource in by_key.items()]
    # a row whose own manifest stays where it is cannot be taken over
    claims = {
        key: row
        for key, row in intents.items()
        if row.ref.key not in by_key or row.ref.key in intents
    }
    taken = {row.uid for row in claims.values()}
    both_alive = [
        _both_alive(by_key[key], row)
        for key, row in claims.items()
        if key in rows.live and rows.live[key].uid not in taken
    ]
    if both_alive:
        raise InvalidManifests(tuple(sorted(both_alive, key=lambda d: d.location)))
    matches: list[tuple[Resource, Recorded | None]] = []
    for key, resource in by_key.items():
        row = claims.get(key) or rows.live.get(key)
        is_free = row is not None and (key in claims or row.uid not in taken)
        matches.append((resource, row if is_free else None))
    return matches


def _intended_rename(resource: Resource, rows: Rows, stack: str) -> Recorded | None:
    """Returns the live row that `previousNames` point at, unless that rename was applied before."""
    # Nearly every manifest lists none, and need not be parsed to tell.
    if '"previousNames":["' not in resource.text:
        return None
    previous_names = resource.metadata.get("previousNames", ())
    own = rows.live.get(resource.ref.key) or rows.held.get(resource.ref.key)
    applied = own.manifest["metadata"].get("previousNames", ()) if own else ()
    for previous in previous_names:
        row = rows.live.get(previous_ref(resource.ref, previous).key)
        if row is not None and row.stack == stack:
            return None if previous in applied else row
    return None


def previous_ref(ref: Ref, previous: str) -> Ref:
    """Returns the ref that an item `[namespace/]name` of `previousNames` means; the kind stays."""
    namespace, _, name = previous.rpartition("/")
    return Ref(kind=ref.kind, namespace=namespace or ref.namespace, name=name)


def _both_alive(resource: Resource, row: Recorded) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR,
        code="E205",
        location=resource.location,
        pointer="/metadata/previousNames",
        message=f"`{resource.ref}` and its previous name `{row.ref}` are both alive",
        hint=f"remove the previous name, or archive `{row.ref}` first",
        related=((_where(row), "last applied here"),),
    )


def _where(row: Recorded) -> Location:
    return Location(path=row.source.path, line=row.source.line, column=1)
