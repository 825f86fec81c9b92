"""Kills the migration of a store of a released version at each of its points.

Apart from `survey`, which looks with this program's tables: here the store may still have older
ones. In a module of its own because the process that forks imports it by name.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

from reconciler.stores import Opening, migrate, open_store, opening, tables
from tests import factories
from tests.contract import rivals
from tests.reliability import crash_points, places, releases, survey
from tests.reliability.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which version to migrate, in a file in `folder`."""

    folder: Path
    version: str


def kill_everywhere(job: Job) -> Survey:
    """Returns what killing the migration came to; runs in a process of its own."""
    return rivals.in_process(_kill_everywhere, job)


def _kill_everywhere(job: Job) -> Survey:
    file = places.File(job.folder)
    open_store(file.url, Opening.WRITE, now=factories.NOW).close()
    releases.make(file.url, job.version)
    file.save()
    migrate.migrate(file.url, now=factories.NOW)  # loads every module, for the forks
    after = releases.rows(file.url)
    file.restore()
    before = releases.rows(file.url)
    gc.freeze()
    wrong: list[str] = []
    points = 0
    while _is_killed(file.url, points):
        if releases.rows(file.url) != {tables.HEAD: after, job.version: before}[_version(file.url)]:
            wrong.append(f"point {points}: half of the migration is stored")
        migrate.migrate(file.url, now=factories.NOW)
        if releases.rows(file.url) != after:
            wrong.append(f"point {points}: migrating again does not complete it")
        file.restore()
        points += 1
    return Survey(points=points, wrong=tuple(wrong))


def _is_killed(url: str, point: int) -> bool:
    def change() -> None:
        crash_points.die_at(point, with_reading=False)
        migrate.migrate(url, now=factories.NOW)

    ended = survey.in_child(change)
    if ended not in ("signal 9", ""):
        raise AssertionError(ended)
    return ended != ""


def _version(url: str) -> str:
    transactions = rivals.open_transactions(url)
    try:
        with transactions.reading() as connection:
            found = opening.found_version(connection, url)
    finally:
        transactions.close()
    assert found is not None
    return found
