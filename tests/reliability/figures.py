"""The plug-in behind the fixture `figure`: what the falsifiers count, added up over one session.

A falsifier reports how often it tried to break a promise and what it found. The numbers travel with
the test's report, so they arrive from every worker process, and only those of tests that passed
count. They are printed at the end; `--figures FILE` also writes them for `table.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import pytest

#: An integer is a count, and counts add up; a float is a measurement, and the largest is kept.
Number: TypeAlias = int | float
#: Promise -> what was counted or measured -> how much.
Figures: TypeAlias = dict[str, dict[str, Number]]
_PROPERTY = "figure"


class Record(Protocol):
    """What the fixture `figure` gives."""

    def __call__(self, promise: str, *pairs: str | Number) -> None:
        """Notes `pairs`, each a name and a number, as figures of `promise`, such as "P1"."""


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Record:
    """Notes figures: `figure("P1", "kill points", 412, "half-applied", 0)`."""

    def record(promise: str, *pairs: str | Number) -> None:
        for name, number in zip(pairs[::2], pairs[1::2], strict=True):
            request.node.user_properties.append((_PROPERTY, [promise, name, number]))

    return record


def add(figures: Figures, promise: str, name: str, number: Number) -> None:
    """Adds one number to what is known of `promise`."""
    known = figures.setdefault(promise, {})
    before = known.get(name)
    if before is None:
        known[name] = number
    elif isinstance(number, float):
        known[name] = max(before, number)
    else:
        known[name] = before + number


def order(promise: str) -> int:
    """Returns the number of a promise, to sort by."""
    return int(promise.removeprefix("P"))


def phrase(known: dict[str, Number]) -> str:
    """Returns the figures of one promise in words: `1,204 kill points, 0 half-done`.

    What was tried comes first, by name, since tests end in any order; then what was not found.
    """
    parts = []
    for name in sorted(known, key=lambda name: (not known[name], name)):
        number = known[name]
        text = f"{number:.2f}" if isinstance(number, float) else f"{number:,}"
        parts.append(f"{text} {name}")
    return ", ".join(parts)


def lines(figures: Figures) -> Iterator[str]:
    """Yields one line for each promise, in order."""
    for promise in sorted(figures, key=order):
        yield f"{promise:<4}{phrase(figures[promise])}"


class Ledger:
    """Adds up the figures of a session, in the process that sees every report."""

    def __init__(self, config: pytest.Config) -> None:
        self._target: str | None = config.getoption("--figures")
        self._figures: Figures = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        for name, value in report.user_properties:
            if name == _PROPERTY:
                add(self._figures, *value)  # type: ignore[misc]  # typed as object by pytest

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._figures:
            terminalreporter.section("figures")
            for line in lines(self._figures):
                terminalreporter.write_line(line)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if self._target and exitstatus == 0:
            target = Path(self._target)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(self._figures, indent=1) + "\n", encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", metavar="FILE", help="write the figures of the falsifiers here")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ledger(config), "figures-ledger")
