"""ClickHouse: its real engine behind HTTP, and servers that only pretend."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect.driver.httputil as driver_pools
import pytest
import sqlalchemy

from reconciler.clients import sql
from reconciler.errors import ConnectionFailed
from reconciler.model import Outcome, Reason
from tests.servers.certificates import Authority
from tests.servers.clickhouse import PASSWORD, USER, ClickHouse, start_clickhouse
from tests.servers.http import Client, http_server
from tests.servers.http_routes import answer
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import (
    Check,
    certificate_of,
    make_login,
    make_tools,
    names_of,
    peer_spec,
    probe,
)


def test_a_query_that_answers_is_ok(clickhouse: ClickHouse, check: Check) -> None:
    found = check(clickhouse.spec(), PASSWORD)
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == ("secret", "dns", "tcp", "tls", "auth", "query")


def test_without_tls_there_is_no_tls_stage(check: Check) -> None:
    with start_clickhouse(has_tls=False) as server:
        found = check(server.spec(tls={"mode": "disable"}), PASSWORD)
        assert (found.reason, names_of(found)) == (
            Reason.OK,
            ("secret", "dns", "tcp", "auth", "query"),
        )
        assert check(server.spec(tls={"mode": "require"}), PASSWORD).reason is Reason.TLS_FAILURE


def test_a_wrong_password_is_sent_once(clickhouse: ClickHouse, check: Check) -> None:
    before = clickhouse.failed_logins()
    found = check(clickhouse.spec(), "wrong")
    assert (found.reason, names_of(found)[-1], found.message) == (
        Reason.AUTH_FAILED,
        "auth",
        "the user name or the password is refused (516: AUTHENTICATION_FAILED)",
    )
    assert clickhouse.failed_logins() - before == 1


def test_without_a_password_one_is_asked_for(clickhouse: ClickHouse, check: Check) -> None:
    found = check(clickhouse.spec(auth={"method": "none"}))
    assert found.reason is Reason.AUTH_FAILED
    assert found.message.startswith("the server wants a user name and a password")


def test_a_missing_database_is_said(clickhouse: ClickHouse, check: Check) -> None:
    found = check(clickhouse.spec(database="elsewhere"), PASSWORD)
    assert (found.reason, found.message) == (
        Reason.DATABASE_MISSING,
        "the server has no such database (81: UNKNOWN_DATABASE)",
    )


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select * from item", Reason.OK),
        ("show tables", Reason.OK),
        ("with 1 as x select x", Reason.OK),
        ("select id from item where 0", Reason.OK),
        ("select number from system.numbers", Reason.OK),
        ("select throwIf(getSetting('readonly') != 1)", Reason.OK),
        ("select throwIf(getSetting('max_result_rows') != 1)", Reason.OK),
        ("select throwIf(1)", Reason.QUERY_FAILED),
        ("select * from nothing", Reason.QUERY_FAILED),
    ],
)
def test_a_query_is_run_read_only_and_for_one_row(
    clickhouse: ClickHouse, check: Check, query: str, reason: Reason
) -> None:
    assert check(clickhouse.spec(health={"query": query}), PASSWORD).reason is reason


def test_a_query_ends_at_its_deadline(clickhouse: ClickHouse, check: Check) -> None:
    health = {"query": "select sleepEachRow(3) from numbers(20)", "timeout": "500ms"}
    found = check(clickhouse.spec(health=health), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        pytest.param(
            {"mode": "verify-full", "ca": {"file": Authority().pem}},
            "the authority of the server's certificate is unknown",
            id="another-authority",
        ),
        pytest.param(
            {"mode": "verify-full"},
            "the authority of the server's certificate is unknown",
            id="authorities-of-the-machine",
        ),
    ],
)
def test_an_unknown_authority_is_refused(
    clickhouse: ClickHouse, check: Check, tls: dict[str, object], message: str
) -> None:
    found = check(clickhouse.spec(tls=tls), PASSWORD)
    assert (found.reason, names_of(found)[-1]) == (Reason.TLS_FAILURE, "tls")
    assert found.message == message


def test_the_name_of_the_certificate_can_be_said(clickhouse: ClickHouse, check: Check) -> None:
    tls = {"mode": "verify-full", "ca": {"file": clickhouse.authority}}
    right = clickhouse.spec(tls={**tls, "serverName": "localhost"})
    wrong = clickhouse.spec(tls={**tls, "serverName": "db.internal"})
    assert check(right, PASSWORD).reason is Reason.OK
    assert check(wrong, PASSWORD).message == "the server's certificate is for another host name"


def test_a_certificate_is_a_login(clickhouse: ClickHouse, check: Check) -> None:
    login = {"method": "clientCertificate", "username": USER}
    known, stranger = clickhouse.clients.client(), Authority().client()
    right = clickhouse.spec(auth={**login, **certificate_of(known)})
    wrong = clickhouse.spec(auth={**login, **certificate_of(stranger)})
    other = clickhouse.spec(auth={**login, **certificate_of(known), "username": "other"})
    assert check(right).reason is Reason.OK
    assert check(wrong).reason is Reason.TLS_FAILURE
    found = check(other)
    assert (found.reason, names_of(found)[-1]) == (Reason.AUTH_FAILED, "auth")


def test_options_are_obeyed(clickhouse: ClickHouse, check: Check) -> None:
    options = {"client_name": "reporting", "compress": True}
    assert options.keys() == {"client_name", "compress"}
    found = check(
        clickhouse.spec(options={"applicationName": "reporting", "compress": True}), PASSWORD
    )
    assert found.reason is Reason.OK


def test_a_redirect_is_not_followed(check: Check) -> None:
    with (
        http_server({"/": answer(200)}) as other,
        http_server({"/": answer(307, headers=[("Location", f"{other.url}/")])}) as server,
    ):
        found = check(peer_spec("clickhouse", server.port))
    assert (found.reason, other.requests) == (Reason.DESTINATION_DENIED, [])


@pytest.mark.parametrize("status", [200, 204, 403, 404, 500, 503])
def test_a_web_server_is_no_clickhouse(check: Check, status: int) -> None:
    with http_server({"/": answer(status, b"welcome")}) as server:
        found = check(peer_spec("clickhouse", server.port))
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", [b"", b"220 mail.example ESMTP\r\n", b"\xff" * 64])
def test_another_kind_of_server_is_a_protocol_error(check: Check, text: bytes) -> None:
    with sql_peer(lambda client: client.send(text)) as peer:
        found = check(peer_spec("clickhouse", peer.port))
    assert found.reason is Reason.PROTOCOL_ERROR


def test_an_endless_answer_is_cut(check: Check) -> None:
    async def flood(client: Client) -> None:
        await client.send(b"HTTP/1.1 200 OK\r\nX-ClickHouse-Format: Native\r\n\r\n")
        while True:
            await client.send(b"x" * 65536)

    with http_server({"/": flood}) as server:
        found = check(peer_spec("clickhouse", server.port))
    assert found.reason is Reason.BODY_TOO_LARGE


def test_a_silent_server_is_left_at_the_deadline(check: Check) -> None:
    def wait(client: Conversation) -> None:
        client.wait()

    with sql_peer(wait) as peer:
        found = check(peer_spec("clickhouse", peer.port, health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.CONNECT_TIMEOUT, "auth")


def test_the_environment_changes_nothing(
    clickhouse: ClickHouse, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert check(clickhouse.spec(), PASSWORD).reason is Reason.OK


def test_the_driver_keeps_no_pool_of_a_probe(clickhouse: ClickHouse, check: Check) -> None:
    check(clickhouse.spec(), PASSWORD)
    before = len(driver_pools.all_managers)
    check(clickhouse.spec(), PASSWORD)
    check(clickhouse.spec(), "wrong")
    assert len(driver_pools.all_managers) == before


def test_a_secret_that_comes_back_is_not_shown(tmp_path: Path) -> None:
    secret = "canary-4711-secret"
    text = f"Code: 60. DB::Exception: no table {secret}. (UNKNOWN_{secret})".encode()
    headers = [("X-ClickHouse-Exception-Code", "60"), ("X-Echo", secret)]
    with (
        ThreadPoolExecutor(1) as threads,
        http_server({"/": answer(404, text, headers=headers)}) as server,
    ):
        tools = make_tools(threads, tmp_path, secret)
        found = asyncio.run(probe(peer_spec("clickhouse", server.port), secret, tools))
    assert found.reason is Reason.SERVER_ERROR
    assert secret not in repr(found)


def test_sqlalchemy_uses_a_connection(clickhouse: ClickHouse) -> None:
    login, attempt = make_login(clickhouse.spec(), PASSWORD, clickhouse.authority)
    engine = sqlalchemy.create_engine(
        "clickhousedb+connect://", creator=lambda: sql.open_connection("clickhouse", login, attempt)
    )
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("select name from item order by id"))
        assert [row[0] for row in rows] == ["pen", "ink"]
    engine.dispose()


@pytest.mark.parametrize(
    ("limit", "rows", "is_cut"),
    [(2, ((1, "pen"), (2, "ink")), False), (1, ((1, "pen"),), True)],
)
def test_rows_are_read_up_to_a_limit(
    clickhouse: ClickHouse, limit: int, rows: tuple[tuple[int, str], ...], is_cut: bool
) -> None:
    login, attempt = make_login(clickhouse.spec(), PASSWORD, clickhouse.authority)
    query = "select id, name from item order by id"
    found = sql.read("clickhouse", login, query, limit, attempt)
    assert (found.columns, found.rows, found.is_cut) == (("id", "name"), rows, is_cut)


def test_numbers_that_are_not_finite_read_as_on_other_engines(clickhouse: ClickHouse) -> None:
    login, attempt = make_login(clickhouse.spec(), PASSWORD, clickhouse.authority)
    query = "select nan as a, inf as b, -inf as c, 'nan' as d, 0.5 as e, toNullable(nan) as f"
    assert sql.read("clickhouse", login, query, 1, attempt).rows == (
        ("NaN", "Infinity", "-Infinity", "nan", 0.5, "NaN"),
    )


def test_rows_that_memory_should_not_hold_are_refused(clickhouse: ClickHouse) -> None:
    login, attempt = make_login(clickhouse.spec(), PASSWORD, clickhouse.authority)
    query = "select repeat('x', 1000000) from numbers(20)"
    with pytest.raises(ConnectionFailed) as caught:
        sql.read("clickhouse", login, query, 20, attempt)
    assert (caught.value.reason, caught.value.hint) == (
        Reason.BODY_TOO_LARGE,
        "ask for less: fewer or narrower columns, or fewer rows (`--limit`)",
    )


def test_reading_is_read_only(clickhouse: ClickHouse) -> None:
    login, attempt = make_login(clickhouse.spec(), PASSWORD, clickhouse.authority)
    query = "select throwIf(getSetting('readonly') != 1)"
    assert sql.read("clickhouse", login, query, 1, attempt).rows == ((0,),)


def test_a_failure_has_no_cause_that_holds_the_password(clickhouse: ClickHouse) -> None:
    login, attempt = make_login(clickhouse.spec(), "canary-4711-secret", clickhouse.authority)
    with pytest.raises(ConnectionFailed) as caught:
        sql.open_connection("clickhouse", login, attempt)
    assert caught.value.__cause__ is None
    assert "canary" not in repr(caught.value)
