"""One rich view per screen: every action, every standing, every outcome, and hostile text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import fields
from reconciler.model import (
    Action,
    ChangeResult,
    ChangeSet,
    Hold,
    Outcome,
    Phase,
    Plan,
    Reason,
    Recorded,
    Source,
    Stage,
    StageName,
    Status,
    SuspendedBy,
    canonical,
)
from reconciler.report import views
from tests.factories import (
    NOW,
    digest_of,
    later,
    make_event,
    make_git,
    make_hold,
    make_manifest,
    make_observation,
    make_recorded,
    make_ref,
    make_revision,
    make_run,
    make_status,
    make_uid,
)
from tests.unit.report.samples import (
    ARCHIVE,
    CREATE,
    DAYS,
    DOWNGRADE,
    HELD,
    HOSTILE,
    HOURS,
    MINUTES,
    OPTIONS,
    ORPHAN,
    RENAME,
    ROTATED,
    SECONDS,
    SUSPEND,
    UPDATE,
    make_checked,
    make_failed_row,
    make_plan,
)


@pytest.fixture
def compare(golden: Callable[[str, Path], None]) -> Callable[[str, str], None]:
    """Compares a whole screen with the golden file of that name."""

    def check(text: str, name: str) -> None:
        golden(text, Path(__file__).with_name("golden") / name)

    return check


@pytest.fixture
def plan_view() -> views.PlanView:
    plan = Plan(
        lineage="0d9f6c1e",
        options=OPTIONS,
        changes=(CREATE, RENAME, ARCHIVE, SUSPEND, UPDATE),
        notices=(ORPHAN, HELD),
        warnings=(DOWNGRADE,),
        unchanged=210,
        digest=digest_of("plan"),
    )
    return views.PlanView(
        plan=plan,
        git=make_git(dirty=True),
        secrets=ROTATED,
        secrets_compared=True,
        next_command="reconciler apply manifests --prune",
        now=NOW,
    )


@pytest.fixture
def health_view() -> views.HealthView:
    auth_failed = make_observation(
        uid=make_uid(2),
        outcome=Outcome.FAILED,
        reason=Reason.AUTH_FAILED,
        message=f'28P01 password rejected for user "report" {HOSTILE}',
        hint="check the value of $ORDERS",
        stages=(
            Stage(name=StageName.SECRET, seconds=0.006),
            Stage(name=StageName.DNS, seconds=0.0002, detail="10.4.7.12"),
            Stage(name=StageName.TCP, seconds=0.002),
            Stage(name=StageName.TLS, seconds=0.014, detail="TLSv1.3"),
            Stage(name=StageName.AUTH, seconds=0.009),
        ),
        latency_s=0.0312,
    )
    no_driver = make_observation(
        uid=make_uid(3),
        outcome=Outcome.INCONCLUSIVE,
        reason=Reason.DRIVER_MISSING,
        message="the driver for duckdb is not installed",
        hint='run: pip install "reconciler[duckdb]"',
        stages=(),
        latency_s=0.0,
    )
    active = make_status(phase=Phase.ACTIVE, reason=Reason.OK, last_outcome=Outcome.OK)
    failed = make_status(phase=Phase.FAILED, reason=Reason.AUTH_FAILED, last_outcome=Outcome.FAILED)
    pending = make_status(reason=Reason.DRIVER_MISSING, last_outcome=Outcome.INCONCLUSIVE)
    return views.HealthView(
        rows=(
            make_checked("orders", make_observation(latency_s=1.24), active, Phase.ACTIVE),
            make_checked("billing-replica", auth_failed, failed, Phase.ACTIVE),
            make_checked("cube-a", no_driver, pending, Phase.PENDING),
            make_checked("cube-b", no_driver, pending, Phase.PENDING),
            make_checked("ledger", make_observation(), active, Phase.PENDING),
        ),
        skipped=2,
        suspended=(
            make_recorded(
                uid=make_uid(7),
                ref=make_ref("mirror"),
                status=make_status(
                    phase=Phase.SUSPENDED,
                    suspended_by=SuspendedBy.HEALTH,
                    reason=Reason.TOO_MANY_FAILURES,
                    message="connection refused by 10.4.7.12:5432",
                    last_outcome=Outcome.FAILED,
                ),
            ),
        ),
        elapsed_s=1.31,
        next_command="reconciler describe hr/billing-replica",
        now=NOW,
    )


@pytest.fixture
def apply_view(health_view: views.HealthView) -> views.ApplyView:
    done = ((CREATE, 7, 1), (RENAME, 2, 3), (SUSPEND, 3, 5), (UPDATE, 1, 4))
    return views.ApplyView(
        plan=make_plan(CREATE, RENAME, SUSPEND, UPDATE),
        changes=ChangeSet(
            run_id="run_abcdefghijklmno",
            results=tuple(
                ChangeResult(
                    ref=change.ref,
                    uid=make_uid(number),
                    action=change.action,
                    generation=generation,
                )
                for change, number, generation in done
            ),
        ),
        git=make_git(),
        secrets=ROTATED[1:],
        health=health_view,
        next_command="reconciler describe hr/billing-replica",
        now=NOW,
    )


@pytest.fixture
def status_view() -> views.StatusView:
    def row(name: str, status: Status, hold: Hold | None = None) -> Recorded:
        return make_recorded(
            uid=make_uid(len(name)), ref=make_ref(name), stack="prod", status=status, hold=hold
        )

    return views.StatusView(
        rows=(
            row(
                "orders",
                make_status(
                    phase=Phase.ACTIVE,
                    reason=Reason.OK,
                    last_outcome=Outcome.OK,
                    since_at=later(-DAYS),
                    checked_at=later(-SECONDS),
                    latency_s=0.041,
                ),
            ),
            row(
                "warehouse",
                make_status(
                    phase=Phase.SUSPENDED,
                    suspended_by=SuspendedBy.USER,
                    reason=Reason.SUSPENDED_BY_COMMAND,
                    since_at=later(-DAYS),
                ),
                hold=make_hold(actor="leo", reason="moves to the new rack", at=later(-DAYS)),
            ),
            row(
                "mirror",
                make_status(
                    phase=Phase.SUSPENDED,
                    suspended_by=SuspendedBy.HEALTH,
                    reason=Reason.TOO_MANY_FAILURES,
                    message="connection refused by 10.4.7.12:5432",
                    since_at=later(-HOURS),
                    checked_at=later(-HOURS),
                ),
            ),
            row(
                "wavering",
                make_status(
                    phase=Phase.ACTIVE,
                    reason=Reason.READ_TIMEOUT,
                    message=f"no answer within 10s {HOSTILE}",
                    last_outcome=Outcome.FAILED,
                    since_at=later(-DAYS),
                    checked_at=later(-SECONDS),
                    latency_s=1.24,
                ),
            ),
            row("new-one", make_status(since_at=later(60))),
            row(
                "moved",
                make_status(
                    reason=Reason.SPEC_CHANGED,
                    since_at=later(-SECONDS),
                    checked_at=later(-HOURS),
                    last_outcome=Outcome.FAILED,
                ),
            ),
            make_failed_row(),
            row("gone", make_status(phase=Phase.ARCHIVED, reason=Reason.PRUNED)),
        ),
        total=214,
        git=make_git(),
        now=NOW,
    )


@pytest.fixture
def describe_view(health_view: views.HealthView) -> views.DescribeView:
    row = make_failed_row()
    failed = health_view.rows[1].observation
    return views.DescribeView(
        recorded=row,
        observation=failed,
        revision=make_revision(uid=row.uid, number=7, git=make_git(), at=later(-HOURS)),
        last_used=later(-2 * HOURS),
        transitions=(
            make_event(
                id=11,
                at=later(-DAYS),
                ref=row.ref,
                type="transition",
                reason="Ok",
                actor="",
                source=Phase.PENDING,
                target=Phase.ACTIVE,
            ),
            make_event(
                id=12,
                at=later(-MINUTES),
                ref=row.ref,
                type="transition",
                reason="AuthFailed",
                message=f"28P01 password rejected {HOSTILE}",
                actor="",
                source=Phase.ACTIVE,
                target=Phase.FAILED,
            ),
        ),
        suggestions=(
            views.Suggestion(command="reconciler apply", note="once the secret is corrected"),
            views.Suggestion(command="reconciler health hr/billing-replica -v"),
        ),
        now=NOW,
    )


@pytest.fixture
def history_view() -> views.HistoryView:
    before = make_manifest("order_db")
    after = make_manifest("orders", port=6432)
    return views.HistoryView(
        recorded=make_recorded(generation=2, revision=2),
        rows=(
            views.HistoryRow(
                revision=make_revision(
                    ref=make_ref("order_db"), text=canonical(before), at=later(-DAYS), git=None
                )
            ),
            views.HistoryRow(
                revision=make_revision(
                    number=2,
                    action=Action.RENAME,
                    text=canonical(after),
                    actor="ci/job-8812",
                    at=later(-HOURS),
                    git=make_git(dirty=True),
                    source=Source(path="manifests/hr/orders.yaml", line=12),
                ),
                fields=fields.changes(before, after),
            ),
        ),
        now=NOW,
    )


@pytest.fixture
def events_view() -> views.EventsView:
    return views.EventsView(
        events=(
            make_event(id=1, at=later(-DAYS)),
            make_event(
                id=2,
                at=later(-MINUTES),
                type="transition",
                reason="AuthFailed",
                message=f"28P01 password rejected {HOSTILE}",
                actor="",
                source=Phase.ACTIVE,
                target=Phase.FAILED,
            ),
            make_event(
                id=3,
                at=later(-SECONDS),
                type="result",
                reason="AuthFailed",
                message="28P01 password rejected",
                actor="",
                target=None,
                status=make_status(
                    phase=Phase.FAILED, last_outcome=Outcome.FAILED, consecutive_failures=2
                ),
            ),
            make_event(
                id=4,
                type="suspended",
                reason="SuspendedByCommand",
                message="maintenance",
                source=Phase.FAILED,
                target=Phase.SUSPENDED,
            ),
        ),
        now=NOW,
    )


@pytest.fixture
def runs_view() -> views.RunsView:
    return views.RunsView(
        runs=(
            make_run(id="run_b", counts={"update": 2, "create": 1}, git=make_git(dirty=True)),
            make_run(id="run_a", at=later(-DAYS), counts={"archive": 1}, git=None, stack="prod"),
        ),
        now=NOW,
    )
