"""P1: apply, and everything else that writes, is all or nothing, wherever it is killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.stores import Opening, open_store
from tests.factories import NOW
from tests.reliability import places, scenarios, survey
from tests.reliability.figures import Record

#: Of a file in WAL mode (https://sqlite.org/fileformat2.html#the_write_ahead_log).
WAL_HEADER_BYTES, FRAME_HEADER_BYTES, PAGE_BYTES = 32, 24, 4096


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_change_of_a_file_killed_at_any_point_is_all_or_nothing(
    name: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    found = survey.survey(survey.Job(name=name, folder=memory_path, is_thorough=is_soak))
    assert found.wrong == ()
    assert found.points >= 5
    figure("P1", "kill points", found.points, "half-done", 0)


@pytest.mark.server
@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_change_in_postgresql_killed_at_any_point_is_all_or_nothing(
    name: str, postgresql_url: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    found = survey.survey(
        survey.Job(
            name=name,
            folder=memory_path,
            url=postgresql_url,
            is_thorough=is_soak,
        )
    )
    assert found.wrong == ()
    assert found.points >= 5
    figure("P1", "kill points", found.points, "half-done", 0)


def test_change_in_two_transactions_would_be_found(memory_path: Path) -> None:
    found = survey.survey(survey.Job(name=scenarios.TWO_STEPS, folder=memory_path))
    assert {text.partition(": ")[2] for text in found.wrong} == {"half of the change is stored"}


def test_commit_cut_off_at_any_byte_is_all_or_nothing(memory_path: Path, figure: Record) -> None:
    """What a kill inside the COMMIT leaves is a beginning of what it appends to the log."""
    file = places.File(memory_path)
    change = scenarios.SCENARIOS["mixed"]
    change.begin(file.url, memory_path)
    before = file.contents()
    reader = open_store(file.url, Opening.READ, now=NOW)  # keeps the log until it is closed
    change.change(file.url, memory_path)
    log = file.path.with_name("state.db-wal").read_bytes()
    kept = file.path.read_bytes()
    reader.close()
    after = file.contents()

    outcomes = []
    for cut in cuts(len(log)):
        again = places.File(memory_path / f"cut-{cut}")
        again.path.write_bytes(kept)
        again.path.with_name("state.db-wal").write_bytes(log[:cut])
        store = open_store(again.url, Opening.WRITE, now=NOW)
        assert store.check() == ()
        store.close()
        contents = again.contents()
        assert contents in (before, after)
        outcomes.append(contents == after)
        shutil.rmtree(again.path.parent)
    assert outcomes == sorted(outcomes)
    assert (outcomes[0], outcomes[-1]) == (False, True)
    figure("P1", "cuts of a COMMIT", len(outcomes), "half-done", 0)


def cuts(size_bytes: int) -> list[int]:
    """Returns where to cut a log: around and inside of its header and each of its frames."""
    frame_bytes = FRAME_HEADER_BYTES + PAGE_BYTES
    ends = range(WAL_HEADER_BYTES, size_bytes + 1, frame_bytes)
    near = {end + by for end in ends for by in (-1, 0, 1, FRAME_HEADER_BYTES, PAGE_BYTES // 2)}
    return sorted(cut for cut in near | {0} if cut <= size_bytes)
