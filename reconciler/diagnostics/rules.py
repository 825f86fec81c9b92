"""What each rule of JSON Schema means when a field breaks it: one function and one code a rule.

Apart from `schema_errors`, which asks the library which rules were broken, decides which of them
are first causes and gives them a place. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from reconciler import kinds
from reconciler.diagnostics import foreign, names, references, trails, wording
from reconciler.kinds import engines
from reconciler.kinds.schema_tree import Role
from reconciler.kinds.shape import Choice
from reconciler.model import Document, Json, Path
from reconciler.values import dataclass

#: Fields that only the program writes; they come from exports and other tools' habits.
READ_ONLY = frozenset(
    {
        "status", "uid", "generation", "revision", "resourceVersion", "creationTimestamp",
        "createdAt", "updatedAt", "deletionTimestamp", "managedFields", "selfLink",
    }
)  # fmt: skip
#: With more fields than this the hint would be a list that nobody reads.
LONGEST_LIST = 16
#: With more owners than this a field's message would be one.
LONGEST_CHOICE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One mistake, before it is given a place in the file."""

    code: str
    path: Path
    message: str
    hint: str = ""
    is_key: bool = False
    #: the value does not even fit the field, so it may be anything, also a secret
    is_alien: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One rule of the schema that a document breaks."""

    path: Path
    #: what the rule says, the value of its keyword
    limit: Json
    value: Json
    trail: trails.Trail
    document: Document
    kind: str

    @property
    def field(self) -> str:
        return f"`{wording.field(self.path)}`"

    @property
    def shown(self) -> str:
        """The value in back-ticks with a blank before it, or empty where it is not for display."""
        is_scalar = not isinstance(self.value, dict | list)
        can_show = is_scalar and kinds.shape(self.kind).is_plain(self.path)
        return (
            f" `{wording.shown(self.value)}`" if can_show and wording.may_show(self.value) else ""
        )


def explain(rule: str, failure: Failure) -> Iterator[Fault]:
    """Yields what it means that `failure` breaks `rule`, a keyword of JSON Schema."""
    if failure.trail.secret_depth is not None:
        yield _secret(failure, failure.trail.secret_depth)
    elif failure.trail.is_property_name:
        yield _property_name(failure)
    elif names.is_name(failure.path) and rule != "type":
        message, hint = names.explain(failure.path, failure.value)
        yield Fault(code="E108", path=failure.path, message=message, hint=hint)
    else:
        yield from _RULES.get(rule, _other)(failure)


def _additional_properties(failure: Failure) -> Iterator[Fault]:
    data, fields = failure.document.data, kinds.shape(failure.kind)
    known = fields.known_fields(failure.path, data)
    elsewhere = fields.fields_of_other_branches(failure.path, data)
    for key in failure.value:
        if key not in known:
            yield _unknown_field(failure.kind, (*failure.path, key), known, elsewhere)


def _unknown_field(
    kind: str, path: Path, known: Iterable[str], elsewhere: Mapping[str, Choice]
) -> Fault:
    key = str(path[-1])
    if key in elsewhere:
        choice = elsewhere[key]
        is_short = len(choice.values) <= LONGEST_CHOICE
        owner = f"{choice.field} {wording.quoted(choice.values)}"
        message = f"`{key}` belongs to {owner if is_short else f'other {choice.field}s'}"
        hint = f"delete it, or choose another `{choice.field}`"
        return Fault(code="E113", path=path, message=message, hint=hint, is_key=True)
    if key in READ_ONLY:
        message = f"`{wording.name(key)}` is written by the program, not in a manifest"
        return Fault(code="E112", path=path, message=message, hint="delete it", is_key=True)
    hint = foreign.field_hint(kind, path, known)
    if not hint:
        near = wording.similar(key, known)
        hint = f"a similar field exists: `{near}`" if near else _list_of(known)
    message = f"unknown field `{wording.name(key)}`"
    return Fault(code="E104", path=path, message=message, hint=hint, is_key=True)


def _list_of(known: Iterable[str]) -> str:
    listed = sorted(known)
    return f"fields here: {wording.quoted(listed, 'and')}" if len(listed) <= LONGEST_LIST else ""


def _required(failure: Failure) -> Iterator[Fault]:
    for key in failure.limit:
        if key not in failure.value:
            path = (*failure.path, key)
            message = f"`{wording.field(path)}` is required"
            hint = _how_to_write(failure, key)
            yield Fault(code="E103", path=path, message=message, hint=hint, is_key=True)


def _how_to_write(failure: Failure, key: str) -> str:
    found = failure.trail.property(key)
    if found.get(Role.SECRET.value):
        return f"add `{key}: {{env: {references.env_name(failure.document.data, key)}}}`"
    if "enum" in found:
        return f"add `{key}`, one of {wording.quoted(found['enum'])}"
    for example in (*found.get("examples", ()), *([found["const"]] if "const" in found else [])):
        return f"add `{key}: {wording.shown(example)}`"
    return f"add `{key}`"


def _type(failure: Failure) -> Iterator[Fault]:
    wanted = failure.limit if isinstance(failure.limit, list) else [failure.limit]
    if failure.trail.annotation(Role.DURATION.value) and failure.value is not None:
        yield _duration(failure)
        return
    is_reference = failure.trail.annotation(Role.PUBLIC.value)
    words = "a reference" if is_reference else " or ".join(wording.TYPES[entry] for entry in wanted)
    given = (
        "a decimal number" if isinstance(failure.value, float) else wording.type_of(failure.value)
    )
    message = f"{failure.field} must be {words}, not {given}"
    hint = foreign.value_hint(failure.kind, failure.path, failure.value)
    hint = hint or _retype(failure, wanted)
    is_alien = isinstance(failure.value, str) or not {"array", "object"}.isdisjoint(wanted)
    yield Fault(code="E105", path=failure.path, message=message, hint=hint, is_alien=is_alien)


def _retype(failure: Failure, wanted: list[str]) -> str:
    """Returns how to write the value so that it has the type of the field, or `""`."""
    key = failure.path[-1] if failure.path else ""
    if failure.value is None:
        return "delete the line, or write a value"
    if failure.trail.annotation(Role.PUBLIC.value):
        return f"write `{key}: {{file: path}}`"
    if "string" in wanted and (isinstance(failure.value, bool) or _is_number(failure.value)):
        return "put it in quotes"
    if isinstance(failure.value, str) and {"integer", "number", "boolean"} & set(wanted):
        return "write it without quotes" if _reads_as(failure.value, wanted) else ""
    if "array" in wanted and not isinstance(failure.value, dict):
        return f"write `{key}: [...]`"
    return ""


def _reads_as(text: str, wanted: list[str]) -> bool:
    if "boolean" in wanted:
        return text in {"true", "false"}
    return text.isascii() and text.isdigit()


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _allowed(failure: Failure) -> Iterator[Fault]:
    allowed = failure.limit if isinstance(failure.limit, list) else [failure.limit]
    near = engines.named(str(failure.value)) if failure.path == ("spec", "engine") else ""
    hint = "" if near else foreign.value_hint(failure.kind, failure.path, failure.value)
    near = near or wording.similar(str(failure.value), (str(entry) for entry in allowed))
    hint = hint or (f"a similar value exists: `{near}`" if near else "")
    one_of = "one of " if len(allowed) > 1 else ""
    message = f"{failure.field} must be {one_of}{wording.quoted(allowed)}"
    if failure.shown and len(allowed) > LONGEST_CHOICE:
        # what was meant is worth more than all that there is
        message = f"{failure.field} does not know{failure.shown}"
        hint = hint or f"it is one of {wording.quoted(allowed)}"
    yield Fault(code="E106", path=failure.path, message=message, hint=hint)


def _range(failure: Failure) -> Iterator[Fault]:
    low, high = failure.trail.annotation("minimum"), failure.trail.annotation("maximum")
    words = (
        f"from {low} to {high}"
        if None not in (low, high)
        else (f"at least {low}" if high is None else f"at most {high}")
    )
    message = f"{failure.field} must be {words}, not{failure.shown}"
    yield Fault(code="E107", path=failure.path, message=message)


def _pattern(failure: Failure) -> Iterator[Fault]:
    if failure.trail.annotation(Role.DURATION.value):
        yield _duration(failure)
        return
    message = f"{failure.field} has the wrong form"
    yield Fault(code="E109", path=failure.path, message=message, hint=_for_example(failure))


def _for_example(failure: Failure) -> str:
    example = failure.trail.example()
    return "" if example is None else f"for example `{wording.shown(example)}`"


def _duration(failure: Failure) -> Fault:
    if not _is_number(failure.value):
        message = f"{failure.field} is not a duration"
        hint = "write a number and a unit: `500ms`, `30s`, `5m`, `1h` or `7d`"
        return Fault(code="E110", path=failure.path, message=message, hint=hint)
    number = f"{failure.value:.15g}"
    message = f"{failure.field} is a duration and needs a unit"
    hint = f"write `{number}s` or `{number}ms`"
    return Fault(code="E110", path=failure.path, message=message, hint=hint)


def _count(words: str, unit: str, units: str) -> Callable[[Failure], Iterator[Fault]]:
    def rule(failure: Failure) -> Iterator[Fault]:
        limit = f"{failure.limit} {unit if failure.limit == 1 else units}"
        message = f"{failure.field} must have {words} {limit}, not {len(failure.value)}"
        yield Fault(code="E111", path=failure.path, message=message)

    return rule


def _repeated(failure: Failure) -> Iterator[Fault]:
    for index, item in enumerate(failure.value):
        if item in failure.value[:index]:
            path = (*failure.path, index)
            message = f"{failure.field} holds an item twice"
            yield Fault(code="E114", path=path, message=message, hint="delete one of the two")


def _other(failure: Failure) -> Iterator[Fault]:
    yield Fault(code="E109", path=failure.path, message=f"{failure.field} does not fit the schema")


def _property_name(failure: Failure) -> Fault:
    path = (*failure.path, failure.value)
    code = "E118" if failure.path == ("spec", "headers") else "E109"
    message = f"`{wording.name(failure.value)}` is not a valid key of {failure.field}"
    return Fault(code=code, path=path, message=message, hint=_for_example(failure), is_key=True)


def _secret(failure: Failure, depth: int) -> Fault:
    path = failure.path[:depth]
    sources = failure.trail.properties(depth)
    code, message, hint = references.explain(failure.document.data, path, sources)
    return Fault(code=code, path=path, message=message, hint=hint)


#: Keyword of JSON Schema -> what it means when it fails; of one value the first one is reported.
_RULES: dict[str, Callable[[Failure], Iterator[Fault]]] = {
    "type": _type,
    "const": _allowed,
    "enum": _allowed,
    "required": _required,
    "additionalProperties": _additional_properties,
    "minLength": _count("at least", "character", "characters"),
    "maxLength": _count("at most", "character", "characters"),
    "pattern": _pattern,
    "minimum": _range,
    "maximum": _range,
    "minItems": _count("at least", "item", "items"),
    "maxItems": _count("at most", "item", "items"),
    "minProperties": _count("at least", "entry", "entries"),
    "maxProperties": _count("at most", "entry", "entries"),
    "uniqueItems": _repeated,
}
_RANKS = {rule: rank for rank, rule in enumerate(_RULES)}


def rank(rule: str) -> int:
    """Returns the place of `rule` in the order in which those of one value are worth telling."""
    return _RANKS.get(rule, len(_RANKS))
