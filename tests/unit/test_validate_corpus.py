"""The corpus in `tests/cases`: each file has the findings that stand beside it, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pydantic
import pytest

from reconciler import kinds, validate
from reconciler.codes import CODES
from reconciler.manifests import loader
from reconciler.model import Document, Severity
from tests import checking

CASES = Path(__file__).parent.parent / "cases"
FILES = sorted(CASES.glob("*Connection/*/*.yaml"))
TWENTY = sorted((CASES / "twenty").glob("*.yaml"))


def case_name(file: Path) -> str:
    return str(file.relative_to(CASES))


@pytest.mark.parametrize("file", FILES, ids=case_name)
def test_case_has_exactly_the_expected_findings(
    file: Path, golden: Callable[[str, Path], None]
) -> None:
    found = checking.check(file.read_bytes(), path=file.name).diagnostics
    golden(checking.concise(found), file.with_suffix(".expected"))


@pytest.mark.parametrize("file", FILES, ids=case_name)
def test_case_is_valid_or_not_as_its_folder_says(file: Path) -> None:
    found = checking.check(file.read_bytes())
    assert found.has_errors == (file.parent.name == "invalid")


def test_twenty_mistakes_are_all_reported_in_one_run_each_at_its_place(
    golden: Callable[[str, Path], None],
) -> None:
    stream = [
        item for file in TWENTY for item in loader.load(file.read_bytes(), f"twenty/{file.name}")
    ]
    found = validate.validate(stream, checking.POLICY).diagnostics
    golden(checking.concise(found), CASES / "twenty" / "expected.txt")


def test_twenty_mistakes_are_twenty_different_codes() -> None:
    lines = (CASES / "twenty" / "expected.txt").read_text().splitlines()
    assert len({line.split()[1] for line in lines}) == len(lines) == 20


@pytest.mark.parametrize("file", [*FILES, *TWENTY], ids=case_name)
def test_no_finding_shows_a_value_that_was_planted_in_a_case(file: Path) -> None:
    found = checking.check(file.read_bytes()).diagnostics
    assert not [text for text in map(checking.screen, found) if "TOPSECRET" in text]


@pytest.mark.parametrize("file", FILES, ids=case_name)
def test_no_message_breaks_the_style_of_messages(file: Path) -> None:
    for finding in checking.check(file.read_bytes()).diagnostics:
        assert not finding.message.endswith(".")
        assert not re.match("[A-Z][a-z ]", finding.message)
        assert "\n" not in finding.message + finding.hint


@pytest.mark.parametrize("file", FILES, ids=case_name)
def test_every_finding_has_a_code_of_the_table_and_a_pointer_into_its_document(file: Path) -> None:
    for finding in checking.check(file.read_bytes()).diagnostics:
        assert finding.code in CODES
        assert (finding.severity is Severity.WARNING) == finding.code.startswith("W")
        assert finding.pointer == "" or finding.pointer.startswith("/")


def documents() -> Iterator[Any]:
    for file in FILES:
        for number, item in enumerate(loader.load(file.read_bytes(), case_name(file)), start=1):
            if isinstance(item, Document):
                yield pytest.param(item, id=f"{case_name(file)}#{number}")


@cache
def validators(kind: str) -> tuple[Any, Any, Any]:
    module, attribute = kinds.kind(kind).model.split(":")
    return (
        jsonschema_rs.Draft202012Validator(kinds.schema(kind)),
        jsonschema.Draft202012Validator(kinds.schema(kind)),
        getattr(import_module(module), attribute),
    )


def is_valid_model(model: Any, data: Any) -> bool:
    try:
        model.model_validate(data)
    except pydantic.ValidationError:
        return False
    return True


@pytest.mark.parametrize("document", tuple(documents()))
def test_both_schema_libraries_and_the_model_agree_on_every_document(document: Document) -> None:
    for kind in kinds.KINDS:
        fast, slow, model = validators(kind)
        verdicts = {
            fast.is_valid(document.data),
            slow.is_valid(document.data),
            is_valid_model(model, document.data),
        }
        assert len(verdicts) == 1
