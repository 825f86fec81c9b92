"""The lifeline ends what is held, whenever it is cut, and touches nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from reconciler.clients.attempt import Attempt, Lifeline, Login
from reconciler.clients.stages import Stages
from reconciler.model import Reason, StageName
from reconciler.redact import Redactor, Secret


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def make_attempt(*, end_in_s: float = 60.0) -> Attempt:
    end_by = time.monotonic() + end_in_s
    return Attempt(
        stages=Stages(),
        redactor=Redactor(),
        lifeline=Lifeline(),
        connect_by=end_by,
        query_s=30.0,
        end_by=end_by,
    )


def test_a_cut_ends_a_held_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    lifeline = Lifeline()
    lifeline.hold_socket(pair[0].fileno())
    lifeline.cut()
    assert pair[0].recv(1) == b""
    lifeline.release()


def test_a_cut_that_came_before_ends_what_is_held_later(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    lifeline = Lifeline()
    lifeline.cut()
    lifeline.hold_socket(pair[0].fileno())
    assert pair[0].recv(1) == b""
    lifeline.release()


def test_a_cut_after_the_release_does_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    lifeline = Lifeline()
    lifeline.hold_socket(pair[0].fileno())
    lifeline.release()
    lifeline.cut()
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"


def test_only_the_last_connection_is_held(pair: tuple[socket.socket, socket.socket]) -> None:
    lifeline = Lifeline()
    lifeline.hold_socket(pair[0].fileno())
    lifeline.hold(lambda: None)
    lifeline.cut()
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"


def test_the_descriptor_may_be_closed_by_its_owner(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    lifeline = Lifeline()
    lifeline.hold_socket(pair[0].fileno())
    pair[0].close()
    lifeline.cut()
    assert pair[1].recv(1) == b""
    lifeline.release()


def test_no_time_is_left_after_a_cut() -> None:
    attempt = make_attempt()
    attempt.lifeline.cut()
    with pytest.raises(TimeoutError):
        attempt.remaining(attempt.end_by)
    assert attempt.is_over


def test_no_time_is_left_after_the_deadline() -> None:
    attempt = make_attempt(end_in_s=-1.0)
    with pytest.raises(TimeoutError):
        attempt.remaining(attempt.end_by)
    assert attempt.is_over


def test_a_query_has_no_longer_than_the_attempt() -> None:
    attempt = make_attempt(end_in_s=5.0)
    assert attempt.query_by == attempt.end_by


@pytest.mark.parametrize(
    ("stage", "reason", "message"),
    [
        (StageName.DNS, Reason.DNS_FAILURE, "the host name is not resolved in time"),
        (
            StageName.TCP,
            Reason.CONNECT_TIMEOUT,
            "the server does not accept the connection in time",
        ),
        (
            StageName.TLS,
            Reason.CONNECT_TIMEOUT,
            "the server does not finish the TLS handshake in time",
        ),
        (StageName.AUTH, Reason.CONNECT_TIMEOUT, "the server does not finish the login in time"),
        (StageName.QUERY, Reason.READ_TIMEOUT, "the health query does not finish in time"),
    ],
)
def test_what_took_too_long_is_the_stage_under_way(
    stage: StageName, reason: Reason, message: str
) -> None:
    attempt = make_attempt()
    with attempt.stages.stage(stage):
        failure = attempt.timed_out()
    assert (failure.reason, failure.stage, failure.message) == (reason, stage, message)


def test_a_login_does_not_show_its_password() -> None:
    login = Login(driver="psycopg", database="orders", password=Secret("canary"))
    assert "canary" not in repr(login)
