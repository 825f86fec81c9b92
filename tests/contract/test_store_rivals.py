"""Several processes and threads on one store: nothing is lost, nothing is half done."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from reconciler.errors import Conflict
from reconciler.stores import EventQuery, Opening, RowOp, RowWrite, Store, Write, open_store
from tests.contract import rivals
from tests.factories import (
    NOW,
    UID,
    make_event,
    make_recorded,
    make_ref,
    make_revision,
    make_uid,
)

CREATE = Write(rows=(RowWrite(op=RowOp.INSERT, row=make_recorded()),))


@pytest.fixture
def shared(shared_url: str) -> Iterator[Store]:
    """Gives a store with one connection, in a place that other processes can open."""
    opened = open_store(shared_url, Opening.WRITE, now=NOW)
    opened.commit(CREATE)
    yield opened
    opened.close()


def test_store_that_eight_processes_make_at_once_is_one_store(shared_url: str) -> None:
    assert len(set(rivals.at_once(rivals.make_store, shared_url))) == 1


def test_no_update_of_eight_processes_is_lost(shared: Store, shared_url: str) -> None:
    rivals.at_once(rivals.count_up, shared_url)
    (row,) = shared.recorded()
    assert (row.generation, row.version) == (81, 81)
    assert len(shared.events(EventQuery())) == 80


def test_no_result_of_eight_processes_is_lost(shared: Store, shared_url: str) -> None:
    rivals.at_once(rivals.record_results, shared_url)
    (row,) = shared.recorded()
    assert row.generation == 81
    assert len(shared.observations(UID, limit=1000)) == 80


def test_login_budget_holds_over_eight_processes(shared: Store, shared_url: str) -> None:
    assert sum(rivals.at_once(rivals.log_in_wrongly, shared_url)) == 5


def test_one_of_eight_processes_creates_a_name(shared: Store, shared_url: str) -> None:
    assert sum(rivals.at_once(rivals.create_same, shared_url)) == 1


def test_threads_share_one_store(store: Store) -> None:
    store.commit(CREATE)

    def count_up(_number: int) -> None:
        done = 0
        while done < 10:
            (row,) = store.find([UID])
            more = replace(row, generation=row.generation + 1, version=row.version + 1)
            try:
                store.commit(
                    Write(rows=(RowWrite(op=RowOp.UPDATE, row=more, expected=row.version),))
                )
            except Conflict:
                continue
            done += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(4)))
    assert [row.generation for row in store.recorded()] == [41]


def test_lock_that_is_not_free_in_time_is_a_conflict(shared: Store, shared_url: str) -> None:
    holder = rivals.open_transactions(shared_url)
    with holder.writing(1.0), pytest.raises(Conflict) as raised:
        shared.commit(Write(events=(make_event(),)), lock_timeout_s=0.05)
    holder.close()
    assert raised.value.message.startswith("another process holds the state store ")
    assert raised.value.hint == "run it again; `--lock-timeout` waits longer"


def test_readers_do_not_wait_for_the_writer(shared: Store, shared_url: str) -> None:
    holder = rivals.open_transactions(shared_url)
    with holder.writing(1.0):
        assert shared.recorded() == (make_recorded(),)
    holder.close()


def test_killed_process_leaves_neither_lock_nor_half_a_write(
    shared: Store, shared_url: str
) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = rivals.CONTEXT.Process(target=rivals.hold_lock, args=(shared_url, theirs))
    process.start()
    assert ours.recv() == "written"
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    shared.commit(Write(events=(make_event(),)), lock_timeout_s=5.0)
    reopened = open_store(shared_url, Opening.READ, now=NOW)
    assert reopened.meta == shared.meta
    reopened.close()


def test_commit_killed_before_any_of_its_statements_is_all_or_nothing(shared_url: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    gone = make_recorded(uid=make_uid(2), ref=make_ref("gone"))
    store.commit(
        Write(
            rows=(*CREATE.rows, RowWrite(op=RowOp.INSERT, row=gone)),
            revisions=(make_revision(), make_revision(uid=gone.uid)),
            events=(make_event(), make_event(uid=gone.uid)),
        )
    )
    before = _everything(store)
    exits: list[int | None] = []
    while not exits or exits[-1] == -signal.SIGKILL:
        process = rivals.CONTEXT.Process(
            target=rivals.commit_and_die, args=(shared_url, len(exits))
        )
        process.start()
        process.join()
        exits.append(process.exitcode)
        after = _everything(store)
        assert (after == before) is (exits[-1] == -signal.SIGKILL)
    assert len(exits) > 10
    assert exits[-1] == 0
    assert store.check() == ()
    store.close()


def _everything(store: Store) -> tuple[object, ...]:
    found = store.recorded(archived=True)
    kept = tuple(store.revisions(row.uid) for row in found)
    return found, kept, store.events(EventQuery()), store.runs()
