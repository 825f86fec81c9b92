"""Kills a rotation of the key at each of its points, and looks whether everything can be read.

Not all or nothing as what `survey` kills: a rotation moves record by record. So after each kill
every value must open with both keys, and running it again must leave none that needs the old one.
In a module of its own because the process that forks imports it by name.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler import stored_secrets
from reconciler.redact import Secret
from reconciler.sealing import Context, Sealer
from reconciler.stores import Opening, SealedRecord, Store, open_store, vault
from tests import factories
from tests.contract import rivals
from tests.reliability import crash_points, places, survey
from tests.reliability.survey import Survey

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
VALUES = {
    (vault.SECRET, "a"): "first value",
    (vault.SECRET, "b"): "second value",
    (vault.SECRET, "c"): "third value",
    (vault.TOKEN, factories.UID): '{"access_token": "fourth value"}',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where to rotate: the URL of an empty PostgreSQL schema, or empty for a file in `folder`."""

    folder: Path
    url: str = ""


def kill_everywhere(job: Job) -> Survey:
    """Returns what killing a rotation at its points came to; runs in a process of its own."""
    return rivals.in_process(_kill_everywhere, job)


def fill(url: str) -> None:
    """Makes a store with `VALUES`, everything sealed with the old key."""
    store = _open(url, [OLD], Opening.WRITE)
    for (space, name), value in VALUES.items():
        context = Context(
            lineage=store.meta.lineage,
            space=space,
            name=name,
            version=1,
            updated_at=factories.NOW,
        )
        record = SealedRecord.seal(Sealer([OLD]), Secret(value), context)
        assert store.write_sealed(record, expected=None)
    store.close()


def rotate(url: str) -> int:
    """Rotates from the old key to the new one; returns how many records moved."""
    store = _open(url, [NEW, OLD], Opening.WRITE)
    order = stored_secrets.Order(actor="ana", now=factories.NOW, sealer=Sealer([NEW, OLD]))
    try:
        return stored_secrets.rotate(store, (NEW, OLD), order)
    finally:
        store.close()


def read(url: str, keys: Sequence[bytes]) -> dict[tuple[str, str], str]:
    """Returns every value that the keys open."""
    store = _open(url, keys, Opening.READ)
    try:
        return {
            (record.space, record.name): record.open(Sealer(keys), store.meta.lineage).reveal()
            for space in vault.SPACES
            for record in store.sealed(space)
        }
    finally:
        store.close()


def _open(url: str, keys: Sequence[bytes], opening: Opening) -> Store:
    return open_store(url, opening, keys=keys, now=factories.NOW)


def _kill_everywhere(job: Job) -> Survey:
    with places.open_place(job.url, job.folder) as place:
        fill(place.url)
        place.save()
        rotate(place.url)  # loads every module, for the forks
        place.restore()
        gc.freeze()
        wrong: list[str] = []
        points = 0
        while _is_killed(place.url, points):
            if failure := survey.in_child(lambda: _look(place.url)):
                wrong.append(f"point {points}: {failure}")
            place.restore()
            points += 1
        return Survey(points=points, wrong=tuple(wrong))


def _is_killed(url: str, point: int) -> bool:
    def change() -> None:
        crash_points.die_at(point, with_reading=False)
        rotate(url)

    ended = survey.in_child(change)
    if ended not in ("signal 9", ""):
        raise AssertionError(ended)
    return ended != ""


def _look(url: str) -> None:
    assert read(url, [NEW, OLD]) == VALUES
    assert read(url, [OLD, NEW]) == VALUES
    rotate(url)
    assert read(url, [NEW]) == VALUES
    assert rotate(url) == 0
