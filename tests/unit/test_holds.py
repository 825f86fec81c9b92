"""What commands order against the manifest, and when they are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler import holds, kinds
from reconciler.errors import Held, ProtectedRow
from reconciler.model import (
    Action,
    HoldKind,
    Json,
    Phase,
    Reason,
    Recorded,
    Revision,
    SuspendedBy,
    canonical,
)
from tests import factories
from tests.desired import have, want

ORDER = holds.Order(actor="bob", reason="move", now=factories.later(60))


def suspended(by: SuspendedBy, state: str = "active") -> Recorded:
    status = factories.make_status(
        phase=Phase.SUSPENDED, suspended_by=by, reason=Reason.TOO_MANY_FAILURES
    )
    return have(want(state=state), status=status)


def archived() -> Recorded:
    return have(want(), status=factories.make_status(phase=Phase.ARCHIVED))


def test_suspend_places_a_hold_and_says_who_and_why() -> None:
    write = holds.suspend(have(want()), ORDER)
    assert write is not None
    (row,) = write.rows
    assert (row.row.status.phase, row.row.status.suspended_by) == (
        Phase.SUSPENDED,
        SuspendedBy.USER,
    )
    assert row.row.status.message == "suspended by bob: move"
    assert row.row.hold is not None
    assert (row.row.hold.kind, row.row.hold.actor) == (HoldKind.SUSPEND, "bob")
    assert [(e.type, e.source, e.target) for e in write.events] == [
        ("suspended", Phase.PENDING, Phase.SUSPENDED)
    ]


def test_suspend_takes_over_a_suspension_by_health() -> None:
    write = holds.suspend(suspended(SuspendedBy.HEALTH), ORDER)
    assert write is not None
    assert write.rows[0].row.status.suspended_by is SuspendedBy.USER


def test_suspend_of_what_a_person_suspended_is_a_noop() -> None:
    assert holds.suspend(suspended(SuspendedBy.USER), ORDER) is None


@pytest.mark.parametrize("by", list(SuspendedBy))
def test_resume_starts_anew_with_a_fresh_login_budget(by: SuspendedBy) -> None:
    row = suspended(by)
    write = holds.resume(replace(row, hold=factories.make_hold()), ORDER)
    assert write is not None
    assert write.forgive == (row.uid,)
    assert write.rows[0].row.hold is None
    assert write.rows[0].row.status.phase is Phase.PENDING


def test_resume_of_what_is_not_suspended_is_a_noop() -> None:
    assert holds.resume(have(want()), ORDER) is None


def test_resume_is_refused_where_the_manifest_says_suspended() -> None:
    with pytest.raises(Held, match="says `state: suspended`") as caught:
        holds.resume(suspended(SuspendedBy.USER, state="suspended"), ORDER)
    assert caught.value.hint == "write `state: active` in manifests/orders.yaml:1 and apply"


def intent() -> str:
    return kinds.intent("SqlConnection", want().manifest)


@pytest.mark.parametrize("command", [holds.suspend, holds.resume])
def test_archived_connection_takes_no_orders(command: holds.Carry) -> None:
    with pytest.raises(Held, match="is archived and cannot be"):
        command(archived(), ORDER)


def test_archive_holds_until_the_manifest_differs() -> None:
    write = holds.archive(have(want()), ORDER)
    assert write is not None
    (row,) = write.rows
    assert row.row.status.phase is Phase.ARCHIVED
    assert row.row.hold is not None
    assert row.row.hold.digest == intent()


def test_archive_of_what_is_archived_is_a_noop() -> None:
    assert holds.archive(archived(), ORDER) is None


def test_archive_of_a_protected_connection_is_refused() -> None:
    with pytest.raises(ProtectedRow):
        holds.archive(have(want(deletionPolicy="protect")), ORDER)


def past(**spec: Json) -> Revision:
    resource = want("old", **spec)
    return factories.make_revision(number=3, text=canonical(resource.manifest))


def test_rollback_brings_the_spec_back_and_keeps_the_name() -> None:
    change = holds.rollback(have(want()), past(port=6432), ORDER)
    assert (change.action, change.reason) == (Action.UPDATE, "rollback to revision 3")
    assert [field.pointer for field in change.fields] == ["/spec/port"]
    assert change.resource is not None
    assert change.resource.metadata["name"] == "orders"


def test_rollback_holds_above_the_manifest_in_force() -> None:
    change = holds.rollback(have(want()), past(port=6432), ORDER)
    assert change.placed_hold is not None
    assert change.placed_hold.digest == intent()


def test_second_rollback_still_holds_above_the_manifest_in_force() -> None:
    hold = factories.make_hold(kind=HoldKind.ROLLBACK, digest="of the manifest")
    change = holds.rollback(have(want(), hold=hold), past(port=1), ORDER)
    assert change.placed_hold is not None
    assert change.placed_hold.digest == "of the manifest"


def test_rollback_to_what_is_there_is_a_noop() -> None:
    assert holds.rollback(have(want()), past(), ORDER).action is Action.NOOP


def test_rollback_to_an_archived_state_is_refused() -> None:
    with pytest.raises(Held, match="revision 3"):
        holds.rollback(have(want()), past(state="archived"), ORDER)
