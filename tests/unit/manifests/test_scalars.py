"""Plain scalars: what each form means, and where readers of YAML 1.1 are warned about."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.manifests.scalars import NUMERIC_STARTS, WORDS, resolve
from reconciler.model import Json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("5432", 5432),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0x1F", 31),
        ("0x00000000000000000000000000000001", 1),
        ("1.10", 1.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("1.5e+3", 1500.0),
    ],
)
def test_form_that_all_readers_agree_on_has_its_value(text: str, value: Json) -> None:
    assert resolve(text) == (value, None)
    assert type(resolve(text)[0]) is type(value)


@pytest.mark.parametrize(
    "text",
    ["none", "nUll", "tRue", "truely", "30s", "1.2.0", "10.0.0.1", "-", "--", ".", "...", "+",
     "0b", "0x", "0o", "0o8", "1e", "e3", "-0o17", "db-7.internal", ".infinity", "1 2", "٤",
     "22:99", "2024-1-1", "::1", "_1"],
)  # fmt: skip
def test_other_text_is_text(text: str) -> None:
    assert resolve(text) == (text, None)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        *((word, "a boolean") for word in ("yes", "No", "ON", "off", "y", "N")),
        ("0123", "octal"),
        ("-007", "octal"),
        ("08", "octal"),
        ("1_000", "a number"),
        ("1_000.5", "a number"),
        ("0b101", "a number"),
        ("0xF_F", "a number"),
        ("+0x1F", "a number"),
        ("22:22", "base 60"),
        ("190:20:30.15", "base 60"),
        ("2024-02-03", "a date"),
        ("2024-13-45", "a date"),
        ("2001-12-14t21:59:43.10-05:00", "a date"),
        ("=", "refuse"),
        ("<<", "refuse"),
    ],
)
def test_text_that_yaml_1_1_reads_otherwise_is_warned_about(text: str, reading: str) -> None:
    value, note = resolve(text)
    assert value == text
    assert note is not None
    assert (note.code, reading in note.message) == ("W012", True)


@pytest.mark.parametrize(
    ("text", "value"), [("1e3", 1000.0), ("0o17", 15), ("1E5", 100000.0), ("-.5", -0.5)]
)
def test_number_that_yaml_1_1_takes_for_text_is_warned_about(text: str, value: Json) -> None:
    found, note = resolve(text)
    assert found == value
    assert note is not None
    assert (note.code, note.message) == (
        "W012",
        "this is a number here, but text to readers of YAML 1.1",
    )


@pytest.mark.parametrize(
    "text",
    ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "0x8000000000000000",
     "0o1777777777777777777777", "1.0e+999", "1e999", ".inf", "-.INF", "+.Inf", ".nan", ".NaN"],
)  # fmt: skip
def test_number_without_a_finite_64_bit_value_is_an_error(text: str) -> None:
    _, note = resolve(text)
    assert note is not None
    assert note.code == "E018"


@pytest.mark.parametrize("text", ["9" * 500_000, "0x" + "f" * 500_000, "0o" + "7" * 500_000])
def test_endless_digits_are_refused_without_being_converted(text: str) -> None:
    _, note = resolve(text)
    assert note is not None
    assert note.code == "E018"


def _yaml_1_1(text: str) -> tuple[bool, Json]:
    """Returns whether PyYAML's safe loader can read the plain scalar, and what it makes of it."""
    loader = yaml.SafeLoader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # PyYAML's
        return True, loader.construct_object(yaml.ScalarNode(tag, text), deep=True)
    except (yaml.YAMLError, ValueError):
        return False, None
    finally:
        loader.dispose()


@settings(deadline=None)
@given(st.text(alphabet="0123456789+-._:eExobaTZ ~tfyn=<", min_size=1, max_size=12).map(str.strip))
def test_whatever_yaml_1_1_reads_otherwise_is_said(text: str) -> None:
    value, note = resolve(text)
    is_read, other = _yaml_1_1(text)
    if note is None:
        assert is_read
        assert (type(other), other) == (type(value), value)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=8))
def test_first_character_and_word_tell_all_that_is_not_text(text: str) -> None:
    if text not in WORDS and text[0] not in NUMERIC_STARTS:
        assert resolve(text) == (text, None)
