"""Vertica, on a peer that speaks its protocol: each way in which a probe can end."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest
import vertica_python  # type: ignore[import-untyped]  # has no types

from reconciler.clients import sql
from reconciler.model import Outcome, Reason
from tests.servers import vertica
from tests.servers.certificates import Authority
from tests.servers.proxies import proxy_server
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import (
    Check,
    certificate_of,
    make_login,
    names_of,
    password_of,
    peer_spec,
)
from tests.servers.vertica import PASSWORD, USER, vertica_peer

CANARY = "canary-4711-secret"
PROOFS = [vertica.CLEARTEXT, vertica.MD5, vertica.HASH, vertica.HASH_MD5, vertica.HASH_SHA512]
TOO_WEAK = "the server asks for a login that is too weak here; the password was not sent"


def test_a_query_that_answers_is_ok_and_read_only(check: Check) -> None:
    with vertica_peer() as peer:
        found = check(peer.spec(), PASSWORD)
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == ("secret", "dns", "tcp", "tls", "auth", "query")
    assert peer.statements == ["START TRANSACTION READ ONLY", "select 1"]
    assert peer.is_ended


@pytest.mark.parametrize("code", PROOFS)
def test_every_proof_is_given_to_a_server_that_is_known(check: Check, code: int) -> None:
    with vertica_peer(code) as peer:
        assert check(peer.spec(), PASSWORD).reason is Reason.OK


@pytest.mark.parametrize("code", [vertica.HASH, vertica.HASH_SHA512])
def test_a_good_hash_is_given_without_tls(check: Check, code: int) -> None:
    with vertica_peer(code, has_tls=False) as peer:
        found = check(peer.spec(tls={"mode": "disable"}), PASSWORD)
    assert names_of(found) == ("secret", "dns", "tcp", "auth", "query")


@pytest.mark.parametrize("code", [vertica.CLEARTEXT, vertica.MD5, vertica.HASH_MD5])
def test_nothing_weaker_is_given_without_tls(check: Check, code: int) -> None:
    with vertica_peer(code, has_tls=False) as peer:
        found = check(peer.spec(tls={"mode": "disable"}), PASSWORD)
        assert peer.peer is not None
    assert (found.reason, found.message) == (Reason.PROTOCOL_ERROR, TOO_WEAK)
    assert vertica.proof(code) not in peer.peer.received


def test_the_password_itself_is_given_to_no_stranger(check: Check) -> None:
    with vertica_peer(vertica.CLEARTEXT) as peer:
        found = check(peer.spec(tls={"mode": "require"}), PASSWORD)
        assert peer.peer is not None
    assert found.message == TOO_WEAK
    assert PASSWORD.encode() not in peer.peer.received


def test_a_directory_gets_the_password_over_verified_tls(check: Check) -> None:
    auth = {**password_of(USER), "method": "ldap"}
    with vertica_peer(vertica.CLEARTEXT) as peer:
        assert check(peer.spec(auth=auth), PASSWORD).reason is Reason.OK
    with vertica_peer(vertica.HASH_SHA512) as peer:
        found = check(peer.spec(auth=auth), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.PROTOCOL_ERROR,
        "the server checks the password itself and asks no directory; nothing was sent",
    )


def test_a_refusal_by_a_directory_is_said_as_one(check: Check) -> None:
    auth = {**password_of(USER), "method": "ldap"}
    with vertica_peer(vertica.CLEARTEXT) as peer:
        found = check(peer.spec(auth=auth), "wrong-4711")
    assert found.reason is Reason.AUTH_FAILED
    assert found.message == (
        "the directory refuses the user name or the password, or does not answer the server"
        " (28000: Invalid username or password)"
    )


def test_a_client_certificate_logs_in(check: Check) -> None:
    clients = Authority()
    auth = {"method": "clientCertificate", "username": USER, **certificate_of(clients.client())}
    with vertica_peer(0, clients=clients) as peer:
        assert check(peer.spec(auth=auth)).reason is Reason.OK
    with vertica_peer(vertica.HASH_SHA512, clients=clients) as peer:
        found = check(peer.spec(auth=auth))
    assert (found.reason, found.message) == (
        Reason.AUTH_FAILED,
        "the server asks for a password and not for a client certificate",
    )


def test_a_certificate_of_a_stranger_is_refused(check: Check) -> None:
    auth = {"method": "clientCertificate", "username": USER, **certificate_of(Authority().client())}
    with vertica_peer(0, clients=Authority()) as peer:
        found = check(peer.spec(auth=auth))
    assert found.reason is Reason.TLS_FAILURE


def test_a_wrong_password_is_sent_once(check: Check) -> None:
    with vertica_peer() as peer:
        found = check(peer.spec(), "wrong-4711")
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.AUTH_FAILED,
        "auth",
        "the user name or the password is refused (28000: Invalid username or password)",
    )
    assert (peer.failed_logins, len(peer.startups)) == (1, 1)


def test_without_a_password_one_is_asked_for(check: Check) -> None:
    with vertica_peer() as peer:
        found = check(peer.spec(auth={"method": "none"}))
    assert found.message.startswith("the server wants a user name and a password")
    assert peer.startups[0]["user"] == ""


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (vertica.EXPIRED, Reason.AUTH_FAILED, "the password has expired or must be changed"),
        (
            vertica.GSS,
            Reason.PROTOCOL_ERROR,
            "the server asks for a way to log in that is not supported",
        ),
        (
            vertica.OAUTH,
            Reason.PROTOCOL_ERROR,
            "the server asks for a way to log in that is not supported",
        ),
        (4, Reason.PROTOCOL_ERROR, "the server asks for a way to log in that is not supported"),
    ],
)
def test_other_ways_to_log_in_are_said(check: Check, code: int, reason: Reason, words: str) -> None:
    with vertica_peer(code) as peer:
        found = check(peer.spec(), PASSWORD)
    assert (found.reason, found.message) == (reason, words)


def test_a_password_that_expires_soon_is_no_matter(check: Check) -> None:
    def warn(client: Conversation) -> None:
        client.postgresql_start()
        client.send(vertica.authentication(vertica.GRACE) + vertica.authentication(0))
        client.send(vertica.message(b"K", bytes(8)) + vertica.READY)
        client.wait()

    with sql_peer(warn) as peer:
        found = check(peer_spec("vertica", peer.port, health={"timeout": "500ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


def test_a_missing_database_is_no_failed_login(check: Check) -> None:
    with vertica_peer() as peer:
        found = check(peer.spec(database="elsewhere"), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.DATABASE_MISSING,
        'the server has no such database (3D000: Database "elsewhere" does not exist)',
    )


@pytest.mark.parametrize(
    ("query", "reason", "words"),
    [
        (
            "select 1 from hidden",
            Reason.PERMISSION_DENIED,
            "the user lacks a permission (42501)",
        ),
        (
            "select 1 from nothing",
            Reason.QUERY_FAILED,
            "the server refuses the health query (42V01: no such table: nothing)",
        ),
        (
            "insert into item values (3)",
            Reason.QUERY_FAILED,
            ("the health query writes, and is run read-only (25006)"),
        ),
    ],
)
def test_a_query_that_fails_is_said_with_its_code(
    check: Check, query: str, reason: Reason, words: str
) -> None:
    with vertica_peer() as peer:
        found = check(peer.spec(health={"query": query}), PASSWORD)
    assert (found.reason, found.message, names_of(found)[-1]) == (reason, words, "query")


def test_a_query_ends_at_its_deadline(check: Check) -> None:
    with vertica_peer() as peer:
        health = {"query": "select sleep(30)", "timeout": "500ms"}
        found = check(peer.spec(health=health), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


@pytest.mark.parametrize(("limit", "is_cut"), [(2, True), (3, False)])
def test_rows_are_read_up_to_a_limit(limit: int, is_cut: bool) -> None:
    with vertica_peer() as peer:
        login, attempt = make_login(peer.spec(), PASSWORD, peer.authority.pem)
        found = sql.read("vertica", login, "select 1", limit, attempt)
    assert (found.columns, found.is_cut) == (("answer",), is_cut)
    assert found.rows == ((1,), (2,), (3,))[:limit]


def test_the_server_is_told_little(check: Check) -> None:
    with vertica_peer() as peer:
        check(peer.spec(options={"applicationName": "reporting"}), PASSWORD)
    (told,) = peer.startups
    assert (told["user"], told["database"], told["client_label"]) == (USER, "orders", "reporting")
    empty = ("client_os", "client_os_user_name", "client_os_hostname", "client_pid")
    assert [told[name] for name in empty] == [""] * 4


def test_a_connection_hides_the_password_and_is_never_made_again(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    original = vertica_python.Connection.cursor

    def look(connection: Any) -> Any:
        seen.append(connection)
        assert PASSWORD not in repr(vars(connection))
        assert PASSWORD not in str(connection)
        with pytest.raises(vertica_python.errors.ConnectionError):
            connection.cancel()
        return original(connection)

    monkeypatch.setattr(vertica_python.Connection, "cursor", look)
    with vertica_peer() as peer:
        assert check(peer.spec(), PASSWORD).reason is Reason.OK
        (connection,) = seen
        with pytest.raises(vertica_python.errors.ConnectionError):
            connection.write(vertica_python.vertica.messages.Terminate())
        assert len(peer.startups) == 1


def test_no_logger_is_left_for_each_connection(check: Check) -> None:
    def count() -> int:
        return sum(name.startswith("vertica_") for name in logging.Logger.manager.loggerDict)

    with vertica_peer() as peer:
        check(peer.spec(), PASSWORD)
        before = count()
        check(peer.spec(), PASSWORD)
        check(peer.spec(), "wrong")
    assert count() == before


@pytest.mark.parametrize(
    ("names", "tls", "words"),
    [
        (("db.internal",), {}, "the server's certificate is for another address"),
        (
            ("127.0.0.1",),
            {"ca": {"file": Authority().pem}},
            "the authority of the server's certificate is unknown",
        ),
    ],
)
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    check: Check, names: tuple[str, ...], tls: dict[str, object], words: str
) -> None:
    with vertica_peer() as peer:
        peer.context = peer.authority.server_context(*names)
        ours = {"mode": "verify-full", "ca": {"file": peer.authority.pem}, **tls}
        found = check(peer.spec(tls=ours), PASSWORD)
    assert (found.reason, found.message, names_of(found)[-1]) == (Reason.TLS_FAILURE, words, "tls")
    assert peer.startups == []


def test_nothing_is_sent_to_a_server_without_tls(check: Check) -> None:
    with vertica_peer(has_tls=False) as peer:
        found = check(peer.spec(tls={"mode": "require"}), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.TLS_FAILURE,
        "the server offers no TLS; nothing was sent",
    )
    assert peer.startups == []


def test_the_way_leads_through_a_proxy(check: Check) -> None:
    with (
        vertica_peer() as peer,
        proxy_server("socks5", hosts={"localhost": "127.0.0.1"}) as proxy,
    ):
        url = f"socks5://127.0.0.1:{proxy.port}"
        tls = {"mode": "verify-ca", "ca": {"file": peer.authority.pem}}
        spec = peer.spec(host="localhost", proxy={"url": url}, tls=tls)
        found = check(spec, PASSWORD)
    assert (found.reason, names_of(found)[1]) == (Reason.OK, "proxy")


def test_a_closed_port_is_refused(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert check(peer_spec("vertica", port)).reason is Reason.CONNECT_REFUSED


@pytest.mark.parametrize(("mode", "stage"), [("disable", "auth"), ("verify-full", "tls")])
def test_a_silent_server_is_left_at_the_deadline(check: Check, mode: str, stage: str) -> None:
    with sql_peer(lambda client: client.wait()) as peer:
        found = check(peer_spec("vertica", peer.port, mode, health={"timeout": "300ms"}))
        assert peer.is_left.wait(20)
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, stage)


@pytest.mark.parametrize("mode", ["disable", "verify-full"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"220 mail.example ESMTP\r\n", id="smtp"),
        pytest.param(b"\x00" * 64, id="zeros"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(b"R\0\0\0\x04", id="cut"),
        pytest.param(b"R\0\0\0\x08\0\1\0\0", id="no salt"),
        pytest.param(b"E\xff\xff\xff\xff" + b"x" * 64, id="endless"),
        pytest.param(vertica.message(b"C", b"SELECT\0"), id="too early"),
        pytest.param(vertica.message(b"E", b"x"), id="error without words"),
    ],
)
def test_another_kind_of_server_is_a_protocol_error(check: Check, mode: str, answer: bytes) -> None:
    with sql_peer(lambda client: client.send(answer)) as peer:
        found = check(peer_spec("vertica", peer.port, mode))
    assert found.reason in (Reason.PROTOCOL_ERROR, Reason.SERVER_ERROR, Reason.TLS_FAILURE)
    assert (found.reason is Reason.TLS_FAILURE) <= (mode != "disable")


def test_a_server_that_sends_without_end_is_left(check: Check) -> None:
    def chat(client: Conversation) -> None:
        client.postgresql_start()
        while True:
            client.send(vertica.message(b"N", b"SNOTICE\0M" + b"x" * 1000 + b"\0\0"))

    with sql_peer(chat) as peer:
        found = check(peer_spec("vertica", peer.port))
    assert found.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize("step", [0, 1])
def test_a_server_gets_no_file(check: Check, step: int) -> None:
    request = vertica.message(b"F", b"\0\1/etc/hostname\0\0\0")

    def ask(client: Conversation) -> None:
        client.postgresql_start()
        client.send(vertica.authentication(0) + vertica.message(b"K", bytes(8)) + vertica.READY)
        for _ in range(step):
            client.postgresql_message()
            client.send(vertica.message(b"C", b"BEGIN\0") + vertica.message(b"Z", b"T"))
        client.postgresql_message()
        client.send(request)
        client.wait()

    with sql_peer(ask) as peer:
        found = check(peer_spec("vertica", peer.port))
    assert (found.reason, found.message) == (
        Reason.PROTOCOL_ERROR,
        "the server asks for a file of this machine; it was not sent",
    )


def test_hostile_text_is_redacted_escaped_and_cut(check: Check) -> None:
    hostile = b"\x1b[2J" + f"dsn=//report:{CANARY}@db".encode() + b"\xff\r\n" + b"A" * 20_000

    def refuse(client: Conversation) -> None:
        client.postgresql_start()
        client.send(vertica.error("53300", hostile))

    with sql_peer(refuse) as peer:
        found = check(peer_spec("vertica", peer.port), CANARY)
    assert found.message.startswith("the server has too many connections (53300: ")
    assert (CANARY in repr(found), len(found.message) <= 400) == (False, True)
    assert "\\x1b[2Jdsn=//report:***@db" in found.message
