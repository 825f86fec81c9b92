"""The line of a finding, written anew: where the caret stands, and what is masked."""

from __future__ import annotations

import pytest

from reconciler.diagnostics import excerpts
from reconciler.manifests import loader
from reconciler.model import Document, Path
from tests import checking

TEXT = """\
name: orders
block:
  key: value
  empty:
  long: |
    of several
    lines
  list:
    - first
    - second
  mapping:
    deep: value
flow: {a: one, b: {c: two, d: [3, 4.5]}, e: true}
wide: {a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa, b: ééééééééééééééééééééééééééééé, c: 1, d: [dddddd, 77777]}
odd: {
  a: 1, b: 2,
                                                              c: 3 }
anchor: &x {a: 1}
alias: *x
"k\\n": 1
texts: {a: "no", b: "1.0", c: "é", d: "a: b", e: null, f: "", g: 1.2.0, h: "u@h", i: "x, y"}
"""


def document(text: str = TEXT) -> Document:
    documents = [item for item in loader.load(text.encode(), "m") if isinstance(item, Document)]
    return documents[0]


def drawn(path: Path, *, key: bool = False, masked: frozenset[Path] = frozenset()) -> str:
    shown = document()
    where = excerpts.place(shown, path, key=key)
    excerpt = excerpts.excerpt(shown, where, lambda each: each not in masked)
    if excerpt is None:
        return "none"
    return f"{excerpt.text}\n{' ' * (excerpt.column - 1)}{'^' * excerpt.length}"


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        pytest.param(("name",), False, "name: orders\n      ^^^^^^", id="value"),
        pytest.param(("name",), True, "name: orders\n^^^^", id="key"),
        pytest.param(("block", "key"), False, "  key: value\n       ^^^^^", id="indented"),
        pytest.param(("block", "empty"), False, "  empty: null\n         ^^^^", id="no value"),
        pytest.param(
            ("block", "mapping"), False, "  mapping:\n  ^^^^^^^", id="value below its key"
        ),
        pytest.param(("block", "list", 1), False, "    - second\n      ^^^^^^", id="item"),
        pytest.param(
            ("flow", "b", "d", 1),
            False,
            "flow: {a: one, b: {c: two, d: [3, 4.5]}, e: true}\n"
            "                                  ^^^",
            id="item in flow",
        ),
        pytest.param(
            ("flow", "b"),
            True,
            "flow: {a: one, b: {c: two, d: [3, 4.5]}, e: true}\n               ^",
            id="key in flow",
        ),
        pytest.param(
            ("flow", "b"),
            False,
            "flow: {a: one, b: {c: two, d: [3, 4.5]}, e: true}\n"
            "                  ^^^^^^^^^^^^^^^^^^^^^",
            id="mapping in flow",
        ),
        pytest.param(
            ("wide", "c"), False, "wide: {c: 1, …}\n          ^", id="only what leads there"
        ),
        pytest.param(
            ("odd", "b"), False, "        b: 2\n           ^", id="entry of a mapping begun above"
        ),
        pytest.param(
            ("odd", "c"), True, " " * 40 + "c: 3\n" + " " * 40 + "^", id="far to the right"
        ),
        pytest.param(
            ("alias", "a"), False, "            a: 1\n               ^", id="through an alias"
        ),
        pytest.param(("k\n",), True, "k\\n: 1\n^^^", id="key with a line break"),
        pytest.param(("block", "nothing", "x"), True, "block:\n^^^^^", id="missing"),
        pytest.param(("nothing",), True, "none", id="missing at the top"),
        pytest.param((), False, "none", id="whole document"),
    ],
)
def test_line_shows_where_the_finding_is(path: Path, key: bool, expected: str) -> None:
    assert drawn(path, key=key) == expected


def test_values_are_written_as_yaml_would_need_them() -> None:
    assert drawn(("texts", "a")) == (
        'texts: {a: no, b: "1.0", c: "\\u00e9", d: ***, e: null, f: "", g: 1.2.0, h: ***, '
        'i: "x, y"}\n'
        "           ^^"
    )


def test_masked_value_has_one_length() -> None:
    masked = frozenset({("block", "key")})
    assert drawn(("block", "key"), masked=masked) == "  key: ***\n       ^^^"


def test_masked_mapping_shows_no_keys() -> None:
    masked = frozenset({("flow", "b")})
    assert drawn(("flow", "a"), masked=masked) == ("flow: {a: one, b: ***, e: true}\n          ^^^")


def test_masked_mapping_is_opened_as_far_as_the_finding() -> None:
    masked = frozenset({("flow", "b"), ("flow", "b", "c"), ("flow", "b", "d")})
    assert drawn(("flow", "b", "c"), key=True, masked=masked) == (
        "flow: {a: one, b: {c: ***, d: ***}, e: true}\n                   ^"
    )


def test_long_value_is_cut() -> None:
    text = f"apiVersion: reconciler/{'v' * 100}\nkind: ApiConnection\n"
    (finding,) = checking.check(text).diagnostics
    assert finding.excerpt is not None
    assert finding.excerpt.text == f"apiVersion: reconciler/{'v' * 48}…"
