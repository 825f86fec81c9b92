"""Documents that are well-formed: their data, the positions in them, anchors and merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Load = Callable[[str | bytes], Any]

MANIFEST = """\
kind: SqlConnection
spec:
  port: 5432
  "tags": [a, {b: 'c'}]
  note: |
    two
    lines
  folded: >-
    one
    line
"""


def test_document_holds_json_types(load: Load) -> None:
    assert load(MANIFEST).data == [
        {
            "kind": "SqlConnection",
            "spec": {
                "port": 5432,
                "tags": ["a", {"b": "c"}],
                "note": "two\nlines\n",
                "folded": "one line",
            },
        }
    ]


def test_every_key_and_value_has_its_position(load: Load) -> None:
    [document] = load(MANIFEST).documents
    assert document.marks == (
        1,
        1,
        {
            "kind": (1, 1, (1, 7, None)),
            "spec": (
                2,
                1,
                (
                    3,
                    3,
                    {
                        "port": (3, 3, (3, 9, None)),
                        "tags": (
                            4,
                            3,
                            (
                                4,
                                11,
                                [(4, 12, None), (4, 15, {"b": (4, 16, (4, 19, None))})],
                            ),
                        ),
                        "note": (5, 3, (5, 9, None)),
                        "folded": (8, 3, (8, 11, None)),
                    },
                ),
            ),
        },
    )


def test_columns_count_characters_and_not_bytes(load: Load) -> None:
    [document] = load("é𝄞: x\n").documents
    assert document.marks == (1, 1, {"é𝄞": (1, 1, (1, 5, None))})


def test_later_documents_count_lines_from_the_top_of_the_file(load: Load) -> None:
    first, second = load("a: 1\n---\n# comment\nb: 2\n").documents
    assert (first.data, second.data) == ({"a": 1}, {"b": 2})
    assert second.marks == (4, 1, {"b": (4, 1, (4, 4, None))})


def test_windows_line_ends_make_no_difference(load: Load) -> None:
    unix, windows = load(MANIFEST), load(MANIFEST.replace("\n", "\r\n"))
    assert windows.documents == unix.documents


def test_byte_order_mark_at_the_start_has_no_width(load: Load) -> None:
    assert load(b"\xef\xbb\xbf" + MANIFEST.encode()).documents == load(MANIFEST).documents


def test_json_is_read_as_yaml(load: Load) -> None:
    assert load('{"a": [1, true, null, "no\\n"]}').data == [{"a": [1, True, None, "no\n"]}]


def test_empty_documents_between_others_are_skipped(load: Load) -> None:
    result = load("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n---\n")
    assert (result.data, result.diagnostics) == ([{"a": 1}, {"b": 2}], ())


def test_document_may_be_closed_explicitly(load: Load) -> None:
    result = load("a: 1\n...\n---\nb: 2\n...\n")
    assert (result.data, result.diagnostics) == ([{"a": 1}, {"b": 2}], ())


def test_quoted_scalars_are_text_whatever_they_look_like(load: Load) -> None:
    result = load("{a: 'no', b: \"1\", c: '', '1': ~, \"<<\": x}")
    assert result.data == [{"a": "no", "b": "1", "c": "", "1": None, "<<": "x"}]
    assert result.diagnostics == ()


def test_alias_repeats_the_value_and_is_located_where_it_stands(load: Load) -> None:
    [document] = load("a: &x {k: [1]}\nb: *x\n").documents
    assert document.data == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert document.locate(("b",)).line == 2
    assert document.locate(("b", "k", 0)).line == 1


def test_anchor_that_is_defined_again_counts_from_there_on(load: Load) -> None:
    assert load("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").data == [{"a": 1, "b": 1, "c": 2, "d": 2}]


def test_inner_anchor_of_the_same_name_is_the_nearest_one(load: Load) -> None:
    assert load("a: &x {b: &x 1, c: *x}\nd: *x\n").data == [{"a": {"b": 1, "c": 1}, "d": 1}]


def test_alias_of_a_string_may_be_a_key(load: Load) -> None:
    assert load("a: &x name\n*x : 1\n").data == [{"a": "name", "name": 1}]


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        pytest.param("m: {<<: *b, x: 1}", {"x": 1, "t": 20, "z": 30}, id="explicit key wins"),
        pytest.param("m: {x: 1, <<: *b}", {"x": 1, "t": 20, "z": 30}, id="order does not matter"),
        pytest.param("m: {<<: [*a, *b]}", {"x": 10, "t": 20, "z": 30}, id="earlier wins"),
        pytest.param("m: {<<: [*b, *a]}", {"x": 11, "t": 20, "z": 30}, id="list order matters"),
        pytest.param("m: {<<: {x: 5}}", {"x": 5}, id="written in place"),
        pytest.param("m: {<<: {<<: *a, x: 5}, t: 6}", {"x": 5, "t": 6}, id="nested"),
        pytest.param("m: {<<: []}", {}, id="nothing to merge"),
    ],
)
def test_merge_key(load: Load, text: str, merged: dict[str, int]) -> None:
    result = load(f"a: &a {{x: 10}}\nb: &b {{x: 11, t: 20, z: 30}}\n{text}\n")
    assert result.diagnostics == ()
    assert result.data[0]["m"] == merged


def test_merged_keys_are_located_where_they_are_written(load: Load) -> None:
    [document] = load("a: &a\n  x: 1\nb:\n  <<: *a\n").documents
    assert str(document.locate(("b", "x"))) == "f.yaml:2:6"
    assert str(document.locate(("b", "x"), key=True)) == "f.yaml:2:3"


def test_deepest_allowed_nesting_is_read(load: Load) -> None:
    result = load("{a: " * 64 + "1" + "}" * 64)
    assert (len(result.documents), result.diagnostics) == (1, ())


def test_as_many_nodes_as_allowed_are_read(load: Load) -> None:
    # The list's 9998 items, and the key and value of the mapping.
    result = load("a: [" + "x," * 9998 + "]")
    assert (len(result.documents), result.diagnostics) == (1, ())


def test_as_many_documents_as_allowed_are_read(load: Load) -> None:
    result = load("---\na: 1\n" * 1000)
    assert (len(result.documents), result.diagnostics) == (1000, ())


def test_warnings_do_not_keep_a_document_back(load: Load) -> None:
    result = load("country: NO\n")
    assert (result.data, result.places) == ([{"country": "NO"}], ["1:10 W012"])
