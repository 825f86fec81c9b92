"""P2: nothing that was acknowledged is lost, whatever eight processes do at the same time."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from reconciler.stores import EventQuery, Store
from tests.contract import rivals
from tests.desired import want
from tests.reliability import histories
from tests.reliability.figures import Record
from tests.reliability.histories import History
from tests.reliability.program import Program, row_named

ROUNDS, SOAK_ROUNDS = 15, 1000
MOST = 10**9


def test_no_acknowledged_write_of_eight_processes_is_lost(
    shared_url: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    program = Program(url=shared_url, folder=memory_path)
    program.apply(want("a"), want("b"))
    workers = [
        histories.Worker(
            url=shared_url,
            folder=memory_path,
            number=number,
            rounds=SOAK_ROUNDS if is_soak else ROUNDS,
        )
        for number in range(rivals.RIVALS)
    ]
    with ProcessPoolExecutor(rivals.RIVALS, mp_context=rivals.CONTEXT) as pool:
        told = list(pool.map(histories.work, workers))

    assert [history.complaints for history in told] == [[]] * rivals.RIVALS
    with program.store() as store:
        assert store.check() == ()
        for name in ("a", "b"):
            assert_one_order(store, name, told)
        assert_every_order_of_commands(store, told)
        assert_every_failure(store, told)
    figure(
        "P2",
        *("acknowledged writes", sum(history.acknowledged for history in told)),
        *("begun again", sum(history.again for history in told)),
        *("lost", 0, "told that the store is locked", 0),
    )


def assert_one_order(store: Store, name: str, told: list[History]) -> None:
    """Each write that was acknowledged is one revision, and what was read is the one before it."""
    revisions = store.revisions(row_named(store, name).uid)
    tokens = [histories.token_of(revision.text) for revision in revisions]
    replaced = [change for history in told for change in history.replaced if change[0] == name]
    written = [token for history in told for at, token in history.written if at == name]
    assert [revision.number for revision in revisions] == list(range(1, len(revisions) + 1))
    assert sorted(tokens[1:]) == sorted([*written, *(new for _, _, new in replaced)])
    before = dict(zip(tokens[1:], tokens, strict=False))
    assert [before[new] for _, _, new in replaced] == [old for _, old, _ in replaced]


def assert_every_order_of_commands(store: Store, told: list[History]) -> None:
    """Suspensions and resumptions take turns, and each was acknowledged once."""
    query = EventQuery(uid=row_named(store, "a").uid, types=("suspended", "resumed"), limit=MOST)
    types = [event.type for event in store.events(query)]
    assert types == [("suspended", "resumed")[number % 2] for number in range(len(types))]
    assert types.count("suspended") == sum(history.suspended for history in told)
    assert types.count("resumed") == sum(history.resumed for history in told)


def assert_every_failure(store: Store, told: list[History]) -> None:
    """Each check that was acknowledged is kept and was counted."""
    row = row_named(store, "b")
    expected = sum(history.failures for history in told)
    assert row.status.consecutive_failures == expected
    assert len(store.observations(row.uid, limit=MOST)) == expected
