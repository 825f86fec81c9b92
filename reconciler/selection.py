"""Which connections a command line means: names, globs and labels, as pure matching.

A reference is `name`, `namespace/name` or `Kind/namespace/name`; two parts are always namespace
and name, so that a kind can never be mistaken for a namespace. Separate from `plan` because every
command that selects uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler import kinds
from reconciler.errors import ConfigError
from reconciler.model import Recorded, Ref
from reconciler.values import dataclass

_GLOB = frozenset("*?[")
#: kind, namespace, name
_PARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One parsed reference; a part that was not given is `*`."""

    text: str
    kind: str
    namespace: str
    name: str

    @property
    def is_glob(self) -> bool:
        return bool(_GLOB & set(self.text))

    def matches(self, ref: Ref) -> bool:
        """Whether `ref` is meant; case does not matter."""
        pairs = ((ref.kind, self.kind), (ref.namespace, self.namespace), (ref.name, self.name))
        return all(fnmatchcase(part.casefold(), wanted.casefold()) for part, wanted in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Names and labels together: a connection must match one name and every label."""

    references: tuple[Reference, ...] = ()
    #: key -> value
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def is_all(self) -> bool:
        return not (self.references or self.labels)

    def matches(self, ref: Ref, labels: Mapping[str, str]) -> bool:
        """Whether the connection `ref` with these labels is selected."""
        return self.names(ref) and all(labels.get(key) == value for key, value in self.labels)

    def names(self, ref: Ref) -> bool:
        """Whether the names alone select `ref`."""
        return not self.references or any(wanted.matches(ref) for wanted in self.references)


def matches_row(selector: Selector, row: Recorded) -> bool:
    """Whether a recorded connection is selected; parses its manifest only if labels are asked."""
    if not selector.labels:
        return selector.names(row.ref)
    return selector.matches(row.ref, row.manifest["metadata"].get("labels", {}))


def parse(names: Iterable[str] = (), labels: Iterable[str] = ()) -> Selector:
    """Returns the selector that the command line's names and `-l` options mean.

    Raises:
        ConfigError: a reference has no valid form, or a label is not `key=value`.
    """
    return Selector(
        references=tuple(parse_reference(name) for name in names),
        labels=tuple(_parse_label(part) for label in labels for part in label.split(",")),
    )


def parse_reference(text: str) -> Reference:
    """Returns the parsed reference.

    Raises:
        ConfigError: more than three parts, an empty one, or an unknown kind.
    """
    parts = text.split("/")
    if len(parts) > _PARTS or not all(parts):
        raise ConfigError(
            f"`{text}` is not a reference to a connection",
            "write `name`, `namespace/name` or `Kind/namespace/name`",
        )
    kind, namespace, name = (["*"] * (_PARTS - len(parts))) + parts
    return Reference(text=text, kind=_kind(kind), namespace=namespace, name=name)


def row_of(text: str, rows: Sequence[Recorded]) -> Recorded:
    """Returns the one of `rows` that `text` names: a live one, else the last archived one.

    Raises:
        ConfigError: none or several are named.
    """
    live = {row.ref: row for row in rows if row.status.is_live}
    every = {row.ref: row for row in sorted(rows, key=lambda row: row.updated_at)} | live
    wanted = parse_reference(text)
    return every[one(text, live if any(map(wanted.matches, live)) else every)]


def one(text: str, refs: Iterable[Ref]) -> Ref:
    """Returns the one ref that `text` names.

    Raises:
        ConfigError: none or several are named; the message lists near names or the candidates.
    """
    known = sorted(refs)
    found = [ref for ref in known if parse_reference(text).matches(ref)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise _unknown(text, known)
    raise _ambiguous(text, found)


def require(selector: Selector, refs: Iterable[Ref]) -> None:
    """Checks that every name of `selector` means something, and that only a glob means several.

    Raises:
        ConfigError: a name is unknown or ambiguous.
    """
    known = sorted(refs)
    for reference in selector.references:
        found = [ref for ref in known if reference.matches(ref)]
        if not found:
            raise _unknown(reference.text, known)
        if len(found) > 1 and not reference.is_glob:
            raise _ambiguous(reference.text, found)


def _unknown(text: str, known: list[Ref]) -> ConfigError:
    names = {name: str(ref) for ref in known for name in (ref.name, str(ref))}
    near = get_close_matches(text.rpartition("/")[2], names, n=1) or get_close_matches(
        text, names, n=1
    )
    hint = f"a similar connection exists: `{names[near[0]]}`" if near else "`status` lists them"
    return ConfigError(f"no connection matches `{text}`", hint)


def _ambiguous(text: str, found: list[Ref]) -> ConfigError:
    candidates = ", ".join(f"`{ref}`" for ref in found)
    return ConfigError(f"`{text}` names {len(found)} connections", f"name one of: {candidates}")


def _kind(text: str) -> str:
    name = kinds.named(text)
    if name is not None:
        return name
    if _GLOB & set(text):
        return text
    raise ConfigError(f"`{text}` is not a kind", f"the kinds are: {', '.join(kinds.KINDS)}")


def _parse_label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise ConfigError(f"`{text}` is not a label selector", "write `key=value`")
    return key, value
