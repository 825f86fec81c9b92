"""What is taken from the JSON of an answer in which anything may stand."""

from __future__ import annotations

import json

import pytest

from reconciler.clients import sql_json
from reconciler.model import Json


@pytest.mark.parametrize("odd", [None, 7, "text", [], [1], {}, True])
def test_what_is_not_there_is_empty(odd: Json) -> None:
    data = {"x": odd}
    for name in ("x", "y"):
        assert isinstance(sql_json.block(data, name), dict)
        assert isinstance(sql_json.text(data, name), str)
        assert isinstance(sql_json.items(data, name), list)
        assert all(isinstance(found, dict) for found in sql_json.blocks(data, name))
        assert sql_json.part(data, name) in ("", "text")


@pytest.mark.parametrize("odd", ["", "..", "a/b", "a?b", "a b", "ä", "x" * 201, "a\n"])
def test_a_part_of_a_path_stays_one(odd: str) -> None:
    assert sql_json.part({"x": odd}, "x") == ""


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("7", "int", 7),
        ("seven", "int", "seven"),
        ("nan", "float", "NaN"),
        ("0.5", "float", 0.5),
        ("TRUE", "bool", True),
        ("maybe", "bool", "maybe"),
        (7, "int", 7),
        (None, "int", None),
        ("7", "other", "7"),
        ([1, "a"], "other", '[1, "a"]'),
        ({"a": None}, "other", '{"a": null}'),
    ],
)
def test_a_value_has_the_type_of_its_column(value: Json, kind: str, shown: Json) -> None:
    cells: sql_json.Cells = {"int": int, "float": sql_json.number, "bool": sql_json.truth}
    found = sql_json.table([("x", kind)], [[value]], cells, limit=1)
    assert (found.columns, found.rows, found.is_cut) == (("x",), ((shown,),), False)


def test_rows_that_are_none_are_left_out_and_the_rest_is_cut() -> None:
    found = sql_json.table([("x", "")], [1, None, ["a"], "b", ["c", "d"], ["e"]], {}, limit=2)
    assert (found.rows, found.is_cut) == ((("a",), ("c",)), True)


def test_what_is_nested_too_deeply_is_left_out() -> None:
    deep: Json = 1
    for _ in range(100_000):
        deep = [deep]
    assert sql_json.table([("x", "")], [[deep]], {}, limit=1).rows == ((None,),)
    with pytest.raises(RecursionError):  # else there is nothing to be tried
        json.dumps(deep)
