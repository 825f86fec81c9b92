"""`query` and `request`: what people see of a database and an API, and what is refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from reconciler.errors import ConfigError, ConnectionFailed
from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.connecting import connect, sql
from tests.e2e.projects import OK, Project, answer, api, bearer, sqlite_file
from tests.servers import firebird as firebird_server
from tests.servers import http_routes, oracle
from tests.servers.firebird import Firebird, firebird
from tests.servers.http import Server
from tests.servers.mariadb import PASSWORD, MariadbServer, mariadb
from tests.servers.postgresql import PostgresServer, postgresql
from tests.servers.snowflake import snowflake_peer
from tests.servers.sql_peers import Conversation, sql_peer

__all__ = ["firebird", "mariadb", "postgresql"]

TABLE = """\
id  name    price
 1  nail    0.25
 2  s\\x1bw  null
2 rows
"""
CSV = "id,name,price\n1,nail,0.25\n2,s\\x1bw,\n"


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm, env={"SECRET": "right"})


@pytest.fixture
def items(project: Project) -> Project:
    """Gives a project with an applied SQLite file; one of its texts is hostile."""
    with closing(sqlite3.connect(project.run.folder / "items.db")) as connection, connection:
        connection.execute("create table item (id int, name text, price real)")
        rows = [(1, "nail", 0.25), (2, "s\x1bw", None)]
        connection.executemany("insert into item values (?, ?, ?)", rows)
    project.declare(sqlite_file("items"))
    assert project("apply").code == 0
    return project


@pytest.fixture
def crm(project: Project, server: Server) -> Project:
    """Gives a project with an applied API that wants a token."""
    answer(server, {"crm": http_routes.login(http_routes.bearer("right"), OK)})
    manifest = api("crm", f"{server.url}/v1", auth=bearer("SECRET"), headers={"X-Own": "1"})
    project.declare(manifest)
    assert project("apply", "--health", "none").code == 0
    return project


# --- query -------------------------------------------------------------------------------------


def test_rows_are_a_table_that_a_terminal_does_not_obey(items: Project) -> None:
    ended = items("query", "items", "select * from item order by id;")
    assert (ended.code, ended.stdout, ended.stderr) == (0, TABLE, "")


def test_rows_are_csv(items: Project) -> None:
    assert items("query", "items", "select * from item order by id", "-o", "csv").stdout == CSV


def test_rows_are_json_with_the_types_of_json(items: Project) -> None:
    document = items.data("query", "items", "select *, id from item order by id")
    assert document["columns"] == ["id", "name", "price", "id_2"]
    assert document["rows"][1] == {"id": 2, "name": "s\x1bw", "price": None, "id_2": 2}
    assert document["truncated"] is False


def test_rows_are_json_lines_and_as_many_as_were_asked_for(items: Project) -> None:
    ended = items("query", "items", "select id from item order by 1", "--limit", "1", "-o", "jsonl")
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [{"id": 1}]
    assert ended.stderr == "there are more rows than 1: --limit\n"


def test_a_table_says_that_there_is_more(items: Project) -> None:
    ended = items("query", "items", "select id from item order by 1", "--limit", "1")
    assert ended.stdout == "id\n1\n1 row, and there are more: --limit\n"


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("delete from item", "does not begin with SELECT, VALUES, SHOW or WITH"),
        ("select 1; select 2", "has a `;`"),
        ("with a as (delete from item returning 1) select 1", "has the word INSERT, UPDATE"),
    ],
)
def test_a_statement_that_may_change_something_is_refused(
    items: Project, statement: str, why: str
) -> None:
    ended = items("query", "items", statement)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"error: the statement {why}" in ended.stderr


def test_a_refused_statement_says_that_texts_count_too(items: Project) -> None:
    hint = "= help: what stands in a text, a name or a comment counts too; `reconciler.connect`"
    for statement in ("select '/*'", "select 'a;b'", "select 1 -- update"):
        assert hint in items("query", "items", statement).stderr
    assert hint not in items("query", "items", "explain select 1").stderr


def test_a_refused_statement_shows_reason_stage_and_hint(items: Project) -> None:
    ended = items("query", "items", "select * from absent")
    assert (ended.code, ended.stdout) == (11, "")
    assert ended.stderr == (
        "error: SqlConnection/default/items: QueryFailed at query: the server refuses the"
        " statement (SQLITE_ERROR: no such table: absent)\n  = help: check the statement\n"
    )


def test_a_statement_ends_after_the_time_of_the_manifest(items: Project) -> None:
    items.declare(sqlite_file("items", timeout={"query": "300ms"}))
    items("apply")
    endless = "with recursive n(i) as (select 1 union all select i from n) select max(i) from n"
    ended = items("query", "items", endless)
    assert ended.code == 11
    assert "ReadTimeout at query: the statement does not finish in time" in ended.stderr


@pytest.mark.server
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_servers_answer_in_the_types_of_json(
    project: Project, postgresql: PostgresServer, mariadb: MariadbServer, engine: str
) -> None:
    if engine == "postgresql":
        role = postgresql.make_role("right")
        plain: JsonObject = {"mode": "disable"}
        manifest = sql("postgresql", postgresql.port, "postgres", role, tls=plain)
        password = "right"
        statement = "select 7 as n, true as t, null as z, 'a' as s, 1.50::numeric(9,2) as d"
        row = {"n": 7, "t": True, "z": None, "s": "a", "d": "1.50"}
    else:
        project.run.write("ca.pem", mariadb.authority)
        tls: JsonObject = {"mode": "verify-full", "ca": {"file": "ca.pem"}}
        manifest = sql("mariadb", mariadb.port, "orders", "report", tls=tls)
        password = PASSWORD
        statement = "select 7 as n, null as z, 'a' as s, 1.50 as d, date '2026-03-01' as day"
        row = {"n": 7, "z": None, "s": "a", "d": "1.50", "day": "2026-03-01"}
    project.declare(manifest)
    assert project("apply", SECRET=password).code == 0
    assert project.data("query", "orders", statement, SECRET=password)["rows"] == [row]


def test_an_engine_behind_an_http_api_is_queried_and_has_no_dialect(project: Project) -> None:
    with snowflake_peer() as peer:
        peer.now = None
        project.run.write("ca.pem", peer.authority)
        project.run.write("key.p8", peer.key.pem("right"))
        auth = peer.auth(key={"file": "key.p8"}, keyPassphrase={"env": "SECRET"})
        spec = peer.spec(auth=auth, tls={"ca": {"file": "ca.pem"}})
        project.declare({**sql("snowflake", 1, "", ""), "spec": spec})
        assert project("apply").code == 0
        document = project.data("query", "orders", "select many", "--limit", "2")
        with connect(project) as connection, pytest.raises(ConfigError, match="no dialect"):
            _ = connection.engine
    assert (document["rows"], document["truncated"]) == ([{"N": 0}, {"N": 1}], True)


@pytest.mark.server
def test_firebird_answers_and_has_no_engine_for_programs(
    project: Project, firebird: Firebird
) -> None:
    plain: JsonObject = {"mode": "disable"}
    project.declare(sql("firebird", firebird.port, "orders", "report", tls=plain))
    assert project("apply", SECRET=firebird_server.PASSWORD).code == 0
    statement = "select 7 as n, null as z, name as s, 1.50 as d from item where id = 1"
    found = project.data("query", "orders", statement, SECRET=firebird_server.PASSWORD)
    assert found["rows"] == [{"N": 7, "Z": None, "S": "pen", "D": "1.50"}]
    ended = project("query", "orders", "select next value for numbers from rdb$database")
    assert (ended.code, "takes a number from a sequence" in ended.stderr) == (2, True)
    with (
        connect(project, SECRET=firebird_server.PASSWORD) as orders,
        pytest.raises(ConfigError, match="SQLAlchemy has no dialect for firebird"),
    ):
        orders.engine.connect()


def test_a_refusal_by_oracle_reaches_programs_and_people(project: Project) -> None:
    def refuse(client: Conversation) -> None:
        oracle.receive_connect(client)
        client.send(oracle.accept())
        client.receive(1)
        client.send(oracle.error(28000, b"ORA-28000: the account is locked"))
        client.wait()

    with sql_peer(refuse) as peer:
        project.declare(sql("oracle", peer.port, "orders", "report", tls={"mode": "disable"}))
        assert project("apply", "--health", "none").code == 0
        ended = project("query", "orders", "select 1 from dual")
        assert ended.code == 11
        assert "AuthFailed at auth: the account is locked or disabled (ORA-28000: " in ended.stderr
        with (
            connect(project) as orders,
            pytest.raises(ConnectionFailed, match="the account is locked"),
        ):
            orders.engine.connect()


@pytest.mark.server
def test_a_server_runs_no_function_that_writes(
    project: Project, postgresql: PostgresServer
) -> None:
    role = postgresql.make_role("right")
    postgresql.execute(f"create sequence {role}_numbers")
    postgresql.execute(f"grant usage on sequence {role}_numbers to {role}")
    project.declare(sql("postgresql", postgresql.port, "postgres", role, tls={"mode": "disable"}))
    project("apply")
    ended = project("query", "orders", f"select nextval('{role}_numbers')")
    assert ended.code == 11
    assert "QueryFailed at query: the statement writes, and is run read-only" in ended.stderr


# --- request -----------------------------------------------------------------------------------


def test_a_path_is_appended_and_the_manifests_headers_are_sent(
    crm: Project, server: Server
) -> None:
    answer(server, {"v1/customers": http_routes.echo(200)})
    ended = crm("request", "crm", "get", "/customers?page=2", "-H", "Accept: text/plain")
    sent = json.loads(ended.stdout)
    assert (ended.code, server.requests[0].target) == (0, "/v1/customers?page=2")
    assert (sent["accept"], sent["x-own"]) == ("text/plain", "1")
    assert sent["authorization"] == "Bearer ***"


def test_an_answer_is_shown_as_head_and_as_json(crm: Project, server: Server) -> None:
    answer(server, {"v1/customers": http_routes.json_body({"a": [1, None]})})
    shown = crm("request", "crm", "GET", "/customers", "-o", "headers").stdout
    assert shown.splitlines()[:2] == ["HTTP 200", "Content-Type: application/json"]
    document = crm.data("request", "crm", "GET", "/customers")
    assert (document["status"], document["json"]) == (200, {"a": [1, None]})


def test_a_hostile_body_is_shown_and_not_obeyed(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": http_routes.answer(200, b"a\x1b[2Jb\xff\r\nend")})
    assert crm("request", "crm", "GET", "/x").stdout == "a\\x1b[2Jb\\xff\nend\n"


def test_an_error_of_the_server_is_exit_11_unless_allowed(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": http_routes.answer(500, b"sorry")})
    ended = crm("request", "crm", "GET", "/x")
    assert (ended.code, ended.stdout) == (11, "sorry\n")
    assert ended.stderr == "error: the server answers 500\n"
    assert crm("request", "crm", "GET", "/x", "--allow-errors").code == 0


def test_a_redirect_is_told_and_not_followed(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": http_routes.redirect("/v1/y")})
    ended = crm("request", "crm", "GET", "/x")
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr == "302 Found, location: /v1/y; not followed\n"
    assert crm("request", "crm", "GET", "/x", "-o", "headers").stderr == ""
    answer(server, {"v1/x": http_routes.answer(304)})
    assert crm("request", "crm", "GET", "/x").stderr == "304 Not Modified\n"


def test_what_may_change_something_needs_a_word(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": http_routes.answer(201)})
    ended = crm("request", "crm", "DELETE", "/x")
    assert (ended.code, server.requests) == (2, [])
    assert "= help: say --write" in ended.stderr
    crm.run.write("new.json", '{"a": 1}')
    wrote = crm("request", "crm", "POST", "/x", "--write", "--data", "@new.json")
    assert (wrote.code, server.requests[0].body) == (0, b'{"a": 1}')


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override", "x-http-method", "X-METHOD-OVERRIDE", "X_HTTP_Method"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_another_method_by_a_header_has_to_be_allowed(
    crm: Project, server: Server, method: str, header: str
) -> None:
    server.requests.clear()
    request = ("request", "crm", method, "/", "-H", f"{header}: DELETE")
    ended = crm(*request)
    assert (ended.code, server.requests) == (2, [])
    assert f"error: with the header `{header}` the request may change" in ended.stderr
    assert "= help: say --write" in ended.stderr
    crm(*request, "--write")
    assert len(server.requests) == 1


def test_a_body_has_to_be_allowed(crm: Project, server: Server) -> None:
    server.requests.clear()
    crm.run.write("new.json", "{}")
    ended = crm("request", "crm", "GET", "/", "--data", "@new.json")
    assert (ended.code, server.requests) == (2, [])
    assert "a request with a body may change something" in ended.stderr
    crm("request", "crm", "GET", "/", "--data", "@new.json", "--write")
    assert [request.body for request in server.requests] == [b"{}"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("GET", "x"), "the path does not begin with `/`"),
        (("GET", "/x?api_key=1"), "the path carries a credential in its parameter `api_key`"),
        (("GET", "/x", "-H", "Authorization: Bearer a"), "`Authorization` carries a credential"),
        (("GET", "/x", "-H", "Host: a"), "the header `Host` is set by the transport"),
        (("GET", "/x", "-H", "X-A: a\nb"), "= help: write its value on one line, in ASCII"),
        (("POST", "/x", "--write", "--data", "a=1"), "--data is `@FILE`, or `-`"),
        (("POST", "/x", "--write", "--data", "@nothing"), "cannot be read"),
    ],
)
def test_what_no_request_should_carry_is_refused(
    crm: Project, server: Server, args: tuple[str, ...], why: str
) -> None:
    server.requests.clear()
    ended = crm("request", "crm", *args)
    assert (ended.code, server.requests) == (2, [])
    assert why in ended.stderr


def test_a_body_without_end_is_refused(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": http_routes.endless_chunks()})
    ended = crm("request", "crm", "GET", "/x")
    assert (ended.code, ended.stdout) == (11, "")
    assert "BodyTooLarge at query: the body is larger than 16777216 bytes" in ended.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ("query", "crm", "select 1"),
            (
                "error: `ApiConnection/default/crm` is an API\n"
                "  = help: use `reconciler request ApiConnection/default/crm`\n"
            ),
        ),
        (
            ("request", "items", "GET", "/"),
            (
                "error: `SqlConnection/default/items` is a database\n"
                "  = help: use `reconciler query SqlConnection/default/items`\n"
            ),
        ),
    ],
    ids=["query", "request"],
)
def test_the_wrong_kind_is_a_usage_error(
    crm: Project, server: Server, args: tuple[str, ...], told: str
) -> None:
    crm.run.write("items.db", "")
    crm.declare(sqlite_file("items"), api("crm", server.url))
    crm("apply", "--health", "none")
    ended = crm(*args)
    assert (ended.code, ended.stderr) == (2, told)


def test_a_suspended_connection_is_used_only_when_told(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": OK})
    crm("suspend", "crm")
    ended = crm("request", "crm", "GET", "/x")
    assert (ended.code, server.requests) == (8, [])
    assert "--even-suspended does it all the same" in ended.stderr
    assert crm("request", "crm", "GET", "/x", "--even-suspended").code == 0


def test_a_refused_credential_is_sent_five_times_in_all(crm: Project, server: Server) -> None:
    answer(server, {"v1/x": http_routes.login(http_routes.bearer("right"), OK)})
    for _ in range(8):
        assert crm("request", "crm", "GET", "/x", SECRET="wrong").code == 11
    assert server.failed_logins == 5
    assert crm("request", "crm", "GET", "/x").code == 0
