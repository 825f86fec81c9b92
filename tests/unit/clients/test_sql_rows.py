"""Values of drivers as they are shown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import IntEnum

import pytest

from reconciler.clients import sql_rows
from reconciler.clients.sql_rows import Cell, Rows


class Number(IntEnum):
    TWO = 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (Number.TWO, 2),
        (0.5, 0.5),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ("text", "text"),
        (b"\x00\xff", "\\x00ff"),
        (memoryview(b"a"), "\\x61"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 3, 1), "2026-03-01"),
        ([1, Decimal("2.0"), "ł"], '[1, "2.0", "ł"]'),
        ({"a": (1, None)}, '{"a": [1, null]}'),
    ],
)
def test_a_value_is_a_number_a_truth_or_a_text(value: object, shown: Cell) -> None:
    found = sql_rows.cell(value)
    assert (found, type(found)) == (shown, type(shown))


def test_no_more_rows_are_looked_at_than_one_behind_the_limit() -> None:
    rows = iter([(1,), (2,), (3,), (4,)])
    found = sql_rows.collect(["n"], rows, limit=2)
    assert found == Rows(columns=("n",), rows=((1,), (2,)), is_cut=True)
    assert list(rows) == [(4,)]


def test_fewer_rows_than_the_limit_are_all_there_are() -> None:
    found = sql_rows.collect(["n"], [(1,)], limit=1)
    assert found == Rows(columns=("n",), rows=((1,),), is_cut=False)
