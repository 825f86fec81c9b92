"""Bounds of durations, which a JSON Schema cannot say since they are texts to it.

Pure; every kind's `checks` asks here, so that one field has one bound whatever the kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler import kinds
from reconciler.kinds.durations import format_duration, parse_duration
from reconciler.model import JsonObject

#: (block, field) of a spec -> least and most, in seconds. A limit of an hour is a mistake in the
#: unit; an interval under a second would be an attack on somebody's server.
BOUNDS_S: Final = {
    ("timeout", "connect"): (0.01, 600.0),
    ("timeout", "total"): (0.01, 3600.0),
    ("timeout", "query"): (0.01, 86400.0),
    ("auth", "refreshBefore"): (0.0, 86400.0),
    ("health", "interval"): (1.0, 2592000.0),
    ("health", "timeout"): (0.01, 600.0),
}


def duration_findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields E107 for every duration of `spec` that is out of its bounds."""
    for (block, field), (least_s, most_s) in BOUNDS_S.items():
        text = spec[block].get(field) if block in spec else None
        if text is not None and not least_s <= parse_duration(text) <= most_s:
            yield kinds.Finding(
                code="E107",
                path=(block, field),
                message=(
                    f"`{field}` is not from {format_duration(least_s)} to {format_duration(most_s)}"
                ),
            )
