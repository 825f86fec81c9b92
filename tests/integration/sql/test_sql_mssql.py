"""SQL Server, on a peer that speaks its protocol: each way in which a probe can end."""

from __future__ import annotations

import random  # noqa: TID251 -- a failure names the seed
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytds  # type: ignore[import-untyped]  # has no py.typed
import pytest

from reconciler.clients import sql
from reconciler.errors import ConnectionFailed
from reconciler.model import Outcome, Reason
from tests.servers import mssql
from tests.servers.certificates import Authority
from tests.servers.mssql import DATABASE, PASSWORD, USER, Login7, TdsClient, mssql_peer
from tests.servers.sinks import sink
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import Check, make_login, names_of, peer_spec

LOGIN = b"\x10\x01"
#: The password as LOGIN7 has it.
HIDDEN = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in PASSWORD.encode("utf-16-le"))


def test_a_query_that_answers_is_ok_and_rolled_back(check: Check) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(), PASSWORD)
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == ("secret", "dns", "tcp", "tls", "auth", "query")
    limit, *others = peer.statements
    assert limit[0].startswith("SET LOCK_TIMEOUT ")
    assert others == [
        ("BEGIN TRANSACTION", False),
        ("select 1", True),
        ("ROLLBACK TRANSACTION", True),
    ]
    assert peer.requests == 1


def test_the_login_says_who_we_are_and_nothing_of_this_machine(check: Check) -> None:
    with mssql_peer() as peer:
        assert check(peer.spec(), PASSWORD).reason is Reason.OK
    assert peer.logins == [
        Login7(
            host="",
            user=USER,
            password=PASSWORD,
            application="reconciler",
            server="127.0.0.1",
            library="reconciler",
            database=DATABASE,
            client_id=bytes(6),
            is_reading=False,
            others="",
        )
    ]


def test_options_are_sent(check: Check) -> None:
    options = {"applicationName": "reporting", "applicationIntent": "ReadOnly"}
    with mssql_peer() as peer:
        assert check(peer.spec(options=options), PASSWORD).reason is Reason.OK
    (login,) = peer.logins
    assert (login.application, login.is_reading) == ("reporting", True)


def test_without_tls_there_is_no_tls_stage(check: Check) -> None:
    with mssql_peer(encryption=mssql.NOT_SUPPORTED) as peer:
        found = check(peer.spec(tls={"mode": "disable"}), PASSWORD)
    assert (found.reason, names_of(found)) == (
        Reason.OK,
        ("secret", "dns", "tcp", "auth", "query"),
    )


@pytest.mark.parametrize("encryption", [mssql.ON, mssql.NOT_SUPPORTED])
def test_the_peer_takes_what_pytds_sends_as_well(check: Check, encryption: int) -> None:
    """Else our client and this peer could share an error that no real server does."""
    with mssql_peer(encryption=encryption) as peer:
        login = {"user": USER, "password": PASSWORD.replace("𝄞", ""), "database": DATABASE}
        peer.users[USER] = login["password"]
        with (
            pytds.connect(
                "127.0.0.1", port=peer.port, **login, disable_connect_retry=True
            ) as opened,
            opened.cursor() as cursor,
        ):
            assert cursor.execute("select 1").fetchall() == [(1,)]
        check(peer.spec(tls={"mode": "disable"}), peer.users[USER])
    theirs, ours = peer.logins
    same = replace(theirs, host="", application="reconciler", library="reconciler")
    assert replace(same, client_id=bytes(6)) == ours


def test_a_wrong_password_is_sent_once(check: Check) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(), "wrong-4711")
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.AUTH_FAILED,
        "auth",
        "the user name or the password is refused (18456: Login failed for user 'report'.)",
    )
    assert (peer.failed_logins, "wrong-4711" in repr(found)) == (1, False)


def test_a_login_without_a_password_is_not_tried(check: Check) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(auth={"method": "none"}))
    assert (found.reason, peer.peer.connections) == (Reason.AUTH_FAILED, 0)
    assert found.message.startswith("the server wants a user name and a password")


@pytest.mark.parametrize("part", ["username", "password", "database"])
def test_a_login_that_is_too_long_is_not_sent(check: Check, part: str) -> None:
    with mssql_peer() as peer:
        changes: dict[str, Any] = {"database": "x" * 129} if part == "database" else {}
        if part == "username":
            changes = {"auth": {**peer.spec()["auth"], "username": "x" * 129}}
        found = check(peer.spec(**changes), "𝄞" * 65 if part == "password" else PASSWORD)
    assert (found.reason, peer.peer.connections) == (Reason.AUTH_FAILED, 0)
    assert "more than 128 characters" in found.message


def test_a_missing_database_is_not_a_wrong_password(check: Check) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(database="elsewhere"), PASSWORD)
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.DATABASE_MISSING,
        "auth",
        (
            "the server has no such database, or this user may not open it"
            ' (4060: Cannot open database "elsewhere" requested by the login.)'
        ),
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (916, Reason.DATABASE_MISSING),
        (978, Reason.PERMISSION_DENIED),
        (10928, Reason.SERVER_ERROR),
        (17142, Reason.SERVER_ERROR),
        (17810, Reason.SERVER_ERROR),
        (18401, Reason.SERVER_ERROR),
        (18452, Reason.AUTH_FAILED),
        (40532, Reason.AUTH_FAILED),
        (40613, Reason.SERVER_ERROR),
        (40615, Reason.PERMISSION_DENIED),
        (50000, Reason.SERVER_ERROR),
    ],
)
def test_the_number_of_an_error_tells_what_a_refusal_means(
    check: Check, number: int, reason: Reason
) -> None:
    with mssql_peer() as peer:
        peer.refusal = mssql.refusal(number, "im Wortlaut des Servers")
        found = check(peer.spec(), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (reason, "auth")
    assert found.message.endswith(f"({number}: im Wortlaut des Servers)")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (18470, "the account is locked or disabled"),
        (18486, "the account is locked or disabled"),
        (18487, "the password has expired or must be changed"),
        (18488, "the password has expired or must be changed"),
    ],
)
def test_an_account_that_may_not_log_in_is_told_from_a_wrong_password(
    check: Check, number: int, words: str
) -> None:
    with mssql_peer() as peer:
        peer.refusal = mssql.refusal(number, "why")
        found = check(peer.spec(), PASSWORD)
    assert (found.reason, found.message) == (Reason.AUTH_FAILED, f"{words} ({number}: why)")


@pytest.mark.parametrize(
    ("query", "reason", "message"),
    [
        (
            "select * from nothing",
            Reason.QUERY_FAILED,
            "the server refuses the health query (208: nothing)",
        ),
        (
            "select * from hidden",
            Reason.PERMISSION_DENIED,
            ("the user lacks a permission (229: hidden)"),
        ),
        (
            "select * from locked",
            Reason.READ_TIMEOUT,
            ("the query waits for a lock that others hold (1222)"),
        ),
        (
            "select * from deadlock",
            Reason.SERVER_ERROR,
            ("the server ended the query to resolve a deadlock (1205)"),
        ),
        (
            "select * from replica",
            Reason.QUERY_FAILED,
            ("the health query writes, and is run read-only (3906)"),
        ),
        (
            "select * from linked",
            Reason.QUERY_FAILED,
            "the server refuses the health query (18456)",
        ),
        (
            "select * from halfway",
            Reason.QUERY_FAILED,
            "the server refuses the health query (8134: division by zero)",
        ),
    ],
)
def test_a_query_that_fails_is_said_with_its_number(
    check: Check, query: str, reason: Reason, message: str
) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(health={"query": query}), PASSWORD)
    assert (found.reason, names_of(found)[-1], found.message) == (reason, "query", message)


@pytest.mark.parametrize(
    "query",
    [
        "select 1 commit drop table item",
        "select 1exec sp_who",
        "select * from openrowset('SQLNCLI', 'x', 'y')",
        "select next value for numbers",
    ],
)
def test_a_query_that_could_leave_its_transaction_is_not_sent(check: Check, query: str) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(health={"query": query}), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (Reason.QUERY_FAILED, "query")
    assert found.message.startswith("the health query has the word ")
    assert peer.peer.connections == 0


def test_rows_are_read_up_to_a_limit() -> None:
    with mssql_peer() as peer:
        login, attempt = make_login(peer.spec(), PASSWORD, peer.authority)
        found = sql.read("mssql", login, "select * from item", 2, attempt)
    seen = "2021-07-30 12:00:00"
    assert found.columns == ("id", "name", "is_paid", "total", "seen_at", "digest")
    assert found.rows == (
        (1, "ł𝄞", True, "-12.34", seen, "\\xcafe"),
        (2, None, True, "-12.34", seen, "\\xcafe"),
    )
    assert found.is_cut


def test_all_rows_are_read_where_there_are_few() -> None:
    with mssql_peer() as peer:
        peer.rows = 500  # in several packets
        login, attempt = make_login(peer.spec(), PASSWORD, peer.authority)
        found = sql.read("mssql", login, "select * from item", 500, attempt)
    assert ([row[0] for row in found.rows], found.is_cut) == (list(range(1, 501)), False)
    assert peer.statements[-1] == ("ROLLBACK TRANSACTION", True)


def test_a_sort_order_that_pytds_does_not_know_is_read_by_its_language(check: Check) -> None:
    """VARCHAR(20) in Latin1, of the sort order 50, `bin_iso_1`."""
    text = mssql.columns(("x", b"\xa7\x14\x00\x09\x04\xd0\x00\x32")) + b"\xd1\x03\x00a\xe9\x80"

    def answer(client: Conversation) -> None:
        _greeted(client, IN).message()
        TdsClient(client).send(BEGUN + text + mssql.done(1) + ENDED)
        client.wait()

    with sql_peer(answer) as peer:
        login, attempt = make_login(peer_spec("mssql", peer.port), PASSWORD, "")
        found = sql.read("mssql", login, "select x from y", 5, attempt)
    assert found.rows == (("aé€",),)


# --- TLS ---


@pytest.mark.parametrize(
    ("tls", "reason", "message"),
    [
        pytest.param({"mode": "verify-full"}, Reason.OK, "", id="right"),
        pytest.param(
            {"mode": "verify-full", "serverName": "localhost"}, Reason.OK, "", id="said-name"
        ),
        pytest.param(
            {"mode": "verify-full", "serverName": "db.internal"},
            Reason.TLS_FAILURE,
            "the server's certificate is for another host name",
            id="another-name",
        ),
        pytest.param(
            {"mode": "verify-ca", "serverName": "db.internal"}, Reason.OK, "", id="chain-only"
        ),
        pytest.param(
            {"mode": "verify-full", "ca": {"file": Authority().pem}},
            Reason.TLS_FAILURE,
            "the authority of the server's certificate is unknown",
            id="another-authority",
        ),
        pytest.param(
            {"mode": "verify-ca", "ca": {"file": Authority().pem}},
            Reason.TLS_FAILURE,
            "the authority of the server's certificate is unknown",
            id="another-chain",
        ),
        pytest.param(
            {"mode": "require", "ca": {"file": Authority().pem}}, Reason.OK, "", id="encrypted-only"
        ),
    ],
)
def test_the_server_is_verified_as_the_mode_says(
    check: Check, tls: dict[str, Any], reason: Reason, message: str
) -> None:
    with mssql_peer() as peer:
        found = check(peer.spec(tls={"ca": {"file": peer.authority}, **tls}), PASSWORD)
    assert (found.reason, found.message) == (reason, message or "the query answered")
    assert (names_of(found)[-1] == "tls", not peer.logins) == (bool(message), bool(message))


@pytest.mark.parametrize("said", [mssql.NOT_SUPPORTED, mssql.OFF])
@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_a_server_that_offers_no_tls_is_sent_no_password(
    check: Check, mode: str, said: int
) -> None:
    def answer(client: Conversation) -> None:
        tds = TdsClient(client)
        tds.message()
        tds.send(mssql.prelogin(said))
        client.wait()

    with sql_peer(answer) as peer:
        found = check(peer_spec("mssql", peer.port, mode), PASSWORD)
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.TLS_FAILURE,
        "tls",
        "the server offers no TLS; nothing was sent",
    )
    assert (LOGIN in peer.received, HIDDEN in peer.received) == (False, False)


@pytest.mark.parametrize("said", [mssql.ON, mssql.OFF, mssql.REQUIRED])
def test_a_server_that_wants_tls_gets_no_password_without_it(check: Check, said: int) -> None:
    def answer(client: Conversation) -> None:
        tds = TdsClient(client)
        tds.message()
        tds.send(mssql.prelogin(said))
        client.wait()

    with sql_peer(answer) as peer:
        found = check(peer_spec("mssql", peer.port), PASSWORD)
    assert (found.reason, found.message) == (Reason.TLS_FAILURE, "the server accepts TLS only")
    assert HIDDEN not in peer.received


def _handshaking(context: ssl.SSLContext) -> Callable[[Conversation], None]:
    def script(client: Conversation) -> None:
        tds = TdsClient(client)
        tds.message()
        tds.send(mssql.prelogin(mssql.ON))
        try:
            tds.start_tls(context)
        except ssl.SSLError:
            return
        client.wait()

    return script


def _reset(client: Conversation) -> None:
    client._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("said", "mode", "reason", "message"),
    [
        pytest.param(
            *(mssql.ON, "require", Reason.TLS_FAILURE),
            "the server closed the connection during the TLS handshake",
            id="handshake",
        ),
        pytest.param(
            *(mssql.NOT_SUPPORTED, "disable", Reason.PROTOCOL_ERROR),
            "the server closed the connection too early (ECONNRESET)",
            id="login",
        ),
    ],
)
def test_a_connection_that_is_reset_is_said(
    check: Check, said: int, mode: str, reason: Reason, message: str
) -> None:
    def answer(client: Conversation) -> None:
        tds = TdsClient(client)
        tds.message()
        tds.send(mssql.prelogin(said))
        tds.message()
        _reset(client)

    with sql_peer(answer) as peer:
        found = check(peer_spec("mssql", peer.port, mode))
    assert (found.reason, found.message) == (reason, message)


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\x17\x03\x03\x00\x20" + b"x" * 32])
def test_garbage_in_place_of_tls_is_a_protocol_error(check: Check, garbage: bytes) -> None:
    context = Authority().server_context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def answer(client: Conversation) -> None:
        tds = TdsClient(client)
        assert mssql.let_in(tds, mssql.ON, context)
        tds.message()
        client.send(garbage)
        client.wait()

    with sql_peer(answer) as peer:
        found = check(peer_spec("mssql", peer.port, "require"))
    assert (found.reason, names_of(found)[-1]) == (Reason.PROTOCOL_ERROR, "auth")


def test_a_server_with_newer_tls_only_is_said(check: Check) -> None:
    context = Authority().server_context("127.0.0.1")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with sql_peer(_handshaking(context)) as peer:
        found = check(peer_spec("mssql", peer.port, "require"))
    assert (found.reason, names_of(found)[-1]) == (Reason.TLS_FAILURE, "tls")


def test_who_asks_for_tls_1_3_sends_no_login(check: Check) -> None:
    """Such a manifest is not valid; a state may have been written by a release that took it."""
    with mssql_peer() as peer:
        tls = {"mode": "verify-full", "ca": {"file": peer.authority}, "minimumVersion": "1.3"}
        found = check(peer.spec(tls=tls), PASSWORD)
    assert (found.reason, names_of(found)[-1], peer.logins) == (Reason.TLS_FAILURE, "tls", [])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(b"", Reason.TLS_FAILURE, id="nothing"),
        pytest.param(b"\x12\x01\x00\x10", Reason.TLS_FAILURE, id="half-a-header"),
        pytest.param(b"\x12\x01\x00\x10\0\0\0\0\x16", Reason.TLS_FAILURE, id="half-a-packet"),
        pytest.param(b"\x12\x01\x00\x10\0\0\0\0garbage!", Reason.TLS_FAILURE, id="garbage"),
        pytest.param(
            b"\x12\x01\x00\x0f\0\0\0\0\x15\x03\x03\x00\x02\x02\x28", Reason.TLS_FAILURE, id="alert"
        ),
        pytest.param(b"\x01\x01\x00\x0c\0\0\0\0abcd", Reason.PROTOCOL_ERROR, id="another-type"),
        pytest.param(b"\x12\x01\x00\x04\0\0\0\0", Reason.PROTOCOL_ERROR, id="too-short"),
        pytest.param(
            b"\x12\x00\xff\xff\0\0\0\0" + b"\x16" * 70_000, Reason.PROTOCOL_ERROR, id="no-end"
        ),
    ],
)
def test_a_handshake_that_is_none_is_said(check: Check, reply: bytes, reason: Reason) -> None:
    def answer(client: Conversation) -> None:
        tds = TdsClient(client)
        tds.message()
        tds.send(mssql.prelogin(mssql.ON))
        tds.message()
        client.send(reply)

    with sql_peer(answer) as peer:
        found = check(peer_spec("mssql", peer.port, "require"), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (reason, "tls")


def test_a_handshake_in_small_packets_is_understood(check: Check) -> None:
    """Also with the type that servers of the first days gave it."""
    authority = Authority()
    context = authority.server_context("127.0.0.1")

    class Slicing(TdsClient):
        def send(self, content: bytes, kind: int = 4) -> None:
            pieces = [content[at : at + 100] for at in range(0, len(content), 100)]
            for number, piece in enumerate(pieces, 1):
                last = number == len(pieces)
                self.send_raw(struct.pack(">BBH4x", 4, last, len(piece) + 8) + piece)

    def answer(client: Conversation) -> None:
        tds = Slicing(client)
        assert mssql.let_in(tds, mssql.ON, context)
        tds.message()
        tds.send(mssql.refusal(18456, "no"))

    with sql_peer(answer) as peer:
        tls = {"mode": "verify-full", "ca": {"file": authority.pem}}
        found = check(peer_spec("mssql", peer.port, tls=tls))
    assert found.message == "the user name or the password is refused (18456: no)"


# --- where the login goes ---


def test_a_login_is_not_taken_to_another_server(check: Check) -> None:
    with sink("127.0.0.1") as other, mssql_peer() as peer:
        peer.route = ("127.0.0.1", other.port)
        found = check(peer.spec(), PASSWORD)
        assert (found.outcome, found.reason, names_of(found)[-1]) == (
            Outcome.INCONCLUSIVE,
            Reason.DESTINATION_DENIED,
            "auth",
        )
        assert found.message == (
            "the server sends the login on to another server; nothing was sent there"
            f" (127.0.0.1:{other.port})"
        )
        assert (other.connections, len(peer.logins), peer.statements) == (0, 1, [])


def test_no_partner_is_contacted_when_the_server_is_gone(check: Check) -> None:
    """Failover: a mirror that the server named is not remembered."""
    with sink("127.0.0.1") as other, mssql_peer() as peer:
        partner = f"127.0.0.1,{other.port}".encode("utf-16-le")
        value = bytes((len(partner) // 2,)) + partner
        reply = mssql.acceptance(DATABASE) + mssql.change(13, value) + mssql.done()
        peer.refusal = reply
        found = check(peer.spec(health={"timeout": "500ms"}), PASSWORD)
        assert found.reason is Reason.READ_TIMEOUT
        assert other.connections == 0


# --- servers that stall, lie, or send too much ---


def _greeted(client: Conversation, reply: bytes = b"") -> TdsClient:
    """Returns the connection of a client without TLS, after `reply` to its login."""
    tds = TdsClient(client)
    tds.message()
    tds.send(mssql.prelogin(mssql.NOT_SUPPORTED))
    if reply:
        tds.message()
        tds.send(reply)
    return tds


IN = mssql.acceptance(DATABASE) + mssql.done()
BEGUN = mssql.done(1) + mssql.change(8, b"\x08" + bytes(8)) + mssql.done(1)
INT = mssql.columns(("x", b"\x26\x04"))
ENDED = mssql.change(10, b"\0", b"\x08" + bytes(8)) + mssql.done()


def _after(*replies: bytes) -> Callable[[Conversation], None]:
    """Returns a script that gives `replies` in turn and then is silent."""

    def script(client: Conversation) -> None:
        tds = _greeted(client)
        for reply in replies:
            tds.message()
            tds.send(reply)
        client.wait()

    return script


@pytest.mark.parametrize(
    ("replies", "reason", "stage"),
    [
        pytest.param((), Reason.CONNECT_TIMEOUT, "auth", id="the-login"),
        pytest.param((mssql.acceptance(DATABASE),), None, "auth", id="half-a-login"),
        pytest.param((IN,), Reason.READ_TIMEOUT, "query", id="the-query"),
    ],
)
def test_a_server_that_stalls_is_left_at_the_deadline(
    check: Check, replies: tuple[bytes, ...], reason: Reason | None, stage: str
) -> None:
    with sql_peer(_after(*replies)) as peer:
        found = check(peer_spec("mssql", peer.port, health={"timeout": "300ms"}))
        assert peer.is_left.wait(20)
    assert (found.reason, names_of(found)[-1]) == (reason or Reason.CONNECT_TIMEOUT, stage)
    assert found.latency_s < 5


def test_a_server_that_stalls_between_packets_is_left_at_the_deadline(check: Check) -> None:
    def stall(client: Conversation) -> None:
        _greeted(client, IN).message()
        client.send(_packet(BEGUN + INT))
        client.wait()

    with sql_peer(stall) as peer:
        found = check(peer_spec("mssql", peer.port, health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


def test_a_handshake_that_stalls_is_left_at_the_deadline(check: Check) -> None:
    def stall(client: Conversation) -> None:
        tds = TdsClient(client)
        tds.message()
        tds.send(mssql.prelogin(mssql.ON))
        client.wait()

    with sql_peer(stall) as peer:
        found = check(peer_spec("mssql", peer.port, "require", health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, "tls")


#: NVARCHAR(MAX) in pieces of an unknown length: MS-TDS, section 2.2.5.2.3.
PIECES = mssql.columns(("x", b"\xe7\xff\xff\x09\x04\xd0\x00\x34"))
UNKNOWN = b"\xd1" + b"\xfe" + b"\xff" * 7


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"\x00", id="no-token"),
        pytest.param(INT + b"\xd1", id="half-a-row"),
        pytest.param(INT + b"\xd1\x04\x01", id="half-a-value"),
        pytest.param(INT + b"\xd1\x09", id="wrong-size"),
        pytest.param(INT, id="no-rows"),
        pytest.param(mssql.columns(("x", b"\x99")), id="no-type"),
        pytest.param(mssql.done(), id="no-columns"),
        pytest.param(b"\x81\xff\x7f", id="many-columns"),
        pytest.param(b"\x81\xfe\xff", id="negative-columns"),
        pytest.param(PIECES + UNKNOWN + b"\xff\xff\xff\xff" + b"xx", id="endless-piece"),
        pytest.param(PIECES + UNKNOWN + b"\x01\x00\x00\x00" + b"x", id="half-a-character"),
        pytest.param(PIECES + b"\xd1" + bytes(8) + b"\x02\0\0\0xx\0\0\0\0", id="other-length"),
        pytest.param(b"\xa9\xff\xff", id="negative-order"),
        pytest.param(b"\xaa\xff\xff" + bytes(6) + b"\xff\xff", id="negative-message"),
        pytest.param(b"\xe3\x00\x00\x63", id="empty-change"),
        pytest.param(b"\xe3\xff\xff\x07\x01", id="short-collation"),
        pytest.param(mssql.change(4, mssql._short("99999999999")), id="huge-packets"),
        pytest.param(mssql.change(4, mssql._short("x")), id="packets-of-no-size"),
        pytest.param(mssql.change(3, mssql._short("no-such-code")), id="unknown-encoding"),
        pytest.param(mssql.change(5, mssql._short("x")), id="unknown-language"),
        pytest.param(b"\xed\x04\x00abcd", id="windows-login"),
        pytest.param(b"\xae\x01\xff\xff\xff\xff", id="endless-feature"),
        pytest.param(b"\xad\x02\x00\x01\x07\x00\x00\x00", id="half-an-acknowledgement"),
    ],
)
@pytest.mark.parametrize("begin", [(), (IN,)], ids=["login", "query"])
def test_an_answer_that_no_server_gives_is_a_protocol_error(
    check: Check, begin: tuple[bytes, ...], reply: bytes
) -> None:
    def script(client: Conversation) -> None:
        tds = _greeted(client)
        for each in (*begin, reply):
            tds.message()
            tds.send(each)

    with sql_peer(script) as peer:
        found = check(peer_spec("mssql", peer.port))
    stage = "query" if begin else "auth"
    assert (found.reason, names_of(found)[-1]) == (Reason.PROTOCOL_ERROR, stage)


def _flooding(piece: bytes, begin: tuple[bytes, ...]) -> Callable[[Conversation], None]:
    def script(client: Conversation) -> None:
        tds = _greeted(client)
        for reply in begin:
            tds.message()
            tds.send(reply)
        tds.message()
        while True:
            client.send(piece)

    return script


#: Time enough for all that may be read, on a machine that does other work, too.
PATIENT: dict[str, Any] = {"timeout": {"connect": "60s"}, "health": {"timeout": "60s"}}


def _packet(content: bytes) -> bytes:
    """Returns a packet after which more of the same message follows."""
    return struct.pack(">BBH4x", 4, 0, len(content) + 8) + content


NOTICES = mssql.told(5701, "x", is_error=False) * 100


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(_packet(NOTICES[: len(NOTICES) // 100 * 90]), id="notices"),
        pytest.param(_packet(mssql.change(1, b"\x01x\0") * 300), id="changes"),
        pytest.param(_packet(INT[:1]), id="one-byte-packets"),
    ],
)
@pytest.mark.parametrize("begin", [(), (IN,)], ids=["login", "query"])
def test_an_endless_answer_is_not_read_to_its_end(
    check: Check, begin: tuple[bytes, ...], piece: bytes
) -> None:
    with sql_peer(_flooding(piece, begin)) as peer:
        found = check(peer_spec("mssql", peer.port, **PATIENT))
    assert (found.reason, found.message) == (
        Reason.BODY_TOO_LARGE,
        "the server's answer is too large to be read",
    )


def test_an_answer_in_the_smallest_packets_is_understood(check: Check) -> None:
    class Slicing(TdsClient):
        def send(self, content: bytes, kind: int = 4) -> None:
            for at in range(len(content)):
                is_last = at + 1 == len(content)
                self.send_raw(struct.pack(">BBH4xB", kind, is_last, 9, content[at]))

    def answer(client: Conversation) -> None:
        tds = Slicing(client)
        assert mssql.let_in(tds, mssql.NOT_SUPPORTED, None)
        for reply in (IN, BEGUN + INT + b"\xd1\x04\1\0\0\0" + mssql.done(1) + ENDED):
            tds.message()
            tds.send(reply)
        client.wait()

    with sql_peer(answer) as peer:
        found = check(peer_spec("mssql", peer.port))
    assert found.reason is Reason.OK


def test_a_value_that_is_too_large_is_not_read(check: Check) -> None:
    def send(client: Conversation) -> None:
        tds = _greeted(client)
        tds.message()
        tds.send(IN)
        tds.message()
        client.send(_packet(BEGUN + PIECES + UNKNOWN + struct.pack("<I", 2**31)))
        while True:
            client.send(_packet(b"x\0" * 2000))

    with sql_peer(send) as peer:
        found = check(peer_spec("mssql", peer.port, **PATIENT))
    assert (found.reason, names_of(found)[-1]) == (Reason.BODY_TOO_LARGE, "query")


#: TYPE_INFO of what a column may be, up to values in pieces, user types and variants.
KINDS = (
    *(b"\x26\x04", b"\x68\x01", b"\x6c\x09\x0a\x02", b"\x6d\x08", b"\x6e\x08", b"\x6f\x08"),
    *(b"\x28", b"\x29\x07", b"\x2a\x00", b"\x2b\x07", b"\x24\x10", b"\xf1\x00", b"\xa5\xff\xff"),
    *(b"\xa7\x10\x00\x09\x04\xd0\x00\x34", b"\xe7\xff\xff\x09\x04\xd0\x00\x34"),
    *(b"\x62\x50\x1f\x00\x00", b"\x23\xff\xff\xff\x7f\x09\x04\xd0\x00\x34\x01\x01\0a\0"),
    b"\xf0\xff\xff" + b"\x01a\0" * 3 + b"\x01\0a\0",
)


def _mangled(draw: random.Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(data) + 1)
        some = bytes(draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256))) for _ in range(3))
        data[at : at + draw.randrange(4)] = some[: draw.randrange(4)]
    return bytes(data)


def test_no_mangled_answer_raises_what_we_do_not_explain() -> None:
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    good = [mssql.prelogin(mssql.NOT_SUPPORTED), IN, BEGUN + mssql.columns(*mssql.COLUMNS)]
    good[2] += mssql.row(1) + mssql.row(2) + mssql.done(1) + ENDED
    for case in range(600):
        replies = list(good)
        if case % 2:
            value = bytes(draw.choice((0, 1, 4, 8, 255, draw.randrange(256))) for _ in range(40))
            replies[2] = BEGUN + mssql.columns(("x", draw.choice(KINDS))) + b"\xd1" + value
        else:
            turn = draw.choice((0, 1, 2, 2, 2))
            replies[turn] = _mangled(draw, replies[turn])
        ours, theirs = socket.socketpair()
        for reply in replies:
            theirs.sendall(struct.pack(">BBH4x", 4, 1, len(reply) + 8) + reply)
        theirs.shutdown(socket.SHUT_WR)
        login, attempt = make_login(peer_spec("mssql", 1), PASSWORD, "")
        try:
            with suppress(ConnectionFailed):
                sql.read("mssql", replace(login, ready=ours), "select 1", 5, attempt)
        except BaseException as error:
            error.add_note(f"seed {seed}, case {case}")
            raise
        finally:
            theirs.close()


def test_of_many_messages_the_first_ones_tell() -> None:
    notices = b"".join(mssql.told(5701 + number, "x", is_error=False) for number in range(3))
    refused = notices * 30 + mssql.told(40613, "not now") + mssql.told(18456, "no") * 30
    refused += mssql.refusal(18456, "no")
    with mssql_peer() as peer:
        peer.refusal = refused
        login, attempt = make_login(peer.spec(), PASSWORD, peer.authority)
        with pytest.raises(ConnectionFailed) as caught:
            sql.check("mssql", login, "select 1", attempt)
    assert caught.value.message == (
        "the server is starting, stopping or recovering (40613: not now)"
    )


def test_hostile_text_is_redacted_escaped_and_cut(check: Check) -> None:
    hostile = f"\x1b[2J dsn=//report:{PASSWORD}@db \r\n" + "A" * 20_000
    with mssql_peer() as peer:
        peer.refusal = mssql.refusal(17809, hostile)
        found = check(peer.spec(), PASSWORD)
    assert found.message.startswith("the server has too many connections (17809: \\x1b[2J dsn=//")
    assert (PASSWORD in repr(found), found.message.isprintable()) == (False, True)
    assert len(found.message) <= 400


def test_nothing_of_the_server_reaches_a_log(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    with mssql_peer() as peer:
        peer.refusal = mssql.change(99, b"\0") + mssql.refusal(18456, "no")
        check(peer.spec(), PASSWORD)
    assert capfd.readouterr() == ("", "")
