from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.report import times
from tests.factories import NOW, later


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(-3600, "0 s", id="a clock that was set back"),
        pytest.param(0, "0 s", id="now"),
        pytest.param(59.9, "59 s", id="below a minute"),
        pytest.param(60, "1 m", id="a minute"),
        pytest.param(3599, "59 m", id="below an hour"),
        pytest.param(3600, "1 h", id="an hour"),
        pytest.param(86399, "23 h", id="below a day"),
        pytest.param(86400, "1 d", id="a day"),
        pytest.param(86400 * 4000, "4000 d", id="years"),
    ],
)
def test_age_is_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert times.age(NOW - timedelta(seconds=seconds), NOW) == text


def test_age_of_what_never_happened_is_a_dash() -> None:
    assert times.age(None, NOW) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "<1 ms"),
        (0.0004, "<1 ms"),
        (0.0384, "38 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
    ],
)
def test_duration_has_a_unit_that_fits(seconds: float | None, text: str) -> None:
    assert times.duration(seconds) == text


def test_times_are_written_in_utc() -> None:
    at = datetime(2026, 3, 1, 14, 0, 1, 250_000, tzinfo=timezone(timedelta(hours=2)))
    assert times.utc(at) == "2026-03-01T12:00:01Z"
    assert times.utc_exact(at) == "2026-03-01T12:00:01.250Z"


def test_exact_time_keeps_its_width_at_a_whole_second() -> None:
    assert times.utc_exact(later(0).astimezone(UTC)) == "2026-03-01T12:00:00.000Z"
    assert times.utc_exact(None) is None
