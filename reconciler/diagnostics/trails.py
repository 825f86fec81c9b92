"""The way from the root of a schema to a rule that failed, with what is annotated along it.

The library tells the place of the rule but leaves references out of it, and an annotation such as
`x-secret` stands at a definition, not at the rule inside it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.kinds.schema_tree import Role
from reconciler.model import Json, JsonObject
from reconciler.values import dataclass

#: Keywords whose value is a mapping of names to schemas, or a list of schemas.
_CONTAINERS = frozenset({"properties", "patternProperties", "allOf", "prefixItems"})
#: Keywords that lead from a value to a part of it.
_STEPS = frozenset({"properties", "patternProperties", "additionalProperties", "items"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The schemas on the way, by the depth in the document that they speak of."""

    root: JsonObject
    #: for each depth the schemas of the value there, outermost first; the last is the failing one
    levels: tuple[tuple[JsonObject, ...], ...]
    #: whether the rule is about a key of the failing value and not about the value
    is_property_name: bool

    @property
    def secret_depth(self) -> int | None:
        """Depth of the reference to a secret that the rule is about or inside of, or None."""
        for depth, schemas in enumerate(self.levels):
            if any(schema.get(Role.SECRET.value) for schema in schemas):
                return depth
        return None

    def annotation(self, keyword: str) -> Json:
        """Returns what the innermost schema of the failing value says under `keyword`, or None."""
        return next(
            (schema[keyword] for schema in self.levels[-1][::-1] if keyword in schema), None
        )

    def property(self, name: str) -> JsonObject:
        """Returns the schema of one property of the failing value, its reference merged in."""
        return self.properties(-1).get(name, {})

    def properties(self, depth: int) -> dict[str, JsonObject]:
        """Returns the schemas of the properties of the value at `depth`, references merged in."""
        known: dict[str, JsonObject] = {}
        for schema in self.levels[depth]:
            known |= schema.get("properties", {})
        return {name: self.merged(schema) for name, schema in known.items()}

    def merged(self, schema: JsonObject) -> JsonObject:
        """Returns `schema` with what it refers to; what stands beside a reference wins."""
        found: dict[str, Json] = {}
        for part in reversed(_resolved(self.root, schema)):
            found |= part
        return found

    def example(self) -> Json:
        """Returns an example of the failing value or key, perhaps out of its parent's, or None."""
        for up, schemas in enumerate(self.levels[:-3:-1]):
            for schema in reversed(schemas):
                for example in schema.get("examples", ())[:1]:
                    if self.is_property_name:
                        return next(iter(example), None)
                    return _first_part(example) if up else example
        return None


def follow(root: JsonObject, schema_path: Iterable[str | int]) -> Trail:
    """Returns the trail from `root` along the path of a failing keyword."""
    here = _resolved(root, root)
    levels = [tuple(here)]
    is_property_name = in_container = is_step = False
    node: Json = root
    part: Any  # a name or an index; which one, the node before it decides
    for part in schema_path:
        if in_container:
            node, in_container = node[part], False
        else:
            node = next((schema[part] for schema in here if part in schema), None)
            is_step = part in _STEPS
            is_property_name = is_property_name or part == "propertyNames"
            in_container = part in _CONTAINERS
        if in_container or not isinstance(node, dict):
            continue
        here = _resolved(root, node)
        if is_step:
            levels.append(())
            is_step = False
        levels[-1] += tuple(here)
    return Trail(root=root, levels=tuple(levels), is_property_name=is_property_name)


def _resolved(root: JsonObject, schema: JsonObject) -> list[JsonObject]:
    """Returns a schema and what it refers to, in this order."""
    chain = [schema]
    while "$ref" in chain[-1]:
        node: Json = root
        for part in str(chain[-1]["$ref"]).removeprefix("#/").split("/"):
            node = node[part]
        chain.append(node)
    return chain


def _first_part(example: Json) -> Json:
    return next(iter(example.values() if isinstance(example, dict) else example), None)
