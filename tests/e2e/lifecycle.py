"""Which cells of the lifecycle table a test reaches: written at the test, counted over all."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

from reconciler.status import Signal, State

Cell = tuple[State, Signal]
_Test = TypeVar("_Test", bound=Callable[..., None])
_MARK = "reached_cells"

P, A, F = State.PENDING, State.ACTIVE, State.FAILED
SU, SH, X = State.SUSPENDED_BY_USER, State.SUSPENDED_BY_HEALTH, State.ARCHIVED


def reaches(signal: Signal, *states: State) -> Callable[[_Test], _Test]:
    """Says of a test that it sends `signal` to connections in each of `states`."""

    def mark(test: _Test) -> _Test:
        known: frozenset[Cell] = getattr(test, _MARK, frozenset())
        setattr(test, _MARK, known | {(state, signal) for state in states})
        return test

    return mark


def reached(module: ModuleType) -> set[Cell]:
    """Returns every cell that the tests of `module` reach."""
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    return {cell for test in tests for cell in getattr(test, _MARK, ())}
