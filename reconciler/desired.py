"""Stages 1 and 2 together: paths -> manifests that are valid, and everything that is wrong.

Apart from `reconcile` because `validate` needs nothing of what comes after and so starts faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from reconciler import validate
from reconciler.errors import InvalidManifests
from reconciler.manifests import find, read
from reconciler.model import Diagnostic, Resource, Severity
from reconciler.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a set of paths holds."""

    #: valid ones, sorted by ref
    resources: tuple[Resource, ...]
    #: sorted by location
    diagnostics: tuple[Diagnostic, ...]
    files: int
    documents: int
    #: what was given, relative to the project root; orphans are looked for under these
    roots: tuple[str, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)


def read_manifests(
    paths: Sequence[str], *, settings: Settings, cwd: str, stdin: BinaryIO | None = None
) -> Reading:
    """Reads and validates everything under `paths`; mistakes are in the result, never raised."""
    found = find.find(paths, root=settings.root, cwd=cwd)
    validated = validate.validate(read.documents(found, stdin), settings.secrets)
    return Reading(
        resources=validated.resources,
        diagnostics=validated.diagnostics,
        files=len(found.files),
        documents=validated.documents,
        roots=found.roots,
    )


def require_valid(reading: Reading) -> None:
    """Checks that a reading may be planned.

    Raises:
        InvalidManifests: it has errors, among them that no manifest was found.
    """
    if reading.errors:
        raise InvalidManifests(reading.diagnostics)
