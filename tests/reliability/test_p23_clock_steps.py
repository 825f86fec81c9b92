"""P23: a clock that jumps changes timestamps and nothing else.

The same story is lived twice: by a clock that runs evenly, and by one that is set back and forth
between checks and during them. Transitions, counters, verdicts and what is due must be the same;
deadlines of checks are monotonic and are not touched by it (P11).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import health, holds, plan
from reconciler.model import Json, Phase, Reason, Recorded, SuspendedBy
from reconciler.report import data, describe, events, history, runs, status
from reconciler.report.style import Style
from reconciler.report.views import (
    DescribeView,
    EventsView,
    HistoryRow,
    HistoryView,
    RunsView,
    StatusView,
    View,
)
from reconciler.settings import LOGIN_BUDGET, LONGEST_LOGIN_S, HealthSettings
from reconciler.stores import LoginRequest, Verdict
from tests.factories import NOW, later, make_recorded, make_status
from tests.reliability import stages
from tests.reliability.figures import Record
from tests.reliability.stages import FAILED, LOGIN_FAILED, OK, UNCLEAR, Finding, World
from tests.servers import http_routes
from tests.servers.http import http_server

HOUR_S, TEN_YEARS_S = 3600.0, 10 * 365 * 86_400.0
STEPS = (-HOUR_S, -1.0, 0.0, HOUR_S, TEN_YEARS_S, -TEN_YEARS_S)
INTERVAL_S = 300.0
MANIFEST: dict[str, Json] = {
    "apiVersion": "reconciler/v1",
    "kind": "ApiConnection",
    "metadata": {"name": "crm"},
    "spec": {
        "baseUrl": "https://api.example.com",
        "auth": {"method": "bearer", "token": {"env": "TOKEN"}},
        "health": {"interval": "5m", "failureThreshold": 2, "successThreshold": 2},
    },
}
FILES = stages.files_of([MANIFEST])
Order = Finding | str


def _live(orders: Sequence[Order], steps: Sequence[float]) -> list[tuple[object, ...]]:
    """Returns what can be told of a story without its times, the clock moved before each order."""
    world = World.open("sqlite://", {"TOKEN": "first-token"})
    world.apply(FILES, stages.options())
    for order, step in zip(orders, steps, strict=True):
        world.pass_time(step)
        _carry_out(world, order)
    contents = world.contents()
    world.store.close()
    told = [(e.type, e.source, e.target, e.reason, e.message, e.uid) for e in contents.events]
    return [*told, *(_timeless(row) for row in contents.rows)]


def _carry_out(world: World, order: Order) -> None:
    (row,) = world.contents().rows
    match order:
        case "suspend":
            world.carry_out(row, holds.suspend)
        case "resume":
            world.carry_out(row, holds.resume)
        case "rotate":
            world.environment["TOKEN"] += "-again"
            world.apply(FILES, stages.options())
        case (_, _) as finding:
            for uid, (key, verdict) in world.reserve(world.probed()).items():
                found = finding if verdict is Verdict.GRANTED else None
                world.record(world.store.find([uid]), {uid: found}, {uid: key})


def _timeless(row: Recorded) -> tuple[object, ...]:
    status = row.status
    counters = (status.consecutive_failures, status.consecutive_successes)
    return (
        row.generation,
        row.revision,
        status.phase,
        status.suspended_by,
        status.reason,
        counters,
    )


_ORDERS = st.sampled_from([OK, FAILED, LOGIN_FAILED, UNCLEAR, "suspend", "resume", "rotate"])


@given(story=st.lists(st.tuples(_ORDERS, st.sampled_from(STEPS)), max_size=12))
def test_steps_of_the_clock_change_no_transition(story: list[tuple[Order, float]]) -> None:
    orders = [order for order, _ in story]
    evenly = _live(orders, [1.0] * len(story))
    assert _live(orders, [step for _, step in story]) == evenly


@pytest.mark.parametrize("step", [step for step in STEPS if step], ids="{:+.0f} s".format)
def test_step_while_a_login_is_under_way_settles_it_all_the_same(
    step: float, figure: Record
) -> None:
    world = World.open("sqlite://", {"TOKEN": "first-token"})
    world.apply(FILES, stages.options())
    phases = []
    for _ in range(LOGIN_BUDGET):
        rows = world.probed()
        ((uid, (key, verdict)),) = world.reserve(rows).items()
        assert verdict is Verdict.GRANTED
        world.pass_time(step / LOGIN_BUDGET)
        world.record(rows, {uid: LOGIN_FAILED}, {uid: key})
        phases.append(world.contents().rows[0].status.phase)
    world.store.close()
    failed = [Phase.FAILED] * (LOGIN_BUDGET - 2)
    assert phases == [Phase.PENDING, *failed, Phase.SUSPENDED]
    figure("P23", "steps during a login", LOGIN_BUDGET, "transitions that differ", 0)


def _attempts(world: World, deadline_at: datetime, number: int = LOGIN_BUDGET) -> None:
    """Begins logins that never end, as a process that is killed does."""
    ((uid, (key, _)),) = world.reserve(world.probed()).items()
    row = world.contents().by_uid[uid]
    request = LoginRequest(
        uid=uid, credential_key=key, version=row.version, deadline_at=deadline_at
    )
    world.store.reserve([request] * (number - 1), now=world.now, budget=LOGIN_BUDGET)


def test_logins_that_died_in_the_future_are_not_waited_for_but_counted() -> None:
    world = World.open("sqlite://", {"TOKEN": "first-token"})
    world.apply(FILES, stages.options())
    world.pass_time(TEN_YEARS_S)
    _attempts(world, world.now + timedelta(seconds=70))
    world.pass_time(-TEN_YEARS_S)
    world.check()
    suspended = world.contents().rows[0]
    world.carry_out(suspended, holds.resume)
    ((_, verdict),) = world.reserve(world.probed()).values()
    world.store.close()
    assert (suspended.status.suspended_by, suspended.status.reason) == (
        SuspendedBy.HEALTH,
        Reason.LOGIN_BUDGET_USED,
    )
    assert verdict is Verdict.GRANTED


def test_pass_does_not_wait_for_ever_for_logins_of_others() -> None:
    with http_server({"/": http_routes.answer(200)}) as server:
        spec = {**MANIFEST["spec"], "baseUrl": server.url}
        files = stages.files_of([{**MANIFEST, "spec": spec}])
        limits = HealthSettings(login_wait_s=0.0)
        world = World.open("sqlite://", {"TOKEN": "first-token"}, limits=limits)
        world.apply(files, stages.options())
        _attempts(world, world.now + timedelta(seconds=70))
        (result,) = world.check()
        world.store.close()
        assert server.requests == []
    assert result.observation is not None
    assert (result.observation.reason, result.row.status.phase) == (
        Reason.CANCELLED,
        Phase.PENDING,
    )


def test_no_login_lasts_longer_than_logins_are_believed_to() -> None:
    longest = "10m"
    spec = {**MANIFEST["spec"], "health": {"timeout": longest}}
    (resource,) = stages.read(stages.files_of([{**MANIFEST, "spec": spec}])).resources
    assert health.timeout_s(resource.spec) + health.QUEUE_ALLOWANCE_S <= LONGEST_LOGIN_S
    spec = {**MANIFEST["spec"], "health": {"timeout": "601s"}}
    assert stages.read(stages.files_of([{**MANIFEST, "spec": spec}])).errors


@pytest.mark.parametrize(
    ("age_s", "is_due"),
    [
        pytest.param(0.0, False, id="just now"),
        pytest.param(INTERVAL_S - 1, False, id="before the interval is over"),
        pytest.param(INTERVAL_S, True, id="after the interval"),
        pytest.param(TEN_YEARS_S, True, id="a clock that jumped ahead"),
        pytest.param(-1.0, False, id="a clock that was corrected by a second"),
        pytest.param(-INTERVAL_S + 1, False, id="a clock set back by less than the interval"),
        pytest.param(-HOUR_S, True, id="a clock set back by an hour"),
        pytest.param(-TEN_YEARS_S, True, id="a clock set right after years"),
    ],
)
def test_step_within_the_interval_makes_nothing_due_and_none_silences_checks(
    age_s: float, is_due: bool
) -> None:
    (resource,) = stages.read(FILES).resources
    checked = make_status(phase=Phase.ACTIVE, reason=Reason.OK, checked_at=later(-age_s))
    row = make_recorded(ref=resource.ref, status=checked)
    assert health.is_due(row, resource.spec, NOW) is is_due


def test_check_made_due_by_a_step_is_made_once() -> None:
    with http_server({"/": http_routes.answer(200)}) as server:
        spec = {**MANIFEST["spec"], "baseUrl": server.url}
        world = World.open("sqlite://", {"TOKEN": "first-token"})
        world.apply(stages.files_of([{**MANIFEST, "spec": spec}]), stages.options())
        due = []
        for step in (0.0, 1.0, -HOUR_S, 1.0, 1.0):
            world.pass_time(step)
            rows = [
                row
                for row in world.probed()
                if health.is_due(row, plan.normal_spec(row), world.now)
            ]
            due.append(len(rows))
            if rows:
                world.check()
        world.store.close()
    assert due == [1, 0, 1, 0, 0]


def _screens(world: World, now: datetime) -> list[str]:
    """Returns every screen that shows an age, as somebody with another clock sees it."""
    contents = world.contents()
    row = contents.rows[0]
    observation = world.store.observations(row.uid, limit=1)[0]
    revisions = world.store.revisions(row.uid)
    described = DescribeView(
        recorded=replace(row, hold=row.hold),
        observation=observation,
        revision=revisions[-1],
        transitions=contents.events,
        now=now,
    )
    past = tuple(HistoryRow(revision=revision) for revision in revisions)
    views: list[View] = [
        StatusView(rows=contents.rows, total=1, now=now),
        described,
        HistoryView(recorded=row, rows=past, now=now),
        RunsView(runs=contents.runs, now=now),
    ]
    style = Style()
    return [
        status.wide(StatusView(rows=contents.rows, total=1, now=now), style),
        describe.text(described, style),
        history.text(HistoryView(recorded=row, rows=past, now=now), style),
        runs.table(RunsView(runs=contents.runs, now=now), style),
        events.table(EventsView(events=contents.events, now=now), style),
        *(data.json_document(view, style) for view in views),
    ]


@pytest.mark.parametrize("step", [-HOUR_S, -TEN_YEARS_S, TEN_YEARS_S], ids="{:+.0f} s".format)
def test_no_screen_shows_a_negative_age(step: float, figure: Record) -> None:
    world = World.open("sqlite://", {"TOKEN": "first-token"})
    world.apply(FILES, stages.options())
    _carry_out(world, FAILED)
    _carry_out(world, "suspend")
    shown = _screens(world, world.now + timedelta(seconds=step))
    world.store.close()
    assert [text for text in shown if re.search(r"-\d+(\.\d+)? ?(ms|s|m|h|d)\b", text)] == []
    figure("P23", "screens under another clock", len(shown), "negative ages", 0)
