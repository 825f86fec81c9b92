"""What only shows between documents: two of one name, and renames that cannot be meant.

Documents are dropped after they were checked, so this keeps a few words of each: its name and where
it stands. A document with errors takes part as far as its name can be read, or a mistake in one
field would hide that it is a copy. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.diagnostics import excerpts, wording
from reconciler.model import (
    Diagnostic,
    Document,
    Excerpt,
    Json,
    Location,
    Path,
    Ref,
    Severity,
    pointer,
)
from reconciler.values import dataclass

DEFAULT_NAMESPACE = "default"
NAME: Path = ("metadata", "name")
_PREVIOUS: Path = ("metadata", "previousNames")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """One entry of `previousNames`."""

    by: Ref
    former: Ref
    path: Path
    location: Location
    excerpt: Excerpt | None


def ref(document: Document) -> Ref | None:
    """Returns the name that `document` has, or None where kind or name cannot be read."""
    kind, metadata = document.data.get("kind"), document.data.get("metadata")
    if not isinstance(kind, str) or not isinstance(metadata, dict):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
    if not isinstance(name, str) or not isinstance(namespace, str):
        return None
    return Ref(kind=kind, namespace=namespace, name=name)


class Names:
    """The names of one run, gathered document by document."""

    def __init__(self) -> None:
        self._declared: dict[str, Location] = {}
        self._claims: list[_Claim] = []

    def add(self, document: Document, named: Ref, is_plain: excerpts.IsPlain) -> Diagnostic | None:
        """Takes note of a document; returns E201 where an earlier one has the same name."""
        location = document.locate(NAME)
        first = self._declared.setdefault(named.key, location)
        if first is not location:
            where = excerpts.place(document, NAME)
            return Diagnostic(
                severity=Severity.ERROR,
                code="E201",
                location=where.location,
                pointer=pointer(NAME),
                message=f"two manifests are named {_shown(named)}",
                hint="rename one of them, or delete the copy",
                excerpt=excerpts.excerpt(document, where, is_plain),
                related=((first, "first declared here"),),
            )
        self._claim(document, named, is_plain)
        return None

    def declare(self, named: Ref, location: Location) -> None:
        """Takes note of a name that is known to be free."""
        self._declared[named.key] = location

    def clashes(self) -> Iterator[Diagnostic]:
        """Yields what is wrong with `previousNames`, now that every name is known."""
        seen: dict[str, _Claim] = {}
        # a name whose bearer was called differently is free: names may be swapped
        renamed = {claim.by.key for claim in self._claims if claim.by.key != claim.former.key}
        for claim in sorted(self._claims, key=lambda claim: claim.location):
            key = claim.former.key
            if key == claim.by.key:
                yield _finding(claim, "E204", "the manifest lists its own name as a previous one")
                continue
            earlier = seen.setdefault(key, claim)
            if earlier is not claim:
                yield _finding(
                    claim,
                    "E203",
                    f"the previous name {_shown(claim.former)} is claimed twice",
                    ((earlier.location, "first claimed here"),),
                )
            elif key in self._declared and key not in renamed:
                yield _finding(
                    claim,
                    "E202",
                    f"the previous name {_shown(claim.former)} is still declared",
                    ((self._declared[key], "declared here"),),
                )

    def _claim(self, document: Document, named: Ref, is_plain: excerpts.IsPlain) -> None:
        entries: Json = document.data["metadata"].get("previousNames")
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, str) or not entry:
                continue
            namespace, _, name = entry.rpartition("/")
            path = (*_PREVIOUS, index)
            where = excerpts.place(document, path)
            self._claims.append(
                _Claim(
                    by=named,
                    former=Ref(kind=named.kind, namespace=namespace or named.namespace, name=name),
                    path=path,
                    location=where.location,
                    excerpt=excerpts.excerpt(document, where, is_plain),
                )
            )


_HINTS = {
    "E202": "delete the entry, or the other manifest",
    "E203": "delete one of the two entries",
    "E204": "delete the entry",
}


def _finding(
    claim: _Claim, code: str, message: str, related: tuple[tuple[Location, str], ...] = ()
) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR,
        code=code,
        location=claim.location,
        pointer=pointer(claim.path),
        message=message,
        hint=_HINTS[code],
        excerpt=claim.excerpt,
        related=related,
    )


def _shown(named: Ref) -> str:
    return "/".join(wording.shown(part) for part in (named.kind, named.namespace, named.name))
