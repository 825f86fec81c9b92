"""Firebird: each way in which a probe can end, on a real server and on peers that lie."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import firebirdsql
import pytest
from firebirdsql import srp

from reconciler.clients import sql
from reconciler.model import Outcome, Reason
from tests.servers.firebird import PASSWORD, Firebird, firebird, start_firebird
from tests.servers.proxies import proxy_server
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import Check, make_login, names_of, password_of, peer_spec

__all__ = ["firebird"]

real = pytest.mark.server
CANARY = "canary-4711-secret"


@pytest.fixture(scope="module")
def plain_firebird() -> Iterator[Firebird]:
    """Gives a server that encrypts nothing."""
    with start_firebird(WireCrypt="Disabled") as server:
        yield server


def row_of(
    server: Firebird, query: str, limit: int = 10, **changes: Any
) -> tuple[tuple[object, ...], ...]:
    login, attempt = make_login(server.spec(**changes), PASSWORD, "")
    return sql.read("firebird", login, query, limit, attempt).rows


@real
def test_a_query_that_answers_is_ok(firebird: Firebird, check: Check) -> None:
    found = check(firebird.spec(), PASSWORD)
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == ("secret", "dns", "tcp", "auth", "query")


@real
@pytest.mark.parametrize("username", ["REPORT", '"REPORT"'])
def test_a_user_is_written_as_in_sql(firebird: Firebird, check: Check, username: str) -> None:
    assert check(firebird.spec(auth=password_of(username)), PASSWORD).reason is Reason.OK


@real
def test_a_wrong_password_is_refused(firebird: Firebird, check: Check) -> None:
    found = check(firebird.spec(), "wrong-4711")
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.AUTH_FAILED,
        "the user name or the password is refused",
        "auth",
    )


@real
def test_an_unknown_user_is_refused(firebird: Firebird, check: Check) -> None:
    found = check(firebird.spec(auth=password_of("nobody_here")), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (Reason.AUTH_FAILED, "auth")


@real
def test_a_missing_database_is_no_failed_login(firebird: Firebird, check: Check) -> None:
    found = check(firebird.spec(database="elsewhere"), PASSWORD)
    assert found.reason is Reason.DATABASE_MISSING
    assert found.message.startswith("the server has no such database (335544734: ")


@real
def test_a_table_that_may_not_be_read_is_a_missing_permission(
    firebird: Firebird, check: Check
) -> None:
    found = check(firebird.spec(health={"query": "select * from hidden"}), PASSWORD)
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.PERMISSION_DENIED,
        ("the user lacks a permission (335544352: hidden)"),
        "query",
    )


@real
def test_a_role_gives_its_permissions(firebird: Firebird, check: Check) -> None:
    health, options = {"query": "select count(*) from hidden"}, {"role": "CLERK"}
    assert check(firebird.spec(health=health, options=options), PASSWORD).reason is Reason.OK


@real
def test_a_query_that_fails_is_said_with_its_code(firebird: Firebird, check: Check) -> None:
    found = check(firebird.spec(health={"query": "select * from nothing"}), PASSWORD)
    assert found.reason is Reason.QUERY_FAILED
    assert found.message.startswith("the server refuses the health query (335544")
    assert "no such table: nothing" in found.message


@real
def test_a_query_that_writes_is_refused(firebird: Firebird, check: Check) -> None:
    query = "insert into item values (3, 'nib')"
    found = check(firebird.spec(health={"query": query}), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.QUERY_FAILED,
        ("the health query writes, and is run read-only (335544361)"),
    )


@real
def test_a_query_ends_at_its_deadline(firebird: Firebird, check: Check) -> None:
    tables = ", ".join(f"rdb$types t{number}" for number in range(6))
    health = {"query": f"select count(*) from {tables}", "timeout": "500ms"}
    found = check(firebird.spec(health=health), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


@real
def test_what_is_wanted_of_the_server_is_sent(firebird: Firebird) -> None:
    query = (
        "select mon$remote_process, mon$remote_host, mon$remote_os_user, mon$character_set_id"
        " from mon$attachments where mon$attachment_id = current_connection"
    )
    found = row_of(firebird, query, options={"applicationName": "reporting"})
    # "guest" is what the server says of whoever does not tell
    assert found == (("reporting", None, "guest", 4),)


@real
def test_rows_are_read_up_to_a_limit(firebird: Firebird) -> None:
    login, attempt = make_login(firebird.spec(), PASSWORD, "")
    found = sql.read("firebird", login, "select * from item order by id", 1, attempt)
    assert (found.columns, found.rows, found.is_cut) == (("ID", "NAME"), ((1, "pen"),), True)


@real
def test_more_rows_than_one_piece_are_read(firebird: Firebird) -> None:
    rows = row_of(firebird, "select rdb$field_name from rdb$fields", limit=150)
    assert len(set(rows)) == 150


@real
def test_long_text_is_read(firebird: Firebird) -> None:
    assert row_of(firebird, "select words from note") == (("long words",),)


@real
def test_each_login_has_a_key_of_its_own(
    firebird: Firebird, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[int] = []
    drawn = srp.client_seed

    def draw(key: int = 0) -> tuple[int, int]:
        keys.append(key)
        pair: tuple[int, int] = drawn(key)  # type: ignore[no-untyped-call]  # has no types
        return pair

    monkeypatch.setattr(srp, "client_seed", draw)
    for _ in range(2):
        assert check(firebird.spec(), PASSWORD).reason is Reason.OK
    assert len(set(keys)) == 2
    assert all(key.bit_length() > 400 for key in keys)


@real
def test_a_server_that_does_not_encrypt_is_left(plain_firebird: Firebird, check: Check) -> None:
    found = check(plain_firebird.spec(), PASSWORD)
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.TLS_FAILURE,
        "the server does not encrypt the connection, so it is not known who it is",
        "auth",
    )


@real
def test_a_connection_hides_the_password_and_is_never_made_again(
    firebird: Firebird, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = firebirdsql.Connection.cursor

    def look(connection: Any, **settings: Any) -> Any:
        seen.append(repr(vars(connection)))
        with pytest.raises(RuntimeError, match="once"):
            connection._initialize()  # what `reconnect` and `ping` do
        return original(connection, **settings)

    monkeypatch.setattr(firebirdsql.Connection, "cursor", look)
    assert check(firebird.spec(), PASSWORD).reason is Reason.OK
    assert [PASSWORD in shown for shown in seen] == [False]


@real
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_the_way_leads_through_a_proxy(firebird: Firebird, check: Check, scheme: str) -> None:
    with proxy_server(scheme, hosts={"localhost": "127.0.0.1"}) as proxy:
        url = f"{scheme}://127.0.0.1:{proxy.port}"
        found = check(firebird.spec(host="localhost", proxy={"url": url}), PASSWORD)
    assert (found.reason, names_of(found)) == (Reason.OK, ("secret", "proxy", "auth", "query"))


def test_a_closed_port_is_refused(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert check(peer_spec("firebird", port)).reason is Reason.CONNECT_REFUSED


def word(number: int) -> bytes:
    return number.to_bytes(4, signed=True)


def text(data: bytes) -> bytes:
    return word(len(data)) + data + b"\0" * (-len(data) % 4)


#: Packets of Firebird's protocol (its source, "protocol.h"): op_accept, op_cond_accept,
#: op_response; version 13 has its sign bit set, as has every later one.
ACCEPT, CONDITION, RESPONSE = 3, 98, 9
VERSION_10, VERSION_13 = b"\0\0\0\x0a", b"\xff\xff\x80\x0d"


def accept(kind: int, version: bytes, plugin: bytes = b"", proof: bytes = b"") -> bytes:
    head = word(kind) + version + word(1) + word(3)
    return head + (text(proof) + text(plugin) + word(0) + text(b"") if plugin else b"")


def refuse(*parts: bytes) -> bytes:
    """Returns an op_response whose status vector has these parts."""
    return word(RESPONSE) + word(0) + bytes(8) + word(0) + b"".join(parts) + word(0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(accept(ACCEPT, VERSION_10), id="an old protocol"),
        pytest.param(accept(CONDITION, VERSION_13, b"Legacy_Auth"), id="the old hash"),
        pytest.param(accept(CONDITION, VERSION_10, b"Legacy_Auth"), id="both"),
    ],
)
def test_the_password_is_not_sent_to_whoever_wants_it(check: Check, answer: bytes) -> None:
    def ask(client: Conversation) -> None:
        client.send(answer)
        client.wait()

    with sql_peer(ask) as peer:
        found = check(peer_spec("firebird", peer.port), CANARY)
    assert (found.reason, found.message) == (
        Reason.PROTOCOL_ERROR,
        "the server offers no login that keeps the password to itself; nothing was sent",
    )
    assert CANARY.encode() not in peer.received


def test_a_server_that_lets_in_without_a_proof_is_left(check: Check) -> None:
    def let_in(client: Conversation) -> None:
        client.send(accept(ACCEPT, VERSION_13))
        client.wait()

    with sql_peer(let_in) as peer:
        found = check(peer_spec("firebird", peer.port), CANARY)
    assert found.reason is Reason.TLS_FAILURE


def test_hostile_text_is_redacted_escaped_and_cut(check: Check) -> None:
    hostile = b"\x1b[2J" + f"dsn=//report:{CANARY}@db".encode() + b"\xff\r\n" + b"A" * 20_000

    def say(client: Conversation) -> None:
        client.send(refuse(word(1), word(335544528), word(2), text(hostile)))
        client.wait()

    with sql_peer(say) as peer:
        found = check(peer_spec("firebird", peer.port), CANARY)
    assert (found.reason, CANARY in repr(found)) == (Reason.SERVER_ERROR, False)
    assert "\\x1b[2Jdsn=//report:***@db" in found.message
    assert len(found.message) <= 400


def test_text_does_not_grow_by_its_own_places(check: Check) -> None:
    grown = text(b"@2" * 10_000), text(b"@3" * 10_000), text(b"x" * 10_000)

    def say(client: Conversation) -> None:
        parts = [piece for each in grown for piece in (word(2), each)]
        client.send(refuse(word(1), word(335544352), *parts))
        client.wait()

    with sql_peer(say) as peer:
        found = check(peer_spec("firebird", peer.port), CANARY)
    assert found.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"220 mail.example ESMTP\r\n", id="smtp"),
        pytest.param(b"\x00" * 64, id="zeros"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(word(4), id="rejected"),
        pytest.param(word(RESPONSE) + word(0) + bytes(8) + word(2**31 - 1), id="endless"),
        pytest.param(word(RESPONSE) + word(0) + bytes(8) + word(-5), id="negative"),
        pytest.param(refuse(word(7), word(1)), id="no code"),
        pytest.param(refuse(word(99)), id="unknown part"),
        pytest.param(accept(CONDITION, VERSION_13, b"Srp256", b"\xff\xff"), id="cut proof"),
        pytest.param(accept(CONDITION, VERSION_13, b"Win_Sspi"), id="unknown way"),
        pytest.param(word(CONDITION) + VERSION_13 + word(1) + word(0x103) * 9, id="compressed"),
    ],
)
def test_another_kind_of_server_is_a_protocol_error(check: Check, answer: bytes) -> None:
    with sql_peer(lambda client: client.send(answer)) as peer:
        found = check(peer_spec("firebird", peer.port))
    assert found.reason is Reason.PROTOCOL_ERROR


def test_a_server_that_sends_without_end_is_left(check: Check) -> None:
    def send(client: Conversation) -> None:
        client.send(word(RESPONSE) + word(0) + bytes(8) + word(2**30))
        while True:
            client.send(bytes(64 * 1024))

    with sql_peer(send) as peer:
        assert check(peer_spec("firebird", peer.port)).reason is Reason.PROTOCOL_ERROR


def test_a_silent_server_is_left_at_the_deadline(check: Check) -> None:
    with sql_peer(lambda client: client.wait()) as peer:
        found = check(peer_spec("firebird", peer.port, health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, "auth")


def test_the_environment_is_not_told(
    check: Check, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    monkeypatch.setenv("USER", "somebody-4711")
    with sql_peer(lambda client: client.wait()) as peer:
        check(peer_spec("firebird", peer.port, health={"timeout": "300ms"}))
        assert peer.is_left.wait(20)
    assert b"REPORT" in bytes(peer.received).upper()
    assert b"somebody-4711" not in peer.received
    assert socket.gethostname().encode() not in peer.received
