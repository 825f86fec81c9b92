"""Which secrets have changed: references of every live connection -> fingerprints -> changes.

Beside `plan`, which reads no secret: what is found here is listed beside the manifest changes and
is no part of the plan's digest. A connection that people keep from being checked is left out, so
that a suspended one needs no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler import apply, fingerprint, kinds, plan, secret_sources
from reconciler.errors import SecretError
from reconciler.model import (
    Action,
    Fingerprint,
    HoldKind,
    JsonObject,
    Plan,
    Recorded,
    Ref,
    Resource,
)
from reconciler.redact import Secret
from reconciler.stores import Meta

_ENDS = (Action.ARCHIVE, Action.DELETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReading:
    """The secrets of the live connections, as fingerprints; empty when none were read."""

    facts: apply.SecretFacts = field(default_factory=apply.SecretFacts)
    #: references that could not be resolved; each names its connection
    unresolved: tuple[SecretError, ...] = ()


def read_secrets(
    planned: Plan,
    resources: Iterable[Resource],
    recorded: Sequence[Recorded],
    *,
    meta: Meta,
    secrets: secret_sources.Secrets,
) -> SecretReading:
    """Reads the secrets of every live connection of the stack, as `planned` will leave it."""
    gone = {change.uid for change in planned.changes if change.action in _ENDS}
    renamed = {change.uid: change.ref for change in planned.changes if change.previous}
    rows = {
        renamed.get(row.uid, row.ref): row
        for row in recorded
        if row.status.is_live and row.stack == planned.options.stack and row.uid not in gone
    }
    specs = _specs(planned, resources, rows)
    fingerprints: dict[str, tuple[Fingerprint, ...]] = {}
    unresolved: list[SecretError] = []
    for ref in sorted(specs):
        values = _resolve(secrets, ref, specs[ref], unresolved)
        fingerprints[ref.key] = fingerprint.of_secrets(
            values, key=meta.fingerprint_key, key_id=meta.key_id
        )
    read = {row.uid: row for ref, row in rows.items() if ref in specs}
    by_uid = {row.uid: fingerprints[ref.key] for ref, row in rows.items() if ref in specs}
    facts = apply.SecretFacts(
        fingerprints=fingerprints, rows=read, changes=plan.secret_changes(read.values(), by_uid)
    )
    return SecretReading(facts=facts, unresolved=tuple(unresolved))


def _specs(
    planned: Plan, resources: Iterable[Resource], rows: Mapping[Ref, Recorded]
) -> dict[Ref, JsonObject]:
    """Returns the specs that will be in force, of those that may be checked."""
    touched = {change.ref.key for change in planned.changes}
    written = {resource.ref: resource.spec for resource in resources}
    specs = {ref: spec for ref, spec in written.items() if ref.key in touched}
    for ref, row in rows.items():
        if ref not in specs:
            is_as_written = ref in written and not row.hold
            specs[ref] = written[ref] if is_as_written else row.manifest["spec"]
    held = {ref for ref, row in rows.items() if row.hold and row.hold.kind is HoldKind.SUSPEND}
    return {
        ref: spec
        for ref, spec in specs.items()
        if spec.get("state", "active") == "active" and ref not in held
    }


def _resolve(
    secrets: secret_sources.Secrets, ref: Ref, spec: JsonObject, unresolved: list[SecretError]
) -> dict[str, Secret]:
    """Returns what can be resolved, by pointer; the rest goes to `unresolved`."""
    values: dict[str, Secret] = {}
    for place, reference in kinds.shape(ref.kind).secrets(spec):
        try:
            values[place] = secrets.resolve(reference)
        except SecretError as error:
            unresolved.append(SecretError(f"`{ref}`: {error.message}", error.hint))
    return values
