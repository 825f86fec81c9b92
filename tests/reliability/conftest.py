"""Stores for the falsifiers, and how long they may take; `figure` comes from `figures.py`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.contract.conftest import postgresql, postgresql_url, shared_url, sqlite_url
from tests.corpus.zygote import Zygote, zygote

__all__ = ["postgresql", "postgresql_url", "shared_url", "sqlite_url"]


@pytest.fixture(scope="session")
def is_soak() -> bool:
    """Whether the long versions are wanted: `HYPOTHESIS_PROFILE=soak`."""
    return settings.get_current_profile_name() == "soak"


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """Gives an empty folder in memory where the system has such: waiting for a disk proves nothing.

    A kill leaves the same behind on both.
    """
    shared = "/dev/shm"
    parent = shared if os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="reconciler-", dir=parent) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def command() -> Iterator[Zygote]:
    """Runs the command line in forks of one warmed-up process."""
    with zygote() as started:
        yield started
