"""What a connection is: one module per kind, found through a static table.

`kinds/<x>.py` holds what the pure stages need of a kind and imports no pydantic, so that
`validate` starts fast; `kinds/<x>_spec.py` holds the Pydantic model, the one truth from which the
JSON Schema is generated. Run-time code reads the generated, shipped schema through `shape`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib import import_module

from reconciler.kinds.shape import Shape
from reconciler.model import Endpoint, Json, JsonObject, Path, canonical
from reconciler.values import dataclass

API_VERSION = "reconciler/v1"

#: Kind -> where its `Kind` value is.
KINDS = {
    "ApiConnection": "reconciler.kinds.api:KIND",
    "SqlConnection": "reconciler.kinds.sql:KIND",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mistake that a schema cannot say, found by a kind's `checks`."""

    code: str
    #: inside `spec`
    path: Path
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the pure stages know of one kind."""

    name: str
    #: short form on the command line, in lower case
    alias: str
    #: top-level keys of `spec` that decide where and as whom we connect
    access_fields: frozenset[str]
    #: where the Pydantic model is, "module:attribute"; imported by the generator and the probes
    model: str
    #: what a schema cannot say; gets the spec as written, valid by the schema
    checks: Callable[[JsonObject], Iterator[Finding]]
    #: where, how and as whom a normalised spec connects
    endpoint: Callable[[JsonObject], Endpoint]
    #: what a person has to agree to before a normalised spec can connect, or None
    consent: Callable[[JsonObject], JsonObject | None] = lambda _: None
    #: fields of `auth` that say where a credential goes, and not which one
    login_addresses: frozenset[str] = frozenset()


@cache
def kind(name: str) -> Kind:
    """Returns the kind called `name`, a key of `KINDS`."""
    module, attribute = KINDS[name].split(":")
    value: Kind = getattr(import_module(module), attribute)
    return value


def named(text: str) -> str | None:
    """Returns the kind that `text` names, by name or alias, in any case; None where none does."""
    wanted = text.casefold()
    return next((name for name in KINDS if wanted in (name.casefold(), kind(name).alias)), None)


@cache
def schema(name: str) -> Json:
    """Returns the shipped JSON Schema of the whole manifest of kind `name`."""
    # not by `importlib.resources`, whose import takes longer than reading fifty manifests
    package = __file__.removesuffix("kinds/__init__.py")
    try:
        return _read(f"{package}schemas/v1/{name}.json")
    except FileNotFoundError:  # the wheel has the schemas inside the package, a checkout beside it
        return _read(f"{package}../schemas/v1/{name}.json")


def _read(path: str) -> Json:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


@cache
def shape(name: str) -> Shape:
    """Returns the schema of kind `name` as something that can fill defaults and find secrets."""
    return Shape(schema(name))


def intent(name: str, manifest: JsonObject) -> str:
    """Returns the SHA-256 of what the author of a normal `manifest` of kind `name` wrote.

    Unlike the digest of the normal form it is the same after a release that adds a field with a
    default.
    """
    return sha256(canonical(shape(name).sparse(manifest)).encode()).hexdigest()
