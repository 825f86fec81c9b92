"""P4: a dead process never leaves a lock; there is nothing to unlock."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert

from reconciler.cli import table
from reconciler.stores import tables
from tests.contract import rivals
from tests.desired import want
from tests.reliability.figures import Record
from tests.reliability.program import Program

ROUNDS, SOAK_ROUNDS = 20, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    url: str
    folder: Path
    rounds: int


def test_apply_goes_on_right_after_the_holder_of_the_lock_was_killed(
    shared_url: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    Program(url=shared_url, folder=memory_path).apply(want("a"))
    rounds = SOAK_ROUNDS if is_soak else ROUNDS
    job = Job(url=shared_url, folder=memory_path, rounds=rounds)
    waits_s = rivals.in_process(kill_holders, job)
    assert len(waits_s) == rounds
    # Far above what it takes (reliability M7), for a machine that has much else to do.
    assert max(waits_s) < 10.0
    figure("P4", "killed holders", rounds, "locks left", 0, "s until the next apply", max(waits_s))


@pytest.mark.parametrize("word", ["unlock", "lock", "force"])
def test_no_command_unlocks(word: str) -> None:
    assert [name for name in table.ROWS if word in name] == []


def kill_holders(job: Job) -> list[float]:
    """Kills a process inside its transaction, then applies, so often; returns the seconds each.

    Runs in a process without threads, which forks.
    """
    program, waits_s = Program(url=job.url, folder=job.folder), []
    for number in range(job.rounds):
        reader, writer = os.pipe()
        holder = os.fork()
        if not holder:
            hold(job.url, writer)
        os.close(writer)
        assert os.read(reader, 1) == b"!"
        os.close(reader)
        os.kill(holder, signal.SIGKILL)
        begun_s = time.monotonic()
        applied = program.apply(want("a", port=5000 + number))
        waits_s.append(time.monotonic() - begun_s)
        os.waitpid(holder, 0)
        assert len(applied.changes.results) == 1
    return waits_s


def hold(url: str, writer: int) -> None:
    """Writes half of something, says so, and never ends."""
    try:
        with rivals.open_transactions(url).writing(5.0) as connection:
            connection.execute(insert(tables.version).values(version_num="half"))
            os.write(writer, b"!")
            signal.pause()
    finally:
        os._exit(1)
