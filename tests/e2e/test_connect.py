"""`reconciler.connect`: applications use what the health pass checks, by the same code."""

from __future__ import annotations

import asyncio
import pickle
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import assert_type

import duckdb
import httpx
import pytest
import sqlalchemy

import reconciler
from reconciler.model import Json, JsonObject, Reason
from tests.corpus.canary import make_key
from tests.corpus.zygote import Zygote
from tests.e2e.command import Ended, Run
from tests.e2e.connecting import SECRET, Case, connect, descriptors, sql, use
from tests.e2e.projects import OK, Project, answer, api, bearer, checked, sqlite_file
from tests.servers import http_routes
from tests.servers.hop_targets import PROXY_PASSWORD
from tests.servers.http import Route, Server
from tests.servers.http_aws import Service
from tests.servers.http_digest import DigestLogin
from tests.servers.http_oauth1 import Provider
from tests.servers.mariadb import PASSWORD, MariadbServer, mariadb
from tests.servers.postgresql import PostgresServer, postgresql
from tests.servers.proxies import ProxyServer, proxy_server
from tests.servers.ssh import PASSWORD as SSH_PASSWORD
from tests.servers.ssh import USER, SshServer, ssh_server

__all__ = ["mariadb", "postgresql"]

BUDGET = 5
CRM = "ApiConnection/default/orders"
REFERENCE: JsonObject = {"env": SECRET}
#: Methods of an API, and the route that checks each.
METHODS = ("basic", "digest", "bearer", "apiKey", "headers", "oauth1", "awsSigV4")
CASES = (
    *METHODS,
    *(pytest.param(engine, marks=pytest.mark.server) for engine in ("postgresql", "mariadb")),
)


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm, env={"HOP": SSH_PASSWORD, "PROXY": PROXY_PASSWORD})


@pytest.fixture
def ssh(project: Project) -> Iterator[SshServer]:
    with ssh_server() as server:
        project.run.write("known_hosts", server.known_hosts)
        yield server


@pytest.fixture
def proxy() -> Iterator[ProxyServer]:
    with proxy_server("socks5", logins={"report": PROXY_PASSWORD}) as server:
        yield server


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, project: Project, server: Server) -> Case:
    match request.param:
        case "postgresql":
            return postgresql_case(request.getfixturevalue("postgresql"))
        case "mariadb":
            return mariadb_case(project, request.getfixturevalue("mariadb"))
        case method:
            return api_case(method, project, server)


def api_case(method: str, project: Project, server: Server) -> Case:
    project.run.write("key-id", "AKIAEXAMPLE")
    login = {"username": "report", "password": REFERENCE}
    headers = {"X-Key": REFERENCE, "X-Other": REFERENCE}
    oauth1 = {"consumerKey": "client", "consumerSecret": REFERENCE, "realm": "Photos"}
    aws = {"region": "eu-central-1", "service": "execute-api", "secretAccessKey": REFERENCE}
    consumer = Provider(consumer_key="client", consumer_secret="right", tokens={"": ""})
    is_key = http_routes.api_key("header", "x-key", "right")
    ways: dict[str, tuple[JsonObject, Route]] = {
        "basic": (login, http_routes.login(http_routes.basic("report", "right"), OK)),
        "digest": (login, DigestLogin(username="report", password="right").route()),
        "bearer": ({"token": REFERENCE}, http_routes.login(http_routes.bearer("right"), OK)),
        "apiKey": (
            {"in": "header", "name": "X-Key", "value": REFERENCE},
            http_routes.login(is_key, OK),
        ),
        "headers": ({"headers": headers}, http_routes.login(is_key, OK)),
        "oauth1": (oauth1, consumer.resource),
        "awsSigV4": (
            {**aws, "accessKeyId": {"file": "key-id"}},
            Service(access_key="AKIAEXAMPLE", secret_key="right").route,
        ),
    }
    auth, route = ways[method]
    answer(server, {"orders": route})
    return Case(
        manifest=api("orders", server.url, auth={"method": method, **auth}),
        right="right",
        failed_logins=lambda: server.failed_logins,
    )


def postgresql_case(server: PostgresServer, **spec: Json) -> Case:
    role = server.make_role("right")
    plain = {"tls": {"mode": "disable"}}
    return Case(
        manifest=sql("postgresql", server.port, "postgres", role, **plain, **spec),
        right="right",
        failed_logins=lambda: server.failed_logins(role),
    )


def mariadb_case(project: Project, server: MariadbServer, **spec: Json) -> Case:
    project.run.write("ca.pem", server.authority)
    before = server.failed_logins("report")
    tls = {"mode": "verify-full", "ca": {"file": "ca.pem"}}
    return Case(
        manifest=sql("mariadb", server.port, "orders", "report", tls=tls, **spec),
        right=PASSWORD,
        failed_logins=lambda: server.failed_logins("report") - before,
    )


def apply(project: Project, manifest: JsonObject, code: int = 0, **env: str) -> str:
    """Returns where the connection stands after it was applied and checked."""
    project.declare(manifest)
    return checked(project.data("apply", code=code, **env)["health"])["orders"]


# --- one code path -----------------------------------------------------------------------------


def test_what_a_check_finds_active_can_be_used(project: Project, case: Case) -> None:
    assert apply(project, case.manifest, SECRET=case.right) == "ACTIVE Ok 0/1"
    with connect(project, SECRET=case.right) as orders:
        assert [use(orders), use(orders)] == [True, True]
    assert case.failed_logins() == 0
    assert project.query("select * from login_attempts") == []


def test_what_a_check_finds_refused_cannot_be_used_and_locks_no_account(
    project: Project, case: Case
) -> None:
    assert apply(project, case.manifest, 11, SECRET="wrong") == "FAILED AuthFailed 1/0"
    assert case.failed_logins() == 1
    with connect(project, SECRET="wrong") as orders:
        for _ in range(BUDGET - 1):
            assert not is_let_in(orders)
        with pytest.raises(reconciler.ConnectionFailed, match="the login budget of this") as caught:
            use(orders)
    assert (caught.value.reason, caught.value.stage) == (Reason.AUTH_FAILED, "auth")
    assert case.failed_logins() == BUDGET
    assert checked(project.data("health", code=11, SECRET="wrong")) == {
        "orders": "SUSPENDED by health LoginBudgetUsed 1/0"
    }
    assert project("resume", "orders", SECRET=case.right).code == 0  # as the hint says
    with connect(project, SECRET=case.right) as orders:
        assert use(orders)


def is_let_in(connection: reconciler.Connection) -> bool:
    try:
        return use(connection)
    except reconciler.ConnectionFailed as failure:
        if failure.reason is not Reason.AUTH_FAILED:
            raise
        return False


@pytest.mark.server
def test_many_threads_with_a_wrong_password_send_it_five_times(
    project: Project, postgresql: PostgresServer
) -> None:
    case = postgresql_case(postgresql)
    project.declare(case.manifest)
    project("apply", "--health", "none")
    with connect(project, SECRET="wrong") as orders, ThreadPoolExecutor(15) as threads:
        assert not any(threads.map(lambda _: is_let_in(orders), range(30)))
    assert case.failed_logins() == BUDGET


@pytest.mark.server
@pytest.mark.parametrize("hop", ["ssh", "proxy", "both"])
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_databases_behind_hops_can_be_used(  # noqa: PLR0917 - a fixture each
    project: Project,
    postgresql: PostgresServer,
    mariadb: MariadbServer,
    ssh: SshServer,
    proxy: ProxyServer,
    engine: str,
    hop: str,
) -> None:
    way = hops(hop, ssh, proxy)
    case = (
        postgresql_case(postgresql, **way)
        if engine == "postgresql"
        else mariadb_case(project, mariadb, **way)
    )
    assert apply(project, case.manifest, SECRET=case.right) == "ACTIVE Ok 0/1"
    with connect(project, SECRET=case.right) as orders, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: use(orders), range(12))) == [True] * 12
    assert (ssh.failed_logins, proxy.failed_logins) == (0, 0)


@pytest.mark.parametrize("hop", ["ssh", "proxy", "both"])
def test_an_api_behind_hops_can_be_used(
    project: Project, server: Server, ssh: SshServer, proxy: ProxyServer, hop: str
) -> None:
    answer(server, {"orders": http_routes.login(http_routes.bearer("right"), OK)})
    manifest = api("orders", server.url, auth=bearer(SECRET), **hops(hop, ssh, proxy))
    assert apply(project, manifest, SECRET="right") == "ACTIVE Ok 0/1"
    before = ssh.logins
    with connect(project, SECRET="right") as orders:
        assert [use(orders) for _ in range(3)] == [True] * 3
    assert ssh.logins == before + (hop != "proxy")


def test_a_wrong_password_of_a_hop_is_sent_five_times_in_all(
    project: Project, server: Server, ssh: SshServer
) -> None:
    answer(server, {"orders": OK})
    apply(project, api("orders", server.url, **hops("ssh", ssh, None)), 11, HOP="wrong")
    reasons = []
    for _ in range(BUDGET + 2):
        with connect(project, HOP="wrong") as orders:
            for _ in range(2):
                with pytest.raises(reconciler.ConnectionFailed, match="at tunnel") as caught:
                    use(orders)
            reasons.append(caught.value.reason)
    assert reasons == ["AuthFailed"] * (BUDGET - 1) + ["LoginBudgetUsed"] * 3
    assert ssh.failed_logins == BUDGET


def hops(names: str, ssh: SshServer, proxy: ProxyServer | None) -> dict[str, Json]:
    blocks: dict[str, Json] = {}
    if names != "proxy":
        blocks["ssh"] = {
            "host": "127.0.0.1",
            "port": ssh.port,
            "username": USER,
            "password": {"env": "HOP"},
            "knownHosts": {"file": "known_hosts"},
        }
    if names != "ssh" and proxy is not None:
        login = {"username": "report", "password": {"env": "PROXY"}}
        blocks["proxy"] = {"url": proxy.url("socks5"), "auth": login}
    return blocks


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_files_can_be_read_and_not_written(project: Project, engine: str) -> None:
    make_file(project.run.folder / "orders.db", engine)
    manifest = sqlite_file("orders", engine=engine)
    assert apply(project, manifest) == "ACTIVE Ok 0/1"
    with connect(project) as orders, orders.engine.connect() as database:
        rows = database.execute(sqlalchemy.text("select id, name from item")).all()
        assert [tuple(row) for row in rows] == [(1, "nail")]
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            database.execute(sqlalchemy.text("insert into item values (2, 'screw')"))


def make_file(path: Path, engine: str) -> None:
    if engine == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute("create table item as select 1 as id, 'nail' as name")
        return
    made = sqlalchemy.create_engine(f"sqlite:///{path}")
    with made.begin() as database:
        database.exec_driver_sql("create table item (id int, name text)")
        database.exec_driver_sql("insert into item values (1, 'nail')")
    made.dispose()


# --- what is in force --------------------------------------------------------------------------


@pytest.fixture
def crm(project: Project, server: Server) -> Project:
    """Gives a project with one applied API."""
    answer(server, {"orders": http_routes.login(http_routes.bearer("right"), OK)})
    apply(project, api("orders", server.url, auth=bearer(SECRET)), SECRET="right")
    return project


@pytest.mark.parametrize("order", ["suspend", "archive"])
def test_what_people_took_out_of_service_is_refused_with_the_next_command(
    crm: Project, order: str
) -> None:
    assert crm(order, "orders", "--yes" if order == "archive" else "-q").code == 0
    with pytest.raises(reconciler.Held) as caught:
        connect(crm, SECRET="right")
    messages = {
        "suspend": (
            f"`{CRM}` is SUSPENDED by user and is not connected to",
            f"`reconciler describe {CRM}` says why; `reconciler resume {CRM}` ends it",
        ),
        "archive": (
            f"`{CRM}` is ARCHIVED and is not connected to",
            "declare it anew in a manifest: it becomes a new connection",
        ),
    }
    assert (caught.value.message, caught.value.hint) == messages[order]
    with connect(crm, SECRET="right", even_suspended=True) as orders:
        assert use(orders)


def test_a_suspension_is_noticed_while_the_connection_is_open(crm: Project) -> None:
    with connect(crm, SECRET="right") as orders:
        assert use(orders)
        crm("suspend", "orders")
        with pytest.raises(reconciler.Held):
            use_for(10.0, orders)


def use_for(seconds: float, connection: reconciler.Connection) -> None:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        use(connection)


def test_the_stored_spec_counts_and_not_the_manifest(crm: Project) -> None:
    crm.declare(api("orders", "http://127.0.0.1:1", auth=bearer(SECRET)))
    with connect(crm, SECRET="right") as orders:
        assert use(orders)


def test_a_rotated_secret_is_picked_up(project: Project, server: Server) -> None:
    secret = project.run.write("token", "first")
    secret.chmod(0o600)
    answer(server, {"orders": http_routes.login(http_routes.bearer("first"), OK)})
    apply(project, api("orders", server.url, auth={"method": "bearer", "token": {"file": "token"}}))
    with connect(project) as orders:
        assert use(orders)
        answer(server, {"orders": http_routes.login(http_routes.bearer("second"), OK)})
        assert not use(orders)
        secret.write_text("second")
        assert use(orders)


def test_a_stored_secret_is_asked_for_again_when_the_server_refuses_it(
    project: Project, server: Server
) -> None:
    key = make_key()
    auth = {"method": "bearer", "token": {"store": "token"}}

    def rotate(token: str) -> None:
        project.run("secret", "set", "token", stdin=token, env={"RECONCILER_KEY": key})
        answer(server, {"orders": http_routes.login(http_routes.bearer(token), OK)})

    rotate("first-token")
    apply(project, api("orders", server.url, auth=auth), RECONCILER_KEY=key)
    with connect(project, RECONCILER_KEY=key) as orders:
        assert use(orders)
        rotate("second-token")
        assert [use(orders), use(orders)] == [False, True]
    assert server.failed_logins == 1


def test_a_missing_secret_names_its_reference(crm: Project, server: Server) -> None:
    server.requests.clear()
    with connect(crm) as orders, pytest.raises(reconciler.SecretError, match="SECRET"):
        use(orders)
    assert server.requests == []
    assert crm("request", "orders", "GET", "/orders").code == 4


@pytest.mark.server
def test_a_rotated_password_is_picked_up_by_the_next_pooled_connection(
    project: Project, postgresql: PostgresServer
) -> None:
    secret = project.run.write("password", "right")
    secret.chmod(0o600)
    case = postgresql_case(postgresql)
    role = case.manifest["spec"]["auth"]["username"]
    case.manifest["spec"]["auth"]["password"] = {"file": "password"}
    apply(project, case.manifest)
    with connect(project) as orders:
        assert use(orders)
        postgresql.execute(f"ALTER ROLE \"{role}\" PASSWORD 'second'")
        secret.write_text("second")
        orders.engine.pool.dispose()
        assert use(orders)
    assert case.failed_logins() == 0


def test_last_use_is_shown_by_describe(crm: Project) -> None:
    assert crm.data("describe", "orders")["lastUsedAt"] is None
    assert "Last used  never" in crm("describe", "orders").stdout
    with connect(crm, SECRET="right") as orders:
        use(orders)
        use(orders)
    used_at = crm.data("describe", "orders")["lastUsedAt"]
    assert used_at.endswith("Z")
    assert f"Last used  {used_at[:16]}" in crm("describe", "orders").stdout


def test_a_request_to_another_server_is_refused_before_anything_is_sent(
    crm: Project, server: Server
) -> None:
    server.requests.clear()
    with (
        connect(crm, SECRET="right") as orders,
        pytest.raises(reconciler.ConnectionFailed) as caught,
    ):
        orders.client.get(f"http://localhost:{server.port}/orders")
    assert caught.value.reason is Reason.DESTINATION_DENIED
    assert server.requests == []


def test_a_redirect_is_not_followed(project: Project, server: Server) -> None:
    answer(server, {"orders": http_routes.redirect("http://127.0.0.1:1/")})
    project.declare(api("orders", server.url))
    project("apply", "--health", "none")
    with connect(project) as orders:
        assert orders.client.get("/orders").status_code == 302


def test_nothing_of_the_environment_of_the_process_is_used(
    crm: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with connect(crm, SECRET="right") as orders:
        assert use(orders)


# --- what applications get ---------------------------------------------------------------------


def test_an_async_client_runs_on_the_loop_of_its_user(crm: Project) -> None:
    async def gather() -> list[int]:
        async with connect(crm, SECRET="right") as orders:
            asked = (orders.async_client.get("/orders") for _ in range(10))
            return [response.status_code for response in await asyncio.gather(*asked)]

    before = threading.active_count()
    assert asyncio.run(gather()) == [200] * 10
    assert threading.active_count() == before


def test_an_async_client_under_a_plain_with_says_what_to_write(crm: Project) -> None:
    with connect(crm) as orders, pytest.raises(reconciler.ConfigError) as caught:
        _ = orders.async_client
    assert "async with reconciler.connect(" in caught.value.hint


def test_the_wrong_kind_is_said_with_the_right_one(crm: Project) -> None:
    with connect(crm) as orders, pytest.raises(reconciler.ConfigError) as caught:
        _ = orders.engine
    assert (caught.value.message, caught.value.hint) == (
        "`ApiConnection/default/orders` has no engine",
        "use `client` or `async_client`",
    )


def test_what_applications_get_has_its_type(crm: Project) -> None:
    """mypy checks these lines; what they say at run time is above."""
    connection = connect(crm)
    assert_type(connection, reconciler.Connection)
    with connection as entered:
        assert_type(entered, reconciler.Connection)
        assert_type(entered.client, httpx.Client)

    def of_others(other: reconciler.Connection) -> None:
        assert_type(other.engine, sqlalchemy.Engine)
        assert_type(other.async_client, httpx.AsyncClient)

    assert callable(of_others)


def test_the_example_of_the_readme_runs(project: Project, server: Server) -> None:
    make_file(project.run.folder / "orders.db", "sqlite")
    with closing(sqlite3.connect(project.run.folder / "orders.db")) as database:
        database.execute("create table orders (id int)")
    answer(server, {"crm": OK, "customers": http_routes.json_body([{"id": 7}])})
    orders = sqlite_file("orders")
    orders["metadata"]["namespace"] = "hr"
    project.declare(orders, api("crm", server.url, metadata={"namespace": "sales"}))
    assert project("apply").code == 0
    readme = Path("README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert project.run.python(example) == Ended(code=0, stdout="0\n[{'id': 7}]\n", stderr="")


def test_a_burst_with_a_wrong_credential_sends_it_five_times(crm: Project, server: Server) -> None:
    async def burst() -> list[str]:
        async with connect(crm, SECRET="wrong") as orders:
            asked = (orders.async_client.get("/orders") for _ in range(60))
            ended = await asyncio.gather(*asked, return_exceptions=True)
            return [str(getattr(each, "status_code", each)) for each in ended]

    ended = asyncio.run(burst())
    assert ended.count("401") == BUDGET
    assert sum("the login budget of this credential is used up" in text for text in ended) == 55
    assert server.failed_logins == BUDGET


def test_a_burst_with_a_good_credential_is_let_in(crm: Project, server: Server) -> None:
    async def burst() -> list[int]:
        async with connect(crm, SECRET="right") as orders:
            asked = (orders.async_client.get("/orders") for _ in range(60))
            return [response.status_code for response in await asyncio.gather(*asked)]

    assert asyncio.run(burst()) == [200] * 60
    assert crm.query("select * from login_attempts") == []


def test_an_async_client_behind_a_tunnel_leaves_nothing(
    project: Project, server: Server, ssh: SshServer
) -> None:
    answer(server, {"orders": OK})
    apply(project, api("orders", server.url, **hops("ssh", ssh, None)))
    before = ssh.logins

    async def ask() -> int:
        async with connect(project) as orders:
            await orders.async_client.get("/orders")
            return (await orders.async_client.get("/orders")).status_code

    threads = threading.active_count()
    assert asyncio.run(ask()) == 200
    assert (ssh.logins, threading.active_count()) == (before + 1, threads)


def test_an_accepted_credential_is_good_while_the_state_is_away(crm: Project) -> None:
    away = crm.run.folder / "away"
    with connect(crm, SECRET="right") as orders:
        assert use(orders)
        crm.state.parent.rename(away)
        assert use(orders)
        away.rename(crm.state.parent)
    crm.state.parent.rename(away)
    with pytest.raises(reconciler.StoreError):
        connect(crm, SECRET="right")


def test_an_unproved_credential_is_not_sent_where_it_cannot_be_counted(
    crm: Project, server: Server
) -> None:
    server.requests.clear()
    with connect(crm, SECRET="right") as orders:
        crm.state.parent.rename(crm.run.folder / "away")
        with pytest.raises(reconciler.StoreError):
            use(orders)
    assert server.requests == []
    assert not crm.state.exists()


def test_the_pool_is_the_manifests(project: Project) -> None:
    make_file(project.run.folder / "orders.db", "sqlite")
    apply(project, sqlite_file("orders", pool={"size": 2, "maxOverflow": 1}))
    with connect(project) as orders:
        pool = orders.engine.pool
        assert isinstance(pool, sqlalchemy.QueuePool)
        assert (pool.size(), pool._max_overflow) == (2, 1)


@pytest.mark.server
def test_the_server_ends_a_query_after_the_time_of_the_manifest(
    project: Project, postgresql: PostgresServer
) -> None:
    case = postgresql_case(postgresql)
    case.manifest["spec"]["timeout"]["query"] = "200ms"
    apply(project, case.manifest, SECRET="right")
    with (
        connect(project, SECRET="right") as orders,
        orders.engine.connect() as database,
        pytest.raises(sqlalchemy.exc.OperationalError, match="statement timeout"),
    ):
        database.execute(sqlalchemy.text("select pg_sleep(30)"))


@pytest.mark.server
def test_nothing_is_left_over(
    project: Project, postgresql: PostgresServer, ssh: SshServer, proxy: ProxyServer
) -> None:
    """Neither threads nor descriptors, though a connection was not given back to the pool."""
    case = postgresql_case(postgresql, **hops("both", ssh, proxy))
    apply(project, case.manifest, SECRET="right")

    def once() -> None:
        with connect(project, SECRET="right") as orders:
            taken = orders.engine.connect()
            assert taken.execute(sqlalchemy.text("select 1")).scalar_one() == 1
            assert use(orders)
        taken.invalidate()
        taken.close()

    once()
    before = len(threading.enumerate()), descriptors(0)
    for _ in range(3):
        once()
    assert (len(threading.enumerate()), descriptors(before[1])) == before


def test_a_closed_connection_says_so(crm: Project) -> None:
    orders = connect(crm, SECRET="right")
    client = orders.client
    orders.close()
    orders.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get("/orders")
    with pytest.raises(reconciler.ConfigError, match="is closed"):
        _ = orders.client


def test_a_connection_shows_and_gives_away_no_secret(crm: Project) -> None:
    with connect(crm, SECRET="right-and-long") as orders:
        assert repr(orders) == "Connection(ApiConnection/default/orders)"
        with pytest.raises(TypeError):
            pickle.dumps(orders)


def test_unknown_names_are_said_with_near_ones(crm: Project) -> None:
    with pytest.raises(reconciler.ConfigError) as caught:
        connect(crm, "order")
    assert "orders" in caught.value.hint


def test_without_a_state_nothing_is_made(project: Project) -> None:
    with pytest.raises(reconciler.StoreError):
        connect(project)
    assert not project.state.exists()


def test_importing_the_package_imports_no_library(run: Run) -> None:
    code = (
        "import sys, reconciler; reconciler.connect;"
        "print(sorted({'httpx', 'sqlalchemy', 'psycopg', 'click', 'pydantic'} & set(sys.modules)))"
    )
    assert run.python(code).stdout == "[]\n"
