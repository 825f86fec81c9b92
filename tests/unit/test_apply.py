"""What carrying out a plan writes: rows, revisions, events, the run, and nothing without need."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler import apply, plan
from reconciler.apply import RunFacts, SecretFacts
from reconciler.errors import DestinationDenied, Refused
from reconciler.model import (
    Action,
    Guard,
    HoldKind,
    Phase,
    PlanOptions,
    Reason,
    Recorded,
    Resource,
    SecretChange,
    Source,
    SuspendedBy,
)
from reconciler.stores import RowOp, Write
from tests import factories
from tests.desired import have, want

OPTIONS = PlanOptions(stack="default", roots=("manifests",))


def facts() -> RunFacts:
    return RunFacts(
        run_id=factories.RUN_ID,
        now=factories.later(60),
        actor="bob",
        stack="default",
        command="apply",
        git=factories.make_git(),
        make_uid=lambda: factories.make_uid(99),
    )


def prepare(
    resources: list[Resource],
    rows: list[Recorded],
    *,
    options: PlanOptions = OPTIONS,
    secrets: SecretFacts | None = None,
) -> Write:
    planned = plan.make_plan(resources, rows, options, lineage="l1")
    write, _ = apply.prepare(planned, facts(), secrets or SecretFacts())
    return write


def test_plan_without_changes_writes_nothing() -> None:
    assert prepare([want()], [have(want())]).is_empty


def test_create_writes_row_revision_event_and_run() -> None:
    write = prepare([want()], [])
    (row,) = write.rows
    assert (row.op, row.expected, row.row.uid) == (RowOp.INSERT, None, factories.make_uid(99))
    assert (row.row.generation, row.row.revision, row.row.version) == (1, 1, 1)
    assert row.row.status.phase is Phase.PENDING
    assert [(r.number, r.action, r.actor) for r in write.revisions] == [(1, Action.CREATE, "bob")]
    assert [(e.type, e.source, e.target) for e in write.events] == [
        ("created", None, Phase.PENDING)
    ]
    assert write.run is not None
    assert write.run.counts == {"create": 1}


def test_change_of_spec_raises_generation_and_revision() -> None:
    (row,) = prepare([want(pool={"size": 9})], [have(want(), version=7)]).rows
    assert (row.op, row.expected) == (RowOp.UPDATE, 7)
    assert (row.row.generation, row.row.revision, row.row.version) == (2, 2, 8)


def test_change_of_metadata_raises_the_revision_alone() -> None:
    (row,) = prepare([want(metadata={"tags": ["prod"]})], [have(want())]).rows
    assert (row.row.generation, row.row.revision) == (1, 2)


def active(**changes: object) -> Recorded:
    status = factories.make_status(
        phase=Phase.ACTIVE, reason=Reason.OK, consecutive_successes=1, since_at=factories.NOW
    )
    return replace(have(want()), status=status, **changes)  # type: ignore[arg-type]


def test_changed_access_makes_the_connection_pending() -> None:
    (row,) = prepare([want(host="db-8.internal")], [active()]).rows
    assert (row.row.status.phase, row.row.status.reason) == (Phase.PENDING, Reason.SPEC_CHANGED)
    assert row.row.status.since_at == factories.later(60)


def test_other_change_keeps_the_status() -> None:
    (row,) = prepare([want(pool={"size": 9})], [active()]).rows
    assert row.row.status == active().status


def test_rename_keeps_uid_status_and_history() -> None:
    new = want("new", metadata={"previousNames": ["orders"]})
    write = prepare([new], [active()])
    (row,) = write.rows
    assert (row.row.uid, row.row.ref.name) == (active().uid, "new")
    assert row.row.status == active().status
    assert [event.type for event in write.events] == ["renamed"]


@pytest.mark.parametrize(
    ("before", "after", "phase", "reason"),
    [
        pytest.param(
            "active", "suspended", Phase.SUSPENDED, Reason.SUSPENDED_BY_MANIFEST, id="suspend"
        ),
        pytest.param("active", "archived", Phase.ARCHIVED, Reason.ARCHIVED_BY_MANIFEST, id="end"),
    ],
)
def test_state_in_the_manifest_moves_the_phase(
    before: str, after: str, phase: Phase, reason: Reason
) -> None:
    (row,) = prepare([want(state=after)], [have(want(state=before))]).rows
    assert (row.row.status.phase, row.row.status.reason) == (phase, reason)


def suspended(resource: Resource) -> Recorded:
    status = factories.make_status(
        phase=Phase.SUSPENDED,
        suspended_by=SuspendedBy.USER,
        reason=Reason.SUSPENDED_BY_MANIFEST,
        consecutive_failures=3,
    )
    return replace(have(resource), status=status)


def test_active_again_starts_anew_with_a_fresh_login_budget() -> None:
    row = suspended(want(state="suspended"))
    write = prepare([want()], [row])
    after = write.rows[0].row.status
    assert (after.phase, after.consecutive_failures) == (Phase.PENDING, 0)
    assert write.forgive == (row.uid,)


def test_active_again_does_not_end_a_suspension_by_command() -> None:
    row = replace(suspended(want(state="suspended")), hold=factories.make_hold())
    after = prepare([want()], [row]).rows[0].row
    assert (after.status.phase, after.hold) == (Phase.SUSPENDED, factories.make_hold())


def test_changed_manifest_ends_a_rollback() -> None:
    row = replace(have(want()), hold=factories.make_hold(kind=HoldKind.ROLLBACK, digest="old"))
    assert prepare([want(port=1)], [row]).rows[0].row.hold is None


def test_pruned_row_is_archived_with_its_last_manifest() -> None:
    write = prepare([], [active()], options=replace(OPTIONS, prune=True))
    (row,) = write.rows
    assert (row.row.status.phase, row.row.status.reason) == (Phase.ARCHIVED, Reason.PRUNED)
    assert row.row.text == active().text


def test_deleted_row_leaves_its_event() -> None:
    row = have(want(deletionPolicy="delete"), version=4)
    write = prepare([], [row], options=replace(OPTIONS, prune=True))
    assert [(w.op, w.expected) for w in write.rows] == [(RowOp.DELETE, 4)]
    assert [(event.type, event.uid) for event in write.events] == [("deleted", row.uid)]
    assert write.revisions == ()


def test_adopted_row_changes_its_stack() -> None:
    row = have(want(), stack="prod")
    (written,) = prepare([want()], [row], options=replace(OPTIONS, adopt=True)).rows
    assert written.row.stack == "default"


def test_manifest_that_moved_updates_its_source() -> None:
    (written,) = prepare([want(path="manifests/new.yaml")], [have(want())]).rows
    assert written.row.source == Source(path="manifests/new.yaml", line=1)


def test_new_connection_ends_the_hold_of_the_one_archived_by_command() -> None:
    archived = factories.make_status(phase=Phase.ARCHIVED)
    hold = factories.make_hold(kind=HoldKind.ARCHIVE, digest=want().digest)
    row = have(want(), status=archived, hold=hold)
    write = prepare([want(port=1)], [row])
    assert [(w.op, w.row.hold) for w in write.rows] == [(RowOp.INSERT, None), (RowOp.UPDATE, None)]


def rotated(row: Recorded, value: str) -> SecretFacts:
    read = (factories.make_fingerprint(value=value),)
    changes = plan.secret_changes([row], {row.uid: read})
    return SecretFacts(fingerprints={row.ref.key: read}, rows={row.uid: row}, changes=changes)


def test_changed_secret_makes_the_connection_pending() -> None:
    row = active(fingerprints=(factories.make_fingerprint(),))
    write = prepare([want()], [row], secrets=rotated(row, "new"))
    (written,) = write.rows
    assert written.row.status.phase is Phase.PENDING
    assert written.row.fingerprints == (factories.make_fingerprint(value="new"),)
    assert [event.type for event in write.events] == ["secret-changed"]
    assert write.run is not None
    assert write.run.counts == {"secret": 1}


def test_secret_seen_for_the_first_time_is_stored_and_changes_nothing() -> None:
    row = active()
    write = prepare([want()], [row], secrets=rotated(row, "first"))
    assert write.rows[0].row.status == row.status
    assert (write.events, write.revisions, write.run) == ((), (), None)


def test_unchanged_secret_writes_nothing() -> None:
    row = active(fingerprints=(factories.make_fingerprint(),))
    assert prepare([want()], [row], secrets=rotated(row, "5f1c")).is_empty


def test_changed_secret_beside_another_change_is_one_write() -> None:
    row = active(fingerprints=(factories.make_fingerprint(),))
    secrets = rotated(row, "new")
    assert secrets.changes == (
        SecretChange(uid=row.uid, ref=row.ref, pointers=("/auth/password",)),
    )
    (written,) = prepare([want(pool={"size": 9})], [row], secrets=secrets).rows
    assert written.row.status.reason is Reason.SECRET_CHANGED


def test_fingerprint_of_a_secret_that_was_not_read_is_kept() -> None:
    kept = factories.make_fingerprint("/auth/other")
    read = factories.make_fingerprint()
    secrets = SecretFacts(fingerprints={want().ref.key: (read,)})
    assert secrets.updated(want().ref, (kept,)) == (kept, read)


def test_blocked_change_refuses_the_whole_plan() -> None:
    rows = [have(want("a"), 1, stack="prod"), have(want("b"), 2, stack="prod")]
    planned = plan.make_plan([want("a"), want("b")], rows, OPTIONS, lineage="l1")
    with pytest.raises(Refused, match="`SqlConnection/hr/a` is blocked, and 1 more"):
        apply.refuse_blocked(planned)


def test_refusal_for_want_of_a_grant_says_what_to_do() -> None:
    planned = plan.make_plan([want("a")], [have(want("a"), 1, stack="prod")], OPTIONS, lineage="l1")
    change = replace(planned.changes[0], guard=Guard.GRANT)
    with pytest.raises(DestinationDenied) as raised:
        apply.refuse_blocked(replace(planned, changes=(change,)))
    assert raised.value.hint == (
        "nothing was applied: put the destination back,"
        " or have whoever runs this machine add a `[[grant]]`"
    )
