"""Which formats each screen has: `-o` name -> where the function `(view, style) -> str` is.

A new format is a module and a line here. The first of each screen is its default; the command
line takes its choices from these tables, and `report.formatter` imports what was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping

#: `diagnostics.Findings`
DIAGNOSTICS: Mapping[str, str] = {
    "text": "reconciler.report.diagnostics:text",
    "concise": "reconciler.report.diagnostics:concise",
    "json": "reconciler.report.diagnostics_json:document",
    "jsonl": "reconciler.report.diagnostics_json:lines",
    "github": "reconciler.report.diagnostics_github:commands",
}
#: `views.PlanView`
PLAN: Mapping[str, str] = {
    "text": "reconciler.report.plan:text",
    "concise": "reconciler.report.plan:concise",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.data:json_lines",
    "markdown": "reconciler.report.plan_markdown:markdown",
    "github": "reconciler.report.plan_github:github",
}
#: `views.ApplyView`
APPLY: Mapping[str, str] = {
    "text": "reconciler.report.apply:text",
    "json": "reconciler.report.data:json_document",
}
#: `views.HealthView`
HEALTH: Mapping[str, str] = {
    "table": "reconciler.report.health:table",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.data:json_lines",
}
#: `views.StatusView`
STATUS: Mapping[str, str] = {
    "table": "reconciler.report.status:table",
    "wide": "reconciler.report.status:wide",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.data:json_lines",
    "yaml": "reconciler.report.data:yaml_document",
}
#: `views.DescribeView`; `manifest` is YAML to commit
DESCRIBE: Mapping[str, str] = {
    "text": "reconciler.report.describe:text",
    "json": "reconciler.report.data:json_document",
    "yaml": "reconciler.report.data:yaml_document",
    "manifest": "reconciler.report.data:manifest",
}
#: `views.HistoryView`
HISTORY: Mapping[str, str] = {
    "text": "reconciler.report.history:text",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.data:json_lines",
}
#: `views.EventsView`
EVENTS: Mapping[str, str] = {
    "table": "reconciler.report.events:table",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.data:json_lines",
}
#: `views.SecretsView`
SECRETS: Mapping[str, str] = {
    "table": "reconciler.report.secrets:table",
    "json": "reconciler.report.data:json_document",
}
#: `views.RunsView`
RUNS: Mapping[str, str] = {
    "table": "reconciler.report.runs:table",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.data:json_lines",
}
#: `views.QueryView`
QUERY: Mapping[str, str] = {
    "table": "reconciler.report.query:table",
    "json": "reconciler.report.data:json_document",
    "jsonl": "reconciler.report.query:lines",
    "csv": "reconciler.report.query:csv_text",
}
#: `views.RequestView`
REQUEST: Mapping[str, str] = {
    "body": "reconciler.report.request:body",
    "headers": "reconciler.report.request:headers",
    "json": "reconciler.report.data:json_document",
}
