"""Servers that lie, stall, ask for too much or speak another protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.model import Outcome, Reason
from tests.servers import mssql, sql_peers
from tests.servers.certificates import Authority
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import Check, make_tools, names_of, peer_spec, probe

ENGINES = ["postgresql", "mysql", "mssql"]
CANARY = "canary-4711-secret"
CLEARTEXT_REFUSED = (
    "the server asks for a login that is too weak here; the password was not sent",
    "verify the server, then a password may be sent: `tls: {mode: verify-full}`",
)


def stay_silent(client: Conversation) -> None:
    client.wait()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("mode", "stage"), [("disable", "auth"), ("verify-full", "tls")])
def test_a_server_that_never_greets_is_left_at_the_deadline(
    check: Check, engine: str, mode: str, stage: str
) -> None:
    with sql_peer(stay_silent) as peer:
        spec = peer_spec(engine, peer.port, mode, health={"timeout": "300ms"})
        found = check(spec)
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, stage)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_login_has_a_deadline_of_its_own(check: Check, engine: str) -> None:
    with sql_peer(stay_silent) as peer:
        spec = peer_spec(engine, peer.port, timeout={"connect": "200ms"}, health={"timeout": "1h"})
        found = check(spec)
    assert (found.reason, found.message) == (
        Reason.CONNECT_TIMEOUT,
        "the server does not finish the login in time",
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_answers_byte_by_byte_is_left_at_the_deadline(
    check: Check, engine: str
) -> None:
    greeting = {
        "postgresql": sql_peers.postgresql_error("28P01", b"x" * 20_000),
        "mysql": b"\xff\x4f\0\0" + b"x" * 20_000,
        "mssql": b"\x04\x01\x4e\x20\0\0\0\0" + b"x" * 20_000,
    }

    def drip(client: Conversation) -> None:
        while True:
            for position in range(len(greeting[engine])):
                client.send(greeting[engine][position : position + 1])
                client.pause(0.02)

    with sql_peer(drip) as peer:
        found = check(peer_spec(engine, peer.port, health={"timeout": "300ms"}))
    assert found.reason is Reason.CONNECT_TIMEOUT


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["disable", "verify-full"])
def test_a_server_that_closes_at_once_is_a_protocol_error(
    check: Check, engine: str, mode: str
) -> None:
    with sql_peer(lambda client: None) as peer:
        found = check(peer_spec(engine, peer.port, mode))
    assert found.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["disable", "verify-full"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"220 mail.example ESMTP\r\n", id="smtp"),
        pytest.param(b"\x00" * 64, id="zeros"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(b"R\0\0\0\x04", id="postgresql-cut"),
        pytest.param(b"E\xff\xff\xff\xff" + b"x" * 64, id="postgresql-endless"),
        pytest.param(b"\x05\0\0\0\x0a\xff\xfe\0\0", id="mysql-version-not-text"),
        pytest.param(b"\x02\0\0\0\xff\x01", id="mysql-cut-error"),
        pytest.param(b"\x04\x01\0\x10\0\0\0\0\x01\xff", id="mssql-cut"),
        pytest.param(b"\x04\x01\0\x08\0\0\0\0", id="mssql-empty"),
        pytest.param(b"\x04\x01\0\x0a\0\0\0\0\x01\0", id="mssql-without-end"),
        pytest.param(b"\x04\x01\0\x0e\0\0\0\0\x01\xff\xff\0\x01\xff", id="mssql-far"),
        pytest.param(b"\x04\x01\0\x04\0\0\0\0", id="mssql-too-short"),
    ],
)
def test_a_server_of_another_kind_is_a_protocol_error(
    check: Check, engine: str, mode: str, answer: bytes
) -> None:
    with sql_peer(lambda client: client.send(answer)) as peer:
        found = check(peer_spec(engine, peer.port, mode))
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)


def test_postgresql_sends_no_password_in_clear_without_tls(check: Check) -> None:
    def ask(client: Conversation) -> None:
        client.postgresql_start()
        client.send(sql_peers.POSTGRESQL_CLEARTEXT)
        client.wait()

    with sql_peer(ask) as peer:
        found = check(peer_spec("postgresql", peer.port), password=CANARY)
    assert (found.reason, found.message, found.hint) == (
        Reason.PROTOCOL_ERROR,
        *CLEARTEXT_REFUSED,
    )
    assert CANARY.encode() not in peer.received


def test_postgresql_answers_no_md5_without_tls(check: Check) -> None:
    def ask(client: Conversation) -> None:
        client.postgresql_start()
        client.send(sql_peers.POSTGRESQL_MD5)
        client.wait()

    with sql_peer(ask) as peer:
        found = check(peer_spec("postgresql", peer.port))
    assert (found.message, b"md5" in peer.received) == (CLEARTEXT_REFUSED[0], False)


def test_postgresql_sends_no_password_in_clear_to_whoever_answers_over_tls(check: Check) -> None:
    context = Authority().server_context("127.0.0.1")

    def ask(client: Conversation) -> None:
        client.postgresql_start()
        client.send(b"S")
        client.start_tls(context)
        client.postgresql_start()
        client.send(sql_peers.POSTGRESQL_CLEARTEXT)
        client.wait()

    with sql_peer(ask) as peer:
        found = check(peer_spec("postgresql", peer.port, "require"), password=CANARY)
    assert found.reason is Reason.PROTOCOL_ERROR
    assert CANARY.encode() not in peer.received


def test_a_wrong_password_is_known_in_any_language(check: Check) -> None:
    text = "Passwort-Authentifizierung für Benutzer »report« fehlgeschlagen".encode()

    def refuse(client: Conversation) -> None:
        client.postgresql_start()
        client.send(sql_peers.POSTGRESQL_SCRAM)
        client.postgresql_message()
        client.send(sql_peers.postgresql_error("28P01", text, "SCHWERWIEGEND"))

    with sql_peer(refuse) as peer:
        found = check(peer_spec("postgresql", peer.port))
    assert (found.reason, found.message) == (
        Reason.AUTH_FAILED,
        (
            "the user name or the password is refused"
            " (28P01: Passwort-Authentifizierung für Benutzer »report« fehlgeschlagen)"
        ),
    )


def test_a_missing_database_is_known_in_any_language(check: Check) -> None:
    def refuse(client: Conversation) -> None:
        client.postgresql_start()
        client.send(b"R\0\0\0\x08\0\0\0\0")
        client.send(
            sql_peers.postgresql_error("3D000", "Datenbank »x« existiert nicht".encode(), "FATAL")
        )

    with sql_peer(refuse) as peer:
        found = check(peer_spec("postgresql", peer.port))
    assert found.reason is Reason.DATABASE_MISSING


def test_a_server_that_lets_nobody_in_has_seen_no_password(check: Check) -> None:
    def refuse(client: Conversation) -> None:
        client.postgresql_start()
        client.send(sql_peers.postgresql_error("28000", b"no entry for host"))

    with sql_peer(refuse) as peer:
        found = check(peer_spec("postgresql", peer.port))
    assert found.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(1862, "the password has expired or must be changed", id="expired"),
        pytest.param(3118, "the account is locked or disabled", id="locked-by-mysql"),
        pytest.param(4151, "the account is locked or disabled", id="locked-by-mariadb"),
    ],
)
def test_an_account_that_may_not_log_in_is_told_from_a_wrong_password(
    check: Check, code: int, words: str
) -> None:
    def refuse(client: Conversation) -> None:
        client.mysql_send(0, sql_peers.mysql_greeting())
        client.mysql_packet()
        client.mysql_send(2, sql_peers.mysql_error(code, "HY000", b"why"))

    with sql_peer(refuse) as peer:
        found = check(peer_spec("mysql", peer.port))
    assert (found.reason, found.message) == (Reason.AUTH_FAILED, f"{words} ({code}: why)")


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_text_is_redacted_escaped_and_cut(check: Check, engine: str) -> None:
    hostile = b"\x1b[2J" + f"dsn=//report:{CANARY}@db".encode() + b"\xff\r\n" + b"A" * 20_000

    def refuse(client: Conversation) -> None:
        if engine == "mysql":
            client.mysql_send(0, sql_peers.mysql_error(1040, "08004", hostile))
        elif engine == "mssql":
            tds = mssql.TdsClient(client)
            mssql.let_in(tds, mssql.NOT_SUPPORTED, None)
            tds.message()
            tds.send(mssql.refusal(17809, hostile.decode("latin-1")))
        else:
            client.postgresql_start()
            client.send(sql_peers.postgresql_error("53300", hostile))

    with sql_peer(refuse) as peer:
        found = check(peer_spec(engine, peer.port), password=CANARY)
    assert found.reason is Reason.SERVER_ERROR
    assert found.message.startswith("the server has too many connections (")
    assert "\\x1b[2Jdsn=//report:***@db" in found.message
    assert CANARY not in repr(found)
    assert len(found.message) <= 400
    assert found.message.isprintable()


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        pytest.param(
            ("db.internal",),
            (Reason.TLS_FAILURE, "the server's certificate is for another address"),
            id="another-name",
        ),
        pytest.param(
            ("127.0.0.1", "expired"),
            (
                Reason.CERTIFICATE_EXPIRED,
                "the server's certificate, or one that it depends on, has expired",
            ),
            id="expired",
        ),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_certificate_is_named(
    check: Check, engine: str, certificate: tuple[str, ...], expected: tuple[Reason, str]
) -> None:
    authority = Authority()
    context = authority.server_context(certificate[0], expired="expired" in certificate)

    def greet(client: Conversation) -> None:
        if engine == "mssql":
            with suppress(ssl.SSLError):
                mssql.let_in(mssql.TdsClient(client), mssql.ON, context)
            return
        if engine == "mysql":
            client.mysql_send(0, sql_peers.mysql_greeting(has_tls=True))
            client.mysql_packet()
        else:
            client.postgresql_start()
            client.send(b"S")
        client.start_tls(context)

    with sql_peer(greet) as peer:
        tls = {"mode": "verify-full", "ca": {"file": authority.pem}}
        found = check(peer_spec(engine, peer.port, tls=tls))
    assert (found.reason, found.message) == expected
    assert names_of(found)[-1] == "tls"


def test_mysql_sends_nothing_to_a_server_without_tls(check: Check) -> None:
    def greet(client: Conversation) -> None:
        client.mysql_send(0, sql_peers.mysql_greeting(has_tls=False))
        client.wait()

    with sql_peer(greet) as peer:
        found = check(peer_spec("mysql", peer.port, "require"))
    assert (found.reason, found.message, found.hint) == (
        Reason.TLS_FAILURE,
        "the server offers no TLS; nothing was sent",
        "switch TLS on at the server, or, where the network is trusted: `tls: {mode: disable}`",
    )
    assert peer.received == b""


@pytest.mark.parametrize(
    "plugin", ["mysql_clear_password", "dialog", "sha256_password", "mysql_old_password"]
)
def test_mysql_sends_no_password_in_clear(check: Check, plugin: str) -> None:
    def switch(client: Conversation) -> None:
        client.mysql_send(0, sql_peers.mysql_greeting())
        client.mysql_packet()
        client.mysql_send(2, b"\xfe" + plugin.encode() + b"\0saltsaltsaltsaltsalt\0")
        client.wait()

    with sql_peer(switch) as peer:
        found = check(peer_spec("mysql", peer.port), password=CANARY)
    assert (found.reason, found.message, found.hint) == (
        Reason.PROTOCOL_ERROR,
        *CLEARTEXT_REFUSED,
    )
    assert CANARY.encode() not in peer.received


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_mysql_takes_no_key_from_whoever_answers(check: Check, mode: str) -> None:
    context = Authority().server_context("127.0.0.1")

    def ask_for_all(client: Conversation) -> None:
        has_tls = mode != "disable"
        greeting = sql_peers.mysql_greeting(has_tls=has_tls, plugin="caching_sha2_password")
        client.mysql_send(0, greeting)
        if has_tls:
            client.mysql_packet()
            client.start_tls(context)
        client.mysql_packet()
        client.mysql_send(2 + has_tls, b"\x01\x04")
        client.wait()

    with sql_peer(ask_for_all) as peer:
        spec = peer_spec("mysql", peer.port, mode, health={"timeout": "300ms"})
        found = check(spec, password=CANARY)
    expected = {
        "disable": (Reason.PROTOCOL_ERROR, False),
        "require": (Reason.CONNECT_TIMEOUT, True),
    }
    assert (found.reason, CANARY.encode() in peer.received) == expected[mode]


@pytest.mark.parametrize("wanted", [b"SET SESSION", b"START TRANSACTION", b"select 1"])
def test_mysql_sends_no_file(check: Check, wanted: bytes) -> None:
    def ask_for_a_file(client: Conversation) -> None:
        client.mysql_send(0, sql_peers.mysql_greeting())
        client.mysql_packet()
        client.mysql_send(2, sql_peers.MYSQL_OK)
        while True:
            command = client.mysql_packet()
            if command[1:].startswith(wanted):
                client.mysql_send(1, sql_peers.MYSQL_FILE_REQUEST)
                client.wait()
                return
            client.mysql_send(1, sql_peers.MYSQL_OK)

    with sql_peer(ask_for_a_file) as peer:
        found = check(peer_spec("mysql", peer.port))
    assert (found.reason, found.message) == (
        Reason.PROTOCOL_ERROR,
        "the server asks for a file of this machine; it was not sent",
    )
    assert Path("/etc/hostname").read_bytes().strip() not in bytes(peer.received)


def test_an_unknown_way_to_log_in_is_said(check: Check) -> None:
    def switch(client: Conversation) -> None:
        client.mysql_send(0, sql_peers.mysql_greeting())
        client.mysql_packet()
        client.mysql_send(2, b"\xfeauth_gssapi_client\0principal\0")
        client.wait()

    with sql_peer(switch) as peer:
        found = check(peer_spec("mysql", peer.port))
    assert (found.reason, found.message) == (
        Reason.PROTOCOL_ERROR,
        "the server asks for a way to log in that is not supported",
    )


def test_a_denied_address_gets_no_connection(check: Check) -> None:
    found = check(peer_spec("postgresql", 5432, host="169.254.169.254"))
    assert (found.outcome, found.reason, names_of(found)) == (
        Outcome.INCONCLUSIVE,
        Reason.DESTINATION_DENIED,
        ("secret", "dns"),
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cancelled_probe_closes_its_connection(
    threads: ThreadPoolExecutor, tmp_path: Path, engine: str
) -> None:
    async def cancel_when(is_waiting: Callable[[], bool], port: int) -> bool:
        spec = peer_spec(engine, port, health={"timeout": "1h"}, timeout={"connect": "1h"})
        task = asyncio.create_task(probe(spec, "password", make_tools(threads, tmp_path)))
        assert await asyncio.to_thread(is_waiting)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled()

    with sql_peer(stay_silent) as peer:
        was_cancelled = asyncio.run(cancel_when(lambda: peer.is_waiting.wait(20), peer.port))
        assert peer.is_left.wait(20)
    assert was_cancelled
