"""Stage 2, pure: documents and schemas to resources, or every diagnostic there is.

`jsonschema-rs` gives the verdict on each document; only what it refuses is explained, field by
field, by `diagnostics.schema_errors`, so a run without mistakes never imports the slow library.
What a schema cannot say follows: a kind's own checks, which secrets may be named, and names that
clash between documents. A document is dropped as soon as it was looked at, since ten thousand of
them with their positions would fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from typing import TypeGuard, assert_never

import jsonschema_rs

from reconciler import kinds, settings
from reconciler.diagnostics import clashes, excerpts, wording
from reconciler.model import (
    Accepted,
    Diagnostic,
    Document,
    Json,
    JsonObject,
    Location,
    Path,
    Ref,
    Resource,
    Severity,
    canonical,
    pointer,
)
from reconciler.values import dataclass

#: Findings of a kind's checks that are about a name, so that the caret stands under the key.
_AT_KEY = frozenset({"E304"})
#: Source of a refused reference -> what to do.
_ELSEWHERE = {
    "env": "give the value to the program under another name",
    "file": "keep the file in the project or in a folder for secrets such as `/run/secrets`",
    "keyring": "use the service `reconciler`, or have the operator file allow this one",
}
#: Of every other source.
_GRANTED = "have whoever runs this machine grant it in the operator file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What a set of manifests wants, and everything that is wrong with it."""

    #: the valid ones, sorted by ref; of two with one name only the first
    resources: tuple[Resource, ...]
    #: those of the loader too, sorted by location
    diagnostics: tuple[Diagnostic, ...]
    #: documents that could be read, valid or not
    documents: int

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong enough to stop; warnings are not."""
        return any(finding.severity is Severity.ERROR for finding in self.diagnostics)


def validate(
    stream: Iterable[Document | Diagnostic | Accepted], policy: settings.SecretPolicy
) -> Validated:
    """Returns the resources that the documents of `stream` describe, and all diagnostics.

    Nothing stops at the first mistake, and a broken document hides no other. Which secrets may be
    named is `policy`'s to say; none is read. An accepted document has the name of no other.
    """
    resources: list[Resource] = []
    found: list[Diagnostic] = []
    names = clashes.Names()
    documents = 0
    for item in stream:
        match item:
            case Diagnostic():
                found.append(item)
            case Document():
                documents += 1
                _add(item, policy, names, resources, found)
            case Accepted():
                documents += 1
                names.declare(item.resource.ref, item.name_at)
                resources.append(item.resource)
            case _:
                assert_never(item)
    found.extend(names.clashes())
    return Validated(
        resources=tuple(sorted(resources, key=_by_ref)),
        diagnostics=tuple(sorted(found, key=_order)),
        documents=documents,
    )


def accept(
    stream: Iterable[Document | Diagnostic], policy: settings.SecretPolicy
) -> list[Accepted] | None:
    """Returns what remains of the documents of one file, or None where more has to be known.

    That is where there is anything to say, and where a document claims the names of others.
    """
    accepted: list[Accepted] = []
    names = clashes.Names()
    for item in stream:
        if isinstance(item, Diagnostic):
            return None
        resources: list[Resource] = []
        found: list[Diagnostic] = []
        _add(item, policy, names, resources, found)
        if found or not resources or resources[0].metadata.get("previousNames"):
            return None
        resource = resources[0]
        accepted.append(Accepted(resource=resource, name_at=names.declared(resource.ref)))
    return accepted


def _by_ref(resource: Resource) -> tuple[str, str, str]:
    # a tuple is compared in C, a Ref in Python
    return resource.ref.kind, resource.ref.namespace, resource.ref.name


def _order(finding: Diagnostic) -> tuple[Location, str, str]:
    return finding.location, finding.code, finding.pointer


def _add(
    document: Document,
    policy: settings.SecretPolicy,
    names: clashes.Names,
    resources: list[Resource],
    found: list[Diagnostic],
) -> None:
    kind = document.data.get("kind")
    version = document.data.get("apiVersion")
    if not _is_kind(kind) or (isinstance(version, str) and version != kinds.API_VERSION):
        found.extend(_unknown(document))
        return
    named = clashes.ref(document)
    clash = names.add(document, named, kinds.shape(kind).is_plain) if named else None
    if clash:
        found.append(clash)
    if not _verdict(kind).is_valid(document.data):
        from reconciler.diagnostics import schema_errors  # costs 0.1 s, only for what is wrong

        found.extend(schema_errors.explain(document, kind))
        return
    beside = list(_beside_schema(document, kind, policy))
    found.extend(beside)
    if named and not clash and all(entry.severity is Severity.WARNING for entry in beside):
        resources.append(_resource(document, named))


@cache
def _verdict(kind: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(kinds.schema(kind))


def _unknown(document: Document) -> Iterator[Diagnostic]:
    """Yields why it cannot be told by which schema to check."""
    version, kind = document.data.get("apiVersion"), document.data.get("kind")
    write = f"write `apiVersion: {kinds.API_VERSION}`"
    if version is None:
        yield _diagnostic(document, "E103", ("apiVersion",), "`apiVersion` is required", write)
    elif not isinstance(version, str):
        message = f"`apiVersion` must be text, not {wording.type_of(version)}"
        yield _diagnostic(document, "E105", ("apiVersion",), message, write)
    elif version != kinds.API_VERSION:
        message = f"unknown apiVersion `{wording.shown(version)}`"
        yield _diagnostic(document, "E101", ("apiVersion",), message, write)
        return
    every = wording.quoted(kinds.KINDS)
    if not isinstance(kind, str):
        missing = "`kind` is required" if kind is None else "`kind` must be text"
        yield _diagnostic(document, "E102", ("kind",), missing, f"write {every}")
    else:
        near = wording.similar(kind, kinds.KINDS)
        hint = f"a similar kind exists: `{near}`" if near else f"write {every}"
        yield _diagnostic(
            document, "E102", ("kind",), f"unknown kind `{wording.shown(kind)}`", hint
        )


def _beside_schema(
    document: Document, kind: str, policy: settings.SecretPolicy
) -> Iterator[Diagnostic]:
    """Yields what is wrong with a document that is valid by its schema."""
    spec = document.data["spec"]
    for finding in kinds.kind(kind).checks(spec):
        path = ("spec", *finding.path)
        yield _diagnostic(document, finding.code, path, finding.message, finding.hint)
    shape = kinds.shape(kind)
    for references, public in ((shape.secrets(spec), False), (shape.publics(spec), True)):
        for place, reference in references:
            denial = policy.denial(reference, public=public)
            if denial:
                path = ("spec", *_path(spec, place), *reference)
                message = f"the reference is refused: {denial}"
                hint = _ELSEWHERE.get(next(iter(reference)), _GRANTED)
                yield _diagnostic(document, "E302", path, message, hint)


def _resource(document: Document, ref: Ref) -> Resource:
    normal = kinds.shape(ref.kind).normalise(document.data)
    manifest = {"metadata": normal["metadata"], "spec": normal["spec"]}
    text = canonical(manifest)
    return Resource(
        ref=ref,
        manifest=manifest,
        text=text,
        digest=digest(text),
        access_digest=access_digest(ref.kind, manifest["spec"]),
        location=document.locate(()),
    )


def digest(text: str) -> str:
    """Returns the SHA-256 of a normal manifest as text: equal digests want the same."""
    return sha256(text.encode()).hexdigest()


def access_digest(kind: str, spec: JsonObject) -> str:
    """Returns the SHA-256 of what decides where and as whom a normal `spec` connects."""
    fields = kinds.kind(kind).access_fields
    access = {key: value for key, value in spec.items() if key in fields}
    return sha256(canonical({"kind": kind, "spec": access}).encode()).hexdigest()


def _diagnostic(
    document: Document, code: str, path: Path, message: str, hint: str = ""
) -> Diagnostic:
    kind = document.data.get("kind")
    is_plain = kinds.shape(kind).is_plain if _is_kind(kind) else _is_head
    where = excerpts.place(document, path, key=code in _AT_KEY)
    return Diagnostic(
        severity=Severity.WARNING if code.startswith("W") else Severity.ERROR,
        code=code,
        location=where.location,
        pointer=pointer(path),
        message=message,
        hint=hint,
        excerpt=excerpts.excerpt(document, where, is_plain),
    )


def _is_kind(kind: Json) -> TypeGuard[str]:
    return isinstance(kind, str) and kind in kinds.KINDS


def _is_head(path: Path) -> bool:
    return path in {("apiVersion",), ("kind",)}


def _path(data: Json, place: str) -> Path:
    """Returns a JSON pointer into `data` as a path (RFC 6901, section 4)."""
    path: list[str | int] = []
    for part in place.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        path.append(int(key) if isinstance(data, list) else key)
        data = data[path[-1]]
    return tuple(path)
