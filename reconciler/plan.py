"""3. Resources + recorded state -> plan: what would change, and why, as one value.

Pure: reads no file, no secret and no clock, so a plan can be made on a pull request, shown, saved
and made again. Rows are matched to manifests first (by name, then by `previousNames`), then each
pair is compared: digests first, fields only where digests differ. What stands in the way of a
change does not hide it: the change is in the plan with `blocked_by`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler import fields, fingerprint, kinds, matching, orphans, selection, sending, versions
from reconciler.errors import ConfigError
from reconciler.grants import Grants
from reconciler.model import (
    Action,
    Change,
    DeletionPolicy,
    Diagnostic,
    FieldChange,
    Fingerprint,
    Guard,
    Hold,
    HoldKind,
    JsonObject,
    Plan,
    PlanOptions,
    Recorded,
    Resource,
    SecretChange,
    Severity,
    canonical,
)

#: Reasons that a change shows by what it is; screens may leave them out.
NOT_RECORDED = "no connection of this name is recorded"
CHANGED = "the manifest changed"
#: Actions after which a connection goes on with the secrets that it had.
_KEEPS = frozenset(set(Action) - {Action.NOOP, Action.CREATE, Action.ARCHIVE, Action.DELETE})
#: Where there is no operator file, or it has no grant, secrets may go anywhere.
UNGUARDED = Grants()


def make_plan(
    resources: Sequence[Resource],
    recorded: Sequence[Recorded],
    options: PlanOptions,
    *,
    lineage: str,
    grants: Grants = UNGUARDED,
) -> Plan:
    """Returns what an apply of `resources` over `recorded` would do; neither order matters.

    `recorded` are the live rows of every stack and the archived ones that carry a hold.

    Raises:
        ConfigError: the options contradict each other, or a name selects nothing.
        InvalidManifests: a manifest and its previous name are both alive.
    """
    selector = selection.parse(options.names, options.labels)
    if options.prune and ("-" in options.inputs or not selector.is_all):
        raise ConfigError(
            "`--prune` looks at everything under the given paths: no names, labels, standard input",
            "leave out `--prune`, or the selection",
        )
    if selector.references:
        selection.require(
            selector, {row.ref for row in recorded} | {resource.ref for resource in resources}
        )
    rows = matching.Rows.of(recorded)
    matches = matching.pair(resources, rows, options.stack)
    wanted = [
        (resource, row)
        for resource, row in matches
        if selector.is_all
        or selector.matches(resource.ref, resource.labels)
        or (row is not None and selector.names(row.ref) and not selector.labels)
    ]
    # Of most manifests there is nothing to say, and a change that says it would cost the most.
    changes = [
        _change(resource, row, rows, options)
        for resource, row in wanted
        if row is None or not _is_at_rest(resource, row, options)
    ]
    unchanged = len(wanted) - len(changes)
    claimed = {row.uid for _, row in matches if row is not None}
    changes += orphans.find(rows, claimed, matches, options, selector)
    if grants:
        changes = [guarded(change, grants) for change in changes]
    return of_changes(changes, options, lineage=lineage, unchanged=unchanged)


def guarded(change: Change, grants: Grants) -> Change:
    """Returns `change`, blocked where a kept secret would go to a new place without a grant."""
    row, resource = change.recorded, change.resource
    if change.action not in _KEEPS or change.blocked_by or row is None or resource is None:
        return change
    if row.access_digest == resource.access_digest:
        return change
    why = sending.kept(grants, resource.ref, normal_spec(row), resource.spec)
    return replace(change, blocked_by=why, guard=Guard.GRANT) if why else change


def of_changes(
    changes: Sequence[Change], options: PlanOptions, *, lineage: str, unchanged: int = 0
) -> Plan:
    """Returns the plan that consists of `changes`, in any order, beside `unchanged` manifests."""
    effective = sorted((change for change in changes if _is_effective(change)), key=_order)
    noops = [change for change in changes if change.action is Action.NOOP]
    notices = sorted((change for change in noops if change.reason), key=_order)
    plan = Plan(
        lineage=lineage,
        options=options,
        changes=tuple(effective),
        notices=tuple(notices),
        warnings=tuple(sorted(_downgrades(effective), key=lambda warning: warning.location)),
        unchanged=unchanged + len(noops) - sum(1 for change in notices if change.resource is None),
        digest="",
    )
    return replace(plan, digest=_digest(plan))


def secret_changes(
    rows: Iterable[Recorded], fingerprints: Mapping[str, tuple[Fingerprint, ...]]
) -> tuple[SecretChange, ...]:
    """Returns which live rows' secrets have changed, given the fingerprints by uid as of now."""
    changed = (
        SecretChange(uid=row.uid, ref=row.ref, pointers=pointers)
        for row in rows
        if row.status.is_live
        and (pointers := fingerprint.changed(row.fingerprints, fingerprints.get(row.uid, ())))
    )
    return tuple(sorted(changed, key=lambda change: change.ref))


def normal_manifest(row: Recorded) -> JsonObject:
    """Returns the manifest of a row in today's normal form, so that a new default is no change."""
    manifest: JsonObject = kinds.shape(row.ref.kind).normalise(row.manifest)
    return manifest


def normal_spec(row: Recorded) -> JsonObject:
    """Returns the spec of a row in today's normal form."""
    spec: JsonObject = normal_manifest(row)["spec"]
    return spec


def _change(
    resource: Resource, row: Recorded | None, rows: matching.Rows, options: PlanOptions
) -> Change:
    if row is None:
        return _creation(resource, rows)
    change = Change(
        action=Action.NOOP,
        ref=resource.ref,
        uid=row.uid,
        location=resource.location,
        resource=resource,
        recorded=row,
        hold=row.hold,
    )
    if row.stack != options.stack:
        return _adoption(change, resource, row, options)
    if row.hold and _is_in_force(row.hold, resource):
        return replace(change, reason=f"{_held(row.hold)}; the manifest is unchanged since")
    if row.hold and _is_as_recorded(resource, row):
        return replace(change, reason=_held(row.hold))
    return _difference(change, resource, row)


def _creation(resource: Resource, rows: matching.Rows) -> Change:
    held = rows.held.get(resource.ref.key) if rows.held else None
    change = Change(
        action=Action.CREATE,
        ref=resource.ref,
        reason=NOT_RECORDED,
        location=resource.location,
        resource=resource,
        recorded=held,
    )
    if resource.spec["state"] == "archived":
        reason = "`state: archived`, and there is no live connection to archive"
        return replace(change, action=Action.NOOP, reason=reason, recorded=None)
    if held and held.hold and _is_in_force(held.hold, resource):
        reason = f"{_held(held.hold)}; change the manifest or delete it"
        return replace(change, action=Action.NOOP, reason=reason, recorded=None, hold=held.hold)
    other = rows.of_other_kind(resource.ref)
    if other is not None:
        reason = f"the kind differs from `{other.ref}`, which stays until it is pruned"
        return replace(change, reason=reason)
    return change


def _adoption(change: Change, resource: Resource, row: Recorded, options: PlanOptions) -> Change:
    differing = fields.changes(normal_manifest(row), resource.manifest)
    adopted = replace(
        change,
        action=Action.ADOPT,
        reason=f"taken over from stack `{row.stack}`",
        fields=differing,
        rebind=_rebind(row, resource, differing),
        consent=_consent(row, resource),
    )
    if options.adopt:
        return adopted
    return replace(
        adopted,
        reason=f"owned by stack `{row.stack}`",
        blocked_by=f"stack `{row.stack}` owns it; `--adopt` takes it over",
        guard=Guard.OWNERSHIP,
    )


def _difference(change: Change, resource: Resource, row: Recorded) -> Change:
    differing = fields.changes(normal_manifest(row), resource.manifest)
    is_renamed = row.ref != resource.ref
    if not (differing or is_renamed or _moved(resource, row) or _outlives_hold(resource, row)):
        return change
    action, reason = _action(differing, is_renamed=is_renamed)
    if is_renamed:
        reason = f"renamed from `{row.ref}`"
    elif not differing and _outlives_hold(resource, row):
        reason = "the manifest says what was rolled back to: the hold ends"
    elif not differing:
        reason = f"the manifest moved from {row.source.path}"
    blocked = action is Action.ARCHIVE and row.deletion_policy is DeletionPolicy.PROTECT
    return replace(
        change,
        action=action,
        reason=reason,
        fields=differing,
        previous=row.ref if is_renamed else None,
        rebind=_rebind(row, resource, differing),
        consent=_consent(row, resource),
        blocked_by=orphans.PROTECTED if blocked else "",
        guard=Guard.PROTECTION if blocked else None,
    )


def _action(differing: tuple[FieldChange, ...], *, is_renamed: bool) -> tuple[Action, str]:
    state = next((field.new for field in differing if field.pointer == "/spec/state"), None)
    match state:
        case "archived":
            return Action.ARCHIVE, "`state: archived` in the manifest"
        case _ if is_renamed:
            return Action.RENAME, ""
        case "suspended":
            return Action.SUSPEND, "`state: suspended` in the manifest"
        case "active":
            return Action.RESUME, "`state: active` in the manifest again"
        case _:
            return Action.UPDATE, CHANGED


def _is_in_force(hold: Hold, resource: Resource) -> bool:
    """Whether a command's order still stands above the manifest; `suspend` never hides it."""
    if hold.kind is HoldKind.SUSPEND:
        return False
    # a hold of an early state has the digest of the whole manifest
    return hold.digest in (kinds.intent(resource.ref.kind, resource.manifest), resource.digest)


def _outlives_hold(resource: Resource, row: Recorded) -> bool:
    """Whether the manifest has changed since a rollback, so that its hold ends."""
    if row.hold is None or row.hold.kind is not HoldKind.ROLLBACK:
        return False
    return not _is_in_force(row.hold, resource)


def _is_at_rest(resource: Resource, row: Recorded, options: PlanOptions) -> bool:
    """Whether there is neither anything to do about a manifest nor anything to say."""
    return row.hold is None and row.stack == options.stack and _is_as_recorded(resource, row)


def _is_as_recorded(resource: Resource, row: Recorded) -> bool:
    is_same = row.digest == resource.digest and row.ref == resource.ref
    return is_same and not _moved(resource, row) and not _outlives_hold(resource, row)


def _held(hold: Hold) -> str:
    done = {
        HoldKind.SUSPEND: "suspended",
        HoldKind.ARCHIVE: "archived",
        HoldKind.ROLLBACK: "rolled back",
    }[hold.kind]
    why = f" ({hold.reason})" if hold.reason else ""
    return f"{done} by {hold.actor}{why}"


def _moved(resource: Resource, row: Recorded) -> bool:
    """Whether the manifest lies in another file now; standard input is no place."""
    paths = (resource.location.path, row.source.path)
    return paths[0] != paths[1] and "-" not in paths


def _rebind(row: Recorded, resource: Resource, differing: tuple[FieldChange, ...]) -> str:
    """Returns "old -> new" where a kept credential would go to another destination.

    The credential of the manifest may go elsewhere than the requests, such as to a token server.
    """
    if row.access_digest == resource.access_digest or row.ref.kind != resource.ref.kind:
        return ""
    kind = kinds.kind(resource.ref.kind)
    before = normal_manifest(row)["spec"]
    old, new = kind.endpoint(before), kind.endpoint(resource.spec)
    auth = {field.pointer for field in differing if field.pointer.startswith("/spec/auth")}
    is_kept = auth <= {f"/spec/auth/{name}" for name in kind.login_addresses}
    ways = [(old.login, new.login), (old.destination, new.destination)]
    moved = [f"{here} -> {there}" for here, there in ways if here != there]
    if is_kept and new.method != "none" and moved:
        return ", ".join(moved)
    hop_secrets = [_hop_references(kind.name, spec) for spec in (before, resource.spec)]
    if old.via != new.via and hop_secrets[0] & hop_secrets[1]:
        return f"{old.via} -> {new.via}"
    return ""


def _hop_references(kind: str, spec: JsonObject) -> set[str]:
    """Returns the references to secrets that are sent to a proxy or an SSH server, as text."""
    found = dict(kinds.shape(kind).secrets(spec))
    own = fingerprint.own_secrets(found)
    return {canonical(reference) for place, reference in found.items() if place not in own}


def _consent(row: Recorded, resource: Resource) -> str:
    """Returns what of the consent has changed, where a person has agreed to another one before."""
    if row.access_digest == resource.access_digest or row.ref.kind != resource.ref.kind:
        return ""
    kind = kinds.kind(resource.ref.kind)
    old, new = kind.consent(normal_manifest(row)["spec"]), kind.consent(resource.spec)
    if old is None or new is None:
        return ""
    return ", ".join(f"auth.{name}" for name in new if old.get(name) != new[name])


def _is_effective(change: Change) -> bool:
    return change.action is not Action.NOOP


def _order(change: Change) -> tuple[str, str, str]:
    return change.ref.kind, change.ref.namespace, change.ref.name


def _downgrades(changes: Iterable[Change]) -> Iterator[Diagnostic]:
    for change in changes:
        for field in change.fields:
            if field.pointer == "/metadata/version" and versions.is_lower(field.new, field.old):
                assert change.location is not None
                yield Diagnostic(
                    severity=Severity.WARNING,
                    code="W203",
                    location=change.location,
                    pointer=field.pointer,
                    message=f"the version of `{change.ref}` goes down: {field.old} -> {field.new}",
                    hint="raise `metadata.version`, or leave it out",
                )


def _digest(plan: Plan) -> str:
    """Returns the digest of everything that apply will do and of the rows that it will touch."""
    changes = [
        {
            "action": change.action,
            "ref": str(change.ref),
            "uid": change.uid,
            "previous": str(change.previous) if change.previous else None,
            "digest": change.resource.digest if change.resource else None,
            "source": change.location.path if change.location else None,
            "revision": change.recorded.revision if change.recorded else None,
            "hold": [change.hold.kind, change.hold.digest] if change.hold else None,
            "blocked": bool(change.blocked_by),
        }
        for change in plan.changes
    ]
    options = plan.options
    asked = [options.stack, options.inputs, options.roots, options.names, options.labels]
    flags = [options.prune, options.prune_limit, options.adopt]
    text = canonical([plan.lineage, asked, flags, changes])
    return hashlib.sha256(text.encode()).hexdigest()
