"""Every screen in every format, whole, against golden files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from reconciler import report
from reconciler.report import formats, views
from reconciler.report.style import Style

Compare = Callable[[str, str], None]

_SCREENS: dict[str, Mapping[str, str]] = {
    "plan": formats.PLAN,
    "apply": formats.APPLY,
    "health": formats.HEALTH,
    "status": formats.STATUS,
    "describe": formats.DESCRIBE,
    "history": formats.HISTORY,
    "events": formats.EVENTS,
    "runs": formats.RUNS,
}
_SUFFIXES = {"json": "json", "jsonl": "jsonl", "yaml": "yaml", "manifest": "yaml", "markdown": "md"}
_STYLES = {
    "": Style(width=100),
    "-80": Style(width=80),
    "-colour": Style(width=100, colour=True),
    "-pipe": Style(width=None, unicode=False),
}
_CASES = [
    pytest.param(screen, name, "", id=f"{screen}-{name}")
    for screen, table in _SCREENS.items()
    for name in table
]
_CASES += [
    pytest.param(screen, next(iter(table)), suffix, id=f"{screen}{suffix}")
    for screen, table in _SCREENS.items()
    for suffix in ("-80", "-colour", "-pipe")
]


@pytest.fixture
def view(request: pytest.FixtureRequest, screen: str) -> views.View:
    wanted: views.View = request.getfixturevalue(f"{screen}_view")
    return wanted


@pytest.mark.parametrize(("screen", "name", "suffix"), _CASES)
def test_screen_is_the_golden_text(
    view: views.View, screen: str, name: str, suffix: str, compare: Compare
) -> None:
    text = report.formatter(_SCREENS[screen], name)(view, _STYLES[suffix])
    compare(text, f"{screen}-{name}{suffix}.{_SUFFIXES.get(name, 'txt')}")


@pytest.mark.parametrize(("screen", "name", "suffix"), _CASES)
def test_screen_holds_no_control_character_but_newlines_and_its_own_colours(
    view: views.View, screen: str, name: str, suffix: str
) -> None:
    text = report.formatter(_SCREENS[screen], name)(view, replace(_STYLES[suffix], colour=False))
    assert {character for character in text if not character.isprintable()} <= {"\n"}
    assert text.endswith("\n")
    assert "\n::error" not in text


@pytest.mark.parametrize("screen", _SCREENS)
def test_screen_is_ascii_where_the_encoding_is(view: views.View, screen: str) -> None:
    table = _SCREENS[screen]
    text = report.formatter(table, next(iter(table)))(view, Style(unicode=False))
    assert text.isascii()


def _rows(text: str) -> list[str]:
    """Returns the header and the rows: those lines that stand in columns."""
    marks = ("  NAME", "  RESULT", "AT ", "2026-", "✓", "✗", "=", "!", "?", "-")
    return [line for line in text.splitlines() if line.startswith(marks)]


@pytest.mark.parametrize("screen", ["status", "health", "events", "runs"])
@pytest.mark.parametrize("width", [80, 100, 132])
def test_table_stays_within_the_width(view: views.View, screen: str, width: int) -> None:
    text = report.formatter(_SCREENS[screen], "table")(view, Style(width=width))
    assert [line for line in _rows(text) if len(line) > width] == []


@pytest.mark.parametrize("screen", _SCREENS)
def test_colour_changes_nothing_but_colours(view: views.View, screen: str) -> None:
    table = _SCREENS[screen]
    make = report.formatter(table, next(iter(table)))
    coloured = make(view, Style(colour=True))
    for code in ("0", "1", "2", "31", "32", "33", "36", "1;31"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == make(view, Style(colour=False))
