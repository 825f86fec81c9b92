"""Findings about manifests as annotations of a GitHub Actions run.

The syntax is that of GitHub's workflow commands. It is read from whatever a step prints, so the
escapes here are what keeps a file name or a message from becoming a command of its own.
"""

from __future__ import annotations

from reconciler import redact
from reconciler.model import Diagnostic
from reconciler.report.diagnostics import STDIN, Findings
from reconciler.report.style import Style

#: As the toolkit's `escapeData` and `escapeProperty` do it.
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def commands(findings: Findings, _style: Style) -> str:
    """Returns one `::error` or `::warning` command per finding, all of them."""
    return "".join(f"{annotation(found)}\n" for found in findings.diagnostics)


def annotation(found: Diagnostic) -> str:
    """Returns one finding as a workflow command, without a newline."""
    place = found.location
    properties = [] if place.path == STDIN else [f"file={_property(place.path)}"]
    properties += [f"line={place.line}", f"col={place.column}"]
    if found.excerpt:
        properties.append(f"endColumn={place.column + max(1, found.excerpt.length)}")
    properties.append(f"title={_property(found.code)}")
    hint = f"\n{found.hint}" if found.hint else ""
    return f"::{found.severity} {','.join(properties)}::{_data(found.message + hint)}"


def _data(text: str) -> str:
    return redact.escape(text).translate(_DATA)


def _property(text: str) -> str:
    return redact.escape(text).translate(_PROPERTY)
