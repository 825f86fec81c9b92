"""Snowflake: a peer of its SQL API that verifies what is signed, and servers that only pretend."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.clients import sql, sql_token
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from reconciler.redact import Redactor, Secret
from tests.factories import NOW
from tests.servers.certificates import Authority
from tests.servers.hop_targets import PROXY_PASSWORD, SECRETS, proxy_block, ssh_block
from tests.servers.http_routes import answer, drip, endless_chunks, raw, redirect
from tests.servers.impostors import http_impostor, impostor, impostor_spec
from tests.servers.proxies import proxy_server
from tests.servers.snowflake import PASSPHRASE, TOKEN, Snowflake, snowflake_peer
from tests.servers.sql_specs import CheckWith, make_login, names_of
from tests.servers.ssh import ssh_server
from tests.servers.statements import key_pair

TLS_STAGES = ("secret", "dns", "tcp", "tls")
KEY_REFUSED = "the server does not accept what the key of `auth.key` signed"
TOKEN_LOGIN: JsonObject = {"method": "accessToken", "token": {"env": "TOKEN"}}


@pytest.fixture
def check(check_with: CheckWith) -> CheckWith:
    """Gives a function that probes with the right key, unless another is given."""

    def probe(spec: JsonObject, **secrets: str) -> Observation:
        return check_with(spec, **{"key": key_pair().pem(), **secrets})

    return probe


def read(peer: Snowflake, query: str, limit: int) -> Rows:
    secrets = {place: Secret(value) for place, value in peer.secrets.items()}
    made = sql_token.made(peer.spec(), secrets, Redactor(), NOW)
    login, attempt = make_login(peer.spec(), "", peer.authority, made["authorization"])
    return sql.read("snowflake", login, query, limit, attempt)


def test_a_signed_statement_is_a_login(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(options={"warehouse": "COMPUTE", "applicationName": "reporting"}))
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == (*TLS_STAGES, "auth", "query")
    login, query = peer.statements
    assert login["statement"] == "select current_database(), current_warehouse()"
    assert query == {
        "statement": "select 1",
        "timeout": 10,
        "database": "ORDERS",
        "warehouse": "COMPUTE",
        "parameters": {"query_tag": "reporting", "rows_per_resultset": 2},
    }


def test_a_token_is_a_login(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        assert check(peer.spec(auth=TOKEN_LOGIN), token=TOKEN).reason is Reason.OK
        found = check(peer.spec(auth=TOKEN_LOGIN), token="other-4711")
    assert (found.reason, names_of(found)) == (Reason.AUTH_FAILED, (*TLS_STAGES, "auth"))
    assert found.message.startswith("the server refuses the token (390144: ")
    assert peer.failed_logins == 1


def test_the_key_may_have_a_passphrase(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        sealed = peer.key.pem(PASSPHRASE)
        spec = peer.spec(auth=peer.auth(keyPassphrase={"env": "PASS"}))
        assert check(spec, key=sealed, keyPassphrase=PASSPHRASE).reason is Reason.OK
        wrong = check(spec, key=sealed, keyPassphrase="another one")
        without = check(peer.spec(), key=sealed)
        no_key = check(peer.spec(), key="no key at all")
    for found in (wrong, without, no_key):
        assert (found.reason, names_of(found)) == (Reason.SECRET_UNRESOLVED, ("secret",))
        assert found.message == "the secret at /auth/key is no private key that can be read"
    assert (len(peer.statements), peer.failed_logins) == (2, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"username": "OTHER"}, id="user"),
        pytest.param({"account": "ZZ99999"}, id="account"),
    ],
)
def test_a_wrong_name_is_refused(check: CheckWith, wrong: JsonObject) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(auth=peer.auth(**wrong)))
    assert (found.reason, names_of(found)) == (Reason.AUTH_FAILED, (*TLS_STAGES, "auth"))
    assert found.message.startswith(f"{KEY_REFUSED} (390144: JWT token is invalid. [")
    assert peer.failed_logins == 1


def test_names_are_signed_in_capitals(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        auth = peer.auth(username="report", account="xy12345")
        assert check(peer.spec(auth=auth)).reason is Reason.OK


def test_another_key_is_refused_once(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(), key=key_pair(1).pem())
    assert (found.reason, names_of(found)[-1]) == (Reason.AUTH_FAILED, "auth")
    assert (peer.failed_logins, peer.statements) == (1, [])


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_is_refused(check: CheckWith, hours: int) -> None:
    with snowflake_peer() as peer:
        peer.now = NOW + timedelta(hours=hours)
        found = check(peer.spec())
    assert (found.reason, found.message.partition(" (")[0]) == (Reason.AUTH_FAILED, KEY_REFUSED)
    assert "this machine's clock" in found.hint


def test_what_was_signed_is_not_shown(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        peer.now = NOW + timedelta(hours=2)
        found = check(peer.spec())
        assert peer.server is not None
        sent = peer.server.requests[-1].headers["authorization"]
    assert "Bearer ***" in found.message
    assert not [part for part in sent.split(" ")[1].split(".") if part in repr(found)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"database": "ELSEWHERE"}, "the server has no such database", id="database"),
        pytest.param(
            {"options": {"warehouse": "NONE"}},
            "the server has no such warehouse, or the role may not use it",
            id="warehouse",
        ),
    ],
)
def test_a_missing_name_is_said(check: CheckWith, changes: JsonObject, message: str) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(**changes))
    assert (found.reason, found.message) == (Reason.DATABASE_MISSING, message)
    assert names_of(found)[-1] == "auth"
    assert len(peer.statements) == 1


def test_a_wrong_role_is_said(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(options={"role": "OWNER"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.PERMISSION_DENIED, "auth")
    assert "390189" in found.message


@pytest.mark.parametrize(
    ("query", "reason", "message"),
    [
        (
            "select * from nothing",
            Reason.QUERY_FAILED,
            "the server refuses the health query (002003: no such table: nothing)",
        ),
        (
            "select * from tables",
            Reason.QUERY_FAILED,
            ("the health query needs a warehouse, and there is none (000606)"),
        ),
        (
            "select * from quota",
            Reason.SERVER_ERROR,
            ("the warehouse is suspended and cannot be resumed (090073)"),
        ),
        (
            "select * from forbidden",
            Reason.PERMISSION_DENIED,
            "the user lacks a permission (003001)",
        ),
        (
            "select 'late'",
            Reason.READ_TIMEOUT,
            ("the health query does not finish in time (000630)"),
        ),
    ],
)
def test_a_query_that_fails_is_said_with_its_code(
    check: CheckWith, query: str, reason: Reason, message: str
) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(health={"query": query}))
    assert (found.reason, found.message, names_of(found)[-1]) == (reason, message, "query")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, Reason.PERMISSION_DENIED),
        (429, Reason.RATE_LIMITED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.SERVER_ERROR),
    ],
)
def test_a_status_says_enough(check: CheckWith, status: int, reason: Reason) -> None:
    with snowflake_peer() as peer:
        peer.refusal = (status, {})
        found = check(peer.spec())
    assert (found.reason, names_of(found)[-1]) == (reason, "auth")


def test_a_slow_statement_is_asked_for_until_it_ends(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(health={"query": "select 'slow'"}))
        assert peer.server is not None
        looks = [request for request in peer.server.requests if request.method == "GET"]
    assert (found.reason, len(looks)) == (Reason.OK, 3)
    assert names_of(found) == (*TLS_STAGES, "auth", "query")


def test_a_slow_statement_is_left_at_the_deadline(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        peer.looks = 10**6
        found = check(peer.spec(health={"query": "select 'slow'", "timeout": "700ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")
    assert peer.statements[-1]["timeout"] == 1  # by then the server has ended it


@pytest.mark.parametrize("handle", [None, "", 7, "../../other", "a/b", "x?y=1", "x" * 300])
def test_a_handle_leads_to_no_other_path(check: CheckWith, handle: Json) -> None:
    with snowflake_peer() as peer:
        peer.handle = handle
        found = check(peer.spec(health={"query": "select 'slow'"}))
        assert peer.server is not None
        assert {request.method for request in peer.server.requests} == {"POST"}
    assert found.reason is Reason.PROTOCOL_ERROR


def test_an_unknown_authority_is_refused(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(tls={"mode": "verify-full", "ca": {"file": Authority().pem}}))
        assert peer.server is not None
        assert (found.reason, names_of(found)[-1]) == (Reason.TLS_FAILURE, "tls")
        assert peer.server.requests == []


def test_requests_go_through_a_proxy_and_each_is_let_in(check: CheckWith) -> None:
    with (
        snowflake_peer() as peer,
        proxy_server("http", logins={"report": PROXY_PASSWORD}) as proxy,
    ):
        spec = peer.spec(proxy=proxy_block(proxy, "http"), health={"query": "select 'slow'"})
        found = check(spec, **{"/proxy/auth/password": PROXY_PASSWORD})
    assert found.reason is Reason.OK
    assert names_of(found) == ("secret", "proxy", "tls", "auth", "query")
    assert len(proxy.targets) == 5


def test_requests_go_through_an_ssh_server(check: CheckWith) -> None:
    with snowflake_peer() as peer, ssh_server() as ssh:
        spec = peer.spec(ssh=ssh_block(ssh), health={"query": "select 'slow'"})
        found = check(spec, **{"/ssh/password": SECRETS["/ssh/password"]})
    assert found.reason is Reason.OK
    assert names_of(found) == ("secret", "tunnel", "tcp", "tls", "auth", "query")


def test_a_wrong_password_of_the_proxy_is_the_proxys(check: CheckWith) -> None:
    with (
        snowflake_peer() as peer,
        proxy_server("http", logins={"report": PROXY_PASSWORD}) as proxy,
    ):
        spec = peer.spec(proxy=proxy_block(proxy, "http"))
        found = check(spec, **{"/proxy/auth/password": "wrong"})
    assert (found.reason, names_of(found)[-1]) == (Reason.AUTH_FAILED, "proxy")
    assert peer.statements == []


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        pytest.param(answer(200, b"welcome"), Reason.PROTOCOL_ERROR, id="text"),
        pytest.param(answer(200, b"{}"), Reason.PROTOCOL_ERROR, id="empty"),
        pytest.param(answer(200, b"[1]"), Reason.PROTOCOL_ERROR, id="list"),
        pytest.param(answer(200, b"[" * 100_000), Reason.PROTOCOL_ERROR, id="deep"),
        pytest.param(answer(200, b'{"resultSetMetaData": 7}'), Reason.PROTOCOL_ERROR, id="odd"),
        pytest.param(answer(404), Reason.PROTOCOL_ERROR, id="404"),
        pytest.param(redirect("https://127.0.0.1:1/"), Reason.DESTINATION_DENIED, id="redirect"),
        pytest.param(endless_chunks(), Reason.BODY_TOO_LARGE, id="endless"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Le"), Reason.PROTOCOL_ERROR, id="cut"),
    ],
)
def test_a_web_server_is_no_snowflake(check: CheckWith, route: Json, reason: Reason) -> None:
    with http_impostor({"/api/v2/statements": route}) as server:
        auth = {"method": "keyPair", "username": "a", "account": "b", "key": {"env": "KEY"}}
        found = check(impostor_spec("snowflake", server.port, auth))
    assert (found.reason, len(server.requests)) == (reason, 1)


@pytest.mark.parametrize("text", [b"", b"220 mail.example ESMTP\r\n", b"\xff" * 64])
def test_another_kind_of_server_is_a_protocol_error(check: CheckWith, text: bytes) -> None:
    with impostor(lambda client: client.send(text)) as peer:
        found = check(impostor_spec("snowflake", peer.port, TOKEN_LOGIN), token=TOKEN)
    assert found.reason is Reason.PROTOCOL_ERROR


def test_a_silent_server_is_left_at_the_deadline(check: CheckWith) -> None:
    with impostor(lambda client: client.wait()) as peer:
        spec = impostor_spec("snowflake", peer.port, TOKEN_LOGIN, health={"timeout": "300ms"})
        found = check(spec, token=TOKEN)
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, "auth")


def test_an_answer_in_drops_is_left_at_the_deadline(check: CheckWith) -> None:
    with http_impostor({"/api/v2/statements": drip()}) as server:
        spec = impostor_spec("snowflake", server.port, TOKEN_LOGIN, timeout={"connect": "300ms"})
        found = check(spec, token=TOKEN)
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, "auth")


def test_a_token_that_no_header_can_carry_is_not_sent(check: CheckWith) -> None:
    with snowflake_peer() as peer:
        found = check(peer.spec(auth=TOKEN_LOGIN), token="two\nlines")
        assert peer.server is not None
        assert peer.server.connections == 0
    assert (found.reason, names_of(found)) == (Reason.SECRET_UNRESOLVED, ("secret",))


def test_rows_are_read_up_to_a_limit() -> None:
    with snowflake_peer() as peer:
        found = read(peer, "select many", 3)
    assert (found.columns, found.rows, found.is_cut) == (("N",), ((0,), (1,), (2,)), True)


def test_values_have_the_type_of_their_column() -> None:
    with snowflake_peer() as peer:
        found = read(peer, "select types", 5)
    assert found.rows == (
        (
            12345678901234567890,
            "1.50",
            0.25,
            True,
            None,
            "2026-03-01",
            "01:01:01.500000",
            "2026-03-01 00:00:00.250000",
            "2026-03-01 00:00:00+00:00",
            "2026-02-28 22:00:00-02:00",
            '{"a": 1}',
            "never",
        ),
    )


def test_a_failure_has_no_cause_that_holds_what_was_signed() -> None:
    with snowflake_peer() as peer:
        peer.now = NOW + timedelta(hours=2)
        with pytest.raises(ConnectionFailed) as caught:
            read(peer, "select 1", 1)
    assert caught.value.__cause__ is None


def test_the_environment_changes_nothing(check: CheckWith, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with snowflake_peer() as peer:
        assert check(peer.spec()).reason is Reason.OK
