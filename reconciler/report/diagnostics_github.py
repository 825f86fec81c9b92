"""Findings about manifests as annotations of a GitHub Actions run.

The syntax is that of GitHub's workflow commands. It is read from whatever a step prints, so the
escapes here are what keeps a file name or a message from becoming a command of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler import redact
from reconciler.model import Diagnostic
from reconciler.report.diagnostics import STDIN, Findings
from reconciler.report.style import Style

#: As `escapeData` and `escapeProperty` do it (actions/toolkit, packages/core/src/command.ts).
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def commands(findings: Findings, _style: Style) -> str:
    """Returns one `::error` or `::warning` command per finding, all of them."""
    return "".join(f"{annotation(found)}\n" for found in findings.diagnostics)


def annotation(found: Diagnostic) -> str:
    """Returns one finding as a workflow command, without a newline."""
    place = found.location
    properties = {} if place.path == STDIN else {"file": place.path}
    properties |= {"line": str(place.line), "col": str(place.column)}
    if found.excerpt:
        properties["endColumn"] = str(place.column + max(1, found.excerpt.length))
    hint = f"\n{found.hint}" if found.hint else ""
    return command(found.severity, {**properties, "title": found.code}, found.message + hint)


def command(name: str, properties: Mapping[str, str], message: str) -> str:
    """Returns the workflow command `name`, everything in it escaped, without a newline."""
    listed = ",".join(
        f"{key}={redact.escape(value).translate(_PROPERTY)}" for key, value in properties.items()
    )
    return f"::{name} {listed}::{redact.escape(message).translate(_DATA)}"
