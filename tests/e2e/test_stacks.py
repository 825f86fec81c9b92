"""Stacks that share a state: each command looks at its own unless told otherwise."""

from __future__ import annotations

import json

import pytest

from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import OK, Project, answer, api, asked
from tests.servers.http import Server


@pytest.fixture
def project(run: Run, warm: Zygote, server: Server) -> Project:
    answer(server, {"crm": OK, "erp": OK})
    project = Project(run=run, warm=warm)
    for stack, name in (("test", "crm"), ("prod", "erp")):
        run.write(f"{stack}/all.yaml", json.dumps(api(name, server.url)))
        assert project("apply", stack, "--stack", stack, "--health", "none").code == 0
    return project


def test_health_contacts_its_own_stack_alone(project: Project, server: Server) -> None:
    ended = project("health", "--stack", "test")
    assert ended.code == 0
    assert asked(server) == ["crm"]
    assert "1 connection of other stacks: --all-stacks" in ended.stderr


def test_health_of_all_stacks_contacts_all(project: Project, server: Server) -> None:
    assert project("health", "--all-stacks").code == 0
    assert sorted(asked(server)) == ["crm", "erp"]


def test_status_lists_its_own_stack(project: Project) -> None:
    assert "erp" in project("status", "--stack", "prod").stdout
    assert "crm" not in project("status", "--stack", "prod").stdout


def test_status_of_all_stacks_lists_all(project: Project) -> None:
    shown = project("status", "--all-stacks", "-o", "wide").stdout
    assert all(word in shown for word in ("crm", "erp", "test", "prod"))


def test_names_of_connections_complete(project: Project) -> None:
    words = {"COMP_WORDS": "reconciler describe default/c", "COMP_CWORD": "2"}
    ended = project.run(env={**words, "_RECONCILER_COMPLETE": "bash_complete"})
    assert ended.stdout == "plain,default/crm\n"
