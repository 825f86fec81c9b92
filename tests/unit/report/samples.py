"""Values that the reports are tried on: every action, and text that no output may obey."""

from __future__ import annotations

from reconciler.model import (
    Action,
    Change,
    Diagnostic,
    FieldChange,
    FieldOp,
    HoldKind,
    Json,
    Location,
    Observation,
    Outcome,
    Phase,
    Plan,
    PlanOptions,
    Reason,
    Recorded,
    SecretChange,
    Severity,
    Source,
    Status,
    canonical,
)
from reconciler.report import views
from tests.factories import (
    digest_of,
    later,
    make_hold,
    make_manifest,
    make_recorded,
    make_ref,
    make_resource,
    make_status,
    make_uid,
)

#: What a server or a file may hold: ESC, a bidirectional override, Markdown, a workflow command.
HOSTILE = "\x1b[31mred\u202e\n::error::`|<b>%0A"
#: An age for every unit.
SECONDS, MINUTES, HOURS, DAYS = 42.0, 240.0, 7200.0, 1_036_800.0


def _at(path: str, line: int) -> Location:
    return Location(path=f"manifests/{path}", line=line, column=1)


def _replaced(pointer: str, old: Json, new: Json) -> FieldChange:
    return FieldChange(op=FieldOp.REPLACE, pointer=pointer, old=old, new=new)


CREATE = Change(
    action=Action.CREATE,
    ref=make_ref("billing-replica"),
    reason="no connection of this name is recorded",
    location=_at("billing.yaml", 31),
    resource=make_resource(ref=make_ref("billing-replica")),
)
UPDATE = Change(
    action=Action.UPDATE,
    ref=make_ref("orders"),
    uid=make_uid(1),
    reason="the manifest changed",
    fields=(
        FieldChange(op=FieldOp.REMOVE, pointer="/metadata/labels/tier", old="1", new=None),
        _replaced("/spec/host", "db-7.internal", "db-8.internal"),
        _replaced("/spec/port", 5432, 6432),
        FieldChange(op=FieldOp.ADD, pointer="/spec/tls/mode", old=None, new="verify-full"),
        _replaced("/metadata/description", HOSTILE, "long " * 30),
    ),
    rebind="postgresql://db-7.internal:5432 -> postgresql://db-8.internal:6432",
    location=_at("orders.yaml", 1),
)
RENAME = Change(
    action=Action.RENAME,
    ref=make_ref("ledger"),
    uid=make_uid(2),
    reason="renamed from `SqlConnection/hr/general_ledger`",
    previous=make_ref("general_ledger"),
    location=_at("ledger.yaml", 1),
)
SUSPEND = Change(
    action=Action.SUSPEND,
    ref=make_ref("mirror"),
    uid=make_uid(3),
    reason="`state: suspended` in the manifest",
    fields=(_replaced("/spec/state", "active", "suspended"),),
    hold=make_hold(kind=HoldKind.SUSPEND, actor="leo", at=later(-DAYS)),
    location=_at("mirror.yaml", 1),
)
ARCHIVE = Change(
    action=Action.ARCHIVE,
    ref=make_ref("legacy-fx"),
    uid=make_uid(4),
    reason="no manifest declares it",
    blocked_by="`deletionPolicy: protect` was applied last; apply another policy first",
    recorded=make_recorded(
        ref=make_ref("legacy-fx"), source=Source(path="manifests/fx.yaml", line=7)
    ),
)
ORPHAN = Change(
    action=Action.NOOP,
    ref=make_ref("old-crm"),
    uid=make_uid(5),
    reason="orphan: no manifest declares it; `--prune` would archive it",
)
HELD = Change(
    action=Action.NOOP,
    ref=make_ref("warehouse"),
    uid=make_uid(6),
    hold=make_hold(kind=HoldKind.ROLLBACK, actor="ana", reason="", at=later(-HOURS)),
)
DOWNGRADE = Diagnostic(
    severity=Severity.WARNING,
    code="W203",
    location=Location(path="manifests/orders.yaml", line=6, column=12),
    pointer="/metadata/version",
    message="the version of `SqlConnection/hr/orders` goes down from 1.2.0 to 1.1.0",
    hint="raise `metadata.version`, or leave it out",
)
OPTIONS = PlanOptions(stack="prod", roots=("manifests",), prune=True)


def make_plan(*changes: Change, notices: tuple[Change, ...] = ()) -> Plan:
    """Returns a plan of `changes` that leaves 210 connections as they are."""
    return Plan(
        lineage="0d9f6c1e",
        options=OPTIONS,
        changes=changes,
        notices=notices,
        warnings=(),
        unchanged=210,
        digest=digest_of("plan"),
    )


ROTATED = (
    SecretChange(uid=make_uid(1), ref=make_ref("orders"), pointers=("/auth/password",)),
    SecretChange(
        uid=make_uid(9), ref=make_ref("crm", "sales", "ApiConnection"), pointers=("/auth/token",)
    ),
)


def make_failed_row() -> Recorded:
    """Returns a connection whose password is rejected since four minutes."""
    manifest = make_manifest("billing-replica", "hr", tls={"mode": "verify-full"})
    manifest["metadata"].update(
        displayName="Billing replica",
        description="read by the nightly job",
        labels={"team": "pay", "env": "prod"},
        tags=["tier1"],
    )
    return make_recorded(
        uid=make_uid(2),
        ref=make_ref("billing-replica"),
        text=canonical(manifest),
        generation=4,
        revision=7,
        source=Source(path="manifests/billing.yaml", line=31),
        stack="prod",
        status=make_status(
            phase=Phase.FAILED,
            reason=Reason.AUTH_FAILED,
            message='28P01 password rejected for user "report"',
            last_error='28P01 password rejected for user "report"',
            consecutive_failures=3,
            since_at=later(-MINUTES),
            checked_at=later(-SECONDS),
            succeeded_at=later(-MINUTES - 60),
            last_outcome=Outcome.FAILED,
            latency_s=0.038,
        ),
        hold=make_hold(kind=HoldKind.ROLLBACK, actor="ana", reason="new port", at=later(-HOURS)),
    )


def make_checked(
    name: str, observation: Observation, status: Status, before: Phase
) -> views.HealthRow:
    return views.HealthRow(
        ref=make_ref(name), observation=observation, status=status, before=before
    )
