"""Read, compare and write of changed rows, against raw sqlite3 doing the same to the same file.

The floor reads every row, compares the digests, and in one transaction updates the rows and adds
the revisions and events that our own run left behind: the same bytes into the same tables with the
same indexes, and nothing of what makes them trustworthy. Ours is measured twice: the store alone,
which is given what to write, and with the stages that decide it: every field compared, a status
advanced and an event told for each row.
"""

from __future__ import annotations

import gc
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks import manifests, pipeline
from benchmarks.measuring import Goal, Line, compare, program, run
from reconciler import apply, plan, validate
from reconciler.manifests import loader
from reconciler.model import PlanOptions, Ref, Resource
from reconciler.settings import SecretPolicy
from reconciler.stores import Opening, Write, open_store

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_OPTIONS = PlanOptions(stack="default", roots=("manifests",), inputs=("manifests",))


def changed_rows(scratch: Path, size: int, rounds: int) -> Iterator[Line]:
    """Measures an apply that changes all of `size` rows, the manifests being read already."""
    folder = pipeline.project(scratch / "store", size)
    run(program("apply", "--health", "none"), folder)
    before = folder / ".reconciler" / "state.db"
    resources = _resources(size)
    ours = _copy(before, folder / "ours.db")
    write = _apply(ours, resources)
    raw = _raw(ours)
    digests = {resource.ref: resource.digest for resource in resources}
    works: dict[str, Callable[[Path], object]] = {
        "the store alone": lambda file: _store_alone(file, digests, write),
        "plan and apply": lambda file: _apply(file, resources),
    }
    gc.collect()
    gc.disable()  # as the program does
    for name, work in works.items():
        yield compare(
            f"read, compare and write {size:,} rows, {name}, against raw sqlite3",
            partial(_timed, before, folder / "ours.db", work),
            partial(_timed, before, folder / "raw.db", raw),
            rounds=2 * rounds,
            goal=Goal(at_least=1.5, aim=1.3),
        )
    gc.enable()


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


def _store_alone(file: Path, digests: Mapping[Ref, str], write: Write) -> None:
    store = open_store(f"sqlite:///{file}", Opening.WRITE, now=_NOW)
    moved = [row for row in store.recorded() if digests[row.ref] != row.digest]
    assert len(moved) == len(write.rows)
    store.commit(write)
    store.close()


def _apply(file: Path, resources: tuple[Resource, ...]) -> Write:
    """Changes every row and returns what was written."""
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
    write, _ = apply.prepare(planned, facts, apply.SecretFacts())
    store.commit(write)
    store.close()
    return write


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
    changes = ", ".join(f"{name} = ?" for name in columns[1:])
    update = f"UPDATE connections SET {changes} WHERE uid = ?"

    def write(file: Path) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = FULL")
            rows = database.execute("SELECT * FROM connections").fetchall()
            moved = {row[0] for row in rows if row[place] != wanted[row[0]]}
            assert len(moved) == len(rows)
            database.execute("BEGIN IMMEDIATE")
            changed = [(*row[1:], row[0]) for row in kept["connections"]]
            database.executemany(update, changed)
            for table in ("revisions", "events"):
                marks = ", ".join("?" * len(kept[table][0]))
                database.executemany(f"INSERT INTO {table} VALUES ({marks})", kept[table])
            database.execute("COMMIT")

    return write


def _timed(before: Path, file: Path, work: Callable[[Path], object]) -> float:
    _copy(before, file)
    began = time.perf_counter()
    work(file)
    return time.perf_counter() - began


def _copy(source: Path, target: Path) -> Path:
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    return Path(shutil.copyfile(source, target))
