"""Secrets from servers and programs, as users get them: by manifest, operator file and command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import operator_file
from tests.corpus import oracle
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import OK, Project, answer, api, asked, bearer, checked
from tests.servers import http_routes
from tests.servers.http import Client, Server
from tests.servers.key_vault import Azure, Version, key_vault
from tests.servers.secret_manager import Google, secret_manager
from tests.servers.vault import ROLE_ID, Vault, vault

TOKEN, OTHER = "TOPSECRET-crm-token", "TOPSECRET-erp-token"


@pytest.fixture
def peer() -> Iterator[Vault]:
    with vault({"secret/apps/crm": [{"token": TOKEN}]}) as running:
        yield running


def operator(folder: Path, text: str) -> dict[str, str]:
    """Writes an operator file beside the project and returns the variable that names it."""
    file = folder.parent / "operator.toml"
    file.write_text(text)
    file.chmod(0o600)
    return {operator_file.VARIABLE: str(file)}


def by_approle(peer: Vault, folder: Path) -> str:
    """Returns the part of an operator file that logs in to `peer`."""
    credential = folder.parent / "secret-id"
    credential.write_text(peer.secret_id)
    credential.chmod(0o600)
    return (
        f'[secrets.vault]\naddress = "{peer.server.url}"\n'
        f'auth = {{method = "approle", role_id = "{ROLE_ID}", '
        f'secret_id = {{file = "{credential}"}}}}\n'
    )


def from_vault(path: str) -> dict[str, object]:
    return {"method": "bearer", "token": {"vault": {"path": path, "field": "token"}}}


def test_secret_of_vault_is_sent_and_its_rotation_is_seen(
    run: Run, warm: Zygote, server: Server, peer: Vault
) -> None:
    answer(server, {"crm": http_routes.login(http_routes.bearer(TOKEN), OK)})
    env = operator(run.folder, by_approle(peer, run.folder))
    project = Project(run=run, warm=warm, env=env)
    project.declare(api("crm", server.url, auth=from_vault("apps/crm")))
    assert project("apply").code == 0
    assert (server.logins, server.failed_logins) == (1, 0)
    # one login to Vault and one reading, for comparing and for checking
    assert (peer.server.logins, len(peer.reads())) == (1, 1)
    peer.secrets["secret/apps/crm"].append({"token": OTHER})
    planned = project.data("plan", "--secrets", "--detailed-exitcode", code=10)
    assert [change["pointers"] for change in planned["secretChanges"]] == [["/spec/auth/token"]]


def in_google(google: Google, folder: Path) -> tuple[str, dict[str, object]]:
    """Returns the part of an operator file that grants `google`, and a reference to its secret."""
    key = folder.parent / "google.json"
    key.write_text(google.key_text)
    key.chmod(0o600)
    text = f'[secrets.gcp]\nendpoint = "{google.server.url}"\nkey = {{file = "{key}"}}\n'
    return text, {"gcp": {"project": "prod", "secret": "crm"}}


def in_azure(azure: Azure) -> tuple[str, dict[str, object]]:
    """Returns the part of an operator file that grants `azure`, and a reference to its secret."""
    text = (
        f'[secrets.azure]\nvault = "{azure.server.url}"\nauthority = "{azure.server.url}"\n'
        f'tenant = "{azure.tenant}"\nclient_id = "{azure.client_id}"\n'
        'client_secret = {env = "AZURE_SECRET"}\n'
    )
    return text, {"azure": {"secret": "crm"}}


def test_secrets_of_clouds_are_sent_and_their_rotation_and_their_end_are_seen(
    run: Run, warm: Zygote, server: Server
) -> None:
    checked_by = http_routes.login(http_routes.bearer(TOKEN), OK)
    answer(server, {"google": checked_by, "azure": checked_by})
    first, second = "0" * 32, "1" * 32
    with (
        secret_manager({"prod/crm": [TOKEN]}) as google,
        key_vault({"crm": {first: Version(value=TOKEN)}}) as azure,
    ):
        granted = {"google": in_google(google, run.folder), "azure": in_azure(azure)}
        env = operator(run.folder, "".join(text for text, _ in granted.values()))
        project = Project(run=run, warm=warm, env={**env, "AZURE_SECRET": azure.client_secret})
        project.declare(
            *(
                api(name, server.url, auth={"method": "bearer", "token": reference})
                for name, (_, reference) in granted.items()
            )
        )
        assert project("plan").code == 0
        assert (google.server.requests, azure.server.requests) == ([], [])
        assert project("apply").code == 0
        assert (server.logins, server.failed_logins) == (2, 0)
        assert (google.server.logins, len(google.reads())) == (1, 1)
        assert (azure.server.logins, len(azure.reads())) == (1, 1)
        google.secrets["prod/crm"].append(OTHER.encode())
        azure.secrets["crm"][second] = Version(value=OTHER)
        planned = project.data("plan", "--secrets", "--detailed-exitcode", code=10)
        assert len(planned["secretChanges"]) == 2
        google.disabled.add("prod/crm/2")
        azure.secrets["crm"][second] = Version(value=OTHER, is_enabled=False)
        ended = project("apply", "--health", "all")
        assert ended.code == 4
        assert "the secret crm of the Google project prod is disabled or destroyed" in ended.stderr
        assert "the secret crm of the Azure vault is disabled" in ended.stderr
        assert server.logins == 2
        assert project.standings() == dict.fromkeys(granted, "ACTIVE SecretUnresolved 0/1")


def test_source_that_fails_fails_only_its_own_connections(
    run: Run, warm: Zygote, server: Server, peer: Vault
) -> None:
    answer(server, {"crm": OK, "erp": OK})
    env = operator(run.folder, by_approle(peer, run.folder))
    project = Project(run=run, warm=warm, env={**env, "ERP": OTHER})
    project.declare(
        api("crm", server.url, auth=from_vault("apps/crm")),
        api("erp", server.url, auth=bearer("ERP")),
    )
    peer.is_sealed = True
    ended = project("apply")
    assert ended.code == 4
    assert "Vault is sealed or in maintenance" in ended.stderr
    assert asked(server) == ["erp"]
    assert project.standings() == {
        "crm": "PENDING SecretUnresolved 0/0",
        "erp": "ACTIVE Ok 0/1",
    }


def test_without_an_operator_file_manifests_are_valid_and_nothing_is_asked(
    run: Run, warm: Zygote, server: Server, peer: Vault
) -> None:
    project = Project(run=run, warm=warm)
    project.declare(api("crm", server.url, auth=from_vault("apps/crm")))
    assert project("validate").code == 0
    ended = project("apply")
    assert ended.code == 4
    assert "the operator file names no server in `[secrets.vault]`" in ended.stderr
    assert "grant it in the operator file; `doctor` says which one is in force" in ended.stderr
    assert peer.server.requests == []


def test_operator_file_that_does_not_grant_it_makes_a_manifest_invalid(
    run: Run, warm: Zygote, server: Server
) -> None:
    env = operator(run.folder, '[secrets.exec]\nallow = [["/usr/bin/pass", "show"]]\n')
    project = Project(run=run, warm=warm, env=env)
    auth = {"method": "bearer", "token": {"exec": ["/bin/cat", "/etc/shadow"]}}
    project.declare(api("crm", server.url, auth=auth))
    ended = project("validate", "-o", "concise")
    assert ended.code == 3
    assert "E302 the reference is refused: the operator file does not allow this command" in (
        ended.stdout
    )


def test_project_file_cannot_grant_anything(run: Run, warm: Zygote) -> None:
    run.write("reconciler.toml", '[secrets.exec]\nallow = [["/bin/cat"]]\n')
    ended = Project(run=run, warm=warm)("validate")
    assert ended.code == 2
    assert "reconciler.toml:1: there is no setting `secrets.exec`" in ended.stderr


@pytest.mark.parametrize("argv", [("validate",), ("plan",)], ids=lambda argv: argv[0])
def test_validate_and_plan_start_nothing_and_ask_nobody(
    argv: tuple[str, ...], run: Run, warm: Zygote, server: Server, peer: Vault
) -> None:
    marker = run.folder.parent / "ran"
    program = [sys.executable, "-c", f"open({str(marker)!r}, 'w')"]
    text = by_approle(peer, run.folder) + f"[secrets.exec]\nallow = [{json.dumps(program)}]\n"
    text += '[secrets.age]\nidentities = ["/nowhere"]\n'
    env = operator(run.folder, text)
    Project(run=run, warm=warm).declare(
        api("crm", server.url, auth=from_vault("apps/crm")),
        api("erp", server.url, auth={"method": "bearer", "token": {"exec": program}}),
        api("age", server.url, auth={"method": "bearer", "token": {"age": {"file": "a.age"}}}),
    )
    ended = warm(*argv, folder=run.folder, env=env, is_watched=True)
    assert ended.code == 0, ended.text
    intrusions = oracle.intrusions(ended, run.folder, argv)
    # settings are read, where they are trusted: nothing else outside of the project is opened
    assert intrusions == [f"open: {env[operator_file.VARIABLE]}"]
    assert not marker.exists()
    assert peer.server.requests == []


def test_slow_source_holds_up_nobody_else(
    run: Run, warm: Zygote, server: Server, tmp_path: Path
) -> None:
    """The program prints only when the other connection is asked: a wait for it would not end."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = [sys.executable, "-c", f"print(open({str(gate)!r}).read())"]
    env = operator(
        run.folder, f'[secrets.exec]\nallow = [{json.dumps(program)}]\ntimeout = "60s"\n'
    )

    async def open_gate(client: Client) -> None:
        await asyncio.to_thread(gate.write_text, TOKEN)
        await OK(client)

    answer(server, {"crm": http_routes.login(http_routes.bearer(TOKEN), OK), "erp": open_gate})
    project = Project(run=run, warm=warm, env={**env, "ERP": OTHER})
    project.declare(
        api("crm", server.url, auth={"method": "bearer", "token": {"exec": program}}),
        api("erp", server.url, auth=bearer("ERP")),
    )
    assert project("apply", "--health", "none").code == 0
    found = project.data("health")
    assert checked(found) == {"crm": "ACTIVE Ok 0/1", "erp": "ACTIVE Ok 0/1"}
    assert [request.path for request in server.requests] == ["/erp", "/crm"]


def test_doctor_says_which_operator_file_is_in_force(run: Run, warm: Zygote) -> None:
    checks = Project(run=run, warm=warm).data("doctor")["checks"]
    (found,) = [check for check in checks if check["subject"] == "operator file"]
    assert (found["state"], found["text"].partition(":")[0]) == ("absent", "none")
    env = operator(run.folder, "")
    checks = Project(run=run, warm=warm, env=env).data("doctor")["checks"]
    (found,) = [check for check in checks if check["subject"] == "operator file"]
    assert (found["state"], found["text"]) == ("good", env[operator_file.VARIABLE])


def test_operator_file_that_others_can_write_stops_every_command_that_reads_settings(
    run: Run, warm: Zygote
) -> None:
    env = operator(run.folder, "")
    Path(env[operator_file.VARIABLE]).chmod(0o666)
    ended = Project(run=run, warm=warm, env=env)("validate")
    assert ended.code == 2
    assert "is not trusted: it can be written by others" in ended.stderr
