"""Digest logins of HTTP probes, against a server that checks them."""

from __future__ import annotations

import pytest

from reconciler.model import JsonObject, Observation, Reason
from tests.servers import http_routes
from tests.servers.http import Client, Route, Server, http_server
from tests.servers.http_digest import DigestLogin
from tests.servers.http_targets import make_target, names_of, run_probe

PASSWORD = "TOPSECRET+canary/9"
DIGEST: JsonObject = {"method": "digest", "username": "report", "password": {"env": "P"}}


def probe(
    route: Route, *, password: str = PASSWORD, auth: JsonObject = DIGEST
) -> tuple[Observation, Server]:
    with http_server({"/ping": route}) as server:
        target = make_target(server.url, auth=auth, health={"path": "/ping?deep=1"})
        return run_probe(target, {"/auth/password": password}), server


def login(**changes: object) -> Route:
    return DigestLogin(username="report", password=PASSWORD, **changes).route()  # type: ignore[arg-type]  # words of the test


@pytest.mark.parametrize("qop", ["auth", "auth-int, auth", ""], ids=["auth", "both", "none"])
@pytest.mark.parametrize("session", ["", "-sess"], ids=["plain", "sess"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
def test_the_password_is_proven_with_each_algorithm(algorithm: str, session: str, qop: str) -> None:
    found, server = probe(login(algorithm=algorithm + session, qop=qop))
    assert (found.reason, server.logins, server.failed_logins) == (Reason.OK, 1, 0)
    assert names_of(found) == ["secret", "dns", "tcp", "auth", "query"]
    assert found.stages[3].detail == "digest, not refused"
    assert found.stages[3].seconds > 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"userhash": True}, id="hashed user name"),
        pytest.param({"algorithm": ""}, id="no algorithm named"),
        pytest.param({"others": 'Basic realm="x, y", Negotiate YII==, '}, id="after other ways"),
    ],
)
def test_a_challenge_of_another_form_is_answered(changes: dict[str, object]) -> None:
    found, server = probe(login(**changes))
    assert (found.reason, server.logins) == (Reason.OK, 1)


def test_the_password_itself_is_never_sent() -> None:
    _, server = probe(login())
    assert [PASSWORD in repr(request) for request in server.requests] == [False, False]
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("wrong", ["password", "username"])
def test_a_wrong_login_is_made_once_and_fails_at_auth(wrong: str) -> None:
    if wrong == "password":
        found, server = probe(login(), password="wrong-password")
    else:
        found, server = probe(login(), auth={**DIGEST, "username": "other"})
    assert (found.reason, found.message) == (
        Reason.AUTH_FAILED,
        "401 Unauthorized: the credential is refused",
    )
    assert names_of(found) == ["secret", "dns", "tcp", "auth"]
    assert (len(server.requests), server.failed_logins) == (2, 1)


@pytest.mark.parametrize(
    ("stale", "reason", "logins"), [(1, Reason.OK, 2), (2, Reason.AUTH_FAILED, 2)]
)
def test_a_stale_challenge_is_answered_once_more(stale: int, reason: Reason, logins: int) -> None:
    found, server = probe(login(stale=stale))
    assert (found.reason, server.logins) == (reason, logins)


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param('Basic realm="x"', id="basic"),
        pytest.param('Digest realm="x", nonce="n", algorithm=SHA3', id="unknown algorithm"),
        pytest.param('Digest realm="x", nonce="n", qop="auth-int"', id="unknown protection"),
        pytest.param('Digest realm="x"', id="no nonce"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_server_that_asks_for_no_digest_gets_no_credential(challenge: str) -> None:
    found, server = probe(http_routes.answer(401, headers=[("WWW-Authenticate", challenge)]))
    assert (found.reason, names_of(found)[-1]) == (Reason.PROTOCOL_ERROR, "auth")
    assert found.message.startswith("the server asks for a login, but not by Digest")
    assert len(server.requests) == 1


def test_a_server_that_asks_for_no_login_proves_nothing() -> None:
    found, _ = probe(http_routes.answer(200))
    assert (found.reason, names_of(found)) == (
        Reason.ASSERTION_FAILED,
        ["secret", "dns", "tcp", "auth"],
    )
    assert found.message == "the server asks for no login there, so the credential was not tried"


def test_a_failure_after_the_login_is_one_of_the_query() -> None:
    challenge = 'Digest realm="x", nonce="n", qop="auth"'
    routes = iter(
        [
            http_routes.answer(401, headers=[("WWW-Authenticate", challenge)]),
            http_routes.answer(503),
        ]
    )

    async def route(client: Client) -> None:
        await next(routes)(client)

    found, _ = probe(route)
    assert (found.reason, names_of(found)) == (
        Reason.SERVER_ERROR,
        ["secret", "dns", "tcp", "auth", "query"],
    )
