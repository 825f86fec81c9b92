"""Every mistake that a file can hold, where it is reported, and what is not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model import Diagnostic, Excerpt, Location, Severity

Load = Callable[[str | bytes], Any]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        pytest.param(b"", ["1:1 E007"], id="B001 zero bytes"),
        pytest.param(b"# only a comment\n", ["1:1 E007"], id="B002 comments"),
        pytest.param(b"---\n", ["1:1 E007"], id="B002 document marker"),
        pytest.param(b"---\n---\n...\n", ["1:1 E007"], id="only empty documents"),
        pytest.param("a: 1\n---\n\ufeffb: 1\n", ["3:1 E004"], id="B004 mark in the middle"),
        pytest.param(b"caf\xe9", ["1:4 E003"], id="B007 latin-1"),
        pytest.param("a: ä\nb: ".encode() + b"\xe4", ["2:4 E003"], id="position of a bad byte"),
        pytest.param(b"a: \xed\xa0\x80", ["1:4 E003"], id="surrogate as bytes"),
        pytest.param("a: 1".encode("utf-16"), ["1:1 E003"], id="B008 UTF-16 with mark"),
        pytest.param("a: 1".encode("utf-16-be"), ["1:1 E003"], id="UTF-16 without mark"),
        pytest.param("a: 1".encode("utf-32-le"), ["1:1 E003"], id="UTF-32"),
        pytest.param('metadata: {name: "a\\0b"}', ["1:18 E004"], id="B010 escaped NUL"),
        pytest.param('d: "\\uD800"', ["1:7 E004"], id="B011 lone surrogate"),
        pytest.param('a: "x\\ry"', ["1:4 E004"], id="escaped carriage return"),
        pytest.param('"a\\e": 1', ["1:1 E004"], id="escape in a key"),
        pytest.param('a: "\\u202e"', ["1:4 E004"], id="escaped override"),
        pytest.param("name: a\u202eb", ["1:8 E004"], id="B013 right-to-left override"),
        pytest.param("a: 1 # \u2066", ["1:8 E004"], id="isolate in a comment"),
        pytest.param("a: x\u2028y", ["1:5 E004"], id="line separator"),
        pytest.param(b"a: x\0y", ["1:5 E004"], id="raw NUL"),
        pytest.param("a: x\x85y", ["1:5 E004"], id="next line"),
        pytest.param("a: \x7f\nb: \x07\x07\n", ["1:4 E004", "2:4 E004"], id="one for each line"),
        pytest.param("a: 1\na: 2", ["2:1 E015"], id="B019 duplicate key"),
        pytest.param("{a: 1, 'a': 2}", ["1:8 E015"], id="duplicate in quotes"),
        pytest.param(
            "x: &x {a: 1}\nm:\n  <<: *x\n  b: 1\n  b: 2\n", ["5:3 E015"], id="B020 beside a merge"
        ),
        pytest.param("on: {}\nno: 1\n", ["1:1 W012", "2:1 W012"], id="B022 words as keys"),
        pytest.param(
            "null: 1\n~: 1\n1: x\ntrue: x\n1.5: x\n",
            [f"{line}:1 E016" for line in range(1, 6)],
            id="B023 keys that are no strings",
        ),
        pytest.param("[a]: 1\n? {b: c}\n: 2\n", ["1:1 E016", "2:3 E016"], id="collections as keys"),
        pytest.param("a: &x 1\n*x : 2", ["2:1 E016"], id="alias of a number as key"),
        pytest.param("country: NO", ["1:10 W012"], id="B025 norway"),
        pytest.param(
            "a: 0123\nb: 0o17\nc: 1_000", ["1:4 W012", "2:4 W012", "3:4 W012"], id="B028 numbers"
        ),
        pytest.param("expires: 2024-13-45", ["1:10 W012"], id="B029 impossible date"),
        pytest.param("a: .inf\nb: .nan", ["1:4 E018", "2:4 E018"], id="B031 not finite"),
        pytest.param("timeout: 1e3", ["1:10 W012"], id="B032 exponent"),
        pytest.param("port: 0x" + "f" * 100_000, ["1:7 E018"], id="B034 endless digits"),
        pytest.param("v: 18446744073709551616", ["1:4 E018"], id="B035 beyond 64 bits"),
        pytest.param(
            "a: !!binary x\nb: !!set {c}\nd: !!omap []\ne: !!timestamp x\nf: !Ref x\ng: ! x\n",
            [f"{line}:4 E013" for line in range(1, 7)],
            id="B037 tags",
        ),
        pytest.param("!!str k: 1\n", ["1:1 E013"], id="tag on a key"),
        pytest.param("--- !m\na: 1\n", ["1:5 E013"], id="tag on the root"),
        pytest.param("a: !e!x 1", ["1:4 E013"], id="tag with an undefined handle"),
        pytest.param("a: !<x", ["1:4 E013"], id="tag that is broken"),
        pytest.param("%YAML 1.2\n---\na: 1", ["1:1 E014"], id="YAML directive"),
        pytest.param("%TAG !e! tag:x,2000:\n---\na: 1", ["1:1 E014"], id="TAG directive"),
        pytest.param("%YAML 3.0\n---\n", ["1:1 E014"], id="directive of another version"),
        pytest.param("%FOO bar\n", ["1:1 E014"], id="unknown directive"),
        pytest.param("a: &a [*a]", ["1:8 E011"], id="B040 cycle"),
        pytest.param("a: &a {<<: *a}", ["1:12 E011"], id="merge of itself"),
        pytest.param("a: *nope", ["1:4 E012"], id="B041 undefined alias"),
        pytest.param("*nope : 1", ["1:1 E012"], id="undefined alias as key"),
        pytest.param("a: &x 1\n---\nb: *x", ["3:4 E012"], id="anchor of another document"),
        pytest.param("[" * 100_000, ["1:65 E009"], id="B043 brackets"),
        pytest.param("{a: " * 1500, ["1:257 E009"], id="B044 braces"),
        pytest.param("- " * 100_000, ["1:129 E009"], id="block lists"),
        pytest.param("a: 1\n" * 300_000, ["1:1 E002"], id="B046 too large"),
        pytest.param("a: [" + "1," * 9999 + "]", ["1:1 E010"], id="too many nodes"),
        pytest.param("a: [" + "1," * 99_999 + "]", ["1:20005 E010"], id="endless list"),
        pytest.param("a: [" + "&x 1," * 101 + "]", ["1:505 E010"], id="too many anchors"),
        pytest.param("- 1", ["1:1 E019"], id="B049 list"),
        pytest.param("text", ["1:1 E019"], id="B049 text"),
        pytest.param("---\n5\n", ["2:1 E019"], id="B049 number"),
        pytest.param("a: 1\n...\nb: 2\n", ["3:1 E005"], id="B052 content after the end"),
        pytest.param("<<: 1", ["1:5 E017"], id="B053 merge of a scalar"),
        pytest.param("a: {<<: [{b: 1}, 2, [3]]}", ["1:18 E017", "1:21 E017"], id="merge of a list"),
        pytest.param("m: {<<: {a: 1}, <<: {b: 2}}", ["1:17 E017"], id="two merges"),
        pytest.param("<<: *no", ["1:5 E012"], id="merge of nothing"),
        pytest.param(
            "a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> topic\n",
            ["2:1 E006", "6:1 E006"],
            id="B055 conflict markers",
        ),
        pytest.param(
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            ["1:1 E019"],
            id="B056 LFS pointer",
        ),
    ],
)
def test_mistake_is_reported_at_its_place(load: Load, text: str | bytes, places: list[str]) -> None:
    assert load(text).places == places


def test_alias_bomb_is_refused_where_it_passes_the_limit(load: Load) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for last, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]")
    assert load("\n".join(lines)).places == ["5:8 E010"]


def test_merge_bomb_is_refused(load: Load) -> None:
    lines = ["a: &a {" + ", ".join(f"k{number}: 0" for number in range(500)) + "}"]
    lines += [f"b{number}: {{<<: *a}}" for number in range(20)]
    assert load("\n".join(lines)).places == ["10:10 E010"]


def test_all_mistakes_of_a_document_are_reported_in_its_order(load: Load) -> None:
    text = "a: 1\na: .inf\n? [x]\n: !t z\nb: {c: 1, c: 2}\nd: *e\na: no\n"
    assert load(text).places == [
        "2:1 E015",
        "2:4 E018",
        "3:3 E016",
        "4:3 E013",
        "5:11 E015",
        "6:4 E012",
        "7:1 E015",
        "7:4 W012",
    ]


@pytest.mark.parametrize(
    "broken",
    ["a: 1\na: 2", "a: [1", "a: 'x", 'a: "x', "a: b: c", "[" * 70, "a: *x", "]", "- 1", "%Y",
     "a: |x", "a: \u202e", "a:\n\t- b", "a: {b: {c: [1, 2}"],
)  # fmt: skip
def test_broken_document_hides_no_other(load: Load, broken: str) -> None:
    result = load(f"first: 1\n---\n{broken}\n---\nlast: 1\n")
    assert result.data == [{"first": 1}, {"last": 1}]
    assert result.diagnostics[0].location.line in (3, 4, 5)
    assert result.documents[1].locate(("last",)).line == 4 + broken.count("\n") + 1


def test_syntax_errors_of_several_documents_are_all_reported(load: Load) -> None:
    text = 'a: [1\n---\nb: é: c\n---\nc: \'x\n---\nd: "\\q"\n'
    assert load(text).places == ["2:1 E005", "3:5 E005", "6:1 E005", "7:5 E005"]


def test_file_of_broken_documents_is_given_up(load: Load) -> None:
    assert len(load("---\n]\n" * 900).diagnostics) == 100


def test_too_many_documents_end_the_file(load: Load) -> None:
    result = load("---\na: 1\n" * 10_001)
    assert (len(result.documents), result.places) == (1000, ["2001:1 E008"])


def test_file_that_is_no_text_is_given_up(load: Load) -> None:
    assert load("a: \x01\n" * 1000).places == [f"{line}:4 E004" for line in range(1, 21)]


def test_endless_mistakes_in_one_document_end_with_the_limit(load: Load) -> None:
    result = load("a: 1\n" * 40_000)
    assert (len(result.diagnostics), result.places[-1]) == (30_001, "30002:1 E010")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a: b: c", "a second `: ` stands where no key can be",
         "put the value in quotes if the colon belongs to it, or check the indentation"),
        ("a: 1\nb\nc: 1", "a key without its colon",
         "write `key: value`, with a space after the colon"),
        ("a:\n\t- b", "a tab is used for indentation", "indent with spaces"),
        ("a: @b", "a value cannot begin with this character",
         "put the text in quotes if the character belongs to it"),
        ("a: [1, 2\nb: 1", "a list in brackets goes on here without a comma or its closing `]`",
         "add the `,` or the `]`"),
        ("a: {b: 1", "a mapping in braces goes on here without a comma or its closing `}`",
         "add the `,` or the `}`"),
        ("a: 'b", "a quoted text is not closed", "add the closing quote"),
        ("- a\nb: 1", "a list goes on without a `-`",
         "begin the item with `- `, or check the indentation"),
        ("a: - b", "a list item stands where none can be",
         "begin the list on the line below its key"),
        ('a: "\\q"', "this is not an escape that YAML knows",
         r"write a backslash as `\\`, or use single quotes, where it has no meaning"),
        ("a: &", "an anchor or alias has no name",
         "put the text in quotes if its `&` or `*` is meant"),
        ("a: |x\n  b", "something follows `|` or `>` on the same line",
         "begin the text on the next line"),
        ("a: |0\n  b", "the indentation of a block text cannot be 0",
         "write a number from 1 to 9, or none"),
        ("a: &x &y 1", "no key stands where one is expected",
         "check the indentation of this line and of the lines above it"),
    ],
)  # fmt: skip
def test_syntax_error_says_what_to_change(load: Load, text: str, message: str, hint: str) -> None:
    [found] = load(text).diagnostics
    assert (found.code, found.message, found.hint) == ("E005", message, hint)
    assert found.excerpt is None


def test_unclosed_text_names_its_beginning(load: Load) -> None:
    [found] = load("a: 1\nb: 'x\nc: 2\n").diagnostics
    assert found.related == ((Location(path="f.yaml", line=2, column=4), "the text begins here"),)


def test_duplicate_key_is_shown_whole(load: Load) -> None:
    result = load("spec:\n  host: a\n  host: TOPSECRET\n")
    first = Location(path="f.yaml", line=2, column=3)
    assert result.diagnostics == (
        Diagnostic(
            severity=Severity.ERROR,
            code="E015",
            location=Location(path="f.yaml", line=3, column=3),
            pointer="/spec/host",
            message="the key `host` was already given at 2:3",
            hint="remove one of the two",
            excerpt=Excerpt(text="  host: ***", column=3, length=4),
            related=((first, "first given here"),),
        ),
    )


def test_third_of_a_key_names_the_first(load: Load) -> None:
    result = load("a: 1\na: 2\na: 3\n")
    assert [found.message for found in result.diagnostics] == [
        "the key `a` was already given at 1:1"
    ] * 2


def test_finding_on_a_value_points_at_it(load: Load) -> None:
    [found] = load("spec:\n  port: .inf\n").diagnostics
    assert found.excerpt == Excerpt(text="  port: ***", column=9, length=3)


@pytest.mark.parametrize(
    "text",
    ["tags: [.inf]", "a:\n  .inf", f"{'k' * 100}: .inf", "- .inf", f"{' ' * 90}a: .inf"],
)  # fmt: skip
def test_line_that_would_not_be_its_own_is_not_drawn(load: Load, text: str) -> None:
    assert load(text).diagnostics[-1].excerpt is None


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("a: {b: [x, {c/~d: .inf}]}", "/a/b/1/c~1~0d"),
        ("a: [x, [y, .nan]]", "/a/1/1"),
        ("a: {b: 1, b: 2}", "/a/b"),
        ("a: {1: 2}", "/a"),
        ("a: {<<: 1}", "/a/<<"),
        ("a: [!t {}]", "/a/0"),
        ("- 1", ""),
    ],
)
def test_finding_has_the_pointer_of_its_node(load: Load, text: str, pointer: str) -> None:
    assert load(text).diagnostics[-1].pointer == pointer


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ('"a\\nb\\tc"', r"a\nb\tc"),
        ("é", "é"),
        ("k" * 100, "k" * 79 + "…"),
    ],
)
def test_key_is_shown_escaped_and_cut(load: Load, key: str, shown: str) -> None:
    found = load(f"? {key}\n: 1\n? {key}\n: 2\n").diagnostics[0]
    assert found.message == f"the key `{shown}` was already given at 1:3"


@pytest.mark.parametrize(
    "text",
    [
        "password: TOPSECRET: x",
        "password: 'TOPSECRET",
        'password: "TOPSECRET\\q"',
        "password: *TOPSECRET",
        "password: &TOPSECRET",
        "password: &x *TOPSECRET",
        "password: !TOPSECRET x",
        "password: !TOPSECRET!x y",
        "password: @TOPSECRET",
        "password: %TOPSECRET",
        "password: TOPSECRET\npassword: TOPSECRET",
        'password: "TOPSECRET\\0"',
        "password: TOPSECRET\u202e",
        "<<: TOPSECRET",
        "- TOPSECRET",
        "TOPSECRET",
        "%TOPSECRET\n---\n",
        "? [TOPSECRET]\n: 1",
        "a: |TOPSECRET\n  x",
        "<<<<<<< TOPSECRET",
    ],
)
def test_values_are_never_shown(load: Load, text: str) -> None:
    result = load(text)
    assert result.diagnostics or not result.documents or text.startswith("password: &TOP")
    assert "TOPSECRET" not in result.texts


def test_numbers_and_words_are_never_shown(load: Load) -> None:
    result = load("a: 0123987\nb: 1239871239871239871239871\nc: 0o123\nd: 12_39\n")
    assert len(result.diagnostics) == 4
    assert "1239" not in result.texts
    assert "0o123" not in result.texts


def test_pointer_file_of_git_lfs_says_how_to_fetch_it(load: Load) -> None:
    [found] = load(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n"
    ).diagnostics
    assert found.message == "the file is a pointer of git-lfs and not the manifest itself"


def test_forbidden_character_is_named_by_its_code_point(load: Load) -> None:
    messages = [load(text).diagnostics[0].message for text in ("a: \u202e", 'a: "\\0"')]
    assert messages == [
        "the file holds the character U+202E, which is not allowed",
        "the text holds the character U+0000, which is not allowed",
    ]


@pytest.mark.parametrize(
    ("key", "kind"),
    [("~", "null"), ("no_", None), ("true", "a boolean"), ("0x1", "a number"), ("[a]", "a list"),
     ("{a: b}", "a mapping")],
)  # fmt: skip
def test_key_that_is_no_string_is_named_by_its_type(load: Load, key: str, kind: str | None) -> None:
    messages = [found.message for found in load(f"{key}: 1").diagnostics]
    assert messages == ([f"the key is {kind} and not a string"] if kind else [])
