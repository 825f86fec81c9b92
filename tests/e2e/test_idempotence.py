"""Applying what is applied already: not one byte of the state changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.model import Json
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import DOWN, OK, Project, answer, api, asked, bearer, sqlite_file
from tests.servers.http import Server


def manifests(server: Server) -> list[dict[str, Json]]:
    return [
        api("crm", server.url, auth=bearer("TOKEN"), metadata={"labels": {"team": "hr"}}),
        api("broken", server.url),
        api("parked", server.url, state="suspended"),
        api("never", server.url, state="archived"),
        sqlite_file("orders"),
    ]


@pytest.fixture(scope="module")
def applied(server: Server, warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(
        warm=warm, run=Run(folder=tmp_path_factory.mktemp("applied")), env={"TOKEN": "t"}
    )
    project.run.write("orders.db", "")
    project.declare(*manifests(server))
    answer(server, {"crm": OK, "broken": DOWN})
    assert project("apply").code == 11
    return project


@pytest.fixture
def project(applied: Project, server: Server, tmp_path: Path) -> Project:
    answer(server, {"crm": OK, "broken": DOWN})
    return applied.copy(tmp_path / "project")


def test_second_apply_writes_nothing_and_asks_nobody(project: Project, server: Server) -> None:
    before = project.contents()
    again = project.data("apply")
    assert (again["runId"], again["results"], again["health"]["checks"]) == ("", [], [])
    assert project.contents() == before
    assert asked(server) == []


def test_order_and_defaults_written_out_are_no_change(project: Project, server: Server) -> None:
    before = project.contents()
    crm, *others = manifests(server)
    crm["spec"] |= {"timeout": {"total": "1m", "connect": "5000ms"}, "tls": {"verify": True}}
    crm["metadata"] |= {"namespace": "default", "tags": []}
    project.declare(*reversed(others), crm)
    assert project("plan", "--detailed-exitcode").code == 0
    assert project("apply").code == 0
    assert project.contents() == before


def test_plan_writes_nothing_reads_no_secret_and_makes_no_store(
    run: Run, warm: Zygote, server: Server
) -> None:
    project = Project(run=run, warm=warm)
    project.declare(api("crm", server.url, auth=bearer("TOKEN")))
    answer(server, {"crm": OK})
    assert project("plan", "--detailed-exitcode").code == 10
    assert (asked(server), project.state.exists()) == ([], False)


def test_health_with_the_same_results_adds_no_event(project: Project) -> None:
    before = project.events()
    assert project("health", "crm", "orders").code == 0
    assert project.events() == before


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param("'0000 []'", id="forged"),
        pytest.param("substr(fact, 1, 80)", id="cut"),
        pytest.param("x'ff00'", id="bytes"),
        pytest.param("CAST(x'ff00' AS TEXT)", id="broken text"),
        pytest.param("replace(fact, ',1,', ',9,')", id="edited"),
    ],
)
def test_spoiled_memory_of_files_is_never_noticed(project: Project, fact: str) -> None:
    with closing(sqlite3.connect(project.run.folder / ".reconciler" / "state.db")) as state:
        assert state.execute(f"UPDATE readings SET fact = {fact}").rowcount > 0
        state.commit()
    assert project("plan", "--detailed-exitcode").code == 0
    again = project.data("apply")
    assert (again["runId"], again["results"]) == ("", [])
