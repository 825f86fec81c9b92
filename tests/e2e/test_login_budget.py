"""The login budget: what servers that count logins see of a wrong credential, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import (
    OK,
    UNAUTHORIZED,
    Gate,
    Project,
    answer,
    api,
    asked,
    bearer,
    checked,
    standing,
)
from tests.servers import http_routes
from tests.servers.http import Server
from tests.servers.http_aws import Service
from tests.servers.http_digest import DigestLogin
from tests.servers.http_oauth1 import Provider
from tests.servers.mariadb import PASSWORD, MariadbServer, mariadb
from tests.servers.postgresql import PostgresServer, postgresql
from tests.servers.snowflake import snowflake_peer
from tests.servers.statements import key_pair

__all__ = ["mariadb", "postgresql"]

BUDGET = 5
PASSES = 8
STOPPED = "SUSPENDED by health TooManyFailures 5/0"
DIGEST: JsonObject = {"method": "digest", "username": "report", "password": {"env": "SECRET"}}
#: Ten connections, all of which may be asked at the same time.
TEN = tuple(f"api-{number}" for number in range(10))
AT_ONCE = {"RECONCILER_HEALTH_PER_HOST": "10"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An endpoint that takes one secret, here from the variable `SECRET`, and counts logins."""

    manifest: JsonObject
    right: str
    #: how often a wrong secret was sent
    failed_logins: Callable[[], int]
    wrong: str = "wrong"


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm, env={"SECRET": "wrong", **AT_ONCE})


@pytest.fixture
def api_target(server: Server) -> Target:
    answer(server, {"orders": http_routes.login(http_routes.bearer("right"), OK)})
    return Target(
        manifest=api("orders", server.url, auth=bearer("SECRET")),
        right="right",
        failed_logins=lambda: server.failed_logins,
    )


@pytest.fixture
def digest_target(server: Server) -> Target:
    answer(server, {"orders": DigestLogin(username="report", password="right").route()})
    return Target(
        manifest=api("orders", server.url, auth=DIGEST),
        right="right",
        failed_logins=lambda: server.failed_logins,
    )


@pytest.fixture
def oauth1_target(server: Server) -> Target:
    provider = Provider(consumer_key="client", consumer_secret="right", tokens={"": ""})
    answer(server, {"orders": provider.resource})
    auth = {"method": "oauth1", "consumerKey": "client", "consumerSecret": {"env": "SECRET"}}
    return Target(
        manifest=api("orders", server.url, auth={**auth, "realm": "Photos"}),
        right="right",
        failed_logins=lambda: server.failed_logins,
    )


@pytest.fixture
def aws_target(server: Server, run: Run) -> Target:
    run.write("key-id", "AKIAEXAMPLE")
    answer(server, {"orders": Service(access_key="AKIAEXAMPLE", secret_key="right").route})
    auth = {
        "method": "awsSigV4",
        "region": "eu-central-1",
        "service": "execute-api",
        "accessKeyId": {"file": "key-id"},
        "secretAccessKey": {"env": "SECRET"},
    }
    return Target(
        manifest=api("orders", server.url, auth=auth),
        right="right",
        failed_logins=lambda: server.failed_logins,
    )


@pytest.fixture
def snowflake_target(run: Run) -> Iterator[Target]:
    with snowflake_peer() as peer:
        peer.now = None
        run.write("ca.pem", peer.authority)
        auth = peer.auth(key={"env": "SECRET"})
        spec = peer.spec(auth=auth, tls={"ca": {"file": "ca.pem"}})
        yield Target(
            manifest={**sql("snowflake", 1, "", "", {}), "spec": spec},
            right=peer.key.pem(),
            failed_logins=lambda: peer.failed_logins,
            wrong=key_pair(1).pem(),
        )


@pytest.fixture
def postgresql_target(postgresql: PostgresServer) -> Target:
    role = postgresql.make_role("right")
    manifest = sql("postgresql", postgresql.port, "postgres", role, {"mode": "disable"})
    return Target(
        manifest=manifest, right="right", failed_logins=lambda: postgresql.failed_logins(role)
    )


@pytest.fixture
def mariadb_target(mariadb: MariadbServer, run: Run) -> Target:
    run.write("ca.pem", mariadb.authority)
    before = mariadb.failed_logins("report")
    tls: JsonObject = {"mode": "verify-full", "ca": {"file": "ca.pem"}}
    return Target(
        manifest=sql("mariadb", mariadb.port, "orders", "report", tls),
        right=PASSWORD,
        failed_logins=lambda: mariadb.failed_logins("report") - before,
    )


@pytest.fixture(
    params=[
        "api",
        "digest",
        "oauth1",
        "aws",
        "snowflake",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("mariadb", marks=pytest.mark.server),
    ]
)
def target(request: pytest.FixtureRequest) -> Target:
    target: Target = request.getfixturevalue(f"{request.param}_target")
    return target


def sql(engine: str, port: int, database: str, username: str, tls: JsonObject) -> JsonObject:
    return {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": "orders"},
        "spec": {
            "engine": engine,
            "host": "127.0.0.1",
            "port": port,
            "database": database,
            "auth": {"method": "password", "username": username, "password": {"env": "SECRET"}},
            "tls": tls,
        },
    }


def test_wrong_secret_is_sent_five_times_until_it_changes(project: Project, target: Target) -> None:
    project = replace(project, env={**project.env, "SECRET": target.wrong})
    project.declare(target.manifest)
    for command in ["apply", *["health"] * (PASSES - 1)]:
        assert project(command).code == 11
    assert target.failed_logins() == BUDGET
    described = project.data("describe", "orders")["connection"]["status"]
    assert (standing(described), described["isHealthy"]) == (STOPPED, False)

    unchanged = project.contents()
    assert project("apply").code == 0
    assert (target.failed_logins(), project.contents()) == (BUDGET, unchanged)

    resumed = project.data("apply", SECRET=target.right)
    fields = ("token", "password", "consumerSecret", "secretAccessKey", "key")
    assert [change["pointers"] for change in resumed["secretChanges"]] in [
        [[f"/spec/auth/{field}"]] for field in fields
    ]
    assert checked(resumed["health"]) == {"orders": "ACTIVE Ok 0/1"}
    assert target.failed_logins() == BUDGET


def test_connections_that_share_a_wrong_secret_send_it_five_times_in_all(
    project: Project, server: Server
) -> None:
    answer(server, {"one": UNAUTHORIZED, "two": UNAUTHORIZED})
    project.declare(*(api(name, server.url, auth=bearer("SECRET")) for name in ("one", "two")))
    for command in ("apply", "health", "health", "health"):
        assert project(command).code == 11
    assert len(asked(server)) == BUDGET
    assert {name: text.rpartition(" ")[0] for name, text in project.standings().items()} == {
        "one": "SUSPENDED by health LoginBudgetUsed",
        "two": "SUSPENDED by health LoginBudgetUsed",
    }


def test_a_path_that_needs_no_login_forgives_none(project: Project, server: Server) -> None:
    login = DigestLogin(username="report", password="right").route()
    answer(server, {"public": OK, "private": login})
    project.declare(*(api(name, server.url, auth=DIGEST) for name in ("public", "private")))
    for command in ["apply", *["health"] * (PASSES - 1)]:
        assert project(command).code == 11
    assert 0 < server.failed_logins <= BUDGET


def test_any_number_of_connections_may_share_a_right_secret(
    project: Project, server: Server
) -> None:
    answer(server, dict.fromkeys(TEN, OK))
    project.declare(*(api(name, server.url, auth=bearer("SECRET")) for name in TEN))
    assert checked(project.data("apply")["health"]) == dict.fromkeys(TEN, "ACTIVE Ok 0/1")
    assert project.query("select * from login_attempts") == []


def test_two_processes_at_once_send_a_wrong_secret_five_times_in_all(
    project: Project, server: Server
) -> None:
    gate = Gate()
    answer(server, dict.fromkeys(TEN, gate.before(UNAUTHORIZED)))
    project.declare(*(api(name, server.url, auth=bearer("SECRET")) for name in TEN))
    assert project("apply", "--health", "none").code == 0
    first = project.start("health")
    with gate.closed(project.start("health"), arrivals=BUDGET):
        pass
    first.communicate()
    counts = "select state, count(*) from login_attempts where state <> 'barred' group by state"
    assert project.query(counts) == [("failed", BUDGET)]
    assert project("health").code == 11
    assert len(asked(server)) == BUDGET
    assert project.query("select distinct phase, suspended_by from connections") == [
        ("SUSPENDED", "health")
    ]


def test_login_of_a_process_that_was_killed_counts_until_resume(
    project: Project, server: Server
) -> None:
    gate = Gate()
    answer(server, {"orders": gate.before(UNAUTHORIZED)})
    project.declare(api("orders", server.url, auth=bearer("SECRET")))
    assert project("apply", "--health", "none").code == 0
    process = project.start("health")
    with gate.closed(process, arrivals=1):
        process.kill()
    open_attempts = "select uid, state from login_attempts"
    (row,) = project.query("select uid from connections")
    assert project.query(open_attempts) == [(*row, "open")]

    overdue(project)
    health = project.data("health", code=11, RECONCILER_HEALTH_LOGIN_BUDGET="1")
    assert checked(health) == {"orders": "SUSPENDED by health LoginBudgetUsed 0/0"}
    assert asked(server) == ["orders"]

    assert project("resume", "orders", "--health", "none").code == 0
    health = project.data("health", code=11, RECONCILER_HEALTH_LOGIN_BUDGET="1")
    assert checked(health) == {"orders": "FAILED AuthFailed 1/0"}
    assert asked(server) == ["orders", "orders"]


def overdue(project: Project) -> None:
    """Moves the deadlines of all logins into the past, as waiting for them would."""
    project.execute("update login_attempts set deadline_at = '2020-01-01T00:00:00.000000Z'")
