"""Findings about manifests as programs read them: one JSON document, or one JSON line each.

The shape is a promise: `formatVersion` rises when a field changes its meaning or goes, not when
one is added.
"""

from __future__ import annotations

import json

from reconciler.model import Diagnostic, Json, Location, Severity
from reconciler.report.diagnostics import Findings
from reconciler.report.style import Style

FORMAT_VERSION = 1


def document(findings: Findings, _style: Style) -> str:
    """Returns one JSON object: counts, and `diagnostics` sorted by location."""
    whole = {
        "formatVersion": FORMAT_VERSION,
        "files": findings.files,
        "documents": findings.documents,
        "errors": findings.count(Severity.ERROR),
        "warnings": findings.count(Severity.WARNING),
        "diagnostics": [_plain(found) for found in findings.diagnostics],
    }
    return json.dumps(whole, indent=2) + "\n"


def lines(findings: Findings, _style: Style) -> str:
    """Returns one JSON object per finding and line."""
    return "".join(
        json.dumps({"formatVersion": FORMAT_VERSION, **_plain(found)}) + "\n"
        for found in findings.diagnostics
    )


def _plain(found: Diagnostic) -> dict[str, Json]:
    excerpt = found.excerpt
    return {
        "severity": str(found.severity),
        "code": found.code,
        **_place(found.location),
        "pointer": found.pointer,
        "message": found.message,
        "hint": found.hint,
        "excerpt": excerpt
        and {"text": excerpt.text, "column": excerpt.column, "length": excerpt.length},
        "related": [{**_place(location), "message": words} for location, words in found.related],
    }


def _place(location: Location) -> dict[str, Json]:
    return {"path": location.path, "line": location.line, "column": location.column}
