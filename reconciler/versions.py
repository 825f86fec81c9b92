"""The order of semantic versions, by which a plan sees one go down. Pure."""

from __future__ import annotations

import re

from reconciler.model import Json

_SEMVER = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def is_lower(new: Json, old: Json) -> bool:
    """Whether `new` precedes `old` (Semantic Versioning 2.0.0, section 11)."""
    if not (isinstance(new, str) and isinstance(old, str)):
        return False
    return _precedence(new) < _precedence(old)


def _precedence(version: str) -> tuple[Json, ...]:
    match = _SEMVER.fullmatch(version)
    assert match is not None, "the schema lets only semantic versions through"
    major, minor, patch, prerelease = match.groups()
    identifiers = [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in (prerelease or "").split(".")
    ]
    return (int(major), int(minor), int(patch), prerelease is None, identifiers)
