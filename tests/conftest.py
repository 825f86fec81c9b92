"""What every test may use: golden files, compared whole and rewritten with `--update-golden`."""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

import pytest
from hypothesis import settings

#: Here because a worker's figures are added up by a process that collects no tests itself.
pytest_plugins = ["tests.reliability.figures"]

# the short run tries the same each time, so that a change is judged by itself; soak looks further
settings.register_profile("short", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("soak", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))  # noqa: TID251 - of the tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Callable[[str, Path], None]:
    """Compares a text with a file and shows the difference; with `--update-golden`, writes it."""

    def compare(text: str, file: Path) -> None:
        if pytestconfig.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        expected = file.read_text(encoding="utf-8") if file.exists() else ""
        difference = unified_diff(
            expected.splitlines(keepends=True),
            text.splitlines(keepends=True),
            fromfile=f"golden/{file.name}",
            tofile="now",
        )
        if text != expected:
            pytest.fail("".join(difference), pytrace=False)

    return compare
