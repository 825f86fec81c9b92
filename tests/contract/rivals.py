"""What other processes do to a store at the same time; each function runs in a process of its own.

In a module of its own because a child process imports it by name.
"""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event, insert

from reconciler.errors import Conflict
from reconciler.model import Outcome, Reason
from reconciler.stores import (
    HealthWrite,
    LoginRequest,
    Opening,
    RowOp,
    RowWrite,
    Verdict,
    Write,
    open_store,
    postgresql,
    sqlite,
    sqlite_file,
    tables,
)
from reconciler.stores.transactions import Transactions
from tests.factories import (
    NOW,
    UID,
    later,
    make_event,
    make_observation,
    make_recorded,
    make_ref,
    make_revision,
    make_run,
    make_uid,
)

Argument = TypeVar("Argument")
Result = TypeVar("Result")
RIVALS = 8
#: A clean server from which children are forked: quick, and without the parent's threads.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def at_once(act: Callable[[str, int], Result], url: str) -> list[Result]:
    """Runs `act(url, number)` in eight processes at the same time; returns what they return."""
    with ProcessPoolExecutor(RIVALS, mp_context=CONTEXT) as pool:
        return list(pool.map(act, [url] * RIVALS, range(RIVALS)))


def make_store(url: str, number: int) -> str:
    """Opens a store that may not be there yet; returns its lineage."""
    store = open_store(url, Opening.WRITE, now=NOW)
    store.close()
    return store.meta.lineage


def count_up(url: str, number: int, times: int = 10) -> int:
    """Adds one to a row `times` times by read, compare and set; returns how often it conflicted."""
    store = open_store(url, Opening.WRITE, now=NOW)
    conflicts = done = 0
    while done < times:
        (row,) = store.find([UID])
        more = replace(row, generation=row.generation + 1, version=row.version + 1)
        try:
            change = RowWrite(op=RowOp.UPDATE, row=more, expected=row.version)
            store.commit(Write(rows=(change,), events=(make_event(message=f"{number}"),)))
            done += 1
        except Conflict:
            conflicts += 1
    store.close()
    return conflicts


def record_results(url: str, number: int, times: int = 10) -> int:
    """Records a result `times` times, reading the row again whenever it had moved."""
    store = open_store(url, Opening.WRITE, now=NOW)
    moved = done = 0
    while done < times:
        (row,) = store.find([UID])
        more = replace(row, generation=row.generation + 1, version=row.version + 1)
        write = HealthWrite(observation=make_observation(), row=more, expected=row.version)
        if store.record([write], now=NOW):
            moved += 1
        else:
            done += 1
    store.close()
    return moved


def log_in_wrongly(url: str, number: int, times: int = 10) -> int:
    """Asks for a login `times` times and has it refused; returns how often it was allowed."""
    store = open_store(url, Opening.WRITE, now=NOW)
    allowed = 0
    for _ in range(times):
        request = LoginRequest(uid=UID, credential_key="key", version=1, deadline_at=later(60))
        if store.reserve([request], now=NOW, budget=5) == (Verdict.GRANTED,):
            allowed += 1
            refused = make_observation(outcome=Outcome.FAILED, reason=Reason.AUTH_FAILED)
            result = HealthWrite(
                observation=refused, row=make_recorded(), expected=99, credential_key="key"
            )
            store.record([result], now=NOW)
    store.close()
    return allowed


def create_same(url: str, number: int) -> bool:
    """Stores a live connection of one name; returns whether it was the first."""
    store = open_store(url, Opening.WRITE, now=NOW)
    row = make_recorded(uid=make_uid(number), ref=make_ref("same"))
    try:
        store.commit(Write(rows=(RowWrite(op=RowOp.INSERT, row=row),)))
    except Conflict:
        return False
    finally:
        store.close()
    return True


def take_lease(url: str, number: int) -> bool:
    """Asks for a lease that the others want too; returns whether it was given."""
    store = open_store(url, Opening.WRITE, now=NOW)
    try:
        return store.lease("refresh", f"{number}", now=NOW, until=later(60))
    finally:
        store.close()


def change_sealed(url: str, number: int) -> bool:
    """Changes the first version of a sealed record; returns whether it was the one to do so."""
    store = open_store(url, Opening.WRITE, now=NOW)
    try:
        first = store.sealed("secret")[0]
        after = replace(first, version=2, ciphertext=f"sealed-v1:{number}:")
        return store.write_sealed(after, expected=1)
    finally:
        store.close()


def open_transactions(url: str) -> Transactions:
    """Returns the transactions of an existing store."""
    path = None if url.startswith("postgresql") else sqlite_file.parse_path(url)
    if path is None:
        return postgresql.PostgresqlTransactions(postgresql.parse_url(url))
    return sqlite.open_file(path, Opening.WRITE)


def hold_lock(url: str, ready: Pipe) -> None:
    """Writes half of something, says so, and never ends."""
    with open_transactions(url).writing(5.0) as connection:
        connection.execute(insert(tables.version).values(version_num="half"))
        ready.send("written")
        signal.pause()


def commit_and_die(url: str, step: int) -> None:
    """Carries out `a_mixed_write`, but dies by SIGKILL right before its statement `step`.

    Statements and the COMMIT count from 0; with a higher `step` it ends by itself.
    """
    store = open_store(url, Opening.WRITE, now=NOW)
    steps = iter(range(1000))

    def die(*_args: Sequence[Any]) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", die)
    event.listen(Engine, "commit", die)
    store.commit(a_mixed_write())
    os._exit(0)


def a_mixed_write() -> Write:
    """Returns a write that creates, renames, archives and deletes, with everything beside it."""
    old, gone = make_recorded(), make_recorded(uid=make_uid(2), ref=make_ref("gone"))
    new = make_recorded(uid=make_uid(3), ref=make_ref("new"))
    renamed = replace(old, ref=make_ref("renamed"), version=2, revision=2)
    return Write(
        rows=(
            RowWrite(op=RowOp.UPDATE, row=renamed, expected=1),
            RowWrite(op=RowOp.DELETE, row=gone, expected=1),
            RowWrite(op=RowOp.INSERT, row=new),
        ),
        revisions=(make_revision(number=2), make_revision(uid=new.uid)),
        events=(make_event(), make_event(uid=new.uid)),
        run=make_run(),
        forgive=(old.uid,),
    )


def in_process(act: Callable[[Argument], Result], argument: Argument) -> Result:
    """Runs `act(argument)` in a process of its own; returns what it returns."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        return pool.submit(act, argument).result()


def as_stranger(act: Callable[[Path], Result], path: Path) -> Result:
    """Runs `act(path)` as a user whom permissions bind: as `nobody` when we are root."""
    run = _run_as_nobody if os.geteuid() == 0 else _run
    return in_process(partial(run, act), path)


def _run(act: Callable[[Path], Result], path: Path) -> Result:
    return act(path)


def _run_as_nobody(act: Callable[[Path], Result], path: Path) -> Result:
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    return act(path)
