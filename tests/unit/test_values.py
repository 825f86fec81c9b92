"""Our values against those that the standard library makes of the same classes."""

from __future__ import annotations

import copy
import dataclasses
import operator
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, replace
from typing import Any

import pytest

from reconciler import values

_OPERATORS = (operator.lt, operator.le, operator.gt, operator.ge)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Theirs:
    """A class with every kind of field that values have."""

    name: str
    size: int = 3
    parts: tuple[str, ...] = field(default_factory=tuple)
    hidden: str = field(default="", repr=False)
    memo: str = field(default="", compare=False)

    @property
    def double(self) -> int:
        return 2 * self.size


@values.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ours:
    """A class with every kind of field that values have."""

    name: str
    size: int = 3
    parts: tuple[str, ...] = field(default_factory=tuple)
    hidden: str = field(default="", repr=False)
    memo: str = field(default="", compare=False)

    @property
    def double(self) -> int:
        return 2 * self.size


@values.dataclass(frozen=True, slots=True)
class Positional:
    """A class whose fields are given in order."""

    only: float


@values.dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """A class without fields."""

    def __repr__(self) -> str:
        return "nothing"


Make = Callable[..., Any]


def _both(**given: object) -> tuple[Any, Any]:
    theirs: Make = Theirs
    ours: Make = Ours
    return theirs(**given), ours(**given)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"name": "a"}, id="defaults"),
        pytest.param({"name": "a", "size": 0, "parts": ("x",), "hidden": "h"}, id="all given"),
    ],
)
def test_it_holds_and_shows_what_theirs_does(given: dict[str, object]) -> None:
    theirs, ours = _both(**given)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours.double == theirs.double


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="a field is missing"),
        pytest.param({"name": "a", "other": 1}, id="an unknown field"),
    ],
)
def test_it_refuses_what_theirs_refuses(given: dict[str, object]) -> None:
    for make in (Theirs, Ours):
        with pytest.raises(TypeError, match=r"^(Theirs|Ours)\.__init__\(\) "):
            make(**given)  # type: ignore[arg-type]  # the point of the test


def test_fields_of_a_keyword_class_are_not_taken_in_order() -> None:
    with pytest.raises(TypeError):
        Ours("a")  # type: ignore[call-arg]  # the point of the test


def test_equal_values_are_equal_and_hash_alike() -> None:
    assert Ours(name="a") == Ours(name="a")
    assert hash(Ours(name="a")) == hash(Ours(name="a"))
    assert Ours(name="a") != Ours(name="b")
    theirs, ours = _both(name="a")
    assert ours != theirs
    assert Positional(1.0) == Positional(1.0)
    assert Positional(1.0) != Positional(2.0)
    assert Empty() == Empty()


def test_values_are_ordered_as_theirs_are() -> None:
    pairs = [_both(name=name, size=size) for name in "ab" for size in (1, 2)]
    for theirs, ours in pairs:
        for their_other, our_other in pairs:
            for compare in _OPERATORS:
                assert compare(ours, our_other) is compare(theirs, their_other)


@pytest.mark.parametrize("compare", _OPERATORS)
def test_values_of_two_classes_have_no_order(compare: Callable[[Any, Any], bool]) -> None:
    with pytest.raises(TypeError):
        compare(Ours(name="a"), Theirs(name="a"))


def test_nothing_of_a_value_can_be_changed() -> None:
    for made in _both(name="a"):
        with pytest.raises(FrozenInstanceError, match=r"^cannot assign to field 'name'$"):
            made.name = "b"
        with pytest.raises(FrozenInstanceError, match=r"^cannot delete field 'name'$"):
            del made.name
        assert not hasattr(made, "__dict__")


def test_replace_fields_and_copies_work() -> None:
    ours = Ours(name="a", parts=("x",))
    assert replace(ours, size=7) == Ours(name="a", size=7, parts=("x",))
    assert [each.name for each in dataclasses.fields(Ours)] == [
        "name",
        "size",
        "parts",
        "hidden",
        "memo",
    ]
    assert copy.deepcopy(ours) == ours
    assert pickle.loads(pickle.dumps(ours)) == ours


def test_a_method_of_the_class_stays() -> None:
    assert repr(Empty()) == "nothing"


def test_what_is_not_compared_makes_no_difference() -> None:
    for kind in (Ours, Theirs):
        one, other = kind(name="a", memo="b"), kind(name="a", memo="c")
        assert one == other
        assert hash(one) == hash(other)
        assert copy.copy(other).memo == "c"
        assert not operator.lt(one, other)
