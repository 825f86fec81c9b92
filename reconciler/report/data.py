"""Every screen as data for programs: one JSON or YAML document, or one JSON object per line.

`content` says for each view what is in it, and every format of data is made of that. The text is
ASCII: the same bytes in every locale, and nothing that a terminal obeys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import singledispatch

from reconciler.model import Action, Json, JsonObject, Recorded
from reconciler.report import query, records, request, standing, times, yaml_text
from reconciler.report.style import Style
from reconciler.report.views import (
    ApplyView,
    DescribeView,
    EventsView,
    HealthRow,
    HealthView,
    HistoryView,
    PlanView,
    QueryView,
    RequestView,
    RunsView,
    SecretRow,
    SecretsView,
    StatusView,
    View,
)

#: Rises when a field changes its meaning or goes, not when one is added.
FORMAT_VERSION = 1
#: Which list of a view becomes lines.
_ITEMS: dict[type[View], str] = {
    PlanView: "changes",
    HealthView: "checks",
    StatusView: "connections",
    HistoryView: "revisions",
    EventsView: "events",
    RunsView: "runs",
}


def json_document(view: View, _style: Style) -> str:
    """Returns one indented JSON object with `formatVersion`."""
    return _ascii(json.dumps(_document(view), indent=2)) + "\n"


def json_lines(view: View, _style: Style) -> str:
    """Returns one JSON object with `formatVersion` per item of a view that lists things."""
    items: Sequence[JsonObject] = content(view)[_ITEMS[type(view)]]
    return "".join(
        _ascii(json.dumps({"formatVersion": FORMAT_VERSION, **item})) + "\n" for item in items
    )


def yaml_document(view: View, _style: Style) -> str:
    """Returns the same as `json_document`, as YAML."""
    return yaml_text.dump(_document(view))


def manifest_yaml(row: Recorded) -> str:
    """Returns a recorded manifest as YAML to commit: what `apply` reads, without status."""
    return yaml_text.dump(records.of_recorded_manifest(row))


def manifest(view: DescribeView, _style: Style) -> str:
    """Returns the described connection's manifest as YAML to commit."""
    return manifest_yaml(view.recorded)


@singledispatch
def content(view: View) -> JsonObject:
    """Returns what is in `view`, as JSON types; its keys are those of the document."""
    raise TypeError(f"no data of {type(view).__name__}")


@content.register
def _(view: PlanView) -> JsonObject:
    plan = view.plan
    actions = [change.action for change in plan.changes]
    return {
        "lineage": plan.lineage,
        "digest": plan.digest,
        "options": records.of_options(plan.options),
        "git": records.of_git(view.git),
        "summary": {
            **{str(action): actions.count(action) for action in Action if action in actions},
            "unchanged": plan.unchanged,
            "blocked": sum(1 for change in plan.changes if change.blocked_by),
            "secrets": len(view.secrets),
        },
        "changes": [records.of_change(change) for change in plan.changes],
        "notices": [records.of_change(notice) for notice in plan.notices],
        "warnings": [records.of_warning(warning) for warning in plan.warnings],
        "secretsCompared": view.secrets_compared,
        "secretChanges": [records.of_secret(change) for change in view.secrets],
        "nextCommand": view.next_command,
    }


@content.register
def _(view: ApplyView) -> JsonObject:
    return {
        "runId": view.changes.run_id,
        "planDigest": view.plan.digest,
        "stack": view.plan.options.stack,
        "git": records.of_git(view.git),
        "results": [records.of_result(result) for result in view.changes.results],
        "notices": [records.of_change(notice) for notice in view.plan.notices],
        "secretChanges": [records.of_secret(change) for change in view.secrets],
        "health": content(view.health) if view.health is not None else None,
        "nextCommand": view.next_command,
    }


@content.register
def _(view: HealthView) -> JsonObject:
    outcomes = [str(row.observation.outcome) for row in view.rows]
    return {
        "summary": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        "skipped": view.skipped,
        "suspendedByHealth": [records.of_row(row) for row in view.suspended],
        "elapsedSeconds": view.elapsed_s,
        "checks": [_check(row) for row in view.rows],
    }


@content.register
def _(view: StatusView) -> JsonObject:
    statuses = (row.status for row in view.rows)
    return {
        "git": records.of_git(view.git),
        "total": view.total,
        "summary": {found.name: number for found, number in standing.counts(statuses)},
        "connections": [records.of_row(row) for row in view.rows],
    }


@content.register
def _(view: DescribeView) -> JsonObject:
    return {
        "manifest": records.of_recorded_manifest(view.recorded),
        "connection": records.of_row(view.recorded),
        "lastCheck": records.of_observation(view.observation),
        "lastUsedAt": times.utc_exact(view.last_used),
        "lastRevision": view.revision and records.of_revision(view.revision),
        "transitions": [records.of_event(event) for event in view.transitions],
        "granted": view.granted
        and {"grants": list(view.granted.grants), "denied": list(view.granted.denied)},
    }


@content.register
def _(view: HistoryView) -> JsonObject:
    return {
        "connection": {**records.of_ref(view.recorded.ref), "uid": view.recorded.uid},
        "revisions": [
            {
                **records.of_revision(row.revision),
                "fields": [records.of_field(field) for field in row.fields],
            }
            for row in view.rows
        ],
    }


@content.register
def _(view: EventsView) -> JsonObject:
    return {"events": [records.of_event(event) for event in view.events]}


@content.register
def _(view: RunsView) -> JsonObject:
    return {"runs": [records.of_run(run) for run in view.runs]}


@content.register
def _(view: SecretsView) -> JsonObject:
    return {"secrets": [_secret(row) for row in view.rows]}


@content.register
def _(view: QueryView) -> JsonObject:
    return {
        "columns": query.unique(view.columns),
        "rows": list(query.objects(view)),
        "truncated": view.is_cut,
    }


@content.register
def _(view: RequestView) -> JsonObject:
    return {
        "status": view.status,
        "headers": [{"name": name, "value": value} for name, value in view.headers],
        "body": request.text_of(view.body),
        "json": request.json_of(view.body),
    }


def _secret(row: SecretRow) -> JsonObject:
    return {
        "name": row.name,
        "version": row.version,
        "keyId": row.key_id,
        "keyGiven": row.has_key,
        "setAt": times.utc_exact(row.updated_at),
        "expiresAt": times.utc_exact(row.expires_at),
        "usedBy": [str(ref) for ref in row.users],
    }


def _check(row: HealthRow) -> JsonObject:
    return {
        **records.of_ref(row.ref),
        "uid": row.observation.uid,
        "before": str(row.before),
        "status": records.of_status(row.status),
        "observation": records.of_observation(row.observation),
    }


def _document(view: View) -> dict[str, Json]:
    return {"formatVersion": FORMAT_VERSION, **content(view)}


def _ascii(text: str) -> str:
    # The one control character that JSON leaves bare (RFC 8259, section 7).
    return text.replace("\x7f", "\\u007f")
