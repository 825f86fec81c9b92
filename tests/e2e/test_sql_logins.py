"""Logins at databases that check no password of their own: by a directory, by a token of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy

import reconciler
from reconciler import config, connecting, redact
from reconciler.connecting.credentials import Ground
from reconciler.model import JsonObject, Reason
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.connecting import SECRET, Case, connect, sql, use
from tests.e2e.projects import Project, checked
from tests.servers.directory import PASSWORD, Place, start_place
from tests.servers.mariadb import MariadbServer, mariadb
from tests.servers.postgresql import PostgresServer
from tests.servers.rds import Account, Front, rds_front, trusting

__all__ = ["mariadb", "trusting"]

pytestmark = pytest.mark.server

BUDGET = 5
KEYS = Account()
TLS: JsonObject = {"mode": "verify-full", "ca": {"file": "ca.pem"}}
SELECT = sqlalchemy.text("select 1")


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with start_place(tmp_path_factory.mktemp("directory")) as found:
        yield found


@pytest.fixture
def front(trusting: PostgresServer) -> Iterator[Front]:
    with rds_front(trusting, KEYS) as found:
        yield found


@pytest.fixture(params=["ldap", "awsIam of PostgreSQL", "awsIam of MySQL"])
def case(request: pytest.FixtureRequest, project: Project) -> Iterator[Case]:
    if request.param == "ldap":
        yield ldap_case(project, request.getfixturevalue("place"))
        return
    is_mysql = request.param == "awsIam of MySQL"
    name = "mariadb" if is_mysql else "trusting"
    backend: PostgresServer | MariadbServer = request.getfixturevalue(name)
    with rds_front(backend, KEYS) as front:
        yield aws_case(project, "mysql" if is_mysql else "postgresql", front)


def ldap_case(project: Project, place: Place) -> Case:
    project.run.write("ca.pem", place.authority)

    def refused() -> int:
        return place.server.log_path.read_text().count("LDAP authentication failed for user")

    before = refused()
    auth = {"method": "ldap", "username": "report", "password": {"env": SECRET}}
    return Case(
        manifest=sql("postgresql", place.server.port, "postgres", "report", auth=auth, tls=TLS),
        right=PASSWORD,
        failed_logins=lambda: refused() - before,
    )


def aws_case(project: Project, engine: str, front: Front) -> Case:
    project.run.write("ca.pem", front.authority.pem)
    project.run.write("key-id", KEYS.access_key)
    auth = {
        "method": "awsIam",
        "username": "report",
        "region": KEYS.region,
        "accessKeyId": {"file": "key-id"},
        "secretAccessKey": {"env": SECRET},
    }
    manifest = sql(engine, front.port, "orders", "report", auth=auth, tls=TLS, host="localhost")
    return Case(
        manifest=manifest,
        right=KEYS.secret_key,
        failed_logins=lambda: len([fault for fault in front.faults if fault]),
    )


def apply(project: Project, case: Case, secret: str, code: int = 0) -> str:
    """Returns where the connection stands after it was applied and checked."""
    project.declare(case.manifest)
    return checked(project.data("apply", code=code, SECRET=secret)["health"])["orders"]


def test_what_a_check_finds_active_can_be_used(project: Project, case: Case) -> None:
    assert apply(project, case, case.right) == "ACTIVE Ok 0/1"
    with connect(project, SECRET=case.right) as orders:
        assert [use(orders), use(orders)] == [True, True]
    asked = project("query", "orders", "select 1 as one", "-o", "csv", SECRET=case.right)
    assert (asked.code, asked.stdout.split()) == (0, ["one", "1"])
    assert case.failed_logins() == 0


def test_what_a_check_finds_refused_cannot_be_used_and_locks_no_account(
    project: Project, case: Case
) -> None:
    assert apply(project, case, "wrong", 11) == "FAILED AuthFailed 1/0"
    with connect(project, SECRET="wrong") as orders:
        for _ in range(BUDGET - 1):
            with pytest.raises(reconciler.ConnectionFailed) as caught:
                use(orders)
            assert (caught.value.reason, caught.value.stage) == (Reason.AUTH_FAILED, "auth")
        with pytest.raises(reconciler.ConnectionFailed, match="the login budget of this"):
            use(orders)
    assert case.failed_logins() == BUDGET


def test_a_pool_makes_a_token_for_each_new_connection(project: Project, front: Front) -> None:
    case = aws_case(project, "postgresql", front)
    apply(project, case, case.right)
    now = config.now()
    front.now = lambda: now
    front.tokens.clear()
    variables = {SECRET: case.right}
    ground = Ground(
        settings=config.load({}, variables, str(project.run.folder)).settings,
        environment=variables,
        redactor=redact.Redactor(),
        clock=lambda: now,
    )
    with connecting.open_connection(ground, "orders", even_suspended=False) as orders:
        first = orders.engine.connect()
        now += timedelta(minutes=20)
        with orders.engine.connect() as second:
            assert second.execute(SELECT).scalar_one() == 1
        assert first.execute(SELECT).scalar_one() == 1  # a token is for the login alone
        first.invalidate()
        now += timedelta(minutes=20)
        with orders.engine.connect() as again, orders.engine.connect():
            assert again.execute(SELECT).scalar_one() == 1
        first.close()
    assert front.faults[-3:] == ["", "", ""]
    assert len(set(front.tokens)) == 3


def test_tokens_are_kept_nowhere(project: Project, front: Front) -> None:
    case = aws_case(project, "postgresql", front)
    apply(project, case, case.right)
    apply(project, case, "wrong", 11)
    kept = b"".join(path.read_bytes() for path in project.run.folder.rglob("*") if path.is_file())
    for token in front.tokens:
        assert token[-64:].encode() not in kept
    assert b"X-Amz-" not in kept
    assert len(front.tokens) == 2
