"""The table of codes: complete, and its examples do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.codes import CODES
from tests import checking

ROOT = Path(__file__).parent.parent.parent
WITH_EXAMPLE = [code for code, entry in CODES.items() if entry.failing]

#: Codes that no text of reasonable size can show, and a file that shows them.
FILES_BY_CODE = {
    "E002": b"# " + b"x" * 1024 * 1024,
    "E003": b"name: caf\xe9\n",
    "E008": b"--- {}\n" * 1001,
}
#: Codes that depend on the file system or on the state, and the tests that show them.
SHOWN_BY = {
    "tests/integration/test_read.py": (
        "E001",
        "E020",
        "E021",
        "E022",
        "E023",
        "E024",
        "E025",
        "E026",
    ),
    "tests/unit/test_plan.py": ("E205", "W203"),
}


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_failing_example_has_exactly_this_finding(code: str) -> None:
    found = checking.check(CODES[code].failing).diagnostics
    assert {finding.code for finding in found} == {code}


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_fixed_example_has_no_finding(code: str) -> None:
    assert checking.check(CODES[code].fixed).diagnostics == ()


@pytest.mark.parametrize("code", FILES_BY_CODE)
def test_code_without_an_example_has_a_file_that_shows_it(code: str) -> None:
    found = checking.check(FILES_BY_CODE[code]).diagnostics
    assert code in {finding.code for finding in found}


def test_every_code_has_a_negative_case() -> None:
    elsewhere = {code for codes in SHOWN_BY.values() for code in codes}
    assert {*WITH_EXAMPLE, *FILES_BY_CODE, *elsewhere} == set(CODES)


@pytest.mark.parametrize("file", SHOWN_BY)
def test_code_that_no_text_can_show_is_shown_by_another_test(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert [code for code in SHOWN_BY[file] if code not in text] == []


def test_every_code_in_the_source_is_in_the_table() -> None:
    used: set[str] = set()
    for module in (ROOT / "reconciler").rglob("*.py"):
        if module.parent.name != "codes":
            used |= set(re.findall(r'"([EW][0-9]{3})"', module.read_text(encoding="utf-8")))
    assert used == set(CODES)


def test_codes_are_sorted_errors_before_warnings() -> None:
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_text_of_a_code_is_a_heading_and_whole_sentences(code: str) -> None:
    entry = CODES[code]
    assert re.fullmatch(r"[a-zA-Z].*[^.]", entry.title)
    assert re.fullmatch(r"[A-Z`].*\.", entry.text)
    assert bool(entry.failing) == bool(entry.fixed)
