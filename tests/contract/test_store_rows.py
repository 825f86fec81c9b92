"""What goes into a store comes out of it, and only as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import Conflict
from reconciler.model import (
    Action,
    DeletionPolicy,
    FileReading,
    HoldKind,
    Outcome,
    Phase,
    Reason,
    Recorded,
    Source,
    SuspendedBy,
)
from reconciler.stores import EventQuery, RowOp, RowWrite, Store, Write
from tests.factories import (
    later,
    make_event,
    make_fingerprint,
    make_git,
    make_hold,
    make_recorded,
    make_ref,
    make_revision,
    make_run,
    make_status,
    make_uid,
)


def insert(*rows: Recorded) -> Write:
    return Write(rows=tuple(RowWrite(op=RowOp.INSERT, row=row) for row in rows))


def update(row: Recorded, expected: int = 1) -> RowWrite:
    return RowWrite(op=RowOp.UPDATE, row=row, expected=expected)


def delete(row: Recorded, expected: int = 1) -> RowWrite:
    return RowWrite(op=RowOp.DELETE, row=row, expected=expected)


def named(number: int, name: str, **changes: object) -> Recorded:
    row = make_recorded(uid=make_uid(number), ref=make_ref(name))
    return replace(row, **changes)  # type: ignore[arg-type]  # any field


def archived(since_s: float = 0) -> dict[str, object]:
    status = make_status(phase=Phase.ARCHIVED, reason=Reason.PRUNED, since_at=later(since_s))
    return {"status": status}


def test_row_with_every_field_set_comes_back_equal(store: Store) -> None:
    row = make_recorded(
        generation=3,
        revision=4,
        version=9,
        source=Source(path="m/a b.yaml", line=7),
        stack="blue",
        deletion_policy=DeletionPolicy.PROTECT,
        status=make_status(
            phase=Phase.SUSPENDED,
            suspended_by=SuspendedBy.HEALTH,
            reason=Reason.TOO_MANY_FAILURES,
            message="5 failures, é ✓ \U0001f512",
            consecutive_failures=5,
            consecutive_successes=0,
            last_error="password refused\nline two\t'quoted' %s :x",
            since_at=later(0.000001),
            checked_at=later(1.5),
            succeeded_at=later(-86400),
            last_outcome=Outcome.FAILED,
            latency_s=0.1 + 0.2,
        ),
        hold=make_hold(kind=HoldKind.ROLLBACK, at=later(2)),
        fingerprints=(make_fingerprint(), make_fingerprint("/auth/token", "aa", "key-2")),
        created_at=later(-1),
        updated_at=later(3),
    )
    store.commit(insert(row))
    assert store.recorded() == (row,)


def test_row_with_only_required_fields_comes_back_equal(store: Store) -> None:
    store.commit(insert(make_recorded()))
    assert store.recorded() == (make_recorded(),)


def test_new_store_holds_nothing(store: Store) -> None:
    assert store.recorded(archived=True) == ()
    assert store.events(EventQuery()) == ()
    assert store.runs() == ()


def test_rows_come_sorted_by_kind_namespace_and_name(store: Store) -> None:
    refs = [
        make_ref("b", "hr"),
        make_ref("a", "sales"),
        make_ref("a-b", "hr"),
        make_ref("a", "hr"),
        make_ref("z", "a", "ApiConnection"),
    ]
    store.commit(insert(*(make_recorded(uid=make_uid(n), ref=r) for n, r in enumerate(refs))))
    assert [str(row.ref) for row in store.recorded()] == [
        "ApiConnection/a/z",
        "SqlConnection/hr/a",
        "SqlConnection/hr/a-b",
        "SqlConnection/hr/b",
        "SqlConnection/sales/a",
    ]


def test_archived_rows_are_left_out_unless_they_carry_a_hold(store: Store) -> None:
    held = named(1, "a", **archived(), hold=make_hold(kind=HoldKind.ARCHIVE))
    store.commit(insert(held, named(2, "b", **archived()), named(3, "c")))
    assert [row.ref.name for row in store.recorded()] == ["a", "c"]


def test_archived_rows_come_after_the_live_one_last_archived_first(store: Store) -> None:
    store.commit(
        insert(
            named(1, "a", **archived(10)),
            named(2, "a", **archived(20)),
            named(3, "a"),
            named(4, "a", **archived(5)),
        )
    )
    found = store.recorded(archived=True)
    assert [row.uid for row in found] == [make_uid(3), make_uid(2), make_uid(1), make_uid(4)]


def test_find_keeps_the_order_asked_for_and_leaves_missing_ones_out(store: Store) -> None:
    store.commit(insert(named(1, "a"), named(2, "b", **archived()), named(3, "c")))
    found = store.find([make_uid(3), make_uid(9), make_uid(2)])
    assert [row.uid for row in found] == [make_uid(3), make_uid(2)]


def test_find_takes_more_uids_than_a_statement_has_parameters(store: Store) -> None:
    store.commit(insert(named(1, "a")))
    assert [row.uid for row in store.find([make_uid(n) for n in range(70_000)])] == [make_uid(1)]


def test_update_replaces_the_row(store: Store) -> None:
    store.commit(insert(make_recorded()))
    changed = make_recorded(text="{}", generation=2, version=2, updated_at=later(5))
    store.commit(Write(rows=(update(changed),)))
    assert store.recorded() == (changed,)


def test_update_of_a_moved_row_is_a_conflict_and_writes_nothing(store: Store) -> None:
    store.commit(insert(make_recorded(), named(2, "b")))
    store.commit(Write(rows=(update(make_recorded(version=2)),)))
    write = Write(
        rows=(update(named(2, "b", version=2)), update(make_recorded(version=2))),
        events=(make_event(),),
        run=make_run(),
    )
    with pytest.raises(Conflict) as raised:
        store.commit(write)
    assert str(raised.value) == "another process changed SqlConnection/hr/orders meanwhile"
    assert [row.version for row in store.recorded()] == [1, 2]
    assert (store.events(EventQuery()), store.runs()) == ((), ())


def test_update_of_a_missing_row_is_a_conflict(store: Store) -> None:
    with pytest.raises(Conflict, match="another process changed"):
        store.commit(Write(rows=(update(make_recorded(version=2)),)))


def test_insert_of_a_uid_that_exists_is_a_conflict(store: Store) -> None:
    store.commit(insert(make_recorded()))
    with pytest.raises(Conflict):
        store.commit(insert(make_recorded(ref=make_ref("other"))))


def test_second_live_row_of_one_ref_is_a_conflict_whatever_its_case(store: Store) -> None:
    store.commit(insert(named(1, "orders")))
    with pytest.raises(Conflict) as raised:
        store.commit(insert(named(2, "ORDERS")))
    message = "another process stored a connection of the same name meanwhile"
    assert str(raised.value) == message
    assert [row.uid for row in store.recorded()] == [make_uid(1)]


def test_archived_row_frees_its_name_in_the_same_write(store: Store) -> None:
    store.commit(insert(named(1, "a")))
    store.commit(
        Write(
            rows=(
                RowWrite(op=RowOp.INSERT, row=named(2, "a")),
                update(named(1, "a", version=2, **archived())),
            )
        )
    )
    assert [row.uid for row in store.recorded()] == [make_uid(2)]


def test_row_takes_the_name_of_one_archived_in_the_same_write(store: Store) -> None:
    store.commit(insert(named(1, "a"), named(2, "b")))
    store.commit(
        Write(
            rows=(
                update(named(2, "a", version=2)),
                update(named(1, "a", version=2, **archived())),
            )
        )
    )
    assert [(row.uid, row.ref.name) for row in store.recorded()] == [(make_uid(2), "a")]


def test_two_rows_swap_their_names(store: Store) -> None:
    store.commit(insert(named(1, "a"), named(2, "b")))
    store.commit(Write(rows=(update(named(1, "b", version=2)), update(named(2, "a", version=2)))))
    found = [(row.uid, row.ref.name) for row in store.recorded()]
    assert found == [(make_uid(2), "a"), (make_uid(1), "b")]


def test_delete_takes_revisions_and_leaves_events(store: Store) -> None:
    store.commit(
        replace(insert(make_recorded()), revisions=(make_revision(),), events=(make_event(),))
    )
    store.commit(
        Write(
            rows=(delete(make_recorded()),),
            revisions=(make_revision(number=2, action=Action.DELETE),),
            events=(make_event(type="deleted", status=None),),
        )
    )
    assert store.recorded(archived=True) == ()
    assert store.revisions(make_recorded().uid) == ()
    kept = store.events(EventQuery(ref=make_ref()))
    assert [event.type for event in kept] == ["created", "deleted"]


def test_delete_of_a_moved_row_is_a_conflict(store: Store) -> None:
    store.commit(insert(make_recorded(version=4)))
    with pytest.raises(Conflict):
        store.commit(Write(rows=(delete(make_recorded(), expected=3),)))
    assert len(store.recorded()) == 1


def test_deleted_name_is_free_in_the_same_write(store: Store) -> None:
    store.commit(insert(named(1, "a")))
    store.commit(Write(rows=(RowWrite(op=RowOp.INSERT, row=named(2, "a")), delete(named(1, "a")))))
    assert [row.uid for row in store.recorded()] == [make_uid(2)]


def test_revisions_come_oldest_first_and_equal(store: Store) -> None:
    first = make_revision(git=None)
    second = make_revision(
        number=2,
        ref=make_ref("renamed"),
        text="{}",
        action=Action.RENAME,
        git=make_git(dirty=True),
        at=later(9),
    )
    store.commit(replace(insert(make_recorded()), revisions=(second, first)))
    assert store.revisions(make_recorded().uid) == (first, second)


def test_runs_come_newest_first_even_when_the_clock_went_back(store: Store) -> None:
    store.commit(Write(run=make_run(id="run_1", at=later(3600), git=None)))
    store.commit(Write(run=make_run(id="run_2", counts={"update": 2, "create": 1})))
    assert store.runs() == (
        make_run(id="run_2", counts={"update": 2, "create": 1}),
        make_run(id="run_1", at=later(3600), git=None),
    )
    assert [run.id for run in store.runs(limit=1)] == ["run_2"]


def test_empty_write_is_no_write(store: Store) -> None:
    store.commit(Write())
    assert store.runs() == ()


def test_readings_are_kept_by_stack_and_path_and_replaced(store: Store) -> None:
    run = make_run()
    first = (FileReading(path="a.yaml", fact="1"), FileReading(path="b.yaml", fact="%s ? 2"))
    store.commit(Write(run=run, readings=first, stack="blue"))
    second = (FileReading(path="a.yaml", fact="3"), FileReading(path="c.yaml", fact="4"))
    again = Write(run=make_run(id="run_2"), readings=second, forgotten=("b.yaml",), stack="blue")
    store.commit(again)
    assert store.readings("blue") == {"a.yaml": "3", "c.yaml": "4"}
    assert store.readings("default") == {}


def test_readings_alone_are_no_reason_to_write(store: Store) -> None:
    write = Write(readings=(FileReading(path="a.yaml", fact="1"),), stack="blue")
    assert write.is_empty
    store.commit(write)
    assert store.readings("blue") == {}
