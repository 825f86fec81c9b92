"""What a database and a server say, as people and programs are shown it."""

from __future__ import annotations

import json

from reconciler.report import data, query, request
from reconciler.report.style import Style
from reconciler.report.views import QueryView, RequestView

HOSTILE = "a\x1b[2J\nb\u202e"
VIEW = QueryView(
    columns=("id", "id", "text"),
    rows=((1, True, HOSTILE), (2, None, "x" * 100)),
    is_cut=True,
)


def test_a_table_has_one_line_per_row_without_anything_a_terminal_obeys() -> None:
    assert query.table(VIEW, Style(width=100)) == (
        "id  id    text\n"
        " 1  true  a\\x1b[2J b\\u202e\n"
        f" 2  null  {'x' * 59}…\n"
        "2 rows, and there are more: --limit\n"
    )


def test_a_pipe_gets_whole_cells() -> None:
    assert "x" * 100 in query.table(VIEW, Style(width=None))


def test_no_columns_are_no_table() -> None:
    assert query.table(QueryView(columns=(), rows=(), is_cut=False), Style()) == "0 rows\n"


def test_a_column_of_empty_texts_is_shown() -> None:
    view = QueryView(columns=("a", "b"), rows=(("", 1), ("", 2)), is_cut=False)
    assert query.table(view, Style()).splitlines()[:2] == ["a   b", '""  1']


def test_names_that_repeat_are_told_apart_in_json() -> None:
    view = QueryView(columns=("a", "a_2", "a"), rows=((1, 2, 3),), is_cut=False)
    assert query.lines(view, Style()) == '{"a": 1, "a_2": 2, "a_3": 3}\n'
    assert data.content(view)["rows"] == [{"a": 1, "a_2": 2, "a_3": 3}]


def test_json_lines_are_ascii_and_hold_no_bare_control_character() -> None:
    view = QueryView(columns=("a",), rows=((HOSTILE + "\x7f",),), is_cut=False)
    text = query.lines(view, Style())
    assert text.isascii()
    assert "\x7f" not in text
    assert json.loads(text) == {"a": HOSTILE + "\x7f"}


def test_csv_quotes_what_it_must_and_leaves_null_empty() -> None:
    view = QueryView(columns=("a", "b"), rows=(('x"y,z', None), (False, 0.5)), is_cut=False)
    assert query.csv_text(view, Style()) == 'a,b\n"x""y,z",\nfalse,0.5\n'


def test_an_answer_is_its_body() -> None:
    view = RequestView(status=200, headers=(), body=b"a\r\nb\xff")
    assert request.body(view, Style()) == "a\nb\\xff\n"
    assert request.body(RequestView(status=204, headers=(), body=b""), Style()) == ""


def test_a_head_is_a_line_per_header() -> None:
    view = RequestView(status=404, headers=(("X-A", "1\x1b"),), body=b"")
    assert request.headers(view, Style()) == "HTTP 404\nX-A: 1\\x1b\n"


def test_a_body_that_is_json_is_given_as_that_too() -> None:
    assert request.json_of(b'{"a": [1, 1e999, NaN, 0.5]}') == {"a": [1, "1e999", "NaN", 0.5]}
    assert request.json_of(b"no json") is None
    assert request.json_of(b"[" * 100_000) is None
