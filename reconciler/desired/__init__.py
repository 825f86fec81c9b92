"""Stages 1 and 2 together: paths -> manifests that are valid, and everything that is wrong.

Apart from `reconcile` because `validate` needs nothing of what comes after and so starts faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from reconciler import beneath, validate
from reconciler.desired import shares
from reconciler.diagnostics import clashes
from reconciler.errors import InvalidManifests
from reconciler.manifests import find, read
from reconciler.model import Accepted, Diagnostic, Document, ReadFile, Resource, Severity
from reconciler.recall import Recall
from reconciler.settings import SecretPolicy, Settings
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
    #: files that were read and have no fault, where they are to be recalled
    read: tuple[ReadFile, ...] = ()
    #: paths of files that were recalled and not read
    recalled: frozenset[str] = frozenset()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)


def read_manifests(
    paths: Sequence[str],
    *,
    settings: Settings,
    cwd: str,
    stdin: BinaryIO | None = None,
    recall: Recall | None = None,
    keeps: bool = False,
) -> Reading:
    """Reads and validates everything under `paths`; mistakes are in the result, never raised.

    Thousands of files are shared among the processors; those that `recall` knows are not parsed,
    and of the others the result tells with `keeps` what has to be known to recall them.
    """
    found = find.find(paths, root=settings.root, cwd=cwd)
    recalled = _recalled(found, recall) if recall else {}
    unknown = [file for file in found.files if file.path not in recalled]
    stream = _Stream(
        shares.hand_out(unknown, settings.secrets), recalled, settings.secrets, keeps=keeps
    )
    validated = validate.validate(stream.items(found, stdin), settings.secrets)
    return Reading(
        resources=validated.resources,
        diagnostics=validated.diagnostics,
        files=len(found.files),
        documents=validated.documents,
        roots=found.roots,
        read=tuple(stream.read),
        recalled=frozenset(recalled),
    )


def _recalled(found: find.Found, recall: Recall) -> dict[str, Sequence[Accepted]]:
    """Returns by path what those files hold whose bytes are known."""
    known: dict[str, Sequence[Accepted]] = {}
    with beneath.open_folders() as folders:
        for file in found.files:
            content = read.content(file, folders)
            accepted = None if content is None else recall.accepted(file.path, content)
            if accepted is not None:
                known[file.path] = accepted
    return known


class _Stream:
    """The documents of all files, some of them checked by other processes, some recalled."""

    def __init__(
        self,
        handed_out: Sequence[shares.Share],
        recalled: Mapping[str, Sequence[Accepted]],
        policy: SecretPolicy,
        *,
        keeps: bool,
    ) -> None:
        self._shares = {share.files[0].path: share for share in handed_out}
        self._recalled = recalled
        self._policy = policy
        self._keeps = keeps
        #: without fault, where they are to be kept
        self.read: list[ReadFile] = []
        #: what the share that is being read has answered
        self._answers: dict[str, ReadFile] = {}
        #: keys of all names so far: whoever bears one of them must be compared here
        self._names: set[str] = set()

    def items(
        self, found: find.Found, stdin: BinaryIO | None
    ) -> Iterator[Document | Diagnostic | Accepted]:
        """Yields everything, in the order of the files."""
        documents = read.documents(found, stdin, self._known)
        has_answers = self._shares or self._recalled or self._keeps
        return self._watched(documents) if has_answers else documents

    def _watched(
        self, documents: Iterator[Document | Diagnostic | Accepted]
    ) -> Iterator[Document | Diagnostic | Accepted]:
        for item in documents:
            named = clashes.ref(item) if isinstance(item, Document) else None
            if named is not None:
                self._names.add(named.key)
            yield item

    def _known(self, file: find.File, folders: beneath.Folders) -> Sequence[Accepted] | None:
        accepted, answer = self._recalled.get(file.path), None
        if accepted is None:
            answer = self._answer(file, folders)
            if answer is None:
                return None
            accepted = answer.accepted
        keys = {each.resource.ref.key for each in accepted}
        if not self._names.isdisjoint(keys):
            return None
        self._names |= keys
        if answer is not None and self._keeps:
            self.read.append(answer)
        return accepted

    def _answer(self, file: find.File, folders: beneath.Folders) -> ReadFile | None:
        share = self._shares.pop(file.path, None)
        if share is not None:
            self._answers = share.collect()
        answer = self._answers.pop(file.path, None)
        if answer is None and self._keeps:
            return shares.check(file, folders, self._policy)
        return answer


def require_valid(reading: Reading) -> None:
    """Checks that a reading may be planned.

    Raises:
        InvalidManifests: it has errors, among them that no manifest was found.
    """
    if reading.errors:
        raise InvalidManifests(reading.diagnostics)
