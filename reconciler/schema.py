"""Generates the JSON Schema of a kind from its Pydantic model, and the draft-07 twin of it.

Run when the specs change, never by a stage: stages read what was generated and checked in, and a
test keeps the two equal. Pydantic is imported only when something is generated, so that `schema`
prints a shipped schema without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from reconciler import kinds
from reconciler.model import Json, JsonObject

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DIALECT_7 = "http://json-schema.org/draft-07/schema#"


def generate(name: str) -> dict[str, Json]:
    """Returns the JSON Schema (2020-12) of a whole manifest of kind `name`, a key of `KINDS`.

    Its `$id` is a name and no address, and every `$ref` points into the schema: nothing is fetched.
    """
    from reconciler.kinds.spec_schema import SpecSchema

    module, attribute = kinds.kind(name).model.split(":")
    model = getattr(import_module(module), attribute)
    body: dict[str, Json] = model.model_json_schema(by_alias=True, schema_generator=SpecSchema)
    definitions = body.pop("$defs")
    return {
        "$schema": DIALECT,
        "$id": f"urn:reconciler:v1:{name}",
        **body,
        "$defs": dict(sorted(definitions.items())),
    }


def draft7(schema: JsonObject) -> dict[str, Json]:
    """Returns the same schema in draft-07, which more editors read.

    Definitions move to `definitions`, and a `$ref` with siblings into an `allOf`, since draft-07
    ignores whatever stands beside a reference (Core, section 8.3).
    """
    twin: dict[str, Json] = _draft7(schema)
    return {**twin, "$schema": DIALECT_7, "$id": f"{schema['$id']}:draft-07"}


def _draft7(node: Json) -> Json:
    if isinstance(node, list):
        return [_draft7(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    result = {
        ("definitions" if key == "$defs" else key): _draft7(value) for key, value in node.items()
    }
    if "$ref" not in result:
        return result
    reference = {"$ref": result.pop("$ref").replace("#/$defs/", "#/definitions/")}
    if not result:
        return reference
    return {"allOf": [reference, *result.pop("allOf", [])], **result}
