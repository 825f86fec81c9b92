"""What the shipped schema of a kind knows beyond the verdict: normal form, secrets, fields.

The stages ask here instead of importing Pydantic, which costs more than validating a thousand
files. Walking a schema for each of ten thousand documents would be slow too, so what runs per
document is compiled once into closures that touch only the fields that need work; what runs per
finding walks the tree. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import TypeAlias

from reconciler.kinds import durations, schema_tree
from reconciler.kinds.schema_tree import ABSENT, Node, Role
from reconciler.model import Json, JsonObject, Path, pointer
from reconciler.values import dataclass

_Normalise: TypeAlias = Callable[[Json], Json]
_Found: TypeAlias = list[tuple[str, JsonObject]]
_Collect: TypeAlias = Callable[[Json, str, _Found], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The discriminator, and the values of it, that a field belongs to: `method`, (`basic`,)."""

    field: str
    values: tuple[str, ...]


class Shape:
    """A manifest schema that fills defaults, finds references and names fields."""

    def __init__(self, schema: JsonObject) -> None:
        self._root = schema_tree.read(schema)
        spec = self._root.fields["spec"]
        self._normalise = _normaliser(self._root) or _same
        self._collect_secrets = _collector(spec, Role.SECRET) or _nothing
        self._collect_publics = _collector(spec, Role.PUBLIC) or _nothing

    def normalise(self, manifest: JsonObject) -> dict[str, Json]:
        """Returns the normal form of a valid `manifest`: defaults filled in, durations canonical.

        Idempotent, and total on what an older release stored: what does not fit is left as it is.
        `manifest` is not changed; the result shares parts with it and with other results, so it is
        only read.
        """
        normal: dict[str, Json] = self._normalise(dict(manifest))
        return normal

    def sparse(self, manifest: JsonObject) -> Json:
        """Returns a normal `manifest` without what a default would fill in again.

        So it stays the same when a release adds a field with a default, which the normal form does
        not. `normalise` gives the normal form back.
        """
        return _sparse((self._root,), manifest)

    def secrets(self, spec: JsonObject) -> tuple[tuple[str, JsonObject], ...]:
        """Returns the references to secrets in `spec` by their JSON pointers there, sorted."""
        return _collected(self._collect_secrets, spec)

    def publics(self, spec: JsonObject) -> tuple[tuple[str, JsonObject], ...]:
        """Returns the references to public material in `spec`, in the form of `secrets`."""
        return _collected(self._collect_publics, spec)

    def is_plain(self, path: Path) -> bool:
        """Returns whether the value at `path`, from the manifest's root, may be shown.

        It may where the path is a known field in some branch, and in no branch a secret, free-form
        or likely to hold a pasted credential.
        """
        nodes: Iterable[Node] = (self._root,)
        for part in path:
            nodes = tuple(_children(nodes, part))
            if any(node.role is Role.SECRET or not node.is_shown for node in nodes):
                return False
        return bool(nodes)

    def known_fields(self, path: Path, data: JsonObject) -> tuple[str, ...]:
        """Returns the fields that the mapping at `path` may have, sorted.

        `data` is the whole manifest, valid or not; its discriminators choose the branches. Empty
        where any key may stand.
        """
        nodes, here = self._at(path, data)
        return tuple(sorted({name for node in nodes for name in _fields(node, here)}))

    def fields_of_other_branches(self, path: Path, data: JsonObject) -> Mapping[str, Choice]:
        """Returns the fields that the mapping at `path` could have if it chose otherwise.

        Each with the choice that it belongs to.
        """
        known = self.known_fields(path, data)
        nodes, here = self._at(path, data)
        others: dict[str, Choice] = {}
        for node in nodes:
            for switch in (switch for active in node.branches(here) for switch in active.switches):
                values: dict[str, list[str]] = {}
                for value, branch in switch.branches.items():
                    # a branch may branch again: a grant of a method
                    inside = {name: 0 for part in branch.all_branches() for name in part.fields}
                    for name in inside:
                        values.setdefault(name, []).append(value)
                for name in sorted(values.keys() - set(known)):
                    others[name] = Choice(field=switch.on, values=tuple(values[name]))
        return others

    def _at(self, path: Path, data: Json) -> tuple[tuple[Node, ...], Json]:
        """Returns the nodes and the data at `path`, by the branches that `data` chooses."""
        nodes: tuple[Node, ...] = (self._root,)
        for part in path:
            active = (branch for node in nodes for branch in node.branches(data))
            nodes = tuple(child for node in active if (child := node.child(part)) is not None)
            data = _value(data, part)
        return nodes, data


def _sparse(nodes: tuple[Node, ...], value: Json) -> Json:
    """Returns what is left of a normal `value`, which stands at all of `nodes`."""
    if isinstance(value, list):
        items = tuple(node.items for node in nodes if node.items is not None)
        return [_sparse(items, each) for each in value]
    if not isinstance(value, Mapping):
        return value
    active = tuple(branch for node in nodes for branch in node.branches(value))
    kept: dict[str, Json] = {}
    for name, each in value.items():
        children = tuple(_children(active, name))
        rest = _sparse(children, each)
        if rest not in [_sparse(children, default) for default in _defaults(children)]:
            kept[name] = rest
    return kept


def _defaults(nodes: Iterable[Node]) -> Iterable[Json]:
    """Returns the defaults of one place, in their normal form."""
    return [
        (_normaliser(node) or _same)(node.default) for node in nodes if node.default is not ABSENT
    ]


def _children(nodes: Iterable[Node], part: str | int) -> Iterable[Node]:
    for node in nodes:
        for branch in node.all_branches():
            child = branch.child(part)
            if child is not None:
                yield child


def _fields(node: Node, data: Json) -> Iterable[str]:
    for branch in node.branches(data):
        yield from branch.fields


def _value(data: Json, part: str | int) -> Json:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


# What is compiled once per kind follows: a function per node, or None where there is nothing to do,
# so that a subtree without work costs nothing.


def _same(value: Json) -> Json:
    return value


def _duration(value: Json) -> Json:
    return durations.canonical_duration(value) if isinstance(value, str) else value


def _integer(value: Json) -> Json:
    # JSON has one type of number, so 5432.0 is the integer 5432 and must have its digest
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _normaliser(node: Node) -> _Normalise | None:
    if node.role is Role.DURATION:
        return _duration
    if node.role is Role.INTEGER:
        return _integer
    if node.items is not None:
        return _items_normaliser(node.items)
    if node.entries is not None:
        return _entries_normaliser(node.entries)
    return _object_normaliser(node)


def _items_normaliser(node: Node) -> _Normalise | None:
    item = _normaliser(node)
    if item is None:
        return None
    return lambda value: [item(each) for each in value] if isinstance(value, list) else value


def _entries_normaliser(node: Node) -> _Normalise | None:
    entry = _normaliser(node)
    if entry is None:
        return None

    def normalise(value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        return {key: entry(each) for key, each in value.items()}

    return normalise


def _object_normaliser(node: Node) -> _Normalise | None:
    defaults: dict[str, Json] = {}
    active: list[tuple[str, _Normalise]] = []
    for name, child in node.fields.items():
        normalise_child = _normaliser(child)
        if normalise_child is not None:
            active.append((name, normalise_child))
        if child.default is not ABSENT:
            defaults[name] = (normalise_child or _same)(child.default)
    switches = tuple(
        (switch.on, {value: _normaliser(branch) for value, branch in switch.branches.items()})
        for switch in node.switches
    )
    if not (defaults or active or switches):
        return None

    def normalise(value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        result = {**defaults, **value}
        for name, normalise_child in active:
            if name in value:
                result[name] = normalise_child(value[name])
        for on, branches in switches:
            chosen = result.get(on)
            branch = branches.get(chosen) if isinstance(chosen, str) else None
            if branch is not None:
                result = branch(result)
        return result

    return normalise


def _nothing(value: Json, at: str, found: _Found) -> None:
    """Collects nothing."""


def _collected(collect: _Collect, spec: JsonObject) -> tuple[tuple[str, JsonObject], ...]:
    found: _Found = []
    collect(spec, "", found)
    if len(found) > 1:
        found.sort(key=itemgetter(0))
    return tuple(found)


def _collector(node: Node, role: Role) -> _Collect | None:
    """Returns what collects the values of `role` under `node`, or None where there can be none."""
    if node.role is role:
        return lambda value, at, found: found.append((at, value))
    fields = [
        (name, pointer((name,)), collect)
        for name, child in node.fields.items()
        if (collect := _collector(child, role)) is not None
    ]
    entries = _collector(node.entries, role) if node.entries is not None else None
    switches = [
        (switch.on, table)
        for switch in node.switches
        if (table := _collectors(switch.branches, role))
    ]
    if not (fields or entries or switches):
        return None

    def collect_all(value: Json, at: str, found: _Found) -> None:
        if not isinstance(value, dict):
            return
        for name, step, collect in fields:
            if name in value:
                collect(value[name], at + step, found)
        if entries is not None:
            for key, each in value.items():
                entries(each, at + pointer((key,)), found)
        for on, table in switches:
            chosen = value.get(on)
            if isinstance(chosen, str) and chosen in table:
                table[chosen](value, at, found)

    return collect_all


def _collectors(branches: Mapping[str, Node], role: Role) -> dict[str, _Collect]:
    return {
        value: collect
        for value, branch in branches.items()
        if (collect := _collector(branch, role)) is not None
    }
