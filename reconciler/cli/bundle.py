"""One JSON Schema for manifests of every kind, for editors that choose a schema by folder.

Pure. The schemas of the kinds are put side by side, their definitions renamed so that they do not
clash, and `kind` decides which one holds: with `if`, since `oneOf` would make editors show the
mistakes of all kinds at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler import schema
from reconciler.model import Json

_REFERENCE = "#/$defs/"


def bundle(schemas: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the schema (2020-12) for any of `schemas`, which maps a kind to its own."""
    definitions: dict[str, Json] = {}
    for kind, own in schemas.items():
        renamed = _renamed(own, kind)
        definitions |= {f"{kind}.{name}": node for name, node in renamed.pop("$defs").items()}
        definitions[kind] = {
            key: node for key, node in renamed.items() if key not in ("$schema", "$id")
        }
    return {
        "$schema": schema.DIALECT,
        "$id": "urn:reconciler:v1:manifest",
        "title": "A manifest of reconciler",
        "type": "object",
        "properties": {"kind": {"description": "What is connected.", "enum": list(schemas)}},
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"{_REFERENCE}{kind}"},
            }
            for kind in schemas
        ],
        "$defs": definitions,
    }


def _renamed(node: Json, kind: str) -> Json:
    match node:
        case {"$ref": str(reference), **rest}:
            target = f"{_REFERENCE}{kind}.{reference.removeprefix(_REFERENCE)}"
            return {"$ref": target, **_renamed(rest, kind)}
        case dict():
            return {key: _renamed(value, kind) for key, value in node.items()}
        case list():
            return [_renamed(value, kind) for value in node]
        case _:
            return node
