"""What every end-to-end test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.zygote import Zygote, zygote
from tests.e2e.command import Run
from tests.servers.http import Server, http_server


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the installed command in an empty project folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Run(folder=folder)


@pytest.fixture(scope="session")
def warm() -> Iterator[Zygote]:
    """Runs the command as forks of one process that has imported everything already."""
    with zygote() as process:
        yield process


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Gives a server whose paths each test sets for itself; see `projects.answer`."""
    with http_server({}) as running:
        yield running
