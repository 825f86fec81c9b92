"""Read, compare and write of changed rows, against raw sqlite3 doing the same to the same file.

The floor reads every row, compares the digests, and in one transaction updates the rows and adds
the revisions and events that our own run left behind: the same bytes into the same tables with the
same indexes, and nothing of what makes them trustworthy.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks import manifests, pipeline
from benchmarks.measuring import Goal, Line, compare, program, run
from reconciler import apply, plan, validate
from reconciler.manifests import loader
from reconciler.model import PlanOptions, Resource
from reconciler.settings import SecretPolicy
from reconciler.stores import Opening, open_store

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_OPTIONS = PlanOptions(stack="default", roots=("manifests",), inputs=("manifests",))


def changed_rows(scratch: Path, size: int, rounds: int) -> Iterator[Line]:
    """Measures an apply that changes all of `size` rows, the manifests being read already."""
    folder = pipeline.project(scratch / "store", size)
    run(program("apply", "--health", "none"), folder)
    before = folder / ".reconciler" / "state.db"
    resources = _resources(size)
    ours = _copy(before, folder / "ours.db")
    _apply(ours, resources)
    raw = _raw(ours)
    yield compare(
        f"read, compare and write {size:,} rows, against raw sqlite3",
        lambda: _timed(before, folder / "ours.db", lambda file: _apply(file, resources)),
        lambda: _timed(before, folder / "raw.db", raw),
        rounds=2 * rounds,
        goal=Goal(at_least=1.5, aim=1.3),
    )


def _resources(size: int) -> tuple[Resource, ...]:
    """Returns the same manifests again, one field of each changed."""
    documents = (
        document
        for number in range(size)
        for document in loader.load(
            manifests.manifest(number, revision=1).encode(),
            f"manifests/{number // 500:03d}/m{number:06d}.yaml",
        )
    )
    return validate.validate(documents, SecretPolicy(root="/")).resources


def _apply(file: Path, resources: tuple[Resource, ...]) -> None:
    store = open_store(f"sqlite:///{file}", Opening.WRITE, now=_NOW)
    numbers = count()
    facts = apply.RunFacts(
        run_id="run_000000000000000",
        now=_NOW,
        actor="bench",
        stack="default",
        command="apply",
        git=None,
        make_uid=lambda: f"conn_{next(numbers):015d}",
    )
    planned = plan.make_plan(resources, store.recorded(), _OPTIONS, lineage=store.meta.lineage)
    assert len(planned.changes) == len(resources)
    apply.apply(planned, store, facts, apply.SecretFacts(), lock_timeout_s=30)
    store.close()


def _raw(after: Path) -> Callable[[Path], None]:
    """Returns what writes by hand the rows, revisions and events of the last run in `after`."""
    with closing(sqlite3.connect(after)) as database:
        kept = {
            table: database.execute(f"SELECT * FROM {table} WHERE {condition}").fetchall()
            for table, condition in (
                ("connections", "1"),
                ("revisions", "number > 1"),
                ("events", "type = 'updated'"),
            )
        }
        columns = [row[1] for row in database.execute("PRAGMA table_info(connections)")]
    place = columns.index("digest")
    wanted = {row[0]: row[place] for row in kept["connections"]}
    update = f"UPDATE connections SET {', '.join(f'{name} = ?' for name in columns)} WHERE uid = ?"

    def write(file: Path) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = FULL")
            rows = database.execute("SELECT * FROM connections").fetchall()
            moved = {row[0] for row in rows if row[place] != wanted[row[0]]}
            assert len(moved) == len(rows)
            database.execute("BEGIN IMMEDIATE")
            changed = [(*row, row[0]) for row in kept["connections"]]
            database.executemany(update, changed)
            for table in ("revisions", "events"):
                marks = ", ".join("?" * len(kept[table][0]))
                database.executemany(f"INSERT INTO {table} VALUES ({marks})", kept[table])
            database.execute("COMMIT")

    return write


def _timed(before: Path, file: Path, work: Callable[[Path], None]) -> float:
    _copy(before, file)
    began = time.perf_counter()
    work(file)
    return time.perf_counter() - began


def _copy(source: Path, target: Path) -> Path:
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    return Path(shutil.copyfile(source, target))
