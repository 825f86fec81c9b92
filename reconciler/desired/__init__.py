"""Stages 1 and 2 together: paths -> manifests that are valid, and everything that is wrong.

Apart from `reconcile` because `validate` needs nothing of what comes after and so starts faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from reconciler import validate
from reconciler.desired import shares
from reconciler.diagnostics import clashes
from reconciler.errors import InvalidManifests
from reconciler.manifests import find, read
from reconciler.model import Accepted, Diagnostic, Document, Resource, Severity
from reconciler.settings import Settings
from reconciler.values import dataclass


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
    """Reads and validates everything under `paths`; mistakes are in the result, never raised.

    Thousands of files are shared among the processors.
    """
    found = find.find(paths, root=settings.root, cwd=cwd)
    stream = _Stream(shares.hand_out(found.files, settings.secrets))
    validated = validate.validate(stream.items(found, stdin), settings.secrets)
    return Reading(
        resources=validated.resources,
        diagnostics=validated.diagnostics,
        files=len(found.files),
        documents=validated.documents,
        roots=found.roots,
    )


class _Stream:
    """The documents of all files, some of them checked by other processes meanwhile."""

    def __init__(self, handed_out: Sequence[shares.Share]) -> None:
        self._shares = {share.files[0].path: share for share in handed_out}
        #: what the share that is being read has answered
        self._answers: dict[str, Sequence[Accepted]] = {}
        #: keys of all names so far: whoever bears one of them must be compared here
        self._names: set[str] = set()

    def items(
        self, found: find.Found, stdin: BinaryIO | None
    ) -> Iterator[Document | Diagnostic | Accepted]:
        """Yields everything, in the order of the files."""
        documents = read.documents(found, stdin, self._known)
        return self._watched(documents) if self._shares else documents

    def _watched(
        self, documents: Iterator[Document | Diagnostic | Accepted]
    ) -> Iterator[Document | Diagnostic | Accepted]:
        for item in documents:
            named = clashes.ref(item) if isinstance(item, Document) else None
            if named is not None:
                self._names.add(named.key)
            yield item

    def _known(self, file: find.File) -> Sequence[Accepted] | None:
        share = self._shares.pop(file.path, None)
        if share is not None:
            self._answers = share.collect()
        accepted = self._answers.pop(file.path, None)
        if accepted is None:
            return None
        keys = {each.resource.ref.key for each in accepted}
        if not self._names.isdisjoint(keys):
            return None
        self._names |= keys
        return accepted


def require_valid(reading: Reading) -> None:
    """Checks that a reading may be planned.

    Raises:
        InvalidManifests: it has errors, among them that no manifest was found.
    """
    if reading.errors:
        raise InvalidManifests(reading.diagnostics)
