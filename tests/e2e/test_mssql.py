"""SQL Server as people meet it: a manifest, its check, rows, and what is refused."""

from __future__ import annotations

import pytest

import reconciler
from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.connecting import SECRET, connect, sql
from tests.e2e.projects import Project
from tests.servers.mssql import DATABASE, PASSWORD, USER, Mssql, mssql_peer

TABLE = """\
id  name  is_paid  total   seen_at              digest
 1  ł𝄞    true     -12.34  2021-07-30 12:00:00  \\xcafe
1 row
"""


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm, env={SECRET: PASSWORD})


def manifest(project: Project, peer: Mssql) -> JsonObject:
    (project.run.folder / "ca.pem").write_text(peer.authority)
    tls = {"mode": "verify-full", "ca": {"file": "ca.pem"}}
    return sql("mssql", peer.port, DATABASE, USER, tls=tls)


def test_a_database_is_checked_and_read(project: Project) -> None:
    with mssql_peer() as peer:
        peer.rows = 1
        project.declare(manifest(project, peer))
        assert project("apply").code == 0
        ended = project("query", "orders", "select * from item")
    assert (ended.code, ended.stdout, ended.stderr) == (0, TABLE, "")


def test_a_statement_that_could_end_its_transaction_is_not_sent(project: Project) -> None:
    with mssql_peer() as peer:
        project.declare(manifest(project, peer))
        assert project("apply", "--health", "none").code == 0
        ended = project("query", "orders", "select 1 commit drop table item")
    assert (ended.code, peer.peer.connections) == (11, 0)
    assert "QueryFailed at query: the statement has the word COMMIT\n" in ended.stderr


def test_a_wrong_password_is_sent_once_by_a_check(project: Project) -> None:
    with mssql_peer() as peer:
        peer.users[USER] = "another"
        project.declare(manifest(project, peer))
        ended = project("apply")
    assert (ended.code, peer.failed_logins) == (11, 1)
    assert PASSWORD not in ended.stdout + ended.stderr


def test_programs_are_told_that_there_is_no_dialect(project: Project) -> None:
    with mssql_peer() as peer:
        project.declare(manifest(project, peer))
        assert project("apply").code == 0
        with (
            connect(project) as connection,
            pytest.raises(reconciler.ConfigError, match="SQLAlchemy has no dialect for mssql"),
        ):
            _ = connection.engine
