"""Results of probes: recorded on the row they belong to, or not at all."""

from __future__ import annotations

from reconciler.model import Outcome, Phase, Reason, Recorded, Stage, StageName
from reconciler.stores import EventQuery, HealthWrite, RowOp, RowWrite, Store, Write
from tests.factories import (
    NOW,
    UID,
    later,
    make_event,
    make_observation,
    make_recorded,
    make_ref,
    make_status,
    make_uid,
)

ACTIVE = make_status(phase=Phase.ACTIVE, reason=Reason.OK, checked_at=NOW, succeeded_at=NOW)


def add(store: Store, *rows: Recorded) -> None:
    store.commit(Write(rows=tuple(RowWrite(op=RowOp.INSERT, row=row) for row in rows)))


def healthy(uid: str = UID, name: str = "orders", version: int = 2) -> HealthWrite:
    return HealthWrite(
        observation=make_observation(uid=uid),
        row=make_recorded(uid=uid, ref=make_ref(name), version=version, status=ACTIVE),
        expected=version - 1,
        events=(make_event(uid=uid, type="transition", target=Phase.ACTIVE, status=ACTIVE),),
    )


def test_result_changes_the_row_and_keeps_observation_and_event(store: Store) -> None:
    add(store, make_recorded())
    assert store.record([healthy()], now=NOW) == ()
    assert store.recorded() == (make_recorded(version=2, status=ACTIVE),)
    assert store.observations(UID) == (make_observation(),)
    assert [event.type for event in store.events(EventQuery())] == ["transition"]


def test_result_for_a_moved_row_leaves_nothing(store: Store) -> None:
    moved = make_recorded(version=5, generation=2)
    add(store, moved)
    assert store.record([healthy()], now=NOW) == (UID,)
    assert store.recorded() == (moved,)
    assert store.observations(UID) == ()
    assert store.events(EventQuery()) == ()


def test_result_for_a_deleted_row_leaves_nothing(store: Store) -> None:
    assert store.record([healthy()], now=NOW) == (UID,)
    assert store.observations(UID) == ()


def test_one_moved_row_does_not_hold_up_the_others_of_a_batch(store: Store) -> None:
    first, second = make_uid(1), make_uid(2)
    add(
        store,
        make_recorded(uid=first, ref=make_ref("a"), version=7),
        make_recorded(uid=second, ref=make_ref("b")),
    )
    assert store.record([healthy(first, "a"), healthy(second, "b")], now=NOW) == (first,)
    assert [row.status.phase for row in store.recorded()] == [Phase.PENDING, Phase.ACTIVE]


def test_second_result_of_a_row_in_one_batch_builds_on_the_first(store: Store) -> None:
    add(store, make_recorded())
    writes = [healthy(), healthy(version=3), healthy(version=3)]
    assert store.record(writes, now=NOW) == (UID,)
    assert [row.version for row in store.recorded()] == [3]
    assert len(store.observations(UID)) == 2


def test_empty_batch_is_no_write(store: Store) -> None:
    assert store.record([], now=NOW) == ()


def test_observation_with_every_field_comes_back_equal(store: Store) -> None:
    add(store, make_recorded())
    failure = make_observation(
        generation=3,
        outcome=Outcome.FAILED,
        reason=Reason.TLS_FAILURE,
        message="certificate of db-7 ends at 2026-02-28",
        hint="renew it",
        stages=(Stage(name=StageName.TLS, seconds=0.25, detail="TLSv1.3"),),
        latency_s=0.3,
        observed_at=later(0.000007),
    )
    write = HealthWrite(observation=failure, row=make_recorded(version=2), expected=1)
    store.record([write], now=NOW)
    assert store.observations(UID) == (failure,)


def test_observations_come_newest_first_even_when_the_clock_went_back(store: Store) -> None:
    add(store, make_recorded())
    for version, seconds in ((2, 0), (3, -3600), (4, 60)):
        observation = make_observation(observed_at=later(seconds))
        row = make_recorded(version=version)
        write = HealthWrite(observation=observation, row=row, expected=version - 1)
        store.record([write], now=NOW)
    found = [seen.observed_at for seen in store.observations(UID)]
    assert found == [later(60), later(-3600), later(0)]
    assert [seen.observed_at for seen in store.observations(UID, limit=1)] == [later(60)]


def test_event_with_every_field_comes_back_with_its_id(store: Store) -> None:
    event = make_event(
        at=later(0.5), message="why", source=Phase.PENDING, target=Phase.ACTIVE, status=ACTIVE
    )
    store.commit(Write(events=(event,)))
    (found,) = store.events(EventQuery())
    assert found.id > 0
    assert found == make_event(
        id=found.id,
        at=later(0.5),
        message="why",
        source=Phase.PENDING,
        target=Phase.ACTIVE,
        status=ACTIVE,
    )


def test_event_ids_rise_in_the_order_given(store: Store) -> None:
    store.commit(Write(events=tuple(make_event(message=str(n)) for n in range(5))))
    found = store.events(EventQuery())
    assert [event.message for event in found] == ["0", "1", "2", "3", "4"]
    assert [event.id for event in found] == sorted({event.id for event in found})


def test_event_query_selects_by_each_of_its_fields(store: Store) -> None:
    other = make_ref("Other")
    store.commit(
        Write(
            events=(
                make_event(message="a"),
                make_event(message="b", type="suspended", at=later(10)),
                make_event(message="c", uid=make_uid(2), ref=other, at=later(20)),
            )
        )
    )
    first, *_ = store.events(EventQuery())

    def messages(query: EventQuery) -> str:
        return "".join(event.message for event in store.events(query))

    assert messages(EventQuery(uid=UID)) == "ab"
    assert messages(EventQuery(ref=make_ref("OTHER"))) == "c"
    assert messages(EventQuery(types=("suspended", "none"))) == "b"
    assert messages(EventQuery(since=later(10))) == "bc"
    assert messages(EventQuery(after_id=first.id)) == "bc"
    assert messages(EventQuery(limit=2)) == "bc"
    assert messages(EventQuery(uid=UID, since=later(10))) == "b"
