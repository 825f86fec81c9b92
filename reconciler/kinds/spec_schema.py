"""How Pydantic models become JSON Schema here: no null, no `oneOf`, no `anyOf`.

A union is written as the object that all its branches are, with the discriminator as an
enumeration, and one if/then for each branch: users then read "`username` is required" and not "not
valid under any of the given schemas". A discriminator has no default, so it is required wherever
its object is written. Imports pydantic, and is imported by the generator only.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class SpecSchema(GenerateJsonSchema):
    """Writes the schema of a spec model in the style of this project."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Returns the schema without null: a field that may be absent is never null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Returns the schema with its default; None only says that the field may be absent."""
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        """Returns a default as JSON, absent fields left out."""
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", by_alias=True, exclude_none=True)
        return super().encode_default(dft)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Returns the schema of a free-form map, its keys under `propertyNames`."""
        result: JsonSchemaValue = {
            "type": "object",
            "propertyNames": self.generate_inner(schema["keys_schema"]),
            "additionalProperties": self.generate_inner(schema["values_schema"]),
        }
        for bound, keyword in (("min_length", "minProperties"), ("max_length", "maxProperties")):
            if bound in schema:
                result[keyword] = schema[bound]  # type: ignore[literal-required]  # both are keys
        return result

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Returns the object with its discriminator, and an if/then for each branch."""
        on = schema["discriminator"]
        if not isinstance(on, str):
            raise TypeError("a union is discriminated by one field")
        branches: list[tuple[list[str], JsonSchemaValue]] = []
        for tag, choice in schema["choices"].items():
            then = self.generate_inner(choice)  # a reference, or a union inside of this one
            known = next((tags for tags, branch in branches if branch == then), None)
            if known is None:
                branches.append(([str(tag)], then))
            else:
                known.append(str(tag))
        every = [tag for tags, _ in branches for tag in tags]
        return {
            "type": "object",
            "properties": {
                on: {
                    "type": "string",
                    "title": on.capitalize(),
                    "description": "Decides which other fields there are.",
                    "enum": every,
                }
            },
            "required": [on],
            "allOf": [
                {"if": {"properties": {on: _test(tags)}, "required": [on]}, "then": then}
                for tags, then in branches
            ],
        }


def _test(tags: list[str]) -> JsonSchemaValue:
    return {"const": tags[0]} if len(tags) == 1 else {"enum": tags}
