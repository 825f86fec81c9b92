"""The reader of ordinary manifests against libyaml: it gives up, or makes the very same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import manifests
from reconciler.manifests import loader, ordinary
from reconciler.model import Document

#: The end of a document, which is not ordinary: with it libyaml reads the same text.
_END = "...\n"
_MANIFEST = """\
---
# Who asks: the team of orders.

apiVersion: reconciler/v1
kind: SqlConnection
metadata:
  name: orders
  namespace: hr
  labels: {team: hr, tier: "1", empty: '', none: {}, parts: [a, 'b', "c", [1, true], {x: null}]}
  tags:
    - prod
    - 'batch: nightly'
    - 17
  annotations:
    example.com/ticket: OPS-1
  description: >-
    Used by the nightly jobs # of all,
    'ask' before: changing
spec:
  host: db-7.internal
  port: 5432
  deletionPolicy: "archive"
  notes: |
    one
    two
  health:
    query: >
      select 1
    ratio: 0.5
    enabled: true
    nothing: null
    at: http://x.example/a:b
  last: []
"""
_BITS = (
    *(":", ": ", " :", "- ", "-", "#", " #", " ", "  ", "\n", "\n\n", "\n  ", "|", ">", "|-", ">-"),
    *("{", "}", "[", "]", ", ", ",", "'", '"', "''", '""', "a", "null", "yes", "~", "0x1", "1.5"),
    *("1e3", "a: b", "? ", "&a ", "*a", "!t ", "%", "---\n", _END, "<<: ", "=", "@", "`", "\\"),
    *("key:", "- x", "{}", "[]", "{a: b}", "[a, b]", "{a}", "://x", ".5", "-1", "+", "!", "x:y"),
)


def _by_libyaml(text: str) -> tuple[object, object] | None:
    match list(loader.load((text + _END).encode(), "p")):
        case [Document(data=data, marks=marks)]:
            return data, marks
        case _:
            return None


def test_all_that_is_ordinary_is_read_as_libyaml_does() -> None:
    found = ordinary.read(_MANIFEST)
    assert found is not None
    assert repr(found) == repr(_by_libyaml(_MANIFEST))


@pytest.mark.parametrize("number", range(20))
def test_what_is_measured_is_ordinary(number: int) -> None:
    text = manifests.manifest(number)
    assert repr(ordinary.read(text)) == repr(_by_libyaml(text))


@st.composite
def _mangled(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from([_MANIFEST, manifests.manifest(8)])).splitlines(keepends=True)
    for _ in range(draw(st.integers(0, 3))):
        first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        line = lines[first]
        at = draw(st.integers(0, len(line)))
        bit = draw(st.sampled_from(_BITS))
        changes: tuple[list[str], ...] = (
            [line[:at] + bit + line[at:]],  # something put in
            [line[:at] + line[at + 1 :]],  # something left out
            [lines[second], line],  # a line of elsewhere before it
            [" " * len(bit) + line],  # indented deeper
            [line[len(bit) :]],  # less deep
            [],  # nothing of it
        )
        lines[first : first + 1] = draw(st.sampled_from(changes))
        lines = lines or [""]
    return "".join(lines)


@given(text=_mangled())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_mangled_manifests_are_given_up_or_read_as_libyaml_does(text: str) -> None:
    found = ordinary.read(text)
    if found is not None:
        assert repr(found) == repr(_by_libyaml(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("# only a comment\n", id="no document"),
        pytest.param("a: b", id="no line feed at the end"),
        pytest.param("- a\n", id="a list for a root"),
        pytest.param("a:\n", id="a key without a value at the end"),
        pytest.param("a:\nb: c\n", id="a key without a value"),
        pytest.param("a: b\n  c: d\n", id="deeper than a scalar allows"),
        pytest.param("a: b\n  c\n", id="a scalar of two lines"),
        pytest.param("a:\n    b: c\n  d: e\n", id="as deep as nothing above"),
        pytest.param("  a: b\nc: d\n", id="less deep than the first line"),
        pytest.param("a: b\na: c\n", id="a key given twice"),
        pytest.param("a: {b: c, b: d}\n", id="a key given twice in braces"),
        pytest.param("no: b\n", id="a key that is a word of YAML"),
        pytest.param("a: {no: b}\n", id="such a key in braces"),
        pytest.param("a: no\n", id="a value that readers differ about"),
        pytest.param("a: [no]\n", id="such a value in brackets"),
        pytest.param("a: 1_000\n", id="a number that readers differ about"),
        pytest.param("a:\n- b\n", id="a list as deep as its key"),
        pytest.param("a:\n  - b\n  c: d\n", id="a key in a list"),
        pytest.param("a: b\n- c\n", id="an item in a mapping"),
        pytest.param("a:\n  - \n", id="an item without a value"),
        pytest.param("a:\n  - b: c\n", id="a mapping in a list"),
        pytest.param("a:\n  - >-\n    b\n", id="a folded text in a list"),
        pytest.param("a: {b}\n", id="braces without a value"),
        pytest.param("a: [b: c]\n", id="a pair in a list"),
        pytest.param("a: [b}\n", id="the other bracket"),
        pytest.param("a: [b\n", id="a bracket that is not closed"),
        pytest.param("a: [b] c\n", id="something behind the bracket"),
        pytest.param("a: [,]\n", id="no entry"),
        pytest.param("a: " + 9 * "[" + 9 * "]" + "\n", id="many brackets in brackets"),
        pytest.param("".join(f"{d * ' '}k:\n" for d in range(30)), id="many levels"),
        pytest.param("a: >-\nb: c\n", id="a folded text without a line"),
        pytest.param("a: >-\n  b\n   c\n", id="a folded text with two indentations"),
        pytest.param("a: >-\n  b\n\nc: d\n", id="a folded text with an empty line"),
        pytest.param("a: b\n---\nc: d\n", id="two documents"),
        pytest.param("a: *b\n", id="an alias"),
        pytest.param('a: "\\x07"\n', id="an escape"),
    ],
)
def test_what_is_not_ordinary_is_given_up(text: str) -> None:
    assert ordinary.read(text) is None
