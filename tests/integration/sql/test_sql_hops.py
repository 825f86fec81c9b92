"""Databases through tunnels, proxies and sockets: TLS is verified, a failing hop named."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from reconciler import kinds, probes
from reconciler.clients.relay import Relay, SocketStream
from reconciler.model import Json, JsonObject, Observation, Reason
from reconciler.redact import Secret
from tests.servers.clickhouse import PASSWORD as CLICKHOUSE_PASSWORD
from tests.servers.clickhouse import ClickHouse
from tests.servers.hop_targets import (
    PROXY_PASSWORD,
    SECRETS,
    descriptors_left,
    key_block,
    proxy_block,
    refusing_port,
    ssh_block,
)
from tests.servers.mariadb import PASSWORD, MariadbServer
from tests.servers.mssql import USER, mssql_peer
from tests.servers.proxies import proxy_server
from tests.servers.sql_peers import sql_peer
from tests.servers.sql_specs import (
    SECRET_STAGE,
    Database,
    make_target,
    make_tools,
    mariadb_spec,
    names_of,
    peer_spec,
)
from tests.servers.ssh import SshServer, ssh_server

LOGINS = {"report": PROXY_PASSWORD}
FAR = {"localhost": "127.0.0.1"}
every = pytest.mark.parametrize("engine", ["postgresql", "mariadb", "mssql"])
both = pytest.mark.parametrize("engine", ["postgresql", "mariadb"])


class CheckMany(Protocol):
    """Probes a database `count` times in one pass, with the right secrets but for `secrets`."""

    def __call__(
        self, spec: JsonObject, count: int = 1, secrets: Mapping[str, str] = ...
    ) -> list[Observation]: ...


@pytest.fixture
def check_many(threads: ThreadPoolExecutor, tmp_path: Path) -> CheckMany:
    async def run(spec: JsonObject, count: int, values: Mapping[str, str]) -> list[Observation]:
        tools = make_tools(threads, tmp_path, PASSWORD)
        target = make_target(spec)
        places = [place for place, _ in kinds.shape("SqlConnection").secrets(spec)]
        secrets = {place: Secret(values[place]) for place in places}
        probe = probes.probe("SqlConnection")
        try:
            return await asyncio.gather(
                *(probe(target, secrets, tools, reached=(SECRET_STAGE,)) for _ in range(count))
            )
        finally:
            await tools.hops.close()

    def check(
        spec: JsonObject, count: int = 1, secrets: Mapping[str, str] | None = None
    ) -> list[Observation]:
        values = {**SECRETS, "/auth/password": PASSWORD, **(secrets or {})}
        return asyncio.run(run(spec, count, values))

    return check


@pytest.fixture
def refusing() -> Iterator[int]:
    with refusing_port() as port:
        yield port


@pytest.fixture
def ssh() -> Iterator[SshServer]:
    with ssh_server(hosts=FAR) as server:
        yield server


@pytest.fixture
def specs(tls_database: Database, mariadb: MariadbServer) -> Iterator[Mapping[str, JsonObject]]:
    """Gives specs by engine that verify the server under its name, which is not its address."""
    with mssql_peer() as peer:
        peer.users[USER] = PASSWORD
        yield {
            "postgresql": tls_database.spec(host="localhost"),
            "mariadb": mariadb_spec(mariadb, host="localhost"),
            "mssql": peer.spec(host="localhost"),
        }


def ended(found: Observation) -> tuple[Reason, str]:
    return found.reason, found.stages[-1].name.value


@pytest.mark.server
@every
@pytest.mark.parametrize("method", ["password", "key"])
def test_a_database_answers_through_an_ssh_tunnel(
    specs: Mapping[str, JsonObject],
    ssh: SshServer,
    check_many: CheckMany,
    engine: str,
    method: str,
) -> None:
    block, secrets = (ssh_block(ssh), {}) if method == "password" else key_block(ssh)
    (found,) = check_many({**specs[engine], "ssh": block}, secrets=secrets)
    assert (found.reason, found.message) == (Reason.OK, "the query answered")
    assert names_of(found) == ("secret", "tunnel", "tcp", "tls", "auth", "query")
    assert ssh.targets == [f"localhost:{specs[engine]['port']}"]


def test_a_driver_that_speaks_http_has_one_step_to_the_server_behind_a_hop(
    clickhouse: ClickHouse, ssh: SshServer, check_many: CheckMany
) -> None:
    spec = clickhouse.spec(host="localhost", ssh=ssh_block(ssh))
    (found,) = check_many(spec, secrets={"/auth/password": CLICKHOUSE_PASSWORD})
    assert (found.reason, found.message) == (Reason.OK, "the query answered")
    assert names_of(found) == ("secret", "tunnel", "tcp", "tls", "auth", "query")


@pytest.mark.server
@every
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_database_answers_through_a_proxy(
    specs: Mapping[str, JsonObject], check_many: CheckMany, engine: str, scheme: str
) -> None:
    with proxy_server(scheme, logins=LOGINS, hosts=FAR) as proxy:
        (found,) = check_many({**specs[engine], "proxy": proxy_block(proxy, scheme)})
    assert (found.reason, found.message) == (Reason.OK, "the query answered")
    assert names_of(found) == ("secret", "proxy", "tls", "auth", "query")


@pytest.mark.server
@every
def test_a_name_that_the_certificate_does_not_bear_is_refused_through_a_tunnel(
    specs: Mapping[str, JsonObject], check_many: CheckMany, engine: str
) -> None:
    with ssh_server(hosts={"orders.far.test": "127.0.0.1"}) as ssh:
        spec = {**specs[engine], "host": "orders.far.test", "ssh": ssh_block(ssh)}
        (found,) = check_many(spec)
    assert ended(found) == (Reason.TLS_FAILURE, "tls")


@pytest.mark.server
@every
def test_a_refused_database_login_is_no_failure_of_the_tunnel(
    specs: Mapping[str, JsonObject], ssh: SshServer, check_many: CheckMany, engine: str
) -> None:
    spec = {**specs[engine], "ssh": ssh_block(ssh)}
    (found,) = check_many(spec, secrets={"/auth/password": "wrong"})
    assert ended(found) == (Reason.AUTH_FAILED, "auth")


@pytest.mark.server
@every
def test_a_refused_login_at_a_hop_never_reaches_the_database(
    specs: Mapping[str, JsonObject], ssh: SshServer, check_many: CheckMany, engine: str
) -> None:
    found = check_many(
        {**specs[engine], "ssh": ssh_block(ssh)}, 10, secrets={"/ssh/password": "wrong"}
    )
    assert {ended(each) for each in found} == {(Reason.AUTH_FAILED, "tunnel")}
    assert (ssh.failed_logins, ssh.targets) == (1, [])


@pytest.mark.server
@every
def test_many_databases_behind_one_bastion_log_in_there_once(
    specs: Mapping[str, JsonObject], ssh: SshServer, check_many: CheckMany, engine: str
) -> None:
    found = check_many({**specs[engine], "ssh": ssh_block(ssh)}, 20)
    assert {each.reason for each in found} == {Reason.OK}
    assert (ssh.connections, ssh.logins, len(ssh.targets)) == (1, 1, 20)


@every
def test_a_database_that_is_not_there_is_named_by_the_tunnel(
    ssh: SshServer, check_many: CheckMany, engine: str, refusing: int
) -> None:
    (found,) = check_many({**peer_spec(engine, refusing), "ssh": ssh_block(ssh)})
    assert ended(found) == (Reason.CONNECT_REFUSED, "tcp")


@every
def test_a_database_that_stalls_behind_a_tunnel_ends_by_the_deadline(
    ssh: SshServer, check_many: CheckMany, engine: str
) -> None:
    with sql_peer(lambda client: client.wait()) as peer:
        spec = {**peer_spec(engine, peer.port), "timeout": {"connect": "500ms"}}
        (found,) = check_many({**spec, "ssh": ssh_block(ssh)})
        assert ended(found) == (Reason.CONNECT_TIMEOUT, "auth")
        assert found.latency_s < 5
        assert peer.is_left.wait(10)


@pytest.mark.server
def test_postgresql_answers_through_its_socket(
    plain_database: Database, check_many: CheckMany
) -> None:
    spec: dict[str, Json] = dict(plain_database.spec(socket=plain_database.server.socket))
    del spec["host"]
    spec["tls"] = {"mode": "verify-full"}  # what the schema fills in
    (found,) = check_many(spec)
    assert (found.reason, found.message) == (Reason.OK, "the query answered")
    assert [(stage.name.value, stage.detail) for stage in found.stages[1:3]] == [
        ("tcp", plain_database.server.socket),
        ("auth", ""),
    ]


@pytest.mark.server
@pytest.mark.parametrize(
    ("mode", "stages"),
    [
        ("verify-full", ("secret", "tcp", "auth", "query")),
        ("verify-ca", ("secret", "tcp", "tls", "auth", "query")),
    ],
)
def test_mariadb_answers_through_its_socket(
    mariadb: MariadbServer, check_many: CheckMany, mode: str, stages: tuple[str, ...]
) -> None:
    tls = {"mode": mode, "ca": {"file": mariadb.authority}}
    spec: dict[str, Json] = dict(mariadb_spec(mariadb, socket=mariadb.socket, tls=tls))
    del spec["host"]
    (found,) = check_many(spec)
    assert (found.reason, found.message) == (Reason.OK, "the query answered")
    assert names_of(found) == stages


@both
def test_a_socket_that_is_not_there_is_said(
    tmp_path: Path, check_many: CheckMany, engine: str
) -> None:
    spec: dict[str, Json] = dict(peer_spec(engine, 1))
    del spec["host"]
    (found,) = check_many({**spec, "socket": str(tmp_path / ".s.PGSQL.5432")})
    assert ended(found) == (Reason.CONNECT_REFUSED, "tcp")
    assert found.message == "there is no such socket in the file system"


@pytest.mark.server
def test_nothing_is_left_over(
    specs: Mapping[str, JsonObject], ssh: SshServer, check_many: CheckMany, refusing: int
) -> None:
    with proxy_server("http", logins=LOGINS, hosts=FAR) as proxy:
        ways: list[JsonObject] = [
            {**spec, **way}
            for spec in specs.values()
            for way in (
                {"ssh": ssh_block(ssh)},
                {"proxy": proxy_block(proxy, "http")},
                {"ssh": ssh_block(ssh), "proxy": proxy_block(proxy, "http")},
                {"proxy": {"url": f"http://127.0.0.1:{refusing}"}},
            )
        ]

        def all_ways() -> None:
            for way in ways:
                check_many(way)
                check_many(way, secrets={"/auth/password": "wrong"})
                check_many(way, secrets={"/ssh/password": "wrong", "/proxy/auth/password": "no"})

        all_ways()
        before = descriptors_left()
        for _ in range(3):
            all_ways()
        assert descriptors_left(before) <= before


def test_a_relay_takes_a_connection_of_this_process_only() -> None:
    """A child process connects first; what it gets is the end, and the turn stays free."""

    async def run() -> tuple[bytes, bytes]:
        near, far = socket.socketpair()
        far.setblocking(False)
        async with Relay(SocketStream(far)) as relay:
            port = relay.listen()
            script = (
                "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
                "s.sendall(b'stolen'); sys.stdout.buffer.write(s.recv(10) or b'end')"
            )
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(port), stdout=-1, stderr=-3
            )
            stolen, _ = await child.communicate()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"ours")
            await writer.drain()
            loop = asyncio.get_running_loop()
            near.setblocking(False)
            got = await loop.sock_recv(near, 10)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        near.close()
        return stolen, got

    before = threading.active_count()
    stolen, got = asyncio.run(run())
    assert (stolen in (b"end", b""), got) == (True, b"ours")
    assert threading.active_count() <= before + 1
