"""What every end-to-end test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the installed command in an empty project folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Run(folder=folder)
