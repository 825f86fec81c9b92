"""The lifecycle table, what people do: each row through the command line, in every state at once.

A project with a connection in each state is made once; each test works in a copy of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model import Json, JsonObject
from reconciler.status import Signal
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.lifecycle import SH, SU, A, F, P, X, reaches
from tests.e2e.projects import BUSY, DOWN, OK, Project, answer, api, asked, bearer, checked
from tests.servers.http import Server

#: In this order: PENDING, ACTIVE, FAILED, and suspended by health.
PROBED_OR_STOPPED = ("pending", "active", "failed", "stopped")
LIVE = (*PROBED_OR_STOPPED, "held", "parked")
ROUTES = {
    "pending": BUSY,
    "active": OK,
    "failed": DOWN,
    "stopped": DOWN,
    "held": OK,
    "parked": OK,
    "gone": OK,
}
BEFORE = {
    "pending": "PENDING RateLimited 0/0",
    "active": "ACTIVE Ok 0/1",
    "failed": "FAILED ServerError 1/0",
    "stopped": "SUSPENDED by health TooManyFailures 1/0",
    "held": "SUSPENDED by user SuspendedByCommand 0/1",
    "parked": "SUSPENDED by user SuspendedByManifest 0/0",
    "gone": "ARCHIVED ArchivedByCommand 0/1",
}


def variable(name: str) -> str:
    return f"TOKEN_{name.upper()}"


def manifest(
    name: str, url: str, *, metadata: JsonObject | None = None, **spec: Json
) -> JsonObject:
    """Returns the manifest of the connection `name` of the prepared project, with changes."""
    limits = {"suspendAfter": 1 if name == "stopped" else 5}
    state = "suspended" if name == "parked" else "active"
    whole = {"auth": bearer(variable(name)), "health": limits, "state": state, **spec}
    return api(name, url, metadata=metadata, **whole)


@pytest.fixture(scope="module")
def prepared(server: Server, warm: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Project:
    tokens = {variable(name): f"first-{name}" for name in ROUTES}
    project = Project(run=Run(folder=tmp_path_factory.mktemp("orders")), warm=warm, env=tokens)
    project.declare(*(manifest(name, server.url) for name in ROUTES))
    answer(server, ROUTES)
    assert project("apply").code == 11
    assert project("suspend", "held").code == 0
    assert project("archive", "gone").code == 0
    return project


@pytest.fixture
def project(prepared: Project, server: Server, tmp_path: Path) -> Project:
    """A copy of the prepared project, all of whose endpoints answer well."""
    answer(server, dict.fromkeys(ROUTES, OK))
    return prepared.copy(tmp_path / "project")


def test_project_is_prepared_in_every_state(project: Project) -> None:
    assert project.standings() == BEFORE


def test_new_connection_starts_as_its_manifest_says(server: Server, run: Run, warm: Zygote) -> None:
    project = Project(run=run, warm=warm)
    states = ("active", "suspended", "archived")
    project.declare(*(api(state, server.url, state=state) for state in states))
    (told,) = project.data("apply", "--health", "none")["notices"]
    assert (told["name"], told["reason"]) == (
        "archived",
        "`state: archived`, and there is no live connection to archive",
    )
    assert project.standings() == {
        "active": "PENDING Applied 0/0",
        "suspended": "SUSPENDED by user SuspendedByManifest 0/0",
    }


@reaches(Signal.ACCESS_CHANGED, P, A, F, SU, SH)
def test_changed_access_is_pending_and_probed_at_once_but_suspended_by_user_stays(
    project: Project, server: Server
) -> None:
    project.declare(
        *(manifest(name, f"{server.url}/v2") for name in LIVE), manifest("gone", server.url)
    )
    server.routes.update({f"/v2/{name}": BUSY for name in LIVE})
    health = project.data("apply", code=11)["health"]
    assert [check["before"] for check in health["checks"]] == ["PENDING"] * 4
    assert asked(server) == ["v2/active", "v2/failed", "v2/pending", "v2/stopped"]
    unsettled = dict.fromkeys(PROBED_OR_STOPPED, "PENDING RateLimited 0/0")
    assert project.standings() == {**BEFORE, **unsettled}
    moved = ("active", "failed", "stopped")
    assert {("updated", name, "SpecChanged") for name in moved} <= set(project.events())


@reaches(Signal.SECRET_CHANGED, P, A, F, SU, SH)
def test_changed_secret_is_pending_and_probed_at_once_but_suspended_by_user_stays(
    project: Project, server: Server
) -> None:
    answer(server, dict.fromkeys(ROUTES, BUSY))
    tokens = {variable(name): f"second-{name}" for name in ROUTES}
    health = project.data("apply", code=11, **tokens)["health"]
    assert [check["before"] for check in health["checks"]] == ["PENDING"] * 4
    assert asked(server) == ["active", "failed", "pending", "stopped"]
    unsettled = dict.fromkeys(PROBED_OR_STOPPED, "PENDING RateLimited 0/0")
    assert project.standings() == {**BEFORE, **unsettled}
    assert {
        ("secret-changed", name, "SecretChanged") for name in (*PROBED_OR_STOPPED, "held")
    } <= set(project.events())


@reaches(Signal.OTHER_CHANGED, P, A, F, SU, SH)
def test_other_change_metadata_and_rename_keep_status_counters_and_uid(
    project: Project, server: Server
) -> None:
    before = project.statuses()
    changed = [
        {
            **(old := manifest(name, server.url)),
            "metadata": {
                "name": f"{name}-new",
                "previousNames": [name],
                "description": "has another name, and is checked less often",
            },
            "spec": {**old["spec"], "health": {**old["spec"]["health"], "interval": "1h"}},
        }
        for name in LIVE
    ]
    project.declare(*changed, manifest("gone", server.url))
    assert project("apply", "--health", "none").code == 0
    after = project.statuses()
    for name in LIVE:
        old, new = before[name], after[f"{name}-new"]
        assert (new["uid"], new["status"]) == (old["uid"], old["status"])
        assert new["generation"] == old["generation"] + 1


@reaches(Signal.SUSPEND, P, A, F, SU, SH)
def test_suspend_suspends_by_user_whatever_is_not_yet(project: Project, server: Server) -> None:
    ended = project("suspend", "--reason", "moves", *PROBED_OR_STOPPED, "held")
    assert (ended.code, ended.stderr) == (0, "ApiConnection/default/held is SUSPENDED already\n")
    assert project.standings() == {
        **BEFORE,
        "pending": "SUSPENDED by user SuspendedByCommand 0/0",
        "active": "SUSPENDED by user SuspendedByCommand 0/1",
        "failed": "SUSPENDED by user SuspendedByCommand 1/0",
        "stopped": "SUSPENDED by user SuspendedByCommand 1/0",
    }


def test_suspended_connection_is_not_probed_and_keeps_its_secrets(
    project: Project, server: Server
) -> None:
    kept = "select fingerprints from connections where name = 'held'"
    before = project.query(kept)
    assert project("health", "held").code == 0
    assert asked(server) == []
    assert project.query(kept) == before != [("[]",)]


@reaches(Signal.SUSPEND, P, A, F, SH)
def test_manifest_that_says_suspended_suspends_by_user(project: Project, server: Server) -> None:
    project.declare(*(manifest(name, server.url, state="suspended") for name in PROBED_OR_STOPPED))
    assert project("apply", "--health", "none").code == 0
    assert project.standings() == {
        **BEFORE,
        "pending": "SUSPENDED by user SuspendedByManifest 0/0",
        "active": "SUSPENDED by user SuspendedByManifest 0/1",
        "failed": "SUSPENDED by user SuspendedByManifest 1/0",
        "stopped": "SUSPENDED by user SuspendedByManifest 1/0",
    }


@reaches(Signal.RESUME, P, A, F, SU, SH)
def test_resume_makes_suspended_pending_and_says_that_others_need_none(project: Project) -> None:
    ended = project("resume", *PROBED_OR_STOPPED, "held", "--health", "none")
    assert ended.code == 0
    assert ended.stderr.splitlines() == [
        "ApiConnection/default/pending is PENDING already",
        "ApiConnection/default/active is ACTIVE already",
        "ApiConnection/default/failed is FAILED already",
    ]
    resumed = "PENDING ResumedByCommand 0/0"
    assert project.standings() == {**BEFORE, "stopped": resumed, "held": resumed}


def test_resumed_connection_is_probed_at_once(project: Project, server: Server) -> None:
    assert project("resume", *PROBED_OR_STOPPED, "held").code == 0
    assert asked(server) == ["held", "stopped"]
    assert project.standings() == {**BEFORE, "stopped": "ACTIVE Ok 0/1", "held": "ACTIVE Ok 0/1"}


def test_resumed_connection_is_due_at_once(project: Project, server: Server) -> None:
    assert project("resume", "held", "stopped", "--health", "none").code == 0
    assert project("health", "held", "stopped", "active", "--due").code == 0
    assert asked(server) == ["held", "stopped"]


@reaches(Signal.ACTIVE_AGAIN, SU)
def test_manifest_that_says_active_again_is_pending_and_probed_at_once(
    project: Project, server: Server
) -> None:
    project.declare(manifest("parked", server.url, state="active"))
    health = project.data("apply", "--select", "parked")["health"]
    assert [check["before"] for check in health["checks"]] == ["PENDING"]
    assert checked(health) == {"parked": "ACTIVE Ok 0/1"}
    assert ("resumed", "parked", "ResumedByManifest") in project.events()


@reaches(Signal.ACTIVE_AGAIN, P, A, F, SH)
def test_unchanged_reapply_resumes_nothing(project: Project, server: Server) -> None:
    assert project("apply").code == 0
    assert asked(server) == ["pending"]
    assert project.standings() == {**BEFORE, "pending": "ACTIVE Ok 0/1"}


@reaches(Signal.ARCHIVE, P, A, F, SU, SH, X)
def test_manifest_that_says_archived_archives(project: Project, server: Server) -> None:
    project.declare(*(manifest(name, server.url, state="archived") for name in ROUTES))
    assert project("apply", "--health", "none").code == 0
    assert project.standings() == {
        "pending": "ARCHIVED ArchivedByManifest 0/0",
        "active": "ARCHIVED ArchivedByManifest 0/1",
        "failed": "ARCHIVED ArchivedByManifest 1/0",
        "stopped": "ARCHIVED ArchivedByManifest 1/0",
        "held": "ARCHIVED ArchivedByManifest 0/1",
        "parked": "ARCHIVED ArchivedByManifest 0/0",
        "gone": "ARCHIVED ArchivedByCommand 0/1",
    }


@reaches(Signal.ARCHIVE, P, A, F, SU, SH)
def test_prune_archives(project: Project, server: Server) -> None:
    project.declare(manifest("gone", server.url))
    assert project("apply", "--prune", "--health", "none").code == 0
    assert project.standings() == {
        "pending": "ARCHIVED Pruned 0/0",
        "active": "ARCHIVED Pruned 0/1",
        "failed": "ARCHIVED Pruned 1/0",
        "stopped": "ARCHIVED Pruned 1/0",
        "held": "ARCHIVED Pruned 0/1",
        "parked": "ARCHIVED Pruned 0/0",
        "gone": "ARCHIVED ArchivedByCommand 0/1",
    }


@reaches(Signal.ARCHIVE, P, A, F, SU, SH, X)
def test_archive_command_archives_and_says_what_was_archived_before(project: Project) -> None:
    ended = project("archive", *ROUTES)
    assert (ended.code, ended.stderr) == (0, "ApiConnection/default/gone is ARCHIVED already\n")
    assert project.standings() == {
        "pending": "ARCHIVED ArchivedByCommand 0/0",
        "active": "ARCHIVED ArchivedByCommand 0/1",
        "failed": "ARCHIVED ArchivedByCommand 1/0",
        "stopped": "ARCHIVED ArchivedByCommand 1/0",
        "held": "ARCHIVED ArchivedByCommand 0/1",
        "parked": "ARCHIVED ArchivedByCommand 0/0",
        "gone": "ARCHIVED ArchivedByCommand 0/1",
    }


@reaches(Signal.SUSPEND, X)
@reaches(Signal.RESUME, X)
@pytest.mark.parametrize("command", ["suspend", "resume"])
def test_archived_connection_refuses(project: Project, command: str) -> None:
    before = project.contents()
    ended = project(command, "gone", "active")
    assert ended.code == 8
    assert ended.stderr.startswith("error: `ApiConnection/default/gone` is archived and cannot be")
    assert project.contents() == before


@reaches(Signal.ACCESS_CHANGED, X)
@reaches(Signal.SECRET_CHANGED, X)
@reaches(Signal.OTHER_CHANGED, X)
@reaches(Signal.ACTIVE_AGAIN, X)
def test_changed_manifest_of_an_archived_name_is_a_new_connection(
    project: Project, server: Server
) -> None:
    columns = "select uid, phase, reason, generation from connections where name = 'gone'"
    (old,) = project.query(columns)
    project.declare(manifest("gone", f"{server.url}/", metadata={"description": "is back"}))
    project("apply", "--select", "gone", "--health", "none", TOKEN_GONE="another")
    rows = set(project.query(columns))
    (new,) = rows - {(old[0], "ARCHIVED", "ArchivedByCommand", 1)}
    assert len(rows) == 2
    assert new[1:] == ("PENDING", "Applied", 1)
