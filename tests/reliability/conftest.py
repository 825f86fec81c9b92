"""Stores for the falsifiers, and how long they may take; `figure` comes from `figures.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.contract.conftest import postgresql, postgresql_url, shared_url, sqlite_url
from tests.corpus.zygote import Zygote, zygote

__all__ = ["postgresql", "postgresql_url", "shared_url", "sqlite_url"]


@pytest.fixture(scope="session")
def is_soak() -> bool:
    """Whether the long versions are wanted: `HYPOTHESIS_PROFILE=soak`."""
    return settings.get_current_profile_name() == "soak"


@pytest.fixture(scope="session")
def command() -> Iterator[Zygote]:
    """Runs the command line in forks of one warmed-up process."""
    with zygote() as started:
        yield started
