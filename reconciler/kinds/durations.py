"""Durations as manifests write them: a decimal number and a unit, `500ms`, `30s`, `1.5h`, `7d`.

Pure and below everything that reads a spec. All arithmetic is in whole milliseconds, which every
accepted text is, so that `0.1s` and `100ms` are the same duration exactly. Ten thousand manifests
say the same few durations, so what was read is kept.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from reconciler.model import DURATION_PATTERN

#: The accepted texts, unanchored.
PATTERN: Final = DURATION_PATTERN

_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LARGEST_FIRST: Final = tuple(sorted(_MILLISECONDS.items(), key=lambda unit: -unit[1]))
_TEXT: Final = re.compile(r"([0-9]+)(?:\.([0-9]{1,3}))?(ms|s|m|h|d)")


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> float:
    """Returns the seconds that `text` says.

    Raises:
        ValueError: `text` is not a duration.
    """
    return _milliseconds(text) / 1000


def format_duration(seconds: float) -> str:
    """Returns `seconds`, rounded to milliseconds, in the largest unit that divides it."""
    return _format(round(seconds * 1000))


@lru_cache(maxsize=1024)
def canonical_duration(text: str) -> str:
    """Returns the one way to write `text`, in the largest unit that divides it: `300s` is `5m`.

    Whatever is no duration comes back as it is: reporting it is the schema's business.
    """
    try:
        return _format(_milliseconds(text))
    except ValueError:
        return text


def _milliseconds(text: str) -> int:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("not a duration")
    whole, decimals, unit = match.groups()
    if unit == "ms" and decimals:
        raise ValueError("a fraction of a millisecond")
    size = _MILLISECONDS[unit]
    return int(whole) * size + int((decimals or "").ljust(3, "0")) * size // 1000


def _format(milliseconds: int) -> str:
    if milliseconds == 0:
        return "0s"
    unit, size = next(each for each in _LARGEST_FIRST if milliseconds % each[1] == 0)
    return f"{milliseconds // size}{unit}"
