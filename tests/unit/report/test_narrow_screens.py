"""What the screens of the machine, of secrets and of events look like at 80 columns."""

from __future__ import annotations

from reconciler.model import Phase
from reconciler.report import events, machine, secrets, views
from reconciler.report.machine import Check, State
from reconciler.report.style import Style
from tests.factories import NOW, later, make_event, make_ref

DAY_S = 86400.0
NARROW = Style(width=80)
REF = make_ref(name="crm", namespace="sales", kind="ApiConnection")
DENIED = "no grant of the operator file lets the secret in `auth.token` go to https://crm.example"


def test_doctor_has_a_line_for_each_thing_and_stays_within_the_width() -> None:
    checks = (
        Check(
            state=State.GOOD,
            subject="postgresql, timescaledb, redshift, cockroachdb, yugabytedb",
            text="psycopg 3.3.9",
        ),
        Check(
            state=State.WARNING,
            subject="grants",
            text="1 covers nothing",
            details=(f"2 covers {REF}",),
            hints=(f"{REF}: {DENIED}", "b"),
        ),
    )
    assert machine.screen(checks, NARROW).splitlines() == [
        "ok  postgresql  psycopg 3.3.9; also for timescaledb, redshift, cockroachdb,",
        "                yugabytedb",
        "!   grants      1 covers nothing",
        "                2 covers ApiConnection/sales/crm",
        "                -> ApiConnection/sales/crm: no grant of the operator file lets",
        "                   the secret in `auth.token` go to https://crm.example",
        "                -> b",
    ]
    assert machine.data(checks[1]) == {
        "state": "warning",
        "subject": "grants",
        "text": "1 covers nothing; 2 covers ApiConnection/sales/crm",
        "hint": f"{REF}: {DENIED}; b",
    }


def secret_row(name: str, expires_in_d: float | None, *, has_key: bool = True) -> views.SecretRow:
    return views.SecretRow(
        name=name,
        version=1,
        key_id="0123456789abcdef",
        has_key=has_key,
        updated_at=later(-2 * DAY_S),
        expires_at=None if expires_in_d is None else later(expires_in_d * DAY_S),
        is_ending=expires_in_d is not None,
        users=(REF,),
    )


def test_stored_secrets_fit() -> None:
    rows = (
        secret_row("a", None),
        secret_row("b", 89.5, has_key=False),
        secret_row("c", -3),
        secret_row("d", 0),
    )
    assert secrets.table(views.SecretsView(rows=rows, now=NOW), NARROW).splitlines() == [
        "NAME  VERSION  KEY                   SET  EXPIRES       USED BY",
        "a           1  01234567              2 d  never         ApiConnection/sales/crm",
        "b           1  01234567 (not given)  2 d  in 89 d       ApiConnection/sales/crm",
        "c           1  01234567              2 d  over for 3 d  ApiConnection/sales/crm",
        "d           1  01234567              2 d  over for 0 s  ApiConnection/sales/crm",
    ]


def test_events_have_ages_where_times_leave_no_room() -> None:
    event = make_event(
        at=later(-DAY_S),
        ref=make_ref(name="orders-replica", namespace="billing"),
        reason="AuthFailed",
        message="28P01 password rejected",
        actor="ana",
        source=Phase.ACTIVE,
        target=Phase.SUSPENDED,
    )
    view = views.EventsView(events=(event,), now=NOW)
    assert events.table(view, NARROW).splitlines() == [
        "AGE  CONNECTION                  WHAT                 WHY",
        "1 d  sql/billing/orders-replica  ACTIVE -> SUSPENDED  28P01 password rejected […",
    ]
    for width in (120, None):
        row = events.table(view, Style(width=width)).splitlines()[1]
        assert row.startswith("2026-02-28T12:00:00Z  sql/billing/orders-replica  ACTIVE")
