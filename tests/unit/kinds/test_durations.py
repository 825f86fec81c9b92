from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds import durations
from tests import strategies


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("0.1s", 0.1),
        ("5m", 300.0),
        ("1.5h", 5400.0),
        ("7d", 604800.0),
        ("0.001d", 86.4),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert durations.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "1e3", "-5s", "5 s", "5S", "1.5ms", "1.2345s", "5m\n", "\u0665s", "1h30m"]
)
def test_what_is_no_duration_is_refused_and_has_no_canonical_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|fraction"):
        durations.parse_duration(text)
    assert durations.canonical_duration(text) == text
    assert re.fullmatch(durations.PATTERN, text) is None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("300s", "5m"),
        ("0.5s", "500ms"),
        ("1000ms", "1s"),
        ("90s", "90s"),
        ("60m", "1h"),
        ("24h", "1d"),
        ("1.5m", "90s"),
        ("0d", "0s"),
    ],
)
def test_the_canonical_form_has_the_largest_unit_that_divides(text: str, canonical: str) -> None:
    assert durations.canonical_duration(text) == canonical


@given(strategies.durations)
def test_the_canonical_form_says_the_same_and_is_stable(text: str) -> None:
    canonical = durations.canonical_duration(text)
    assert durations.parse_duration(canonical) == durations.parse_duration(text)
    assert durations.canonical_duration(canonical) == canonical


@given(st.integers(0, 10**10))
def test_seconds_are_written_as_they_would_be_read(milliseconds: int) -> None:
    text = durations.format_duration(milliseconds / 1000)
    assert round(durations.parse_duration(text) * 1000) == milliseconds
