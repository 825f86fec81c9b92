"""The login budget of hops: what a bastion or a proxy sees of a wrong credential."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model import JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Run
from tests.e2e.projects import OK, Project, answer, api, asked, bearer, checked
from tests.servers.hop_targets import PROXY_PASSWORD
from tests.servers.http import Server
from tests.servers.proxies import ProxyServer, proxy_server
from tests.servers.ssh import PASSWORD, USER, SshServer, ssh_server

BUDGET = 5
PASSES = 8
NAMES = ("one", "two", "three")


@pytest.fixture
def project(run: Run, warm: Zygote, server: Server) -> Project:
    answer(server, dict.fromkeys((*NAMES, "four"), OK))
    return Project(run=run, warm=warm, env={"HOP": "wrong", "TOKEN": "any"})


@pytest.fixture
def ssh(project: Project) -> Iterator[SshServer]:
    with ssh_server() as server:
        project.run.write("known_hosts", server.known_hosts)
        yield server


@pytest.fixture
def proxy() -> Iterator[ProxyServer]:
    with proxy_server("http", logins={"report": PROXY_PASSWORD}) as server:
        yield server


def through_ssh(server: SshServer) -> JsonObject:
    return {
        "ssh": {
            "host": "127.0.0.1",
            "port": server.port,
            "username": USER,
            "password": {"env": "HOP"},
            "knownHosts": {"file": "known_hosts"},
        }
    }


def through_proxy(server: ProxyServer) -> JsonObject:
    login = {"username": "report", "password": {"env": "HOP"}}
    return {"proxy": {"url": server.url("http"), "auth": login}}


def test_a_wrong_ssh_password_is_sent_five_times_in_all(
    project: Project, server: Server, ssh: SshServer
) -> None:
    way = through_ssh(ssh)
    manifests = [api(name, server.url, auth=bearer("TOKEN"), **way) for name in NAMES]
    project.declare(*manifests)
    for command in ["apply", *["health"] * (PASSES - 1)]:
        assert project(command).code == 11
    assert (ssh.failed_logins, asked(server)) == (BUDGET, [])
    assert {text.rpartition(" ")[0] for text in project.standings().values()} == {
        "SUSPENDED by health TooManyFailures"
    }

    project.declare(*manifests, api("four", server.url, **way))
    assert checked(project.data("apply", code=11)["health"]) == {
        "four": "SUSPENDED by health LoginBudgetUsed 0/0"
    }
    assert ssh.failed_logins == BUDGET

    health = checked(project.data("apply", HOP=PASSWORD)["health"])
    assert health == dict.fromkeys((*NAMES, "four"), "ACTIVE Ok 0/1")
    assert (ssh.logins, ssh.failed_logins) == (BUDGET + 1, BUDGET)


def test_a_wrong_proxy_password_is_sent_five_times_in_all(
    project: Project, server: Server, proxy: ProxyServer
) -> None:
    way = through_proxy(proxy)
    project.declare(*(api(name, server.url, **way) for name in NAMES))
    for command in ["apply", *["health"] * (PASSES - 1)]:
        assert project(command).code == 11
    assert (proxy.failed_logins, asked(server)) == (BUDGET, [])

    health = checked(project.data("apply", HOP=PROXY_PASSWORD)["health"])
    assert health == dict.fromkeys(NAMES, "ACTIVE Ok 0/1")
    failed = "select count(*) from login_attempts where state = 'failed'"
    assert project.query(failed) == [(BUDGET,)]


def test_a_refused_hop_uses_no_login_of_the_server(
    project: Project, server: Server, ssh: SshServer
) -> None:
    project.declare(api("one", server.url, auth=bearer("TOKEN"), **through_ssh(ssh)))
    assert project("apply").code == 11
    assert project.query("select state, count(*) from login_attempts group by 1") == [("failed", 1)]
    assert "ssh://ops@" in project.data("describe", "one")["connection"]["endpoint"]


def test_a_good_login_forgets_what_was_refused_before(
    project: Project, server: Server, ssh: SshServer
) -> None:
    project.declare(api("one", server.url, **through_ssh(ssh)))
    assert project("apply", HOP=PASSWORD).code == 0
    assert project.query("select * from login_attempts") == []


def test_another_bastion_for_a_kept_credential_is_a_rebind(
    project: Project, server: Server, ssh: SshServer
) -> None:
    way = through_ssh(ssh)
    project.declare(api("one", server.url, **way))
    assert project("apply", HOP=PASSWORD).code == 0
    moved = {"ssh": {**way["ssh"], "host": "localhost"}}
    project.declare(api("one", server.url, **moved))
    (change,) = project.data("plan")["changes"]
    place = f"ssh://{USER}@{{}}:{ssh.port}"
    assert (
        change["credentialRebind"] == f"{place.format('127.0.0.1')} -> {place.format('localhost')}"
    )
