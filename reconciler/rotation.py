"""Which secrets have changed: references of every live connection -> fingerprints -> changes.

Beside `plan`, which reads no secret: what is found here is listed beside the manifest changes and
is no part of the plan's digest. A connection that people keep from being checked needs no secret:
one that cannot be read is passed over there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from reconciler import apply, fingerprint, kinds, plan, secret_sources, sending
from reconciler.errors import SecretError
from reconciler.grants import Grants
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
from reconciler.values import dataclass

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
    grants: Grants,
) -> SecretReading:
    """Reads the secrets of every live connection of the stack, as `planned` will leave it.

    What no grant lets go to where it would be sent is not read: the next check says so.
    """
    gone = {change.uid for change in planned.changes if change.action in _ENDS}
    renamed = {change.uid: change.ref for change in planned.changes if change.previous}
    rows = {
        renamed.get(row.uid, row.ref): row
        for row in recorded
        if row.status.is_live and row.stack == planned.options.stack and row.uid not in gone
    }
    specs = _specs(planned, resources, rows)
    specs = {ref: spec for ref, spec in specs.items() if not _is_denied(grants, ref, spec)}
    secrets.fetch(reference for ref, spec in specs.items() for reference in _references(ref, spec))
    fingerprints: dict[str, tuple[Fingerprint, ...]] = {}
    unresolved: list[SecretError] = []
    for ref in sorted(specs):
        values, missing = _resolve(secrets, ref, specs[ref])
        unresolved += missing if _is_checked(specs[ref], rows.get(ref)) else []
        fingerprints[ref.key] = fingerprint.of_secrets(
            values, key=meta.fingerprint_key, key_id=meta.key_id
        )
    read = {row.uid: row for row in rows.values()}
    by_uid = {row.uid: fingerprints.get(ref.key, ()) for ref, row in rows.items()}
    facts = apply.SecretFacts(
        fingerprints=fingerprints, rows=read, changes=plan.secret_changes(read.values(), by_uid)
    )
    return SecretReading(facts=facts, unresolved=tuple(unresolved))


def _specs(
    planned: Plan, resources: Iterable[Resource], rows: Mapping[Ref, Recorded]
) -> dict[Ref, JsonObject]:
    """Returns the specs that will be in force."""
    touched = {change.ref.key for change in planned.changes}
    written = {resource.ref: resource.spec for resource in resources}
    specs = {ref: spec for ref, spec in written.items() if ref.key in touched}
    for ref, row in rows.items():
        if ref not in specs:
            is_as_written = ref in written and not row.hold
            specs[ref] = written[ref] if is_as_written else plan.normal_spec(row)
    return specs


def _is_denied(grants: Grants, ref: Ref, spec: JsonObject) -> bool:
    return bool(grants and sending.denied(grants, ref, spec, os.path.realpath))


def _references(ref: Ref, spec: JsonObject) -> Iterator[JsonObject]:
    return (reference for _, reference in kinds.shape(ref.kind).secrets(spec))


def _is_checked(spec: JsonObject, row: Recorded | None) -> bool:
    """Whether people want the connection to be checked."""
    is_held = row is not None and row.hold is not None and row.hold.kind is HoldKind.SUSPEND
    return bool(spec.get("state", "active") == "active") and not is_held


def _resolve(
    secrets: secret_sources.Secrets, ref: Ref, spec: JsonObject
) -> tuple[dict[str, Secret], list[SecretError]]:
    """Returns the secrets that can be read, by pointer, and the errors of those that cannot."""
    values: dict[str, Secret] = {}
    errors: list[SecretError] = []
    for place, reference in kinds.shape(ref.kind).secrets(spec):
        try:
            values[place] = secrets.resolve(reference)
        except SecretError as error:
            errors.append(SecretError(f"`{ref}`: {error.message}", error.hint))
    return values, errors
