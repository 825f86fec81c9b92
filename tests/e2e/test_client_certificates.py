"""A client certificate from the manifest to the server, and its rotation, through the command."""

from __future__ import annotations

import pytest

from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import Project, api, checked
from tests.servers.certificates import Authority, ClientPair
from tests.servers.mutual_tls import mutual_tls_server

TLS: JsonObject = {
    "ca": {"file": "certs/ca.pem"},
    "clientCertificate": {
        "certificate": {"file": "certs/client.pem"},
        "key": {"file": "secrets/client.key"},
        "keyPassphrase": {"env": "SECRET"},
    },
}


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm, env={"SECRET": "pass+phrase"})


def put(project: Project, pair: ClientPair) -> None:
    project.run.write("certs/client.pem", pair.certificate)
    project.run.write("secrets/client.key", pair.encrypted("pass+phrase"))
    (project.run.folder / "secrets/client.key").chmod(0o600)


def test_a_connection_shows_its_certificate_and_its_successor(project: Project) -> None:
    servers, clients = Authority(), Authority()
    project.run.write("certs/ca.pem", servers.pem)
    first, second = clients.client(), clients.client()
    put(project, first)
    with mutual_tls_server(servers.demanding_context(clients, "127.0.0.1")) as server:
        project.declare(api("ledger", server.url, tls=TLS))
        applied = project.data("apply")
        assert checked(applied["health"]) == {"ledger": "ACTIVE Ok 0/1"}
        put(project, second)
        rotated = project.data("apply")
        assert [change["pointers"] for change in rotated["secretChanges"]] == [
            ["/spec/tls/clientCertificate/key"]
        ]
        assert checked(rotated["health"]) == {"ledger": "ACTIVE Ok 0/1"}
        assert len(server.served) == 2


def test_a_key_of_another_certificate_fails_at_tls(project: Project) -> None:
    servers, clients = Authority(), Authority()
    project.run.write("certs/ca.pem", servers.pem)
    put(project, clients.client())
    project.run.write("certs/client.pem", clients.client().certificate)
    with mutual_tls_server(servers.demanding_context(clients, "127.0.0.1")) as server:
        project.declare(api("ledger", server.url, tls=TLS))
        assert project("apply").code == 11
        assert server.served == []
    described = project("describe", "ledger")
    assert (
        "the key of `tls.clientCertificate` is not the key of its certificate" in described.stdout
    )
    assert "PRIVATE KEY" not in described.stdout


def test_a_wrong_passphrase_counts_for_nothing(project: Project) -> None:
    servers, clients = Authority(), Authority()
    project.run.write("certs/ca.pem", servers.pem)
    put(project, clients.client())
    with mutual_tls_server(servers.demanding_context(clients, "127.0.0.1")) as server:
        project.declare(api("ledger", server.url, tls=TLS))
        applied = project.data("apply", code=4, SECRET="wrong+phrase")
        assert checked(applied["health"]) == {"ledger": "PENDING SecretUnresolved 0/0"}
        assert server.served == []
