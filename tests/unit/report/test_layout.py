from __future__ import annotations

import pytest

from reconciler.report import layout
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone

_COLUMNS = (
    Column(title="NAME"),
    Column(title="AGE", right=True, optional=True),
    Column(title="LATENCY", right=True, optional=True),
    Column(title="WHY"),
)
_ROWS = [
    [Cell("orders"), Cell("4 m"), Cell("38 ms"), Cell("refused by the server at 10.4.7.12")],
    [Cell("crm", Tone.GOOD), Cell("12 d"), Cell(""), Cell("")],
]


def _table(width: int | None, *, colour: bool = False) -> list[str]:
    return layout.table(_COLUMNS, _ROWS, Style(width=width, colour=colour))


def test_table_is_aligned() -> None:
    assert _table(100) == [
        "NAME     AGE  LATENCY  WHY",
        "orders   4 m    38 ms  refused by the server at 10.4.7.12",
        "crm     12 d",
    ]


def test_last_column_is_cut_to_the_width() -> None:
    assert _table(50)[1] == "orders   4 m    38 ms  refused by the server at 1…"


def test_optional_columns_make_room_for_the_last_one_rightmost_first() -> None:
    assert _table(40)[1] == "orders   4 m  refused by the server at …"
    assert _table(30)[1] == "orders  refused by the server…"


def test_first_column_is_never_cut() -> None:
    assert _table(10)[1] == "orders  refused by …"


def test_no_width_cuts_nothing() -> None:
    assert _table(None)[1] == "orders   4 m    38 ms  refused by the server at 10.4.7.12"


def test_column_without_any_cell_is_left_out() -> None:
    rows = [[Cell("orders"), Cell(""), Cell(""), Cell("why")]]
    assert layout.table(_COLUMNS, rows, Style()) == ["NAME    WHY", "orders  why"]


def test_colours_take_no_room() -> None:
    assert _table(100, colour=True) == [
        "\x1b[1mNAME\x1b[0m     \x1b[1mAGE\x1b[0m  \x1b[1mLATENCY\x1b[0m  \x1b[1mWHY\x1b[0m",
        "orders   4 m    38 ms  refused by the server at 10.4.7.12",
        "\x1b[32mcrm\x1b[0m     12 d",
    ]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        pytest.param("abc", 3, id="ASCII"),
        pytest.param("日本", 4, id="wide"),
        pytest.param("e\u0301", 1, id="combining"),
        pytest.param("✓…", 2, id="our glyphs"),
    ],
)
def test_cells_are_what_a_terminal_shows(text: str, cells: int) -> None:
    assert layout.cells(text) == cells


@pytest.mark.parametrize(
    ("room", "text"), [(0, ""), (1, "…"), (2, "…"), (3, "日…"), (4, "日本"), (None, "日本")]
)
def test_cut_never_exceeds_the_room(room: int | None, text: str) -> None:
    assert layout.cut("日本", room, Style()) == text


def test_one_line_escapes_and_folds() -> None:
    assert layout.one_line("a\x1b[31m\r\n\tb\u202e  c") == "a\\x1b[31m\\r b\\u202e c"


def test_value_is_compact_json() -> None:
    assert layout.value({"b": [1, None], "a": "é\n"}, 60, Style()) == '{"a":"é\\n","b":[1,null]}'


def test_right_side_stands_at_the_width() -> None:
    assert layout.sides([Cell("left")], "right", Style(width=20)) == ["left           right"]


def test_right_side_has_a_line_of_its_own_where_there_is_no_room() -> None:
    assert layout.sides([Cell("left")], "right", Style(width=8)) == ["left", "   right"]
    assert layout.sides([Cell("left")], "right", Style(width=3)) == ["left", "right"]


def test_right_side_follows_at_once_where_there_is_no_width() -> None:
    assert layout.sides([Cell("left")], "right", Style(width=None)) == ["left  right"]


def test_no_right_side_leaves_the_left_one() -> None:
    assert layout.sides([Cell("left")], "", Style(width=20)) == ["left"]


@pytest.mark.parametrize(
    ("room", "lines"),
    [
        pytest.param(None, ["a list of words"], id="no width"),
        pytest.param(15, ["a list of words"], id="fits"),
        pytest.param(9, ["a list of", "words"], id="at a space"),
        pytest.param(4, ["a", "list", "of", "words"], id="a word longer than the room is whole"),
    ],
)
def test_text_is_wrapped_at_its_spaces(room: int | None, lines: list[str]) -> None:
    assert layout.wrap("a list of words", room) == lines


def test_wrapping_counts_cells_of_wide_characters() -> None:
    assert layout.wrap("日本 日本", 8) == ["日本", "日本"]


def test_wrapped_text_hangs_under_its_beginning() -> None:
    lead = [Cell("  "), Cell("Why", Tone.NOTE), Cell("  ")]
    text = "the name is not resolved by any server"
    assert layout.hanging(lead, text, Style(width=33, colour=True), Tone.BAD) == [
        "  \x1b[36mWhy\x1b[0m  \x1b[31mthe name is not resolved\x1b[0m",
        "       \x1b[31mby any server\x1b[0m",
    ]


def test_wrapped_text_keeps_some_room_however_far_right_it_begins() -> None:
    lines = layout.hanging([Cell("x" * 38)], "the name is not resolved today", Style(width=40))
    assert lines == ["x" * 38 + "the name is not resolved", " " * 38 + "today"]


def test_wrapped_text_that_is_empty_leaves_no_space_at_the_end() -> None:
    assert layout.hanging([Cell("Why"), Cell("  ")], "", Style(colour=True)) == ["Why"]


def test_parts_flow_onto_as_many_lines_as_they_need() -> None:
    parts = [Cell("7 connections"), Cell("1 failed", Tone.BAD), Cell("6 active")]
    assert layout.flow(parts, Style(width=23)) == ["7 connections  1 failed", "  6 active"]
    assert layout.flow(parts, Style(width=None)) == ["7 connections  1 failed  6 active"]
    assert layout.flow(parts, Style(width=5, colour=True)) == [
        "7 connections",
        "  \x1b[31m1 failed\x1b[0m",
        "  6 active",
    ]
