"""Secrets that come, go and change between runs: what is stored, said and counted."""

from __future__ import annotations

import pytest

from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import OK, Project, answer, api, asked, bearer, checked
from tests.servers import http_routes
from tests.servers.http import Server


@pytest.fixture
def project(run: Run, warm: Zygote, server: Server) -> Project:
    answer(server, {"crm": OK, "erp": OK})
    project = Project(run=run, warm=warm)
    project.declare(*(api(name, server.url, auth=bearer(name.upper())) for name in ("crm", "erp")))
    return project


def test_unresolved_secret_ends_with_4_after_everything_else_is_done(
    project: Project, server: Server
) -> None:
    ended = project("apply", CRM="here")
    assert ended.code == 4
    assert "`ApiConnection/default/erp`: " in ended.stderr
    assert asked(server) == ["crm"]
    assert project.standings() == {
        "crm": "ACTIVE Ok 0/1",
        "erp": "PENDING SecretUnresolved 0/0",
    }


def test_suspended_connection_needs_no_secret(project: Project, server: Server) -> None:
    auth = bearer("NOWHERE")
    project.declare(api("crm", server.url, auth=auth, state="suspended"))
    assert project("apply").code == 0
    assert project("apply").code == 0
    project.declare(api("crm", server.url, auth=auth))
    assert project("apply").code == 4


def test_secret_rotated_together_with_a_rename_is_seen(project: Project, server: Server) -> None:
    answer(server, {"crm": OK, "erp": OK, "sales": OK})
    assert project("apply", CRM="here", ERP="here").code == 0
    project.declare(
        api("sales", server.url, metadata={"previousNames": ["crm"]}, auth=bearer("CRM")),
        api("erp", server.url, auth=bearer("ERP")),
    )
    applied = project.data("apply", CRM="rotated", ERP="here")
    assert [change["pointers"] for change in applied["secretChanges"]] == [["/spec/auth/token"]]


def test_secret_that_goes_keeps_the_phase_and_is_not_counted(project: Project) -> None:
    assert project("apply", CRM="here", ERP="here").code == 0
    assert checked(project.data("health", code=4, CRM="here")) == {
        "crm": "ACTIVE Ok 0/1",
        "erp": "ACTIVE SecretUnresolved 0/1",
    }
    back = project.data("apply", "--health", "all", CRM="here", ERP="here")
    assert back["secretChanges"] == []
    assert checked(back["health"]) == {"crm": "ACTIVE Ok 0/1", "erp": "ACTIVE Ok 0/1"}


def test_rotated_file_is_a_changed_secret_and_a_newline_is_none(
    run: Run, warm: Zygote, server: Server
) -> None:
    answer(server, {"crm": http_routes.login(http_routes.bearer("second"), OK)})
    project = Project(run=run, warm=warm)
    auth = {"method": "bearer", "token": {"file": "token"}}
    project.declare(api("crm", server.url, auth=auth))
    run.write("token", "first")
    assert project("apply").code == 11
    run.write("token", "first\n")
    assert project("apply").code == 0
    assert (server.failed_logins, project.events()[-1][0]) == (1, "transition")
    run.write("token", "second\n")
    assert project("plan", "--detailed-exitcode").code == 0
    planned = project.data("plan", "--secrets", "--detailed-exitcode", code=10)
    assert [change["pointers"] for change in planned["secretChanges"]] == [["/spec/auth/token"]]
    assert checked(project.data("apply")["health"]) == {"crm": "ACTIVE Ok 0/1"}


def test_plan_reads_no_secret_and_says_so(project: Project) -> None:
    ended = project("plan")
    assert ended.code == 0
    assert "no secret was read; `--secrets` compares them" in ended.stdout


def test_kept_credential_to_another_destination_is_said_in_the_plan(
    project: Project, server: Server
) -> None:
    assert project("apply", "--health", "none").code == 0
    project.declare(api("crm", "https://elsewhere.example.com", auth=bearer("CRM")))
    (change,) = project.data("plan", "--select", "crm")["changes"]
    assert change["credentialRebind"] == f"{server.url} -> https://elsewhere.example.com:443"
