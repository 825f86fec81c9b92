"""Times as people and programs read them: ages, latencies, and RFC 3339 in UTC.

Pure: an age needs `now`, which is passed. A clock that was set back gives `0 s`, never a negative
age.
"""

from __future__ import annotations

from datetime import UTC, datetime

#: Largest unit first: seconds it holds, its symbol.
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_MILLISECONDS_PER_SECOND = 1000


def age(at: datetime | None, now: datetime) -> str:
    """Returns how long ago `at` was in its largest whole unit (`4 m`, `12 d`), `-` for never."""
    if at is None:
        return "-"
    seconds = max(0, int((now - at).total_seconds()))
    for size, symbol in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {symbol}"
    return f"{seconds} s"


def ahead(at: datetime, now: datetime) -> str:
    """Returns how far off `at` is, in its largest whole unit: `in 89 d`, `over for 3 h`."""
    return f"over for {age(at, now)}" if at <= now else f"in {age(now, at)}"


def duration(seconds: float | None) -> str:
    """Returns a latency as `<1 ms`, `38 ms` or `1.2 s`; `-` where none was measured."""
    if seconds is None:
        return "-"
    milliseconds = round(seconds * _MILLISECONDS_PER_SECOND)
    if milliseconds >= _MILLISECONDS_PER_SECOND:
        return f"{seconds:.1f} s"
    return f"{milliseconds} ms" if milliseconds else "<1 ms"


def utc(at: datetime) -> str:
    """Returns `at` to the second, as RFC 3339 in UTC: `2026-11-22T08:44:10Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_exact(at: datetime | None) -> str | None:
    """Returns `at` to the millisecond, as RFC 3339 in UTC, None for None; what programs read."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
