from __future__ import annotations

import errno

import pytest

from reconciler.clients import tcp
from reconciler.model import Reason, StageName


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (errno.ECONNREFUSED, Reason.CONNECT_REFUSED, "the server refuses connections on this port"),
        (errno.ETIMEDOUT, Reason.CONNECT_TIMEOUT, "the server does not answer"),
        (errno.EHOSTUNREACH, Reason.CONNECT_REFUSED, "there is no route to the server"),
        (errno.ENETUNREACH, Reason.CONNECT_REFUSED, "there is no route to the server"),
        (errno.EACCES, Reason.CONNECT_REFUSED, "this machine forbids the connection"),
        (errno.EMFILE, Reason.PROBE_CRASHED, "this machine has no file descriptors left"),
        (errno.EIO, Reason.CONNECT_REFUSED, "the connection cannot be opened (EIO)"),
        (9999, Reason.CONNECT_REFUSED, "the connection cannot be opened (errno 9999)"),
    ],
)
def test_errors_of_connect_are_told_apart_by_code(code: int, reason: Reason, message: str) -> None:
    failure = tcp.connect_failure(OSError(code, "library text"))
    assert (failure.reason, failure.stage, failure.message) == (reason, StageName.TCP, message)


def test_a_broken_connection_names_the_code() -> None:
    failure = tcp.cut(OSError(errno.ECONNRESET, "library text"), StageName.QUERY)
    assert failure.message == "the server closed the connection too early (ECONNRESET)"
