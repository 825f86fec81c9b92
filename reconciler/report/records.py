"""Values of the pipeline as plain data for programs: JSON types, camelCase, times in RFC 3339.

The shapes are a promise: a field may be added, but one that changes its meaning or goes raises
`data.FORMAT_VERSION`. Written out field by field on purpose, so that a field that is renamed in
`model.py` does not change what programs read. Absent things are null or empty, never left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler import kinds, plan
from reconciler.model import (
    Change,
    ChangeResult,
    Diagnostic,
    Event,
    FieldChange,
    GitFacts,
    Hold,
    Json,
    JsonObject,
    Location,
    Observation,
    PlanOptions,
    Recorded,
    Ref,
    Revision,
    Run,
    SecretChange,
    Source,
    Status,
)
from reconciler.report import standing, times, words


def of_ref(ref: Ref) -> JsonObject:
    """Returns kind, namespace and name."""
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def of_git(git: GitFacts | None) -> Json:
    """Returns the commit, or null outside git."""
    return git and {"commit": git.commit, "author": git.author, "dirty": git.dirty}


def of_hold(hold: Hold | None) -> Json:
    """Returns a command's standing order, or null."""
    return hold and {
        "kind": str(hold.kind),
        "actor": hold.actor,
        "reason": hold.reason,
        "at": times.utc_exact(hold.at),
    }


def of_source(source: Source | Location) -> JsonObject:
    """Returns where a manifest was read."""
    return {"path": source.path, "line": source.line}


def of_status(status: Status) -> JsonObject:
    """Returns a whole status; `isHealthy` is what decides the exit code."""
    return {
        "phase": str(status.phase),
        "suspendedBy": status.suspended_by and str(status.suspended_by),
        "isActive": status.is_active,
        "isHealthy": standing.standing_of(status).value.is_healthy,
        "reason": str(status.reason),
        "message": status.message,
        "consecutiveFailures": status.consecutive_failures,
        "consecutiveSuccesses": status.consecutive_successes,
        "lastError": status.last_error,
        "sinceAt": times.utc_exact(status.since_at),
        "checkedAt": times.utc_exact(status.checked_at),
        "succeededAt": times.utc_exact(status.succeeded_at),
        "lastOutcome": status.last_outcome and str(status.last_outcome),
        "latencySeconds": status.latency_s,
    }


def of_row(row: Recorded) -> dict[str, Json]:
    """Returns a recorded connection with its status, without its manifest."""
    return {
        **of_ref(row.ref),
        "uid": row.uid,
        "endpoint": words.endpoint(row).shown,
        "status": of_status(row.status),
        "hold": of_hold(row.hold),
        "generation": row.generation,
        "revision": row.revision,
        "stack": row.stack,
        "deletionPolicy": str(row.deletion_policy),
        "source": of_source(row.source),
        "createdAt": times.utc_exact(row.created_at),
        "updatedAt": times.utc_exact(row.updated_at),
    }


def of_manifest(ref: Ref, content: JsonObject) -> JsonObject:
    """Returns a manifest that can be applied again, from its `metadata` and `spec`.

    Names come first, then everything by key; empty metadata is its default and left out.
    """
    metadata = {key: content["metadata"][key] for key in ("name", "namespace")}
    metadata |= {key: value for key, value in _sorted(content["metadata"]).items() if value}
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": ref.kind,
        "metadata": metadata,
        "spec": _sorted(content["spec"]),
    }


def of_recorded_manifest(row: Recorded) -> JsonObject:
    """Returns the manifest of a recorded connection, with every default filled in."""
    return of_manifest(row.ref, plan.normal_manifest(row))


def of_observation(observation: Observation | None) -> Json:
    """Returns what a probe found, or null."""
    return observation and {
        "generation": observation.generation,
        "outcome": str(observation.outcome),
        "reason": str(observation.reason),
        "message": observation.message,
        "hint": observation.hint,
        "stages": [
            {"name": str(stage.name), "seconds": stage.seconds, "detail": stage.detail}
            for stage in observation.stages
        ],
        "latencySeconds": observation.latency_s,
        "observedAt": times.utc_exact(observation.observed_at),
    }


def of_event(event: Event) -> dict[str, Json]:
    """Returns one line of the log."""
    return {
        "id": event.id,
        "at": times.utc_exact(event.at),
        **of_ref(event.ref),
        "uid": event.uid,
        "type": event.type,
        "from": event.source and str(event.source),
        "to": event.target and str(event.target),
        "reason": event.reason,
        "message": event.message,
        "actor": event.actor,
        "runId": event.run_id,
    }


def of_field(field: FieldChange) -> JsonObject:
    """Returns one field that differs."""
    return {"op": str(field.op), "pointer": field.pointer, "old": field.old, "new": field.new}


def of_revision(revision: Revision) -> dict[str, Json]:
    """Returns one applied change, without its manifest."""
    return {
        "number": revision.number,
        **of_ref(revision.ref),
        "action": str(revision.action),
        "digest": revision.digest,
        "actor": revision.actor,
        "runId": revision.run_id,
        "source": of_source(revision.source),
        "git": of_git(revision.git),
        "at": times.utc_exact(revision.at),
    }


def of_run(run: Run) -> JsonObject:
    """Returns one apply."""
    return {
        "id": run.id,
        "at": times.utc_exact(run.at),
        "command": run.command,
        "actor": run.actor,
        "stack": run.stack,
        "planDigest": run.plan_digest,
        "git": of_git(run.git),
        "counts": dict(run.counts),
    }


def of_change(change: Change) -> dict[str, Json]:
    """Returns what a plan does to one connection."""
    return {
        "action": str(change.action),
        **of_ref(change.ref),
        "uid": change.uid,
        "reason": change.reason,
        "previous": change.previous and of_ref(change.previous),
        "fields": [of_field(field) for field in change.fields],
        "credentialRebind": change.rebind,
        "consentNeededAgain": change.consent,
        "blockedBy": change.blocked_by,
        "hold": of_hold(change.hold),
        "source": _change_source(change),
    }


def _change_source(change: Change) -> Json:
    """Returns where the manifest stands, else where the last one stood."""
    if change.location is not None:
        return of_source(change.location)
    return of_source(change.recorded.source) if change.recorded is not None else None


def of_secret(change: SecretChange) -> dict[str, Json]:
    """Returns which secrets changed, as pointers from the manifest's root; never a value."""
    pointers = [f"/spec{pointer}" for pointer in change.pointers]
    return {**of_ref(change.ref), "uid": change.uid, "pointers": pointers}


def of_options(options: PlanOptions) -> JsonObject:
    """Returns what a plan was asked to look at."""
    return {
        "stack": options.stack,
        "roots": list(options.roots),
        "names": list(options.names),
        "labels": list(options.labels),
        "prune": options.prune,
        "pruneLimit": options.prune_limit,
        "adopt": options.adopt,
    }


def of_result(result: ChangeResult) -> dict[str, Json]:
    """Returns what an apply did to one connection."""
    return {
        **of_ref(result.ref),
        "uid": result.uid,
        "action": str(result.action),
        "generation": result.generation,
    }


def of_warning(warning: Diagnostic) -> JsonObject:
    """Returns a finding that needed manifests and state together."""
    return {
        "code": warning.code,
        **of_source(warning.location),
        "column": warning.location.column,
        "pointer": warning.pointer,
        "message": warning.message,
        "hint": warning.hint,
    }


def _sorted(data: Json) -> Json:
    match data:
        case Mapping():
            return {key: _sorted(data[key]) for key in sorted(data)}
        case list() | tuple():
            return [_sorted(item) for item in data]
        case _:
            return data
