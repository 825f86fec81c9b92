"""The generated JSON Schema as a tree of typed nodes: references resolved, branches in tables.

Reads exactly the subset that `schema` generates (JSON Schema 2020-12: `$ref` with siblings,
`properties`, `additionalProperties`, `items`, `allOf` of if/then on one discriminator) and our
`x-` annotations; the verdict on a document is not given here. Apart from `shape`, which walks the
tree, so that reading a schema and using it can each be read on one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Final

from reconciler.model import Json, JsonObject
from reconciler.values import dataclass


class Role(Enum):
    """What a value is to the tool, apart from its JSON type."""

    PLAIN = "plain"
    SECRET = "x-secret"
    PUBLIC = "x-public"
    DURATION = "x-duration"
    INTEGER = "integer"


#: Stands for "no default", since None is a JSON value.
ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What the schema says of one place in a document."""

    role: Role = Role.PLAIN
    #: whether an excerpt shows a scalar that stands here
    is_shown: bool = True
    default: Json = ABSENT
    fields: Mapping[str, Node] = field(default_factory=dict)
    #: what the entries of a free-form map are
    entries: Node | None = None
    items: Node | None = None
    switches: tuple[Switch, ...] = ()

    def branches(self, data: Json) -> Iterator[Node]:
        """Yields itself and the branches that the discriminators in `data` choose, recursively."""
        yield self
        for switch in self.switches:
            branch = switch.choose(data)
            if branch is not None:
                yield from branch.branches(data)

    def all_branches(self) -> Iterator[Node]:
        """Yields itself and every branch, chosen or not, recursively."""
        yield self
        for switch in self.switches:
            for branch in switch.branches.values():
                yield from branch.all_branches()

    def child(self, part: str | int) -> Node | None:
        """Returns what stands under a key or an index, without looking into branches."""
        if isinstance(part, int):
            return self.items
        return self.fields.get(part, self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Branches of an object, chosen by the text of one of its fields."""

    #: the discriminator
    on: str
    #: text of the discriminator -> what else holds then
    branches: Mapping[str, Node]

    def choose(self, data: Json) -> Node | None:
        """Returns the branch that `data` chooses, or None where it chooses none."""
        value = data.get(self.on) if isinstance(data, Mapping) else None
        return self.branches.get(value) if isinstance(value, str) else None


def read(schema: JsonObject) -> Node:
    """Returns the tree of a generated `schema`; it has no recursive definition."""
    return _node(schema, schema.get("$defs", {}))


def _node(schema: JsonObject, definitions: JsonObject) -> Node:
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        # what stands beside a reference is about this one use of the definition
        schema = {**target, **schema, "$ref": ""}
        del schema["$ref"]
    excerpt = schema.get("x-excerpt")
    entries = schema.get("additionalProperties")
    items = schema.get("items")
    return Node(
        role=_role(schema),
        is_shown=excerpt != "mask",
        default=schema.get("default", ABSENT),
        fields={
            name: _node(child, definitions) for name, child in schema.get("properties", {}).items()
        },
        entries=(
            replace(_node(entries, definitions), is_shown=excerpt == "show")
            if isinstance(entries, Mapping)
            else None
        ),
        items=_node(items, definitions) if isinstance(items, Mapping) else None,
        switches=tuple(_switches(schema.get("allOf", ()), definitions)),
    )


def _role(schema: JsonObject) -> Role:
    for role in (Role.SECRET, Role.PUBLIC, Role.DURATION):
        if schema.get(role.value):
            return role
    types = schema.get("type", ())
    return (
        Role.INTEGER if "integer" in ([types] if isinstance(types, str) else types) else Role.PLAIN
    )


def _switches(rules: list[JsonObject], definitions: JsonObject) -> Iterator[Switch]:
    """Yields the if/then rules, those on the same discriminator joined to one table."""
    tables: dict[str, dict[str, Node]] = {}
    for rule in rules:
        ((on, test),) = rule["if"]["properties"].items()
        branch = _node(rule["then"], definitions)
        for value in test.get("enum", (test.get("const"),)):
            tables.setdefault(on, {})[value] = branch
    for on, branches in tables.items():
        yield Switch(on=on, branches=branches)
