"""Grants of the operator file, through the command line: what is read, sent, planned and told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import OK, Project, answer, api, asked, bearer, checked
from tests.servers.http import Server

TOKEN = "tok-58d1f0a3"
DENIED = "no grant of the operator file lets the secret in `auth.token` go to "


def operator_file(folder: Path, text: str) -> str:
    """Writes an operator file beside the project and returns its path."""
    file = folder.parent / "operator.toml"
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def grant(
    destinations: list[str], references: list[str] | None = None, connections: str = "sales/*"
) -> str:
    return f"""
[[grant]]
references = {json.dumps(references or ["env:CRM_*"])}
connections = ["{connections}"]
destinations = {json.dumps(destinations)}
"""


def crm(url: str, **spec: object) -> dict[str, object]:
    return api("crm", url, metadata={"namespace": "sales"}, auth=bearer("CRM_TOKEN"), **spec)


@pytest.fixture
def project(run: Run, warm: Zygote, server: Server) -> Project:
    answer(server, {"crm": OK})
    return Project(run=run, warm=warm, env={"CRM_TOKEN": TOKEN})


def with_file(project: Project, text: str) -> Project:
    file = operator_file(project.run.folder, text)
    env = {**project.env, "RECONCILER_OPERATOR_CONFIG": file}
    return Project(run=project.run, warm=project.warm, env=env)


def elsewhere(server: Server) -> str:
    """The same server under another name: another destination."""
    return server.url.replace("127.0.0.1", "localhost")


def test_granted_secret_is_sent(project: Project, server: Server) -> None:
    granted = with_file(project, grant([f"127.0.0.1:{server.url.rpartition(':')[2]}"]))
    granted.declare(crm(server.url))
    assert checked(granted.data("apply")["health"]) == {"crm": "ACTIVE Ok 0/1"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(grant(["api.example.com"]), id="another destination"),
        pytest.param(grant(["127.0.0.1"], connections="hr/*"), id="another connection"),
        pytest.param(grant(["127.0.0.1"], ["env:HR_*", "store:CRM_*"]), id="another reference"),
        pytest.param(grant(["127.0.0.1:1"]), id="another port"),
        pytest.param(grant(["https://127.0.0.1"]), id="another scheme"),
    ],
)
def test_secret_without_a_grant_is_neither_read_nor_sent(
    text: str, project: Project, server: Server
) -> None:
    guarded = with_file(project, text)
    guarded.declare(crm(server.url))
    # the variable is not even there: it is not looked at
    ended = guarded.data("apply", code=11, CRM_TOKEN="")
    (check,) = ended["health"]["checks"]
    observation = check["observation"]
    assert (observation["outcome"], observation["reason"]) == ("inconclusive", "DestinationDenied")
    assert observation["message"] == f"{DENIED}{server.url}"
    assert [stage["name"] for stage in observation["stages"]] == ["secret"]
    assert checked(ended["health"]) == {"crm": "PENDING DestinationDenied 0/0"}
    assert asked(server) == []


def test_kept_secret_is_not_taken_to_another_destination(project: Project, server: Server) -> None:
    guarded = with_file(project, grant(["127.0.0.1"]))
    guarded.declare(crm(server.url))
    guarded.data("apply")
    answer(server, {"crm": OK})
    guarded.declare(crm(elsewhere(server)))
    (change,) = guarded.data("plan", code=8)["changes"]
    assert change["blockedBy"] == f"{DENIED}{elsewhere(server)}"
    assert change["credentialRebind"] == f"{server.url} -> {elsewhere(server)}"
    ended = guarded("apply")
    assert ended.code == 8
    assert "DestinationDenied" not in ended.stdout
    assert f"is blocked: {DENIED}{elsewhere(server)}" in ended.stderr
    assert asked(server) == []
    assert guarded.data("status")["connections"][0]["endpoint"] == f"{server.url}"


def test_rollback_takes_no_secret_to_a_destination_without_a_grant(
    project: Project, server: Server
) -> None:
    project.declare(crm(elsewhere(server)))
    project.data("apply")
    project.declare(crm(server.url))
    project.data("apply")
    answer(server, {"crm": OK})
    guarded = with_file(project, grant(["127.0.0.1"]))
    ended = guarded("rollback", "crm", "--to", "1")
    assert ended.code == 8
    assert f"{DENIED}{elsewhere(server)}" in ended.stderr
    assert asked(server) == []


def test_link_in_the_project_lends_no_other_name_to_a_secret(
    project: Project, server: Server
) -> None:
    guarded = with_file(project, grant(["127.0.0.1"], ["file:secrets/crm-*"]))
    secrets = project.run.folder / "secrets"
    secrets.mkdir()
    for name in ("crm-key", "hr-key"):
        (secrets / name).write_text(TOKEN)
        (secrets / name).chmod(0o600)
    (secrets / "crm-link").symlink_to("hr-key")

    def check(name: str) -> JsonObject:
        auth = {"method": "bearer", "token": {"file": f"secrets/{name}"}}
        guarded.declare({**crm(server.url), "spec": {**crm(server.url)["spec"], "auth": auth}})  # type: ignore[dict-item]
        ended = guarded("apply", "-o", "json")
        return checked(json.loads(ended.stdout)["health"])

    assert check("crm-key") == {"crm": "ACTIVE Ok 0/1"}
    assert check("crm-link") == {"crm": "PENDING DestinationDenied 0/0"}
    assert check("../project/secrets/hr-key") == {"crm": "PENDING DestinationDenied 0/0"}


def test_without_grants_everything_is_as_before(project: Project, server: Server) -> None:
    free = with_file(project, "")
    free.declare(crm(server.url))
    free.data("apply")
    free.declare(crm(elsewhere(server)))
    (change,) = free.data("plan")["changes"]
    assert change["blockedBy"] == ""
    assert checked(free.data("apply")["health"]) == {"crm": "ACTIVE Ok 0/1"}


def test_project_file_cannot_grant(project: Project, server: Server) -> None:
    project.run.write("reconciler.toml", grant(["127.0.0.1"]))
    project.declare(crm(server.url))
    ended = project("plan")
    assert (ended.code, "there is no setting `grant`" in ended.stderr) == (2, True)


def test_describe_and_doctor_tell_which_grants_cover_a_connection(
    project: Project, server: Server
) -> None:
    text = grant(["10.0.0.0/8"]) + grant(["127.0.0.1"]) + '[network]\ndeny = ["8.8.8.8"]\n'
    guarded = with_file(project, text)
    guarded.declare(crm(server.url))
    guarded.data("apply")
    assert guarded.data("describe", "crm")["granted"] == {"grants": [2], "denied": []}
    assert "  Grants     2 of the operator file\n" in guarded("describe", "crm").stdout
    checks = {check["subject"]: check for check in guarded.data("doctor")["checks"]}
    assert checks["grants"] == {
        "state": "good",
        "subject": "grants",
        "text": "1 covers nothing; 2 covers ApiConnection/sales/crm",
        "hint": "",
    }
    assert checks["network"]["text"] == "profile trusted, allowed: 0, denied: 1"

    bare = with_file(project, grant(["10.0.0.0/8"]))
    assert bare.data("describe", "crm")["granted"] == {
        "grants": [],
        "denied": [f"{DENIED}{server.url}"],
    }
    checks = {check["subject"]: check for check in bare.data("doctor")["checks"]}
    told = checks["grants"]
    assert (told["state"], told["hint"]) == (
        "warning",
        f"ApiConnection/sales/crm: {DENIED}{server.url}",
    )
    assert project.data("describe", "crm")["granted"] is None


def test_requests_of_applications_need_the_grant_as_well(project: Project, server: Server) -> None:
    denying = with_file(project, grant(["api.example.com"]))
    denying.declare(crm(server.url))
    assert denying("apply", "--health", "none").code == 0
    ended = denying("request", "crm", "GET", "/crm", CRM_TOKEN="")  # it is not looked at
    assert ended.code == 8
    assert DENIED in ended.stderr
    assert asked(server) == []
