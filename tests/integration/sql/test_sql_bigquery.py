"""BigQuery: a peer of its REST API that verifies what is signed, and servers that only pretend."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from reconciler.clients import sql, sql_token
from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from reconciler.redact import Redactor, Secret
from tests.factories import NOW
from tests.servers.bigquery import bigquery_peer, key_file
from tests.servers.certificates import Authority
from tests.servers.hop_targets import PROXY_PASSWORD, proxy_block
from tests.servers.http_routes import answer, endless_chunks, redirect
from tests.servers.impostors import http_impostor, impostor, impostor_spec
from tests.servers.proxies import proxy_server
from tests.servers.sql_specs import CheckWith, make_login, names_of
from tests.servers.statements import key_pair

TLS_STAGES = ("secret", "dns", "tcp", "tls")
AUTH: JsonObject = {"method": "serviceAccount", "key": {"env": "KEY"}}


@pytest.fixture
def check(check_with: CheckWith) -> CheckWith:
    """Gives a function that probes with the right key file, unless another is given."""

    def probe(spec: JsonObject, **secrets: str) -> Observation:
        return check_with(spec, **{"key": key_file(key_pair()), **secrets})

    return probe


def test_a_signed_statement_is_a_login(check: CheckWith) -> None:
    options = {"location": "EU", "dataset": "sales", "maximumBytesBilled": "1000000"}
    with bigquery_peer() as peer:
        found = check(peer.spec(options=options))
    assert (found.outcome, found.message) == (Outcome.OK, "the query answered")
    assert names_of(found) == (*TLS_STAGES, "query")
    (query,) = peer.queries
    assert 8_000 <= query.pop("timeoutMs") <= 9_000  # type: ignore[attr-defined]  # a dict
    assert 9_000 <= int(query.pop("jobTimeoutMs")) <= 10_000  # type: ignore[attr-defined]  # a dict
    assert query == {
        "query": "select 1",
        "useLegacySql": False,
        "maxResults": 2,
        "formatOptions": {"timestampOutputFormat": "ISO8601_STRING"},
        "defaultDataset": {"projectId": "my-project-4711", "datasetId": "sales"},
        "location": "EU",
        "maximumBytesBilled": "1000000",
    }


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key_file(key_pair(1)), id="another key"),
        pytest.param(key_file(key_pair(), private_key_id="ffff"), id="another id"),
        pytest.param(key_file(key_pair(), client_email="other@example.com"), id="account"),
    ],
)
def test_a_wrong_key_is_refused_once(check: CheckWith, key: str) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(), key=key)
    assert (found.reason, names_of(found)) == (Reason.AUTH_FAILED, (*TLS_STAGES, "auth"))
    assert found.message.startswith(
        "the service does not accept what the key of the service account signed (authError: "
    )
    assert peer.failed_logins == 1


def test_the_key_inside_of_the_key_file_is_known_to_the_redactor() -> None:
    redactor, text = Redactor(), key_file(key_pair())
    redactor.add(text)  # as whoever resolved it does
    pem: str = json.loads(text)["private_key"]
    line = pem.splitlines()[8]
    assert redactor.redact(f"a {line} b") == f"a {line} b"
    with bigquery_peer() as peer:
        sql_token.made(peer.spec(), {"/auth/key": Secret(text)}, redactor, NOW)
    assert redactor.redact(f"a {line} b {pem} c") == "a *** b *** c"


def test_the_key_is_known_to_the_redactor_where_it_cannot_sign() -> None:
    redactor, text = Redactor(), key_file(key_pair(), private_key="no PEM text")
    with bigquery_peer() as peer, pytest.raises(SecretError):
        sql_token.made(peer.spec(), {"/auth/key": Secret(text)}, redactor, NOW)
    assert redactor.redact("a no PEM text b") == "a *** b"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_is_refused_and_what_was_signed_is_not_shown(
    check: CheckWith, hours: int
) -> None:
    with bigquery_peer() as peer:
        peer.now = NOW + timedelta(hours=hours)
        found = check(peer.spec())
        assert peer.server is not None
        sent = peer.server.requests[-1].headers["authorization"]
    assert found.reason is Reason.AUTH_FAILED
    assert "Bearer ***" in found.message
    assert not [part for part in sent.split(" ")[1].split(".") if part in repr(found)]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("none", "the secret at /auth/key is no key file of a service account"),
        ("[]", "the secret at /auth/key is no key file of a service account"),
        (
            key_file(key_pair(), private_key=7),
            "the secret at /auth/key is no key file of a service account",
        ),
        (
            key_file(key_pair(), private_key="none"),
            "the secret at /auth/key is no private key that can be read",
        ),
    ],
)
def test_what_cannot_sign_is_said_before_anything_is_sent(
    check: CheckWith, key: str, message: str
) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(), key=key)
        assert peer.server is not None
        assert peer.server.connections == 0
    assert (found.reason, names_of(found)) == (Reason.SECRET_UNRESOLVED, ("secret",))
    assert found.message == message


@pytest.mark.parametrize(
    ("query", "reason", "words"),
    [
        ("select * from nothing", Reason.QUERY_FAILED, "refuses the health query (notFound: "),
        ("select syntax", Reason.QUERY_FAILED, "(invalidQuery: syntax error"),
        ("select forbidden", Reason.PERMISSION_DENIED, "(accessDenied)"),
        ("select quota", Reason.RATE_LIMITED, "(quotaExceeded)"),
        ("select dear", Reason.QUERY_FAILED, "would be billed for more bytes"),
        ("select late", Reason.READ_TIMEOUT, "does not finish in time"),
    ],
)
def test_a_query_that_fails_is_said_with_its_reason(
    check: CheckWith, query: str, reason: Reason, words: str
) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(health={"query": query}))
    assert (found.reason, words in found.message) == (reason, True)
    assert names_of(found)[-1] == "query"


def test_a_missing_dataset_is_said(check: CheckWith) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(options={"dataset": "elsewhere"}))
    assert found.reason is Reason.DATABASE_MISSING
    assert found.message.startswith("there is no such project or dataset (notFound)")


@pytest.mark.parametrize("project", ["../other", "a b", "a/b", "x?y=1", "PROJECT"])
def test_what_no_project_is_called_is_not_asked_for(check: CheckWith, project: str) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(database=project))
        assert peer.server is not None
        assert peer.server.connections == 0
    assert found.reason is Reason.DATABASE_MISSING


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
    with bigquery_peer() as peer:
        peer.refusal = (status, {})
        assert check(peer.spec()).reason is reason


def test_a_slow_query_is_asked_for_until_it_ends(check: CheckWith) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(health={"query": "select 'slow'"}))
    assert (found.reason, names_of(found)) == (Reason.OK, (*TLS_STAGES, "query"))
    assert [asked["location"] for asked in peer.looked] == [["EU"]] * 3


def test_a_slow_query_is_left_at_the_deadline(check: CheckWith) -> None:
    with bigquery_peer() as peer:
        peer.looks = 10**6
        found = check(peer.spec(health={"query": "select 'slow'", "timeout": "700ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")
    assert peer.queries[0]["jobTimeoutMs"] == "1000"  # by then the service has ended it


@pytest.mark.parametrize("job", [None, "", 7, "../../other", "a/b", "x?y=1"])
def test_an_id_leads_to_no_other_path(check: CheckWith, job: Json) -> None:
    with bigquery_peer() as peer:
        peer.job = job
        found = check(peer.spec(health={"query": "select 'slow'"}))
    assert (found.reason, peer.looked) == (Reason.PROTOCOL_ERROR, [])


def test_an_unknown_authority_is_refused(check: CheckWith) -> None:
    with bigquery_peer() as peer:
        found = check(peer.spec(tls={"mode": "verify-full", "ca": {"file": Authority().pem}}))
        assert peer.server is not None
        assert (found.reason, names_of(found)[-1]) == (Reason.TLS_FAILURE, "tls")
        assert peer.server.requests == []


@pytest.mark.parametrize(("password", "reason"), [(PROXY_PASSWORD, "Ok"), ("wrong", "AuthFailed")])
def test_a_proxy_is_on_the_way(check: CheckWith, password: str, reason: str) -> None:
    with (
        bigquery_peer() as peer,
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
        pytest.param(answer(404), Reason.PROTOCOL_ERROR, id="404"),
        pytest.param(redirect("https://127.0.0.1:1/"), Reason.DESTINATION_DENIED, id="redirect"),
        pytest.param(endless_chunks(), Reason.BODY_TOO_LARGE, id="endless"),
    ],
)
def test_a_web_server_is_no_bigquery(check: CheckWith, route: Json, reason: Reason) -> None:
    with http_impostor({"/bigquery/v2/projects/orders/queries": route}) as server:
        found = check(impostor_spec("bigquery", server.port, AUTH))
    assert (found.reason, len(server.requests)) == (reason, 1)


def test_a_silent_server_is_left_at_the_deadline(check: CheckWith) -> None:
    with impostor(lambda client: client.wait()) as peer:
        found = check(impostor_spec("bigquery", peer.port, AUTH, health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


@pytest.mark.parametrize(
    ("query", "rows", "is_cut"),
    [
        ("select many", ((0,), (1,), (2,)), True),
        (
            "select types",
            (
                (
                    12345678901,
                    "1.50",
                    0.25,
                    False,
                    None,
                    "2026-03-01T00:00:00.000000Z",
                    '[{"v": "1"}, {"v": "2"}]',
                    "many",
                ),
            ),
            False,
        ),
    ],
)
def test_rows_are_read_up_to_a_limit_in_their_types(
    query: str, rows: tuple[tuple[object, ...], ...], is_cut: bool
) -> None:
    with bigquery_peer() as peer:
        known = {"/auth/key": Secret(key_file(key_pair()))}
        made = sql_token.made(peer.spec(), known, Redactor(), NOW)
        login, attempt = make_login(peer.spec(), "", peer.authority, made["authorization"])
        found = sql.read("bigquery", login, query, 3, attempt)
    assert (found.rows, found.is_cut) == (rows, is_cut)
