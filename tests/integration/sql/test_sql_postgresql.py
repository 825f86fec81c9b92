"""PostgreSQL: each way in which a probe can end, on a real server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from psycopg import pq

from reconciler.model import Outcome, Reason
from tests.servers.certificates import Authority
from tests.servers.postgresql import PostgresServer
from tests.servers.sql_specs import Check, Database, names_of, password_of

pytestmark = pytest.mark.server


def test_a_query_that_answers_is_ok(tls_database: Database, check: Check) -> None:
    found = check(tls_database.spec())
    assert (found.outcome, found.reason, found.message) == (
        Outcome.OK,
        Reason.OK,
        "the query answered",
    )


def test_every_step_is_timed(tls_database: Database, check: Check) -> None:
    assert names_of(check(tls_database.spec())) == ("secret", "dns", "tcp", "tls", "auth", "query")


def test_without_tls_there_is_no_tls_stage(plain_database: Database, check: Check) -> None:
    assert names_of(check(plain_database.spec())) == ("secret", "dns", "tcp", "auth", "query")


def test_the_address_is_told(plain_database: Database, check: Check) -> None:
    found = check(plain_database.spec())
    assert {stage.name.value: stage.detail for stage in found.stages}["tcp"] == "127.0.0.1"


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_every_tls_mode_connects(tls_database: Database, check: Check, mode: str) -> None:
    tls = {"mode": mode, "ca": {"file": tls_database.authority}}
    assert check(tls_database.spec(tls=tls)).reason is Reason.OK


def test_tls_can_be_off_where_a_server_has_it(tls_database: Database, check: Check) -> None:
    assert check(tls_database.spec(tls={"mode": "disable"})).reason is Reason.OK


def test_a_host_name_is_resolved(tls_database: Database, check: Check) -> None:
    assert check(tls_database.spec(host="localhost")).reason is Reason.OK


@pytest.mark.parametrize("mode", ["verify-full", "require", "disable"])
def test_a_wrong_password_is_sent_once(tls_database: Database, check: Check, mode: str) -> None:
    role = tls_database.server.make_role("right")
    tls = {"mode": mode, "ca": {"file": tls_database.authority}}
    found = check(tls_database.spec(auth=password_of(role), tls=tls), password="wrong")
    assert (found.reason, tls_database.server.failed_logins(role)) == (Reason.AUTH_FAILED, 1)


def test_a_wrong_password_is_said_with_its_code(tls_database: Database, check: Check) -> None:
    role = tls_database.server.make_role("right")
    found = check(tls_database.spec(auth=password_of(role)), password="wrong")
    assert found.message == (
        "the user name or the password is refused"
        f' (28P01: password authentication failed for user "{role}")'
    )
    assert found.hint == "check `auth.username` and the secret of `auth.password`"
    assert names_of(found)[-1] == "auth"


def test_a_good_login_is_made_once(tls_database: Database, check: Check) -> None:
    role = tls_database.server.make_role("right")
    found = check(tls_database.spec(auth=password_of(role)), password="right")
    assert (found.reason, tls_database.server.logins(role)) == (Reason.OK, 1)


@pytest.mark.parametrize("database", ["tls_database", "plain_database"])
def test_a_missing_database_is_no_failed_login(
    database: str, check: Check, request: pytest.FixtureRequest
) -> None:
    there: Database = request.getfixturevalue(database)
    found = check(there.spec(database="elsewhere"))
    assert (found.reason, found.message) == (
        Reason.DATABASE_MISSING,
        'the server has no such database (3D000: database "elsewhere" does not exist)',
    )


def test_connection_parameters_in_a_database_name_stay_a_name(
    plain_database: Database, check: Check
) -> None:
    found = check(plain_database.spec(database="host=evil.example user=x"))
    assert found.message == (
        "the server has no such database"
        ' (3D000: database "host=evil.example user=x" does not exist)'
    )


def test_a_role_that_may_not_connect_is_told_from_a_wrong_password(
    plain_database: Database, check: Check
) -> None:
    server = plain_database.server
    name = server.make_database()
    server.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    found = check(plain_database.spec(database=name))
    assert (found.reason, names_of(found)[-1]) == (Reason.PERMISSION_DENIED, "auth")


def test_without_a_user_name_nothing_is_sent(plain_database: Database, check: Check) -> None:
    found = check(plain_database.spec(auth={"method": "none"}))
    assert (found.reason, found.message, found.hint) == (
        Reason.AUTH_FAILED,
        "the server wants a user name and a password, and the manifest gives none",
        "give one: `auth: {method: password, username: NAME, password: {env: NAME}}`",
    )


def test_a_closed_port_is_refused(plain_database: Database, check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = check(plain_database.spec(port=port))
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.CONNECT_REFUSED,
        "the server refuses connections on this port",
        "tcp",
    )


def test_a_server_without_tls_is_sent_no_password(plain_database: Database, check: Check) -> None:
    role = plain_database.server.make_role("right")
    found = check(plain_database.spec(auth=password_of(role), tls={"mode": "verify-full"}))
    assert (found.reason, found.message, found.hint) == (
        Reason.TLS_FAILURE,
        "the server offers no TLS; nothing was sent",
        "switch TLS on at the server, or, where the network is trusted: `tls: {mode: disable}`",
    )
    assert plain_database.server.logins(role) == 0


def test_an_unknown_authority_is_refused(tls_database: Database, check: Check) -> None:
    tls = {"mode": "verify-full", "ca": {"file": Authority().pem}}
    found = check(tls_database.spec(tls=tls))
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.TLS_FAILURE,
        "the authority of the server's certificate is unknown",
        "tls",
    )


def test_the_authorities_of_the_machine_are_the_default(
    tls_database: Database, check: Check
) -> None:
    found = check(tls_database.spec(tls={"mode": "verify-full"}))
    assert (found.reason, found.message) == (
        Reason.TLS_FAILURE,
        "the authority of the server's certificate is unknown",
    )


def test_a_file_without_certificates_is_said(tls_database: Database, check: Check) -> None:
    found = check(tls_database.spec(tls={"mode": "verify-full", "ca": {"file": "nothing"}}))
    assert (found.reason, found.message) == (
        Reason.TLS_FAILURE,
        "the file of `tls.ca` holds no PEM certificate",
    )


def test_a_query_ends_at_its_deadline(plain_database: Database, check: Check) -> None:
    health = {"query": "select pg_sleep(30)", "timeout": "500ms"}
    found = check(plain_database.spec(health=health))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


def test_a_query_ends_at_the_timeout_of_the_connection(
    plain_database: Database, check: Check
) -> None:
    spec = plain_database.spec(
        health={"query": "select pg_sleep(30)"}, timeout={"connect": "5s", "query": "300ms"}
    )
    assert check(spec).reason is Reason.READ_TIMEOUT


def test_a_query_that_writes_is_refused(plain_database: Database, check: Check) -> None:
    query = "with new as (insert into item values (3) returning id) select id from new"
    found = check(plain_database.spec(health={"query": query}))
    assert (found.reason, found.message) == (
        Reason.QUERY_FAILED,
        ("the health query writes, and is run read-only (25006)"),
    )


def test_a_query_is_one_statement(plain_database: Database, check: Check) -> None:
    found = check(plain_database.spec(health={"query": "select 1; select 2"}))
    assert (found.reason, found.message) == (
        Reason.QUERY_FAILED,
        ("the server refuses the health query (42601)"),
    )


def test_a_table_that_may_not_be_read_is_a_missing_permission(
    plain_database: Database, check: Check
) -> None:
    found = check(plain_database.spec(health={"query": "select * from hidden"}))
    assert (found.reason, found.message) == (
        Reason.PERMISSION_DENIED,
        "the user lacks a permission (42501: hidden)",
    )


def test_of_many_rows_only_the_first_are_read(plain_database: Database, check: Check) -> None:
    health = {"query": "select generate_series(1, 2000000000)"}
    assert check(plain_database.spec(health=health)).reason is Reason.OK


def test_a_query_without_rows_is_ok(plain_database: Database, check: Check) -> None:
    health = {"query": "select id from item where false"}
    assert check(plain_database.spec(health=health)).reason is Reason.OK


def test_a_show_is_ok(plain_database: Database, check: Check) -> None:
    health = {"query": "show server_version"}
    assert check(plain_database.spec(health=health)).reason is Reason.OK


#: Every variable that libpq itself says it reads; a service is asked for below.
VARIABLES = sorted(option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "nonsense") for name in VARIABLES if name != "PGSERVICE"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGOPTIONS", "-c statement_timeout=1"),
        ("PGPORT", "1"),
        ("PGREQUIREAUTH", "password"),
        ("PGSSLMODE", "disable"),
        ("SSL_CERT_FILE", "/dev/null"),
    ],
)
def test_the_environment_changes_nothing(
    tls_database: Database, check: Check, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert check(tls_database.spec()).reason is Reason.OK


def test_a_service_file_changes_nothing(
    tls_database: Database, check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[evil]\nhost=192.0.2.1\nsslmode=disable\nuser=x\npassword=y\n")
    monkeypatch.setenv("PGSERVICE", "evil")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert check(tls_database.spec()).reason is Reason.OK


def test_a_server_that_is_full_is_a_server_error(
    postgresql: PostgresServer, plain_database: Database, check: Check
) -> None:
    role = postgresql.make_role("right")
    postgresql.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    found = check(plain_database.spec(auth=password_of(role)), password="right")
    assert (found.reason, found.message) == (
        Reason.SERVER_ERROR,
        f'the server has too many connections (53300: too many connections for role "{role}")',
    )


def test_a_failed_query_shows_nothing_of_rows(plain_database: Database, check: Check) -> None:
    query = "select cast((select 'open row ' || id from item limit 1) as int)"
    found = check(plain_database.spec(health={"query": query}))
    assert found.message == (
        "the server refuses the health query (22P02: a value cannot be converted)"
    )
