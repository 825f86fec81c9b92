"""Dataclasses that cost a seventh to make: what every module of values uses.

`dataclasses.dataclass` compiles six functions for each class, which takes half a millisecond; with
the hundred classes of this package that was a third of the start of a short command. Here five of
the six are functions that ask for the class's fields, and `__init__` is compiled when the first
instance is made, which of most classes none is. Everything else is the standard library's, so that
`replace`, `fields` and `asdict` work; a test holds the two equal. To a type checker this *is*
`dataclasses.dataclass`. Pure; the bottom floor.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass

_Value = TypeVar("_Value")
_Fields = tuple[Field[Any], ...]

_ORDER = {
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
}


def _dataclass(
    *, frozen: bool, slots: bool, kw_only: bool = False, order: bool = False
) -> Callable[[type[_Value]], type[_Value]]:
    """Returns what makes a class a value; it is frozen and slotted and has no `__post_init__`."""
    assert frozen
    assert slots
    bare = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)

    def make(plain: type[_Value]) -> type[_Value]:
        assert not hasattr(plain, "__post_init__")
        made = bare(plain)
        fields = dataclasses.fields(made)  # type: ignore[arg-type]  # it is one since the line above
        for name, method in _methods(made, fields, order=order).items():
            if name not in plain.__dict__:
                setattr(made, name, method)
        return made

    return make


if not TYPE_CHECKING:  # pragma: no branch
    dataclass = _dataclass


def _methods(owner: type[Any], fields: _Fields, *, order: bool) -> dict[str, Callable[..., object]]:
    """Returns what `dataclasses` would have generated for the class `owner`, by name."""
    values, compared = _values(fields), _values(tuple(field for field in fields if field.compare))

    def equal(self: object, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    def hashed(self: object) -> int:
        return hash(compared(self))

    def shown(self: object) -> str:
        each = (f"{f.name}={getattr(self, f.name)!r}" for f in fields if f.repr)
        return f"{type(self).__qualname__}({', '.join(each)})"

    def state(self: object) -> tuple[object, ...]:
        return values(self)

    def restore(self: object, kept: tuple[object, ...]) -> None:
        for field, value in zip(fields, kept, strict=True):
            object.__setattr__(self, field.name, value)

    methods: dict[str, Callable[..., object]] = {
        "__init__": _first_init(owner, fields),
        "__repr__": shown,
        "__eq__": equal,
        "__hash__": hashed,
        "__setattr__": _refuse_assignment,
        "__delattr__": _refuse_deletion,
        "__getstate__": state,
        "__setstate__": restore,
    }
    if order:
        methods |= {name: _compared(compare, compared) for name, compare in _ORDER.items()}
    return methods


def _values(fields: _Fields) -> Callable[[object], tuple[object, ...]]:
    """Returns what gives the values of an instance as a tuple, in the order of the fields."""
    names = [field.name for field in fields]
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _compared(
    compare: Callable[[Any, Any], object], values: Callable[[object], tuple[object, ...]]
) -> Callable[[object, object], object]:
    def method(self: object, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compare(values(self), values(other))

    return method


def _refuse_assignment(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _first_init(owner: type[Any], fields: _Fields) -> Callable[..., None]:
    """Returns an `__init__` that puts the real one in its place and calls that."""

    def init(self: object, *given: object, **named: object) -> None:
        owner.__init__ = real = _compiled_init(owner, fields)
        real(self, *given, **named)

    return init


def _compiled_init(owner: type[Any], fields: _Fields) -> Callable[..., None]:
    """Returns the `__init__` of a class: a parameter for each field, kept through its slot."""
    scope: dict[str, Any] = {}
    parameters, lines = [], []
    for field in fields:
        name, value = field.name, field.name
        # through the slot and not by `object.__setattr__`, which looks it up each time
        scope[f"_set_{name}"] = owner.__dict__[name].__set__
        if field.default_factory is not MISSING:
            scope[f"_new_{name}"] = field.default_factory
            scope[f"_default_{name}"] = MISSING
            scope["_MISSING"] = MISSING
            value = f"_new_{name}() if {name} is _MISSING else {name}"
        elif field.default is not MISSING:
            scope[f"_default_{name}"] = field.default
        default = f"=_default_{name}" if f"_default_{name}" in scope else ""
        parameters.append(f"{name}{default}")
        lines.append(f" _set_{name}(self, {value})")
    star = ["*"] if fields and fields[0].kw_only else []
    head = f"def __init__({', '.join(['self', *star, *parameters])}):"
    exec("\n".join([head, *lines, " return"]), scope)  # noqa: S102 - names of fields, nothing else
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{owner.__qualname__}.__init__"
    return init
