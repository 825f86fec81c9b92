"""Trino, on a peer that speaks its protocol: each way in which a probe can end."""

from __future__ import annotations

from typing import Any

import pytest
from trino.exceptions import TrinoUserError

from reconciler.clients import sql
from reconciler.model import Outcome, Reason
from tests.servers.certificates import Authority
from tests.servers.http import http_server
from tests.servers.http_routes import answer
from tests.servers.sql_peers import sql_peer
from tests.servers.sql_specs import Check, make_login, names_of, peer_spec
from tests.servers.trino import PASSWORD, trino_peer


def test_a_query_that_answers_is_ok_and_read_only(check: Check) -> None:
    with trino_peer() as peer:
        found = check(peer.spec(), PASSWORD)
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == ("secret", "dns", "tcp", "tls", "auth", "query")
    assert peer.statements == [
        ("START TRANSACTION READ ONLY", "NONE"),
        ("select 1", "tx-1"),
        ("ROLLBACK", "tx-1"),
    ]


def test_options_are_sent(check: Check) -> None:
    options = {"applicationName": "reporting", "schema": "sales", "timezone": "Europe/Berlin"}
    with trino_peer() as peer:
        assert check(peer.spec(options=options), PASSWORD).reason is Reason.OK
    sent = peer.headers[0]
    names = ("x-trino-source", "x-trino-schema", "x-trino-time-zone", "x-trino-user")
    assert [sent[name] for name in names] == ["reporting", "sales", "Europe/Berlin", "report"]


def test_a_wrong_password_is_sent_once(check: Check) -> None:
    with trino_peer() as peer:
        found = check(peer.spec(), "wrong-4711")
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.AUTH_FAILED,
        "auth",
        "the user name or the password is refused",
    )
    assert (peer.failed_logins, "wrong-4711" in repr(found)) == (1, False)


def test_without_a_password_one_is_asked_for(check: Check) -> None:
    with trino_peer() as peer:
        found = check(peer.spec(auth={"method": "none"}))
    assert found.message.startswith("the server wants a user name and a password")


def test_a_password_is_not_sent_without_tls(check: Check) -> None:
    with trino_peer(has_tls=False) as peer:
        found = check(peer.spec(tls={"mode": "disable"}), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.TLS_FAILURE,
        "Trino takes passwords over TLS only; nothing was sent",
    )
    assert peer.failed_logins == 0


def test_a_missing_catalog_is_said(check: Check) -> None:
    with trino_peer() as peer:
        found = check(peer.spec(database="elsewhere"), PASSWORD)
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.DATABASE_MISSING,
        "query",
        "the server has no such database (CATALOG_NOT_FOUND)",
    )


def test_a_query_that_fails_is_said_with_its_code(check: Check) -> None:
    with trino_peer() as peer:
        found = check(peer.spec(health={"query": "select * from nothing"}), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.QUERY_FAILED,
        "the server refuses the health query (TABLE_NOT_FOUND: no such table: nothing)",
    )


def test_an_unknown_authority_is_refused(check: Check) -> None:
    with trino_peer() as peer:
        tls = {"mode": "verify-full", "ca": {"file": Authority().pem}}
        found = check(peer.spec(tls=tls), PASSWORD)
    assert (found.reason, names_of(found)[-1], peer.failed_logins) == (Reason.TLS_FAILURE, "tls", 0)


def test_the_credential_goes_to_no_other_server(check: Check) -> None:
    with http_server({}) as other, trino_peer() as peer:
        peer.elsewhere = other.url
        found = check(peer.spec(), PASSWORD)
    assert (found.reason, other.requests) == (Reason.DESTINATION_DENIED, [])


@pytest.mark.parametrize("status", [200, 307, 404, 500, 503])
def test_a_web_server_is_no_trino(check: Check, status: int) -> None:
    with http_server({"/v1/statement": answer(status, b"welcome")}) as server:
        found = check(peer_spec("trino", server.port, auth={"method": "none"}))
    reasons = {307: Reason.DESTINATION_DENIED, 503: Reason.SERVER_ERROR}
    assert found.reason is reasons.get(status, Reason.PROTOCOL_ERROR)
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", [b"", b"220 mail.example ESMTP\r\n", b"\xff" * 64])
def test_another_kind_of_server_is_a_protocol_error(check: Check, text: bytes) -> None:
    with sql_peer(lambda client: client.send(text)) as peer:
        found = check(peer_spec("trino", peer.port, auth={"method": "none"}))
    assert found.reason is Reason.PROTOCOL_ERROR


def test_a_silent_server_is_left_at_the_deadline(check: Check) -> None:
    with sql_peer(lambda client: client.wait()) as peer:
        spec = peer_spec("trino", peer.port, auth={"method": "none"}, health={"timeout": "300ms"})
        found = check(spec)
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, "auth")


def test_an_application_uses_a_connection_after_the_attempt() -> None:
    with trino_peer() as peer:
        login, attempt = make_login(peer.spec(), PASSWORD, peer.authority)
        connection: Any = sql.open_connection("trino", login, attempt)
        attempt.lifeline.cut()  # the attempt is over, and has no hand in the connection any more
        cursor = connection.cursor()
        with pytest.raises(TrinoUserError, match="not in a transaction"):
            cursor.execute("select 1")
        connection.close()


def test_rows_are_read_up_to_a_limit() -> None:
    with trino_peer() as peer:
        login, attempt = make_login(peer.spec(), PASSWORD, peer.authority)
        found = sql.read("trino", login, "select 1", 5, attempt)
    assert (len(found.columns), found.rows, found.is_cut) == (1, ((1,),), False)


def test_the_environment_changes_nothing(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with trino_peer() as peer:
        assert check(peer.spec(), PASSWORD).reason is Reason.OK
