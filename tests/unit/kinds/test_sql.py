from __future__ import annotations

from typing import Any

import pytest

from reconciler import kinds
from reconciler.kinds import sql
from reconciler.kinds.engine_traits import TRANSACT_SQL_WORDS
from reconciler.kinds.engines import ENGINES
from reconciler.model import Endpoint, Path

PASSWORD = {"method": "password", "username": "report", "password": {"env": "PASSWORD"}}


def make_server(**changes: Any) -> dict[str, Any]:
    return {"engine": "postgresql", "host": "db-7.internal", "database": "orders"} | changes


def make_file(database: str) -> dict[str, Any]:
    return {"engine": "sqlite", "database": database}


def found(spec: dict[str, Any]) -> list[tuple[str, Path]]:
    return [(finding.code, finding.path) for finding in sql.checks(spec)]


@pytest.mark.parametrize(
    "host", ["db", "db_1.internal", "10.0.0.7", "::1", "2001:db8::7", "DB.example.com."]
)
def test_a_name_or_address_is_a_host(host: str) -> None:
    assert found(make_server(host=host)) == []


@pytest.mark.parametrize(
    ("host", "message", "hint"),
    [
        ("db:5432", "the host has a port behind it", "write `port: 5432`"),
        (
            "postgresql://u:hunter2@db/orders",
            "the host is a URL",
            "write host, port, database and auth as fields",
        ),
        ("u@db", "the host is a URL", "write host, port, database and auth as fields"),
        (
            "/var/run/postgresql",
            "the host is a path",
            "a socket in the file system is `socket: PATH`",
        ),
        ("db1,db2", "the host is a list", "write one manifest for each host"),
        (
            "db.example;Server=evil",
            "the host is neither a name nor an address",
            "a name has letters, digits, `-`, `_` and dots only",
        ),
        (
            "{db}",
            "the host is neither a name nor an address",
            "a name has letters, digits, `-`, `_` and dots only",
        ),
        ("::g", "the host is no valid IPv6 address", ""),
        ("fe80::1%eth0", "the host is no valid IPv6 address", ""),
    ],
)
def test_what_is_no_host_is_refused_with_what_to_do(host: str, message: str, hint: str) -> None:
    assert list(sql.checks(make_server(host=host))) == [
        kinds.Finding(code="E117", path=("host",), message=message, hint=hint)
    ]


@pytest.mark.parametrize("path", ["orders.db", "data/orders.sqlite", "a b/..orders", "data/x..y"])
def test_a_path_under_the_root_is_a_database_file(path: str) -> None:
    assert found(make_file(path)) == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (":memory:", "a database in memory is empty whenever it is opened"),
        ("file:orders.db", "the database is a URL"),
        ("sqlite:///orders.db", "the database is a URL"),
        ("md:orders", "the database is a URL"),
        ("orders.db?mode=rwc", "the database is a URL"),
        ("orders\n.db", "the path has a control character"),
        ("orders.db\n", "the path has a control character"),
        ("/var/lib/orders.db", "the file is outside the project root"),
        ("~/orders.db", "the file is outside the project root"),
        ("data/../../orders.db", "the file is outside the project root"),
        ("..", "the file is outside the project root"),
        (".reconciler/state.db", "the file belongs to this tool"),
        ("./.Reconciler/state.db", "the file belongs to this tool"),
        ("data/", "the path names a folder"),
        (".", "the path names a folder"),
    ],
)
def test_what_is_no_database_file_is_refused(path: str, message: str) -> None:
    findings = list(sql.checks(make_file(path)))
    assert [(each.code, each.path, each.message) for each in findings] == [
        ("E120", ("database",), message)
    ]


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "  SELECT count(*)\nFROM orders",
        "values (1)",
        "SHOW server_version",
        "with a as (select 1) select * from a",
        "select updated_at from inserts",
    ],
)
def test_a_reading_query_is_accepted(query: str) -> None:
    assert found(make_server(health={"query": query})) == []


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("delete from x", "does not begin with SELECT, VALUES, SHOW or WITH"),
        ("copy x to program 'sh'", "does not begin with SELECT, VALUES, SHOW or WITH"),
        ("selectx", "does not begin with SELECT, VALUES, SHOW or WITH"),
        ("-- c\nselect 1", "does not begin with SELECT, VALUES, SHOW or WITH"),
        ("select 1; drop table x", "has a `;`: it is one statement"),
        ("select 1;", "has a `;`: it is one statement"),
        ("select /*!50000 1 */", "has a comment in `/* */`, which some servers execute"),
        ("select 1\0", "has a NUL character"),
        (
            "with a as (delete from x returning 1) select * from a",
            "has the word INSERT, UPDATE, DELETE, MERGE or INTO: a check changes nothing",
        ),
        (
            "select 1 INTO outfile 'x'",
            "has the word INSERT, UPDATE, DELETE, MERGE or INTO: a check changes nothing",
        ),
        (
            "select 1 from x for update",
            "has the word INSERT, UPDATE, DELETE, MERGE or INTO: a check changes nothing",
        ),
    ],
)
def test_any_other_query_is_refused(query: str, why: str) -> None:
    assert list(sql.checks(make_server(health={"query": query}))) == [
        kinds.Finding(
            code="E119",
            path=("health", "query"),
            message=f"the query {why}",
            hint="a check such as `select 1` reads one row",
        )
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="verified"),
        pytest.param({"tls": {"mode": "verify-ca"}}, [], id="authority"),
        pytest.param({"tls": {"mode": "require"}}, [("W201", ("tls", "mode"))], id="unverified"),
        pytest.param({"tls": {"mode": "disable"}}, [("W201", ("tls", "mode"))], id="plain"),
        pytest.param(
            {"tls": {"mode": "disable"}, "auth": PASSWORD},
            [("W202", ("tls", "mode"))],
            id="plain-with-password",
        ),
        pytest.param({"tls": {"mode": "disable"}, "host": "127.0.0.1"}, [], id="this-machine"),
    ],
)
def test_weak_tls_is_a_warning_where_somebody_is_on_the_way(
    changes: dict[str, Any], expected: list[tuple[str, Path]]
) -> None:
    assert found(make_server(**changes)) == expected


def test_a_duration_out_of_bounds_is_refused() -> None:
    assert found(make_server(timeout={"query": "2d"})) == [("E107", ("timeout", "query"))]


@pytest.mark.parametrize(
    ("spec", "endpoint"),
    [
        pytest.param(
            make_server(auth=PASSWORD),
            Endpoint(
                scheme="postgresql",
                host="db-7.internal",
                port=5432,
                text="postgresql://report@db-7.internal:5432/orders",
                method="password",
                username="report",
            ),
            id="server",
        ),
        pytest.param(
            make_server(engine="mysql", host="2001:DB8::7"),
            Endpoint(
                scheme="mysql",
                host="2001:db8::7",
                port=3306,
                text="mysql://[2001:DB8::7]:3306/orders",
                method="none",
            ),
            id="ipv6-without-login",
        ),
        pytest.param(
            make_file("data/orders.sqlite"),
            Endpoint(
                scheme="sqlite",
                host="",
                port=None,
                text="sqlite:data/orders.sqlite",
                method="none",
            ),
            id="file",
        ),
    ],
)
def test_the_endpoint_says_where_and_as_whom(spec: dict[str, Any], endpoint: Endpoint) -> None:
    normal = kinds.shape("SqlConnection").normalise({"spec": spec})
    assert sql.endpoint(normal["spec"]) == endpoint


CERTIFICATE = {"certificate": {"file": "a.pem"}, "key": {"env": "KEY"}}
BY_CERTIFICATE = {"method": "clientCertificate", "username": "report", **CERTIFICATE}
BY_DIRECTORY = {**PASSWORD, "method": "ldap"}
BY_TOKEN = {
    "method": "awsIam",
    "username": "report",
    "region": "eu-central-1",
    "accessKeyId": {"env": "ID"},
    "secretAccessKey": {"env": "KEY"},
}
MODE, OWN = ("tls", "mode"), ("tls", "clientCertificate")


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        pytest.param(
            {"engine": "redshift", "auth": BY_CERTIFICATE},
            ("auth", "method"),
            "`redshift` has no login by `clientCertificate`",
            id="method-of-another-engine",
        ),
        pytest.param(
            {"auth": BY_DIRECTORY, "tls": {"mode": "require"}},
            MODE,
            "`ldap` sends the password as it is, so the server must be verified",
            id="directory-unverified",
        ),
        pytest.param(
            {"auth": BY_TOKEN, "tls": {"mode": "require"}},
            MODE,
            "`awsIam` sends its token as it is, so the server must be verified",
            id="token-unverified",
        ),
        pytest.param(
            {
                "engine": "snowflake",
                "auth": {"method": "accessToken", "token": {"env": "TOKEN"}},
                "tls": {"mode": "disable"},
            },
            MODE,
            "`accessToken` sends its token as it is, so the server must be verified",
            id="header-unverified",
        ),
        pytest.param(
            {"auth": BY_TOKEN, "socket": "/run/postgresql/.s.PGSQL.5432", "host": None},
            ("socket",),
            "`awsIam` is for a server of AWS, and a socket is on this machine",
            id="token-to-a-socket",
        ),
        pytest.param(
            {"engine": "redshift", "auth": BY_TOKEN},
            ("auth", "method"),
            "`redshift` has no login by `awsIam`",
            id="token-for-another-engine",
        ),
        pytest.param(
            {"auth": BY_CERTIFICATE, "tls": {"mode": "disable"}},
            MODE,
            "the login is by a certificate, which only TLS can show",
            id="certificate-without-tls",
        ),
        pytest.param(
            {"auth": BY_CERTIFICATE, "tls": {"clientCertificate": CERTIFICATE}},
            OWN,
            "`auth` names the client certificate already",
            id="certificate-twice",
        ),
        pytest.param(
            {"engine": "mssql", "auth": PASSWORD, "tls": {"minimumVersion": "1.3"}},
            ("tls", "minimumVersion"),
            "a login to `mssql` is possible with TLS 1.2 only",
            id="newer-than-the-protocol",
        ),
        pytest.param(
            {"engine": "redshift", "tls": {"clientCertificate": CERTIFICATE}},
            OWN,
            "`redshift` takes no client certificate",
            id="certificate-of-another-engine",
        ),
        pytest.param(
            {"tls": {"mode": "disable", "ca": {"file": "ca.pem"}}},
            ("tls", "ca"),
            "`ca` belongs to TLS, which is off",
            id="authority-without-tls",
        ),
    ],
)
def test_what_an_engine_or_mode_cannot_do_is_said(
    changes: dict[str, Any], path: Path, message: str
) -> None:
    given = {name: value for name, value in make_server(**changes).items() if value is not None}
    (finding,) = sql.checks(given)
    assert (finding.code, finding.path, finding.message) == ("E113", path, message)


@pytest.mark.parametrize("auth", [BY_CERTIFICATE, BY_DIRECTORY, BY_TOKEN])
def test_a_login_over_verified_tls_is_fine(auth: dict[str, Any]) -> None:
    tls = {"mode": "verify-ca", "serverName": "db.internal", "minimumVersion": "1.3"}
    assert found(make_server(auth=auth, tls=tls)) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        pytest.param({"host": "10.4.7.12"}, ("host",), id="address"),
        pytest.param({"host": "2001:db8::7"}, ("host",), id="IPv6"),
        pytest.param({"tls": {"serverName": "10.4.7.12"}}, ("tls", "serverName"), id="certificate"),
    ],
)
def test_a_token_is_for_a_name(changes: dict[str, Any], path: Path) -> None:
    assert found(make_server(auth=BY_TOKEN, **changes)) == [("E117", path)]
    tls = {"serverName": "cloud.cx1.eu-central-1.rds.amazonaws.com"}
    assert found(make_server(auth=BY_TOKEN, host="10.4.7.12", tls=tls)) == []


def test_a_token_without_a_host_is_one_mistake() -> None:
    spec = make_server(auth=BY_TOKEN)
    del spec["host"]
    assert found(spec) == [("E103", ("host",))]


def test_a_version_of_tls_that_the_protocol_carries_is_fine() -> None:
    assert found(make_server(engine="mssql", auth=PASSWORD, tls={"minimumVersion": "1.2"})) == []


def test_a_wrong_name_of_the_certificate_is_an_invalid_host() -> None:
    spec = make_server(tls={"serverName": "db.internal:5432"})
    assert found(spec) == [("E117", ("tls", "serverName"))]


def test_a_statement_that_reads_has_no_problem() -> None:
    assert sql.query_problem("with a as (select 1) select * from a") == ""
    assert sql.query_problem("drop table a").startswith("does not begin with")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        pytest.param("select 1 commit delete t", "COMMIT", id="behind a statement"),
        pytest.param("select 1 Exec sp_who", "EXEC", id="any case"),
        pytest.param("select 1\ndrop\ttable t", "DROP", id="other space"),
        pytest.param("select 1drop table t", "DROP", id="behind a number"),
        pytest.param("select .5exec p", "EXEC", id="behind a fraction"),
        pytest.param("select 1.exec p", "EXEC", id="behind a point"),
        pytest.param("select $1exec p", "EXEC", id="behind money"),
        pytest.param("select 1eexec p", "EXEC", id="behind an exponent"),
        pytest.param("select 1e+5exec p", "EXEC", id="behind a whole exponent"),
        pytest.param("select 0xkill 5", "KILL", id="behind an empty binary"),
        pytest.param("select 0xafkill 5", "KILL", id="behind a binary"),
        pytest.param("select 'a'rollback", "ROLLBACK", id="behind a literal"),
        pytest.param("select [a]rollback", "ROLLBACK", id="behind a quoted name"),
        pytest.param("select 1 -- '\ncommit -- '", "COMMIT", id="between quotes in comments"),
        pytest.param("select next -- x\n value for s", "NEXT", id="a pair with a comment between"),
        pytest.param("select next--\n value for numbers", "NEXT", id="a comment right behind"),
        pytest.param("select * from openrowset(bulk 'a', single_clob) x", "OPENROWSET", id="call"),
    ],
)
def test_words_that_end_a_transaction_or_leave_it_are_found(query: str, word: str) -> None:
    said = sql.word_problem(query, TRANSACT_SQL_WORDS)
    assert said == f"has the word {word}: a check changes nothing"


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "select executed, drop_1, [1drop2], #drop, @exec, killed from backups",
        "select dropé, édrop from t",
        "select a from t order by a offset 5 rows fetch next 5 rows only",
    ],
)
def test_parts_of_longer_words_are_nothing(query: str) -> None:
    assert sql.word_problem(query, TRANSACT_SQL_WORDS) == ""


@pytest.mark.parametrize(
    ("engine", "query", "word"),
    [
        ("firebird", "select next  value for numbers from rdb$database", "NEXT"),
        ("firebird", "select next--\n value for numbers from rdb$database", "NEXT"),
        ("firebird", "select GEN_ID(numbers, 1) from rdb$database", "GEN_ID"),
        ("oracle", "select numbers.nextval from dual", "NEXTVAL"),
        ("oracle", "select numbers.--\nnextval from dual", "NEXTVAL"),
        ("oracle", 'select hr . "NEXTVAL" from dual', "NEXTVAL"),
        ("vertica", "select nextval('numbers')", "NEXTVAL"),
        ("snowflake", "select numbers.nextval", "NEXTVAL"),
    ],
)
def test_a_number_of_a_sequence_is_not_taken(engine: str, query: str, word: str) -> None:
    said = sql.word_problem(query, ENGINES[engine].query_words)
    assert said == f"has the word {word}: a check changes nothing"


@pytest.mark.parametrize(
    ("engine", "query"),
    [
        ("firebird", "select nextval from t fetch next 1 rows only"),
        ("oracle", "select nextvalue, next from t"),
        ("postgresql", "select nextval from t"),  # its transaction refuses the function
    ],
)
def test_words_of_another_engine_are_nothing(engine: str, query: str) -> None:
    assert sql.word_problem(query, ENGINES[engine].query_words) == ""


def test_an_engine_without_words_finds_none() -> None:
    assert sql.word_problem("select 1 commit", ()) == ""
