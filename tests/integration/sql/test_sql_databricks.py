"""Databricks SQL: a peer of its statement execution API, and servers that only pretend."""

from __future__ import annotations

import pytest

from reconciler.clients import sql
from reconciler.clients.sql_rows import Rows
from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from reconciler.redact import Secret
from tests.servers.certificates import Authority
from tests.servers.databricks import TOKEN, Databricks, databricks_peer
from tests.servers.hop_targets import PROXY_PASSWORD, proxy_block
from tests.servers.http_routes import answer, endless_chunks, redirect
from tests.servers.impostors import http_impostor, impostor, impostor_spec
from tests.servers.proxies import proxy_server
from tests.servers.sql_specs import CheckWith, make_login, names_of

TLS_STAGES = ("secret", "dns", "tcp", "tls")
AUTH: JsonObject = {"method": "accessToken", "token": {"env": "TOKEN"}}


@pytest.fixture
def check(check_with: CheckWith) -> CheckWith:
    """Gives a function that probes with the right token, unless another is given."""

    def probe(spec: JsonObject, **secrets: str) -> Observation:
        return check_with(spec, **{"token": TOKEN, **secrets})

    return probe


def read(peer: Databricks, query: str, limit: int) -> Rows:
    sent = Secret(f"Bearer {TOKEN}")
    login, attempt = make_login(peer.spec(), "", peer.authority, authorization=sent)
    return sql.read("databricks", login, query, limit, attempt)


def test_a_query_that_answers_is_ok(check: CheckWith) -> None:
    with databricks_peer() as peer:
        found = check(peer.spec(options={"warehouse": "1234567890abcdef", "schema": "sales"}))
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == (*TLS_STAGES, "query")
    assert peer.statements == [
        {
            "statement": "select 1",
            "catalog": "main",
            "schema": "sales",
            "warehouse_id": "1234567890abcdef",
            "row_limit": 2,
            "wait_timeout": "8s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
        }
    ]


@pytest.mark.parametrize(("timeout", "wait"), [("3s", "0s"), ("20s", "18s"), ("5m", "28s")])
def test_a_request_waits_no_longer_than_its_check(
    check: CheckWith, timeout: str, wait: str
) -> None:
    with databricks_peer() as peer:
        check(peer.spec(health={"timeout": timeout}))
    assert peer.statements[0]["wait_timeout"] == wait


def test_a_wrong_token_is_sent_once(check: CheckWith) -> None:
    with databricks_peer() as peer:
        found = check(peer.spec(), token="other-4711")
    assert (found.reason, names_of(found), found.message) == (
        Reason.AUTH_FAILED,
        (*TLS_STAGES, "auth"),
        "the server refuses the token (403: Invalid access token.)",
    )
    assert peer.failed_logins == 1


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        pytest.param(
            {"database": "elsewhere"},
            Reason.DATABASE_MISSING,
            ("the server has no such database (NO_SUCH_CATALOG_EXCEPTION)"),
            id="catalog",
        ),
        pytest.param(
            {"options": {"warehouse": "0"}},
            Reason.DATABASE_MISSING,
            "there is no such warehouse (RESOURCE_DOES_NOT_EXIST)",
            id="warehouse",
        ),
        pytest.param(
            {"health": {"query": "select * from nothing"}},
            Reason.QUERY_FAILED,
            (
                "the server refuses the health query"
                " (TABLE_OR_VIEW_NOT_FOUND: no such table: nothing)"
            ),
            id="table",
        ),
        pytest.param(
            {"health": {"query": "select * from forbidden"}},
            Reason.PERMISSION_DENIED,
            "the user lacks a permission (INSUFFICIENT_PERMISSIONS)",
            id="permission",
        ),
        pytest.param(
            {"health": {"query": "select odd"}},
            Reason.QUERY_FAILED,
            ("the server refuses the health query (BAD_REQUEST)"),
            id="without a class",
        ),
        pytest.param(
            {"health": {"query": "select cancelled"}},
            Reason.READ_TIMEOUT,
            "the health query does not finish in time",
            id="cancelled",
        ),
    ],
)
def test_what_fails_is_said_with_its_class(
    check: CheckWith, changes: JsonObject, reason: Reason, message: str
) -> None:
    with databricks_peer() as peer:
        found = check(peer.spec(**changes))
    assert (found.reason, found.message, names_of(found)[-1]) == (reason, message, "query")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {}, Reason.AUTH_FAILED),
        (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "x"}, Reason.QUERY_FAILED),
        (403, {"error_code": "PERMISSION_DENIED"}, Reason.PERMISSION_DENIED),
        (403, {"error_code": 403, "message": "Unauthorized network"}, Reason.PERMISSION_DENIED),
        (429, {"error_code": "REQUEST_LIMIT_EXCEEDED"}, Reason.RATE_LIMITED),
        (429, {}, Reason.RATE_LIMITED),
        (500, {}, Reason.SERVER_ERROR),
        (503, {"error_code": "TEMPORARILY_UNAVAILABLE"}, Reason.SERVER_ERROR),
    ],
)
def test_a_status_says_enough(check: CheckWith, status: int, body: Json, reason: Reason) -> None:
    with databricks_peer() as peer:
        peer.refusal = (status, body)
        assert check(peer.spec()).reason is reason


def test_a_slow_statement_is_asked_for_until_it_ends(check: CheckWith) -> None:
    with databricks_peer() as peer:
        found = check(peer.spec(health={"query": "select 'slow'"}))
    assert (found.reason, names_of(found)) == (Reason.OK, (*TLS_STAGES, "query"))
    assert (peer.left, peer.cancelled) == (0, 0)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("RUNNING", "the health query does not finish in time"),
        ("PENDING", "the warehouse does not start in time"),
    ],
)
def test_a_statement_that_is_too_slow_is_cancelled(
    check: CheckWith, state: str, message: str
) -> None:
    with databricks_peer() as peer:
        peer.looks, peer.state = 10**6, state
        found = check(peer.spec(health={"query": "select 'slow'", "timeout": "2s"}))
    assert (found.reason, found.message) == (Reason.READ_TIMEOUT, message)
    assert (names_of(found)[-1], peer.cancelled) == ("query", 1)


def test_a_statement_has_the_time_of_queries(check: CheckWith) -> None:
    with databricks_peer() as peer:
        peer.looks = 10**6
        spec = peer.spec(health={"query": "select 'slow'", "timeout": "1h"})
        found = check({**spec, "timeout": {"query": "1500ms"}})
    assert (found.reason, peer.cancelled) == (Reason.READ_TIMEOUT, 1)


@pytest.mark.parametrize("name", [None, "", 7, "../../other", "a/b", "x?y=1"])
def test_an_id_leads_to_no_other_path(check: CheckWith, name: Json) -> None:
    with databricks_peer() as peer:
        peer.name = name
        found = check(peer.spec(health={"query": "select 'slow'"}))
        assert peer.server is not None
        assert len(peer.server.requests) == 1
    assert found.reason is Reason.PROTOCOL_ERROR


def test_an_unknown_authority_is_refused(check: CheckWith) -> None:
    with databricks_peer() as peer:
        found = check(peer.spec(tls={"mode": "verify-full", "ca": {"file": Authority().pem}}))
        assert peer.server is not None
        assert (found.reason, names_of(found)[-1]) == (Reason.TLS_FAILURE, "tls")
        assert peer.server.requests == []


@pytest.mark.parametrize(("password", "reason"), [(PROXY_PASSWORD, "Ok"), ("wrong", "AuthFailed")])
def test_a_proxy_is_on_the_way(check: CheckWith, password: str, reason: str) -> None:
    with (
        databricks_peer() as peer,
        proxy_server("http", logins={"report": PROXY_PASSWORD}) as proxy,
    ):
        spec = peer.spec(proxy=proxy_block(proxy, "http"), health={"query": "select 'slow'"})
        found = check(spec, **{"/proxy/auth/password": password})
    assert found.reason == reason
    assert names_of(found)[:2] == ("secret", "proxy")


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        pytest.param(answer(200, b"welcome"), Reason.PROTOCOL_ERROR, id="text"),
        pytest.param(answer(200, b"{}"), Reason.PROTOCOL_ERROR, id="empty"),
        pytest.param(answer(200, b'{"status": "up"}'), Reason.PROTOCOL_ERROR, id="another status"),
        pytest.param(answer(404), Reason.PROTOCOL_ERROR, id="404"),
        pytest.param(redirect("https://127.0.0.1:1/"), Reason.DESTINATION_DENIED, id="redirect"),
        pytest.param(endless_chunks(), Reason.BODY_TOO_LARGE, id="endless"),
    ],
)
def test_a_web_server_is_no_databricks(check: CheckWith, route: Json, reason: Reason) -> None:
    with http_impostor({"/api/2.0/sql/statements": route}) as server:
        found = check(impostor_spec("databricks", server.port, AUTH))
    assert (found.reason, len(server.requests)) == (reason, 1)


def test_a_silent_server_is_left_at_the_deadline(check: CheckWith) -> None:
    with impostor(lambda client: client.wait()) as peer:
        found = check(impostor_spec("databricks", peer.port, AUTH, health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


@pytest.mark.parametrize(
    ("query", "rows", "is_cut"),
    [
        ("select many", ((0,), (1,), (2,)), True),
        ("select none", (), False),
        (
            "select types",
            ((12345678901, "1.50", 0.25, True, None, "2026-03-01", "many"),),
            False,
        ),
    ],
)
def test_rows_are_read_up_to_a_limit_in_their_types(
    query: str, rows: tuple[tuple[object, ...], ...], is_cut: bool
) -> None:
    with databricks_peer() as peer:
        found = read(peer, query, 3)
    assert (found.rows, found.is_cut) == (rows, is_cut)
