"""The login budget: reserved before a credential is sent, settled by what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from reconciler.model import Observation, Outcome, Phase, Reason, Recorded, Stage, StageName
from reconciler.stores import HealthWrite, LoginRequest, RowOp, RowWrite, Store, Verdict, Write
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

KEY = "credential-1"
SOON = later(60)
GRANTED, WAIT, EXHAUSTED, STALE = (
    Verdict.GRANTED,
    Verdict.WAIT,
    Verdict.EXHAUSTED,
    Verdict.STALE,
)
REFUSED = make_observation(outcome=Outcome.FAILED, reason=Reason.AUTH_FAILED)
BROKEN = make_observation(outcome=Outcome.FAILED, reason=Reason.CONNECT_REFUSED)
LIMITED = make_observation(outcome=Outcome.INCONCLUSIVE, reason=Reason.RATE_LIMITED)
FINE = make_observation()


def ask(
    key: str = KEY, uid: str = UID, version: int | None = 1, deadline_at: datetime = SOON
) -> LoginRequest:
    return LoginRequest(uid=uid, credential_key=key, version=version, deadline_at=deadline_at)


def reserve(store: Store, *requests: LoginRequest, now: datetime = NOW) -> tuple[Verdict, ...]:
    return store.reserve(requests, now=now, budget=5)


def settle(store: Store, *observations: Observation, now: datetime = NOW) -> None:
    """Stores results without moving the row: what is settled does not depend on it."""
    writes = [
        HealthWrite(observation=seen, row=make_recorded(), expected=99, credential_key=KEY)
        for seen in observations
    ]
    store.record(writes, now=now)


def refuse(store: Store, times: int) -> None:
    assert reserve(store, *[ask()] * times) == (GRANTED,) * times
    settle(store, *[REFUSED] * times)


@pytest.fixture
def store(store: Store) -> Store:
    """Gives a store with one connection that may be probed."""
    add(store, make_recorded())
    return store


def add(store: Store, *rows: Recorded) -> None:
    store.commit(Write(rows=tuple(RowWrite(op=RowOp.INSERT, row=row) for row in rows)))


def test_open_attempts_use_up_the_budget_and_the_next_waits(store: Store) -> None:
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_failed_logins_use_up_the_budget_for_good(store: Store) -> None:
    refuse(store, 5)
    assert reserve(store, ask(), now=later(10**7)) == (EXHAUSTED,)


def test_failed_and_open_attempts_count_together(store: Store) -> None:
    refuse(store, 3)
    assert reserve(store, ask(), ask(), ask()) == (GRANTED, GRANTED, WAIT)


def test_attempt_of_a_dead_process_counts_as_failed_after_its_deadline(store: Store) -> None:
    assert reserve(store, *[ask(deadline_at=later(10))] * 5) == (GRANTED,) * 5
    assert reserve(store, ask(), now=later(9)) == (WAIT,)
    assert reserve(store, ask(), now=later(10)) == (EXHAUSTED,)


def test_each_credential_has_its_own_budget(store: Store) -> None:
    refuse(store, 5)
    assert reserve(store, ask("credential-2"), ask()) == (GRANTED, EXHAUSTED)


def test_connections_with_one_credential_share_its_budget(store: Store) -> None:
    other = make_uid(2)
    add(store, make_recorded(uid=other, ref=make_ref("other")))
    refuse(store, 3)
    found = reserve(store, ask(uid=other), ask(), ask(uid=other))
    assert found == (GRANTED, GRANTED, WAIT)


def test_success_gives_the_whole_budget_back(store: Store) -> None:
    refuse(store, 4)
    assert reserve(store, ask()) == (GRANTED,)
    settle(store, FINE)
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_success_also_forgives_attempts_of_dead_processes(store: Store) -> None:
    assert reserve(store, *[ask(deadline_at=later(10))] * 4) == (GRANTED,) * 4
    assert reserve(store, ask(), now=later(20)) == (GRANTED,)
    settle(store, FINE, now=later(30))
    assert reserve(store, *[ask()] * 6, now=later(30)) == (GRANTED,) * 5 + (WAIT,)


def test_success_leaves_running_attempts_of_others_counted(store: Store) -> None:
    assert reserve(store, ask(), ask(), ask()) == (GRANTED,) * 3
    settle(store, FINE)
    assert reserve(store, *[ask()] * 4) == (GRANTED,) * 3 + (WAIT,)


@pytest.mark.parametrize(
    "observation",
    [pytest.param(BROKEN, id="never reached"), pytest.param(LIMITED, id="rate limited")],
)
def test_result_that_is_no_refusal_takes_its_own_attempt_back(
    store: Store, observation: Observation
) -> None:
    refuse(store, 4)
    assert reserve(store, ask()) == (GRANTED,)
    settle(store, observation)
    assert reserve(store, ask(), ask()) == (GRANTED, WAIT)


def test_release_takes_the_attempt_back(store: Store) -> None:
    requests = [ask(), ask(), ask(deadline_at=later(70))]
    assert reserve(store, *requests) == (GRANTED,) * 3
    store.release(requests[1:])
    assert reserve(store, *[ask()] * 5) == (GRANTED,) * 4 + (WAIT,)


def test_release_never_takes_back_what_was_settled(store: Store) -> None:
    refuse(store, 5)
    store.release([ask()])
    assert reserve(store, ask()) == (EXHAUSTED,)


@pytest.mark.parametrize("hop", [StageName.TUNNEL, StageName.PROXY])
def test_refusal_by_a_hop_takes_the_attempt_back(store: Store, hop: StageName) -> None:
    refuse(store, 4)
    assert reserve(store, ask()) == (GRANTED,)
    settle(store, replace(REFUSED, stages=(Stage(name=hop, seconds=0.1),)))
    assert reserve(store, ask(), ask()) == (GRANTED, WAIT)


def test_accepted_login_at_a_hop_gives_the_whole_budget_back(store: Store) -> None:
    refuse(store, 4)
    assert reserve(store, ask()) == (GRANTED,)
    store.settle(ask(), is_accepted=True, now=NOW)
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_refused_login_at_a_hop_counts_for_good(store: Store) -> None:
    refuse(store, 4)
    assert reserve(store, ask()) == (GRANTED,)
    store.settle(ask(), is_accepted=False, now=NOW)
    assert reserve(store, ask(), now=later(10**7)) == (EXHAUSTED,)


def test_empty_requests_are_answered_with_nothing(store: Store) -> None:
    store.release([])
    assert reserve(store) == ()


def test_moved_row_is_stale_and_reserves_nothing(store: Store) -> None:
    assert reserve(store, ask(version=2), ask(uid=make_uid(7))) == (STALE, STALE)
    assert reserve(store, *[ask()] * 5) == (GRANTED,) * 5


@pytest.mark.parametrize("phase", [Phase.SUSPENDED, Phase.ARCHIVED])
def test_row_that_is_no_longer_probed_is_stale(store: Store, phase: Phase) -> None:
    uid = make_uid(2)
    status = make_status(phase=phase)
    add(store, make_recorded(uid=uid, ref=make_ref("other"), status=status))
    assert reserve(store, ask(uid=uid)) == (STALE,)


def test_forgiveness_gives_the_budget_of_a_connections_credentials_back(store: Store) -> None:
    refuse(store, 5)
    store.commit(Write(forgive=(UID,), events=(make_event(type="resumed"),)))
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_forgiveness_covers_dead_attempts_and_leaves_running_ones(store: Store) -> None:
    requests = [ask(deadline_at=later(10)), ask(deadline_at=later(60))]
    assert reserve(store, *requests) == (GRANTED,) * 2
    store.commit(Write(forgive=(UID,), events=(make_event(type="resumed", at=later(30)),)))
    assert reserve(store, *[ask()] * 5, now=later(30)) == (GRANTED,) * 4 + (WAIT,)


def test_forgiveness_of_others_changes_nothing(store: Store) -> None:
    refuse(store, 5)
    store.commit(Write(forgive=(make_uid(3),)))
    assert reserve(store, ask()) == (EXHAUSTED,)


def test_forgiveness_of_who_was_stopped_by_others_gives_the_budget_back(store: Store) -> None:
    other = make_recorded(uid=make_uid(2), ref=make_ref("other"))
    add(store, other)
    refuse(store, 5)
    assert reserve(store, *[ask(uid=other.uid)] * 2) == (EXHAUSTED,) * 2
    store.commit(Write(forgive=(other.uid,)))
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_forgiveness_of_who_shared_a_refusal_gives_the_budget_back(store: Store) -> None:
    refuse(store, 5)
    for _ in range(2):
        store.bar(ask(uid=make_uid(2)), now=NOW)
    store.commit(Write(forgive=(make_uid(2),)))
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_a_credential_has_failed_from_its_refusal_until_it_is_accepted(store: Store) -> None:
    assert reserve(store, *[ask()] * 2) == (GRANTED,) * 2
    assert not store.has_failed(KEY)
    settle(store, REFUSED)
    assert (store.has_failed(KEY), store.has_failed("another")) == (True, False)
    settle(store, FINE)
    assert not store.has_failed(KEY)


def test_who_shared_a_refusal_uses_no_login(store: Store) -> None:
    store.bar(ask(uid=make_uid(2)), now=NOW)
    assert reserve(store, *[ask()] * 5) == (GRANTED,) * 5
    settle(store, FINE)
    assert reserve(store, *[ask()] * 2) == (GRANTED, WAIT)


def test_a_result_settles_the_attempt_with_its_own_deadline(store: Store) -> None:
    own, other = ask(deadline_at=later(20)), ask(deadline_at=later(60))
    assert reserve(store, own, other) == (GRANTED,) * 2
    write = HealthWrite(
        observation=FINE,
        row=make_recorded(),
        expected=99,
        credential_key=KEY,
        deadline_at=own.deadline_at,
    )
    store.record([write], now=NOW)
    store.release([other])
    assert reserve(store, *[ask()] * 6) == (GRANTED,) * 5 + (WAIT,)


def test_a_running_attempt_is_settled_before_one_from_when_the_clock_was_ahead(
    store: Store,
) -> None:
    assert reserve(store, ask(deadline_at=later(10**8)), now=later(10**8)) == (GRANTED,)
    assert reserve(store, ask()) == (GRANTED,)
    settle(store, REFUSED)
    assert reserve(store, *[ask()] * 4) == (GRANTED,) * 3 + (WAIT,)
    settle(store, *[REFUSED] * 3)
    assert reserve(store, ask()) == (EXHAUSTED,)


def test_refusal_whose_attempt_is_gone_counts_all_the_same(store: Store) -> None:
    settle(store, REFUSED)
    assert reserve(store, *[ask()] * 5) == (GRANTED,) * 4 + (WAIT,)


def test_result_without_credential_settles_nothing(store: Store) -> None:
    assert reserve(store, ask()) == (GRANTED,)
    store.record([HealthWrite(observation=FINE, row=make_recorded(), expected=1)], now=NOW)
    assert reserve(store, *[ask()] * 5) == (GRANTED,) * 4 + (WAIT,)


def test_smaller_budget_holds_for_attempts_made_under_a_larger_one(store: Store) -> None:
    refuse(store, 3)
    assert store.reserve([ask()], now=NOW, budget=2) == (EXHAUSTED,)


def test_without_a_version_the_phase_does_not_matter_and_the_budget_does(store: Store) -> None:
    suspended = make_recorded(status=make_status(phase=Phase.SUSPENDED))
    store.commit(
        Write(rows=(RowWrite(op=RowOp.UPDATE, row=replace(suspended, version=2), expected=1),))
    )
    assert reserve(store, ask(version=2)) == (STALE,)
    assert reserve(store, *[ask(version=None)] * 6) == (*[GRANTED] * 5, WAIT)
