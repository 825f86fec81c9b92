"""Sealed records, leases and uses: the same on every database."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from reconciler.errors import StoreDamaged
from reconciler.model import Phase
from reconciler.stores import (
    EventQuery,
    Opening,
    RowOp,
    RowWrite,
    SealedRecord,
    Store,
    Write,
    open_store,
    tables,
)
from tests.contract import rivals
from tests.contract.databases import run_sql
from tests.factories import NOW, UID, later, make_event, make_recorded, make_uid

RECORD = SealedRecord(
    space="secret",
    name="orders",
    version=1,
    key_id="k1",
    ciphertext="sealed-v1:x:y",
    expires_at=later(60),
    updated_at=NOW,
)
TOKEN = replace(RECORD, space="token", name=UID, expires_at=None)


def insert_connection(store: Store) -> None:
    store.commit(Write(rows=(RowWrite(op=RowOp.INSERT, row=make_recorded()),)))


def test_records_come_back_by_space_and_name(store: Store) -> None:
    billing = replace(RECORD, name="billing")
    for record in (RECORD, billing, TOKEN):
        assert store.write_sealed(record, expected=None)
    assert store.sealed("secret") == (billing, RECORD)
    assert store.sealed("token") == (TOKEN,)
    assert store.find_sealed("secret", "orders") == RECORD
    assert store.find_sealed("token", "orders") is None


def test_record_is_written_only_on_the_version_that_was_seen(store: Store) -> None:
    second = replace(RECORD, version=2, ciphertext="sealed-v1:x:z")
    assert not store.write_sealed(second, expected=1)
    assert store.write_sealed(RECORD, expected=None)
    assert not store.write_sealed(second, expected=None)
    assert not store.write_sealed(second, expected=7)
    assert store.find_sealed("secret", "orders") == RECORD
    assert store.write_sealed(second, expected=1)
    assert store.sealed("secret") == (second,)


def test_record_is_deleted_only_on_the_version_that_was_seen(store: Store) -> None:
    store.write_sealed(RECORD, expected=None)
    store.write_sealed(TOKEN, expected=None)
    assert not store.delete_sealed("secret", "orders", expected=2)
    assert store.delete_sealed("secret", "orders", expected=1)
    assert not store.delete_sealed("secret", "orders", expected=1)
    assert (store.sealed("secret"), store.sealed("token")) == ((), (TOKEN,))


def test_events_are_kept_with_the_change_or_not_at_all(store: Store) -> None:
    for name, expected in (("first", None), ("late", None)):
        store.write_sealed(RECORD, expected=expected, events=[make_event(type=name)])
    store.delete_sealed("secret", "orders", expected=9, events=[make_event(type="wrong")])
    store.delete_sealed("secret", "orders", expected=1, events=[make_event(type="removed")])
    assert [event.type for event in store.events(EventQuery())] == ["first", "removed"]


def test_record_never_shows_its_text() -> None:
    assert "sealed-v1" not in repr(RECORD)


def test_lease_has_one_holder_until_it_ends(store: Store) -> None:
    take = partial(store.lease, "refresh")
    assert take("a", now=NOW, until=later(60))
    assert not take("b", now=later(59), until=later(99))
    assert store.lease("another", "b", now=NOW, until=later(60))
    assert take("a", now=later(30), until=later(90))
    assert not take("b", now=later(60), until=later(99))
    assert take("b", now=later(90), until=later(99))


def test_lease_is_free_when_its_holder_gives_it_back(store: Store) -> None:
    store.lease("refresh", "a", now=NOW, until=later(60))
    store.release_lease("refresh", "b")
    assert not store.lease("refresh", "b", now=NOW, until=later(60))
    store.release_lease("refresh", "a")
    assert store.lease("refresh", "b", now=NOW, until=later(60))


def test_lease_taken_before_the_clock_was_set_back_is_free(store: Store) -> None:
    store.lease("refresh", "a", now=later(3600), until=later(3660))
    assert store.lease("refresh", "b", now=NOW, until=later(60))


def test_lease_longer_than_any_is_a_mistake_of_the_caller(store: Store) -> None:
    with pytest.raises(ValueError, match="longer than any can be"):
        store.lease("refresh", "a", now=NOW, until=later(601))


def test_lease_is_had_by_one_of_many_processes(shared_url: str) -> None:
    rivals.make_store(shared_url, 0)
    assert sum(rivals.at_once(rivals.take_lease, shared_url)) == 1


def test_record_is_changed_by_one_of_many_processes(shared_url: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    store.write_sealed(RECORD, expected=None)
    assert sum(rivals.at_once(rivals.change_sealed, shared_url)) == 1
    found = store.find_sealed("secret", "orders")
    assert found is not None
    assert found.version == 2
    store.close()


def test_last_use_of_a_connection_leaves_its_row_alone(store: Store) -> None:
    insert_connection(store)
    assert store.last_used(UID) is None
    store.used(UID, later(5))
    store.used(UID, later(9))
    store.used(UID, later(7))
    assert store.last_used(UID) == later(9)
    assert store.recorded() == (make_recorded(),)


def test_use_of_a_connection_that_is_gone_is_passed_over(store: Store) -> None:
    store.used(make_uid(4), NOW)
    assert store.last_used(make_uid(4)) is None


def test_deleted_connection_takes_its_use_with_it(store: Store) -> None:
    insert_connection(store)
    store.used(UID, NOW)
    store.commit(Write(rows=(RowWrite(op=RowOp.DELETE, row=make_recorded(), expected=1),)))
    assert store.last_used(UID) is None


@pytest.mark.parametrize(
    ("table", "change"),
    [
        pytest.param("sealed", "space = 'other'", id="space"),
        pytest.param("sealed", "updated_at = 'yesterday'", id="moment"),
        pytest.param("sealed", "expires_at = 'never'", id="expiry"),
        pytest.param("leases", "until_at = 'later'", id="lease"),
        pytest.param("uses", "used_at = 'now'", id="use"),
    ],
)
def test_row_that_nobody_wrote_is_found(shared_url: str, table: str, change: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    store.commit(Write(rows=(RowWrite(op=RowOp.INSERT, row=make_recorded()),)))
    store.write_sealed(RECORD, expected=None)
    store.lease("refresh", "a", now=NOW, until=later(60))
    store.used(UID, NOW)
    sound = [finding for finding in store.check() if "table" in finding]
    run_sql(shared_url, f"UPDATE {table} SET {change}")
    broken = [finding for finding in store.check() if f"of table `{table}`" in finding]
    assert (len(sound), len(broken)) == (0, 1)
    store.close()


def test_damaged_record_is_not_taken_for_one(shared_url: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    store.write_sealed(RECORD, expected=None)
    run_sql(shared_url, f"UPDATE {tables.sealed.name} SET updated_at = 'yesterday'")
    with pytest.raises(StoreDamaged):
        store.find_sealed("secret", "orders")
    with pytest.raises(StoreDamaged):
        store.sealed("secret")
    store.close()


@pytest.mark.parametrize("end", ["archived", "deleted"])
def test_token_ends_with_its_connection_and_no_other_record_does(store: Store, end: str) -> None:
    insert_connection(store)
    other = replace(TOKEN, name=make_uid(2))
    secret = replace(RECORD, name=UID)
    for record in (TOKEN, other, secret):
        assert store.write_sealed(record, expected=None)
    before = make_recorded()
    store.commit(Write(rows=(RowWrite.update(before, before),)))
    assert store.sealed("token") == tuple(sorted((TOKEN, other), key=lambda each: each.name))
    (row,) = store.find([UID])
    archived = replace(row, status=replace(row.status, phase=Phase.ARCHIVED))
    gone = RowWrite(op=RowOp.DELETE, row=row, expected=row.version)
    store.commit(Write(rows=(RowWrite.update(row, archived) if end == "archived" else gone,)))
    assert store.sealed("token") == (other,)
    assert store.sealed("secret") == (secret,)
