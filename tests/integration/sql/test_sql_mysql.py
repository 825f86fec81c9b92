"""MariaDB: each way in which a probe can end, on a real server."""

from __future__ import annotations

import socket

import pytest

from reconciler.model import Outcome, Reason
from tests.servers.certificates import Authority
from tests.servers.mariadb import MariadbServer
from tests.servers.sql_specs import Check, mariadb_spec, names_of

pytestmark = pytest.mark.server


def test_a_query_that_answers_is_ok(mariadb: MariadbServer, check: Check) -> None:
    found = check(mariadb_spec(mariadb))
    assert (found.outcome, found.reason, found.message) == (
        Outcome.OK,
        Reason.OK,
        "the query answered",
    )


def test_every_step_is_timed(mariadb: MariadbServer, check: Check) -> None:
    found = check(mariadb_spec(mariadb))
    assert names_of(found) == ("secret", "dns", "tcp", "tls", "auth", "query")


def test_without_tls_there_is_no_tls_stage(mariadb: MariadbServer, check: Check) -> None:
    found = check(mariadb_spec(mariadb, tls={"mode": "disable"}))
    assert names_of(found) == ("secret", "dns", "tcp", "auth", "query")


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require", "disable"])
def test_every_tls_mode_connects(mariadb: MariadbServer, check: Check, mode: str) -> None:
    tls = {"mode": mode, "ca": {"file": mariadb.authority}}
    assert check(mariadb_spec(mariadb, tls=tls)).reason is Reason.OK


def test_a_host_name_is_resolved(mariadb: MariadbServer, check: Check) -> None:
    assert check(mariadb_spec(mariadb, host="localhost")).reason is Reason.OK


@pytest.mark.parametrize(
    ("mode", "username"), [("verify-full", "twice"), ("require", "once"), ("disable", "never")]
)
def test_a_wrong_password_is_sent_once(
    mariadb: MariadbServer, check: Check, mode: str, username: str
) -> None:
    tls = {"mode": mode, "ca": {"file": mariadb.authority}}
    before = mariadb.failed_logins(username)
    found = check(mariadb_spec(mariadb, username, tls=tls), password="wrong")
    assert found.reason is Reason.AUTH_FAILED
    assert mariadb.failed_logins(username) - before == 1


def test_a_wrong_password_is_said_with_its_code(mariadb: MariadbServer, check: Check) -> None:
    found = check(mariadb_spec(mariadb), password="wrong")
    assert found.message == (
        "the user name or the password is refused"
        " (1045: Access denied for user 'report'@'127.0.0.1' (using password: YES))"
    )
    assert names_of(found)[-1] == "auth"


def test_a_good_login_is_made_once(mariadb: MariadbServer, check: Check) -> None:
    before = mariadb.logins("secure")
    found = check(mariadb_spec(mariadb, "secure"))
    assert (found.reason, mariadb.logins("secure") - before) == (Reason.OK, 1)


def test_a_missing_database_is_no_failed_login(mariadb: MariadbServer, check: Check) -> None:
    found = check(mariadb_spec(mariadb, "admin", database="elsewhere"))
    assert (found.reason, found.message) == (
        Reason.DATABASE_MISSING,
        "the server has no such database (1049: Unknown database 'elsewhere')",
    )


def test_a_database_that_may_not_be_used_is_a_missing_permission(
    mariadb: MariadbServer, check: Check
) -> None:
    found = check(mariadb_spec(mariadb, database="mysql"))
    assert (found.reason, found.message) == (
        Reason.PERMISSION_DENIED,
        (
            "the user lacks a permission"
            " (1044: Access denied for user 'report'@'%' to database 'mysql')"
        ),
    )


def test_without_a_user_name_the_operating_system_is_not_asked(
    mariadb: MariadbServer, check: Check
) -> None:
    found = check(mariadb_spec(mariadb, auth={"method": "none"}))
    assert (found.reason, found.message) == (
        Reason.AUTH_FAILED,
        (
            "the server wants a user name and a password, and the manifest gives none"
            " (1045: Access denied for user ''@'127.0.0.1' (using password: NO))"
        ),
    )


def test_a_closed_port_is_refused(mariadb: MariadbServer, check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = check(mariadb_spec(mariadb, port=port))
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.CONNECT_REFUSED,
        "the server refuses connections on this port",
        "tcp",
    )


@pytest.mark.parametrize(
    "tls",
    [
        pytest.param({"mode": "verify-full", "ca": {"file": Authority().pem}}, id="another"),
        pytest.param({"mode": "verify-full"}, id="machine"),
    ],
)
def test_an_unknown_authority_is_refused(
    mariadb: MariadbServer, check: Check, tls: dict[str, object]
) -> None:
    before = mariadb.logins("report")
    found = check(mariadb_spec(mariadb, tls=tls))
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.TLS_FAILURE,
        "the authority of the server's certificate is unknown",
        "tls",
    )
    assert mariadb.logins("report") == before


def test_a_query_ends_at_its_deadline(mariadb: MariadbServer, check: Check) -> None:
    health = {"query": "select sleep(30)", "timeout": "500ms"}
    found = check(mariadb_spec(mariadb, health=health))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


def test_a_query_that_writes_is_refused(mariadb: MariadbServer, check: Check) -> None:
    query = "insert into item values (3, 'nib')"
    found = check(mariadb_spec(mariadb, health={"query": query}))
    assert (found.reason, found.message) == (
        Reason.QUERY_FAILED,
        ("the health query writes, and is run read-only (1792)"),
    )


def test_a_query_is_one_statement(mariadb: MariadbServer, check: Check) -> None:
    found = check(mariadb_spec(mariadb, health={"query": "select 1; select 2"}))
    assert found.reason is Reason.QUERY_FAILED


def test_a_table_that_may_not_be_read_is_a_missing_permission(
    mariadb: MariadbServer, check: Check
) -> None:
    found = check(mariadb_spec(mariadb, health={"query": "select * from hidden"}))
    assert (found.reason, found.message) == (
        Reason.PERMISSION_DENIED,
        ("the user lacks a permission (1142: hidden)"),
    )


def test_of_many_rows_only_the_first_are_read(mariadb: MariadbServer, check: Check) -> None:
    health = {"query": "select * from seq_1_to_2000000000"}
    assert check(mariadb_spec(mariadb, "admin", health=health)).reason is Reason.OK


@pytest.mark.parametrize("query", ["select id from item where false", "show tables", "values (1)"])
def test_every_form_of_query_is_ok(mariadb: MariadbServer, check: Check, query: str) -> None:
    assert check(mariadb_spec(mariadb, health={"query": query})).reason is Reason.OK


def test_a_server_that_takes_tls_only_refuses_plain_text(
    mariadb: MariadbServer, check: Check
) -> None:
    found = check(mariadb_spec(mariadb, "secure", tls={"mode": "disable"}))
    assert found.reason is Reason.AUTH_FAILED


def test_option_files_change_nothing(
    mariadb: MariadbServer, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MYSQL_HOST", "MYSQL_PWD", "MYSQL_TCP_PORT", "USER", "LOGNAME"):
        monkeypatch.setenv(name, "nonsense")
    assert check(mariadb_spec(mariadb)).reason is Reason.OK


def test_a_failed_query_shows_nothing_of_rows(mariadb: MariadbServer, check: Check) -> None:
    query = "select extractvalue(1, concat('~', (select 'open row' from item limit 1)))"
    found = check(mariadb_spec(mariadb, health={"query": query}))
    assert found.message == "the server refuses the health query (1105: syntax error)"
