"""What golden files cannot show: empty screens, long passes, connections never checked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import ChangeSet, Observation, Outcome, Phase, Reason, Status, SuspendedBy
from reconciler.report import apply, describe, events, health, runs, status, views
from reconciler.report.style import Style
from tests.factories import (
    NOW,
    make_event,
    make_observation,
    make_recorded,
    make_ref,
    make_status,
)
from tests.unit.report.samples import make_checked, make_plan

_WELL = make_status(phase=Phase.ACTIVE, reason=Reason.OK, last_outcome=Outcome.OK)
_ILL = make_status(phase=Phase.FAILED, reason=Reason.DNS_FAILURE, last_outcome=Outcome.FAILED)
_DNS = make_observation(
    outcome=Outcome.FAILED, reason=Reason.DNS_FAILURE, hint="check `host`", stages=()
)


def _applied(checked: views.HealthView | None) -> str:
    view = views.ApplyView(
        plan=make_plan(), changes=ChangeSet(run_id="", results=()), health=checked, now=NOW
    )
    return apply.text(view, Style())


def _pass(well: int, ill: int) -> views.HealthView:
    rows = [
        make_checked(f"w{index:02d}", make_observation(), _WELL, Phase.ACTIVE)
        for index in range(well)
    ]
    rows += [make_checked(f"i{index:02d}", _DNS, _ILL, Phase.FAILED) for index in range(ill)]
    return views.HealthView(rows=tuple(rows), now=NOW)


def test_apply_that_changes_nothing_says_so() -> None:
    assert _applied(None) == (
        "Apply 64879f7d6b96  stack prod\n"
        "\n"
        "applied: nothing, the state is as the manifests say\n"
        "health:  no check was asked for\n"
    )


def test_apply_after_which_nothing_is_to_be_checked_says_so() -> None:
    assert "\nhealth:  nothing to check\n" in _applied(_pass(0, 0))


def test_long_pass_of_an_apply_shows_only_what_is_not_well() -> None:
    text = _applied(_pass(100, 1))
    assert "hr/w00" not in text
    assert "hr/i00" in text
    assert "\nhealth:  100 ok, 1 failed\n" in text


def test_long_pass_in_which_all_is_well_is_one_line() -> None:
    assert "\nall 100 checks are ok\n" in _applied(_pass(100, 0))


def test_many_unhealthy_connections_are_counted_at_the_end() -> None:
    assert _applied(_pass(0, 15)).endswith("  ✗ FAILED     SqlConnection/hr/i09\n  and 5 more\n")


def test_one_hint_for_many_connections_is_shown_once() -> None:
    assert health.table(_pass(0, 15), Style()).count("check `host`") == 1


def test_pass_over_nothing_says_so() -> None:
    assert health.table(_pass(0, 0), Style()) == "nothing to check\n"


def test_status_of_nothing_says_how_many_there_are() -> None:
    view = views.StatusView(rows=(), total=3, now=NOW)
    assert status.table(view, Style()) == "no connection is selected; the state holds 3\n"


def test_status_of_everything_counts_once() -> None:
    view = views.StatusView(rows=(make_recorded(),), total=1, now=NOW)
    assert status.table(view, Style()).splitlines()[-1] == "1 connection  1 pending"


def test_no_events_and_no_runs_say_so() -> None:
    assert events.table(views.EventsView(events=(), now=NOW), Style()) == "no events\n"
    assert runs.table(views.RunsView(runs=(), now=NOW), Style()) == "no runs\n"


def test_event_without_phases_shows_its_type() -> None:
    view = views.EventsView(events=(make_event(type="pruned", reason="", target=None),), now=NOW)
    assert events.table(view, Style()).splitlines() == [
        "AT                    CONNECTION     WHAT    BY     WHY",
        "2026-03-01T12:00:00Z  sql/hr/orders  pruned  alice",
    ]


def _described(observation: Observation | None) -> str:
    view = views.DescribeView(recorded=make_recorded(), observation=observation, now=NOW)
    return describe.text(view, Style())


def test_connection_that_was_never_checked_says_so() -> None:
    assert _described(None).endswith("\n\n  Last check  never\n")


def test_check_that_went_well_shows_only_its_stages() -> None:
    assert _described(make_observation()).endswith(
        "\n  Last check  2026-03-01T12:00:00Z (0 s)  ✓ ok in 7 ms\n"
        "    secret  ok       1 ms\n"
        "    tcp     ok       2 ms  127.0.0.1:5432\n"
        "    query   ok       4 ms\n"
    )


def test_check_that_ended_before_any_stage_shows_none() -> None:
    assert _described(_DNS).endswith(
        "\n  Last check  2026-03-01T12:00:00Z (0 s)  ✗ failed in 7 ms\n"
        "  DnsFailure\n"
        "  Hint       check `host`\n"
    )


def test_connection_that_never_worked_says_so() -> None:
    row = make_recorded(status=replace(_ILL, consecutive_failures=2))
    text = describe.text(views.DescribeView(recorded=row, now=NOW), Style())
    assert "\n  Failures   2 in a row, never ok before\n" in text


def test_command_to_try_is_never_wrapped_and_its_note_is() -> None:
    command = "reconciler health SqlConnection/hr/orders"
    suggestion = views.Suggestion(command=command, note="only if the secret is right again")
    view = views.DescribeView(recorded=make_recorded(), suggestions=(suggestion,), now=NOW)
    assert describe.text(view, Style(width=40)).endswith(
        "\n"
        "  Try        reconciler health SqlConnection/hr/orders\n"
        "             only if the secret is right\n"
        "             again\n"
    )


@pytest.mark.parametrize(
    ("status_after", "shown"),
    [
        pytest.param(
            make_status(last_outcome=Outcome.FAILED, consecutive_failures=2),
            "failed, 2 in a row",
            id="failed",
        ),
        pytest.param(
            make_status(last_outcome=Outcome.OK, consecutive_successes=1), "ok, 1 in a row", id="ok"
        ),
        pytest.param(
            make_status(last_outcome=Outcome.INCONCLUSIVE), "inconclusive", id="inconclusive"
        ),
        pytest.param(make_status(), "result", id="no outcome"),
        pytest.param(None, "result", id="no status"),
    ],
)
def test_result_of_a_check_says_how_often_in_a_row(status_after: Status | None, shown: str) -> None:
    event = make_event(type="result", reason="", actor="", target=None, status=status_after)
    assert events.table(views.EventsView(events=(event,), now=NOW), Style()).splitlines()[1] == (
        f"2026-03-01T12:00:00Z  sql/hr/orders  {shown}"
    )


def _suspended(name: str) -> views.HealthView:
    row = make_recorded(
        ref=make_ref(name),
        status=make_status(
            phase=Phase.SUSPENDED,
            suspended_by=SuspendedBy.HEALTH,
            reason=Reason.TOO_MANY_FAILURES,
            message="no such host",
        ),
    )
    return views.HealthView(rows=(), skipped=1, suspended=(row,), now=NOW)


def test_pass_that_leaves_out_what_health_suspended_says_what_ends_it() -> None:
    assert health.table(_suspended("orders"), Style()) == (
        "not checked, because earlier checks failed:\n"
        "  = hr/orders  suspended by health: no such host [TooManyFailures]\n"
        "  hint a changed secret, address or login is checked again by the next `apply`\n"
        "  hint otherwise, once the cause is gone: reconciler resume SqlConnection/hr/orders\n"
        "1 not checked\n"
    )


def test_many_that_health_suspended_are_counted() -> None:
    rows = [row for index in range(7) for row in _suspended(f"s{index}").suspended]
    text = health.table(views.HealthView(rows=(), suspended=tuple(rows), now=NOW), Style())
    assert (
        "\n  = hr/s4  suspended by health: no such host [TooManyFailures]\n    and 2 more\n" in text
    )
    assert "hr/s5" not in text


def test_long_finding_is_wrapped_at_its_spaces_under_its_beginning() -> None:
    row = make_recorded(status=replace(_ILL, message="no server answers for this name today"))
    text = describe.text(views.DescribeView(recorded=row, now=NOW), Style(width=50))
    assert (
        "\n  Why        no server answers for this name today\n             [DnsFailure]\n"
    ) in text
