"""Stores for the contract suite: each test runs on SQLite in memory, in a file, and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.stores import Opening, Store, open_store
from tests.factories import NOW
from tests.servers.postgresql import PostgresServer, postgresql

__all__ = ["postgresql"]

#: Opens the store of a test once more, as another process would.
OpenStore = Callable[[], Store]


@pytest.fixture
def postgresql_url(postgresql: PostgresServer) -> Iterator[str]:
    """Gives the URL of an empty schema."""
    name = postgresql.make_schema()
    yield postgresql.url("postgres", schema=name)
    postgresql.drop_schema(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Gives the URL of a file that is not there yet."""
    return f"sqlite:///{tmp_path}/state/state.db"


@pytest.fixture(
    params=[
        pytest.param("sqlite_url", id="sqlite"),
        pytest.param("postgresql_url", id="postgresql", marks=pytest.mark.server),
    ]
)
def shared_url(request: pytest.FixtureRequest) -> str:
    """Gives the URL of an empty store that several processes can open."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(
    params=[
        pytest.param("memory", id="memory"),
        pytest.param("sqlite_url", id="sqlite"),
        pytest.param("postgresql_url", id="postgresql", marks=pytest.mark.server),
    ]
)
def url(request: pytest.FixtureRequest) -> str:
    """Gives the URL of an empty store of each kind."""
    if request.param == "memory":
        return "sqlite://"
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Gives a new, empty store of each kind, open for writing."""
    opened = open_store(url, Opening.WRITE, now=NOW)
    yield opened
    opened.close()
