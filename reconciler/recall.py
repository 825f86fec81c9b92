"""What a file of known bytes was read as, so that it need not be parsed again.

An apply leaves with its rows what each file held: which rows its documents became, and where they
stand. A later run finds the same bytes and takes the manifests from the rows. Nothing of this is
believed by itself: an entry counts only under a keyed hash (RFC 2104, with the key of the store)
over the path, the bytes, the version and schemas of this program and the policy for secrets, and
only while the rows hold the very manifests that were read. Whatever does not fit is read as if
nothing were known. Files with any finding, even a warning, are never remembered. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import cached_property

from reconciler import fingerprint, kinds
from reconciler._version import __version__
from reconciler.model import (
    Accepted,
    FileReading,
    Json,
    Location,
    ReadFile,
    Recorded,
    Resource,
    canonical,
)
from reconciler.settings import SecretPolicy
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What an entry is hashed with, beside what it is about."""

    fingerprint_key: bytes = field(repr=False)
    #: digest of all that decides what a file is read as, beside its bytes and the root
    rules: str
    #: the project root, which decides which files a manifest may name
    root: str

    @classmethod
    def of(cls, fingerprint_key: bytes, policy: SecretPolicy) -> Key:
        """Returns the key of a store, for this program under `policy`."""
        schemas = [canonical(kinds.schema(kind)) for kind in kinds.KINDS]
        rules = canonical([__version__, repr(replace(policy, root="")), schemas])
        return cls(
            fingerprint_key=fingerprint_key,
            rules=hashlib.sha256(rules.encode()).hexdigest(),
            root=policy.root,
        )

    def tag(self, path: str, digest: str, kept: str) -> str:
        """Returns the keyed hash of a file, of the digest of its bytes and of what is kept."""
        return fingerprint.of_reading(self.fingerprint_key, self.rules, path, digest, kept)


def entries(files: Iterable[ReadFile], key: Key) -> tuple[FileReading, ...]:
    """Returns what to keep of files that were read and found without fault."""
    return tuple(_entry(file, key) for file in files)


def _entry(file: ReadFile, key: Key) -> FileReading:
    # A checkout in another folder is another root, which most manifests have nothing to do with.
    names_files = any('"file":' in each.resource.text for each in file.accepted)
    documents = [
        (
            *(each.resource.ref.key, each.resource.digest),
            *(each.resource.location.line, each.resource.location.column),
            *(each.name_at.line, each.name_at.column),
        )
        for each in file.accepted
    ]
    kept = canonical([key.root if names_files else "", documents])
    return FileReading(path=file.path, fact=f"{key.tag(file.path, file.digest, kept)} {kept}")


class Recall:
    """What is known of files, from one store as it was at one moment."""

    def __init__(self, recorded: Iterable[Recorded], readings: Mapping[str, str], key: Key) -> None:
        """Takes the rows of a store and, by path, what it keeps of this stack's files."""
        self._rows = {row.ref.key: row for row in recorded if row.status.is_live}
        self._readings = readings
        self._key = key

    def accepted(self, path: str, content: bytes) -> list[Accepted] | None:
        """Returns what the file holds, or None where it has to be read."""
        tag, _, kept = self._readings.get(path, "").partition(" ")
        digest = hashlib.sha256(content).hexdigest()
        # Compared in constant time; `tag` is whatever somebody left in the store.
        if not kept or not hmac.compare_digest(tag.encode(), self._expected(path, digest, kept)):
            return None
        root, documents = json.loads(kept)
        if root not in ("", self._key.root):
            return None
        found: list[Accepted] = []
        for key, of_manifest, *places in documents:
            row = self._rows.get(key)
            if row is None or row.digest != of_manifest:
                return None
            found.append(_accepted(row, path, *places))
        return found

    def _expected(self, path: str, digest: str, kept: str) -> bytes:
        return self._key.tag(path, digest, kept).encode()


class _Manifest(Mapping[str, Json]):
    """The manifest of a row, parsed when something of it is asked for: most never are."""

    def __init__(self, row: Recorded) -> None:
        self._row = row

    @cached_property
    def _parsed(self) -> Mapping[str, Json]:
        return self._row.manifest

    def __getitem__(self, key: str) -> Json:
        return self._parsed[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)


def _accepted(  # noqa: PLR0917 - two places
    row: Recorded, path: str, line: int, column: int, name_line: int, name_column: int
) -> Accepted:
    resource = Resource(
        ref=row.ref,
        manifest=_Manifest(row),
        text=row.text,
        digest=row.digest,
        access_digest=row.access_digest,
        location=Location(path=path, line=line, column=column),
    )
    name_at = Location(path=path, line=name_line, column=name_column)
    return Accepted(resource=resource, name_at=name_at)
