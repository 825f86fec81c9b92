"""Oracle Database, on a scripted listener: refusals, deadlines, TLS, and what is sent to whom."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import oracledb
import oracledb.thin_impl as thin  # type: ignore[import-not-found]  # compiled, without stubs
import pytest

from reconciler.clients import sql
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason
from tests.servers import oracle
from tests.servers.certificates import Authority
from tests.servers.proxies import proxy_server
from tests.servers.sinks import sink
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import Check, make_login, names_of, peer_spec

CANARY = "canary-4711-secret"


def answering(answer: bytes) -> Callable[[Conversation], None]:
    """Returns a listener that gives one answer."""

    def answer_once(client: Conversation) -> None:
        oracle.receive_connect(client)
        client.send(answer)
        client.wait()

    return answer_once


def failing(number: int, text: bytes) -> Callable[[Conversation], None]:
    """Returns a database that lets a login begin, and then refuses."""

    def fail(client: Conversation) -> None:
        oracle.receive_connect(client)
        client.send(oracle.accept())
        client.receive(1)
        client.send(oracle.error(number, text))
        client.wait()

    return fail


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (12514, Reason.DATABASE_MISSING, "the listener knows no such service (DPY-6001)"),
        (12505, Reason.DATABASE_MISSING, "the listener knows no such service (DPY-6003)"),
        (12528, Reason.SERVER_ERROR, "the server is starting, stopping or recovering (ORA-12528)"),
        (12519, Reason.SERVER_ERROR, "the server has too many connections (ORA-12519)"),
        (12541, Reason.SERVER_ERROR, "the server refuses the connection (ORA-12541)"),
    ],
)
def test_a_listener_that_refuses_says_why(
    check: Check, number: int, reason: Reason, words: str
) -> None:
    with sql_peer(answering(oracle.refuse(number))) as peer:
        found = check(peer_spec("oracle", peer.port))
    assert (found.reason, found.message, names_of(found)[-1]) == (reason, words, "auth")


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (1017, Reason.AUTH_FAILED, "the user name or the password is refused"),
        (1005, Reason.AUTH_FAILED, "the user name or the password is refused"),
        (28000, Reason.AUTH_FAILED, "the account is locked or disabled"),
        (28001, Reason.AUTH_FAILED, "the password has expired or must be changed"),
        (1045, Reason.PERMISSION_DENIED, "the user lacks a permission"),
        (1033, Reason.SERVER_ERROR, "the server is starting, stopping or recovering"),
        (1089, Reason.SERVER_ERROR, "the server is starting, stopping or recovering"),
        (18, Reason.SERVER_ERROR, "the server has too many connections"),
        (600, Reason.SERVER_ERROR, "the server reports an internal error"),
        (3136, Reason.SERVER_ERROR, "the server refuses the connection"),
    ],
)
def test_a_database_that_refuses_is_said_with_its_number(
    check: Check, number: int, reason: Reason, words: str
) -> None:
    text = f"ORA-{number:05}: why"
    with sql_peer(failing(number, text.encode())) as peer:
        found = check(peer_spec("oracle", peer.port))
    assert (found.reason, found.message, names_of(found)) == (
        reason,
        f"{words} ({text})",
        ("secret", "dns", "tcp", "auth"),
    )


def test_nothing_is_sent_to_where_the_listener_sends_us(check: Check) -> None:
    with sink("127.0.0.1") as elsewhere:
        order = oracle.redirect("localhost", elsewhere.port)
        with sql_peer(answering(order)) as peer:
            found = check(peer_spec("oracle", peer.port))
        assert (elsewhere.received, peer.connections) == (b"", 1)
    assert (found.reason, found.message) == (
        Reason.DESTINATION_DENIED,
        "the listener sends us on to another address; the login went to neither",
    )


def test_a_server_cannot_have_us_hash_for_hours() -> None:
    assert len(thin.get_derived_key(b"key", b"salt", 32, 4096)) == 32
    with pytest.raises(ValueError, match="too much work"):
        thin.get_derived_key(b"key", b"salt", 32, 2**31 - 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves sockets
def test_a_driver_left_to_itself_goes_where_it_is_sent() -> None:
    """Else the test above shows nothing; and other users of the driver have it as it was."""
    with (
        sql_peer(answering(oracle.refuse(12514))) as elsewhere,
        sql_peer(answering(oracle.redirect("127.0.0.1", elsewhere.port))) as peer,
        pytest.raises(oracledb.Error, match="DPY-6001"),
    ):
        oracledb.connect(
            user="report",
            password=CANARY,
            host="127.0.0.1",
            port=peer.port,
            service_name="orders",
        )
    assert elsewhere.connections == 1


def test_other_users_of_the_driver_have_sockets() -> None:
    assert thin.socket.gaierror is socket.gaierror
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thin.socket.create_connection(listener.getsockname(), 5).close()


def test_the_listener_is_told_little(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-4711")
    with sql_peer(answering(oracle.refuse(12514))) as peer:
        check(peer_spec("oracle", peer.port, options={"applicationName": "reporting"}), CANARY)
    told = bytes(peer.received)
    assert b"(SERVICE_NAME=orders)" in told
    assert b"(PROGRAM=reporting)" in told
    for text in (CANARY, "report)", "somebody-4711", socket.gethostname() + ")", "root)"):
        assert text.encode() not in told.replace(b"(PROGRAM=reporting)", b"")


def test_the_environment_and_its_files_change_nothing(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    with sink("127.0.0.1") as elsewhere, sql_peer(answering(oracle.refuse(12514))) as peer:
        place = f"(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={elsewhere.port}))"
        (tmp_path / "tnsnames.ora").write_text(
            f"orders = {place}(CONNECT_DATA=(SERVICE_NAME=x)))\n"
        )
        monkeypatch.setattr(oracledb.defaults, "config_dir", str(tmp_path))
        monkeypatch.setenv("TNS_ADMIN", str(tmp_path))
        found = check(peer_spec("oracle", peer.port))
        assert elsewhere.received == b""
    assert found.reason is Reason.DATABASE_MISSING


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_the_login_begins_behind_tls(check: Check, mode: str) -> None:
    authority = Authority()
    context = authority.server_context("127.0.0.1")

    def fail(client: Conversation) -> None:
        client.start_tls(context)
        failing(1017, b"ORA-01017: why")(client)

    with sql_peer(fail) as peer:
        tls = {"mode": mode, "ca": {"file": authority.pem}}
        found = check(peer_spec("oracle", peer.port, tls=tls))
    assert (found.reason, names_of(found)) == (
        Reason.AUTH_FAILED,
        ("secret", "dns", "tcp", "tls", "auth"),
    )


@pytest.mark.parametrize(
    ("mode", "name", "words"),
    [
        ("verify-full", "db.internal", "the server's certificate is for another address"),
        ("verify-full", "", "the authority of the server's certificate is unknown"),
        ("verify-ca", "", "the authority of the server's certificate is unknown"),
    ],
)
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    check: Check, mode: str, name: str, words: str
) -> None:
    authority = Authority()
    context = authority.server_context(name or "127.0.0.1")
    with sql_peer(lambda client: client.start_tls(context)) as peer:
        trusted = authority if name else Authority()
        tls = {"mode": mode, "ca": {"file": trusted.pem}}
        found = check(peer_spec("oracle", peer.port, tls=tls))
    assert (found.reason, found.message, names_of(found)[-1]) == (Reason.TLS_FAILURE, words, "tls")
    assert peer.received == b""


def test_the_shared_context_still_checks_names(check: Check) -> None:
    """oracledb switches that off in the context that it is given."""
    authority = Authority()
    for name, reason in (("127.0.0.1", Reason.PROTOCOL_ERROR), ("elsewhere", Reason.TLS_FAILURE)):
        context = authority.server_context(name)
        with sql_peer(lambda client, tls=context: client.start_tls(tls)) as peer:  # type: ignore[misc]  # bound now
            tls = {"mode": "verify-full", "ca": {"file": authority.pem}}
            assert check(peer_spec("oracle", peer.port, tls=tls)).reason is reason


def test_a_name_is_known_at_the_far_end_of_a_proxy_alone(check: Check) -> None:
    with (
        sql_peer(failing(1017, b"ORA-01017: why")) as peer,
        proxy_server("socks5", hosts={"orders.far.test": "127.0.0.1"}) as proxy,
    ):
        url = f"socks5://127.0.0.1:{proxy.port}"
        spec = peer_spec("oracle", peer.port, host="orders.far.test", proxy={"url": url})
        found = check(spec)
    assert (found.reason, names_of(found)) == (Reason.AUTH_FAILED, ("secret", "proxy", "auth"))


@pytest.mark.parametrize(("mode", "stage"), [("disable", "auth"), ("verify-full", "tls")])
def test_a_silent_server_is_left_at_the_deadline(check: Check, mode: str, stage: str) -> None:
    with sql_peer(lambda client: client.wait()) as peer:
        found = check(peer_spec("oracle", peer.port, mode, health={"timeout": "300ms"}))
        assert peer.is_left.wait(20)
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, stage)


def test_a_server_that_stalls_the_login_is_left_at_the_deadline(check: Check) -> None:
    def stall(client: Conversation) -> None:
        oracle.receive_connect(client)
        client.send(oracle.accept())
        client.wait()

    with sql_peer(stall) as peer:
        found = check(peer_spec("oracle", peer.port, timeout={"connect": "300ms"}))
    assert (found.reason, found.message) == (
        Reason.CONNECT_TIMEOUT,
        "the server does not finish the login in time",
    )


def test_a_closed_port_is_refused(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert check(peer_spec("oracle", port)).reason is Reason.CONNECT_REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"220 mail.example ESMTP\r\n", id="smtp"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(oracle.packet(oracle.REDIRECT, b"\0\x05") + b"\0", id="cut redirect"),
        pytest.param(
            oracle.packet(oracle.REDIRECT, b"\0\x05") + oracle.packet(oracle.DATA, b"\0\0hello"),
            id="redirect to nowhere",
        ),
        pytest.param(oracle.packet(oracle.REFUSE, b"\0\0\0\x05hello"), id="refusal without number"),
        pytest.param(oracle.packet(99, b"what"), id="unknown packet"),
        pytest.param(oracle.packet(oracle.ACCEPT, b"\0\x01" + bytes(40)), id="old"),
    ],
)
def test_another_kind_of_server_is_a_protocol_error(check: Check, answer: bytes) -> None:
    def send(client: Conversation) -> None:
        client.receive(8)
        client.send(answer)

    with sql_peer(send) as peer:
        found = check(peer_spec("oracle", peer.port))
    assert found.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_a_server_that_sends_without_end_is_left(check: Check, mode: str) -> None:
    context = Authority().server_context("127.0.0.1")

    def send(client: Conversation) -> None:
        if mode != "disable":
            client.start_tls(context)
        oracle.receive_connect(client)
        client.send(oracle.accept() + (2**31).to_bytes(4) + bytes((oracle.DATA, 0, 0, 0)))
        while True:
            client.send(bytes(64 * 1024))

    with sql_peer(send) as peer:
        found = check(peer_spec("oracle", peer.port, mode))
    assert (found.reason, names_of(found)[-1]) == (Reason.PROTOCOL_ERROR, "auth")


def test_hostile_text_is_redacted_escaped_and_cut(check: Check) -> None:
    hostile = b"ORA-01033: \x1b[2J" + f"dsn=//report:{CANARY}@db".encode() + b"\r\n" + b"A" * 900
    with sql_peer(failing(1033, hostile)) as peer:
        found = check(peer_spec("oracle", peer.port), CANARY)
    assert (found.reason, CANARY in repr(found)) == (Reason.SERVER_ERROR, False)
    assert "\\x1b[2Jdsn=//report:***@db" in found.message
    assert len(found.message) <= 400


def test_a_driver_that_finds_another_way_out_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login, attempt = make_login(peer_spec("oracle", 1), CANARY, "")

    class Elsewhere:
        def close(self) -> None:
            pass

    monkeypatch.setattr(oracledb, "connect", lambda **_: Elsewhere())
    with pytest.raises(ConnectionFailed) as caught:
        sql.open_connection("oracle", login, attempt)
    assert caught.value.reason is Reason.DESTINATION_DENIED
