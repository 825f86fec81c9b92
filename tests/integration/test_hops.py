"""APIs through proxies, SSH tunnels and sockets: it works, and who is named when it does not."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

import asyncssh
import pytest

from reconciler import probes
from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from reconciler.redact import Secret
from tests.servers import http_routes, sql_specs
from tests.servers.certificates import Authority
from tests.servers.hop_targets import (
    PROXY_PASSWORD,
    SECRETS,
    descriptors_left,
    key_block,
    probe,
    probe_all,
    proxy_block,
    refusing_port,
    ssh_block,
)
from tests.servers.http import Server, http_server, silent_server
from tests.servers.http_targets import names_of
from tests.servers.proxies import proxy_server
from tests.servers.ssh import PASSWORD, SshServer, ssh_server

LOGINS = {"report": PROXY_PASSWORD}
SCHEMES = ("http", "https", "socks5")
FAR = {"orders.far.test": "127.0.0.1"}
QUICK: JsonObject = {"timeout": "700ms"}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def api(authority: Authority) -> Iterator[Server]:
    context = authority.server_context("orders.far.test", "127.0.0.1")
    with http_server({"/": http_routes.answer(200)}, context=context) as server:
        yield server


@pytest.fixture
def plain_api() -> Iterator[Server]:
    with http_server({"/": http_routes.answer(200)}) as server:
        yield server


@pytest.fixture
def refusing() -> Iterator[int]:
    with refusing_port() as port:
        yield port


@pytest.fixture
def ssh() -> Iterator[SshServer]:
    with ssh_server(hosts=FAR) as server:
        yield server


class SlowImport(MetaPathFinder):
    """Finds nothing, and takes its time over one module."""

    TAKES_S = 0.5

    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == self._module:
            time.sleep(self.TAKES_S)  # what is slow here is the import itself


def probe_database(**spec: Json) -> Observation:
    """Returns what a probe found that takes the server on a port for MariaDB."""
    with ThreadPoolExecutor(1) as threads:
        tools = sql_specs.make_tools(threads, Path(), PASSWORD)
        login = {"database": "orders", "auth": {"method": "none"}, "tls": {"mode": "disable"}}
        fields = {"engine": "mariadb", "host": "127.0.0.1", **login}
        secrets = {"/ssh/password": Secret(PASSWORD)}

        async def run() -> Observation:
            try:
                return await probes.probe("SqlConnection")(
                    sql_specs.make_target({**fields, **spec}), secrets, tools, reached=()
                )
            finally:
                await tools.hops.close()

        return asyncio.run(run())


def far_url(server: Server) -> str:
    """Returns a URL whose host only the far end can resolve."""
    return f"{server.scheme}://orders.far.test:{server.port}/"


def ended(found: Observation) -> tuple[Reason, str]:
    return found.reason, found.stages[-1].name.value


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("drips", [False, True], ids=["at-once", "byte-by-byte"])
def test_a_proxy_with_a_password_leads_to_a_verified_server(
    api: Server, authority: Authority, scheme: str, drips: bool
) -> None:
    context = authority.server_context("127.0.0.1") if scheme == "https" else None
    with proxy_server(scheme, logins=LOGINS, hosts=FAR, context=context, drips=drips) as proxy:
        changes = {"ca": {"file": authority.pem}} if context else {}
        found = probe(
            far_url(api),
            proxy=proxy_block(proxy, scheme, **changes),
            tls={"verify": True, "ca": {"file": authority.pem}},
        )
    assert (found.outcome, found.message) == (Outcome.OK, "200 OK")
    assert names_of(found) == ["secret", "proxy", "tls", "query"]
    assert proxy.targets == [f"orders.far.test:{api.port}"]
    assert (proxy.logins, proxy.failed_logins) == (1, 0)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_plain_server_is_reached_by_the_same_way(plain_api: Server, scheme: str) -> None:
    with proxy_server(scheme) as proxy:
        found = probe(plain_api.url, proxy=proxy_block(proxy, scheme))
    assert found.reason is Reason.OK
    assert "proxy-authorization" not in plain_api.requests[0].headers


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize(
    ("logins", "secrets", "auth"),
    [
        pytest.param(LOGINS, {"/proxy/auth/password": "wrong"}, True, id="wrong-password"),
        pytest.param(LOGINS, {}, False, id="no-password"),
    ],
)
def test_a_refused_login_at_a_proxy_is_an_auth_failure_of_the_proxy(
    plain_api: Server, scheme: str, logins: dict[str, str], secrets: dict[str, str], auth: bool
) -> None:
    with proxy_server(scheme, logins=logins) as proxy:
        block = dict(proxy_block(proxy, scheme))
        if not auth:
            del block["auth"]
        found = probe(plain_api.url, secrets, proxy=block)
    assert ended(found) == (Reason.AUTH_FAILED, "proxy")
    assert plain_api.connections == 0


@pytest.mark.parametrize(
    ("scheme", "refusal", "reason", "stage"),
    [
        ("http", 403, Reason.PROXY_FAILURE, "proxy"),
        ("http", 503, Reason.PROXY_FAILURE, "proxy"),
        ("http", 502, Reason.CONNECT_REFUSED, "tcp"),
        ("http", 504, Reason.CONNECT_TIMEOUT, "tcp"),
        ("socks5", 1, Reason.PROXY_FAILURE, "proxy"),
        ("socks5", 2, Reason.PROXY_FAILURE, "proxy"),
        ("socks5", 4, Reason.CONNECT_REFUSED, "tcp"),
        ("socks5", 5, Reason.CONNECT_REFUSED, "tcp"),
        ("socks5", 6, Reason.CONNECT_TIMEOUT, "tcp"),
    ],
)
def test_what_a_proxy_says_names_the_proxy_or_the_server(
    plain_api: Server, scheme: str, refusal: int, reason: Reason, stage: str
) -> None:
    with proxy_server(scheme, refusal=refusal) as proxy:
        found = probe(plain_api.url, proxy=proxy_block(proxy, scheme))
    assert ended(found) == (reason, stage)
    assert "proxy" in found.message


def test_an_https_proxy_of_another_name_has_the_hints_of_a_proxy(
    plain_api: Server, authority: Authority
) -> None:
    with proxy_server("https", context=authority.server_context("other.example")) as proxy:
        found = probe(plain_api.url, proxy=proxy_block(proxy, "https", ca={"file": authority.pem}))
    assert ended(found) == (Reason.TLS_FAILURE, "proxy")
    assert (
        found.hint == "use a host name that the certificate lists, or have it issued for this one"
    )


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there_is_a_failure_of_the_proxy(
    plain_api: Server, scheme: str, refusing: int
) -> None:
    found = probe(plain_api.url, proxy={"url": f"{scheme}://127.0.0.1:{refusing}"})
    assert ended(found) == (Reason.PROXY_FAILURE, "proxy")
    assert found.message == (
        "the proxy is not reached: the server refuses connections on this port"
    )


@pytest.mark.parametrize(("asked", "speaks"), [("http", "socks5"), ("socks5", "http")])
def test_a_proxy_of_another_kind_is_a_failure_of_the_proxy(
    plain_api: Server, asked: str, speaks: str
) -> None:
    with proxy_server(speaks) as proxy:
        found = probe(plain_api.url, proxy={"url": proxy.url(asked)}, health=QUICK)
    assert ended(found) == (Reason.PROXY_FAILURE, "proxy")


def test_an_untrusted_https_proxy_is_sent_nothing(plain_api: Server, authority: Authority) -> None:
    context = Authority().server_context("127.0.0.1")
    with proxy_server("https", logins=LOGINS, context=context) as proxy:
        block = proxy_block(proxy, "https", ca={"file": authority.pem})
        found = probe(plain_api.url, proxy=block)
    assert ended(found) == (Reason.TLS_FAILURE, "proxy")
    assert found.message == (
        "TLS with the proxy: the authority of the server's certificate is unknown"
    )
    assert proxy.logins == 0


def test_a_silent_proxy_ends_by_the_deadline(plain_api: Server) -> None:
    with silent_server() as port:
        found = probe(plain_api.url, proxy={"url": f"socks5://127.0.0.1:{port}"}, health=QUICK)
    assert ended(found) == (Reason.PROXY_FAILURE, "proxy")
    assert found.latency_s < 5


@pytest.mark.parametrize("method", ["password", "key"])
def test_an_ssh_tunnel_leads_to_a_verified_server(
    api: Server, authority: Authority, ssh: SshServer, method: str
) -> None:
    block, secrets = (ssh_block(ssh), SECRETS) if method == "password" else key_block(ssh)
    found = probe(
        far_url(api), secrets, ssh=block, tls={"verify": True, "ca": {"file": authority.pem}}
    )
    assert (found.reason, found.message) == (Reason.OK, "200 OK")
    assert names_of(found) == ["secret", "tunnel", "tcp", "tls", "query"]
    assert (ssh.targets, ssh.failed_logins) == ([f"orders.far.test:{api.port}"], 0)


def test_a_jump_host_leads_to_an_ssh_server_it_alone_can_name(plain_api: Server) -> None:
    with ssh_server() as inner, ssh_server(hosts={"bastion.test": "127.0.0.1"}) as jump:
        block = ssh_block(inner, host="bastion.test", jump=ssh_block(jump))
        found = probe(plain_api.url, ssh=block)
    assert (found.reason, names_of(found)) == (Reason.OK, ["secret", "tunnel", "tcp", "query"])
    assert (jump.targets, inner.targets) == (
        [f"bastion.test:{inner.port}"],
        [f"127.0.0.1:{plain_api.port}"],
    )


def test_a_proxy_behind_an_ssh_tunnel_is_reached_through_it(
    plain_api: Server, ssh: SshServer
) -> None:
    with proxy_server("socks5", logins=LOGINS) as proxy:
        found = probe(plain_api.url, ssh=ssh_block(ssh), proxy=proxy_block(proxy, "socks5"))
    assert (found.reason, names_of(found)) == (Reason.OK, ["secret", "tunnel", "proxy", "query"])
    assert ssh.targets == [f"127.0.0.1:{proxy.port}"]


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param({"/ssh/password": "wrong"}, id="password"),
        pytest.param(
            {"/ssh/privateKey": asyncssh.generate_private_key("ssh-ed25519")}, id="foreign-key"
        ),
    ],
)
def test_a_refused_login_at_ssh_is_an_auth_failure_of_the_tunnel(
    plain_api: Server, ssh: SshServer, secrets: dict[str, object]
) -> None:
    block = dict(ssh_block(ssh))
    texts = {"/ssh/password": "wrong"}
    if "/ssh/privateKey" in secrets:
        block["privateKey"] = block.pop("password")
        key = secrets["/ssh/privateKey"]
        assert isinstance(key, asyncssh.SSHKey)
        texts = {"/ssh/privateKey": key.export_private_key().decode()}
    found = probe(plain_api.url, texts, ssh=block)
    assert ended(found) == (Reason.AUTH_FAILED, "tunnel")
    assert plain_api.connections == 0


def test_a_wrong_passphrase_sends_nothing(plain_api: Server, ssh: SshServer) -> None:
    block, secrets = key_block(ssh)
    found = probe(plain_api.url, {**secrets, "/ssh/passphrase": "wrong"}, ssh=block)
    assert ended(found) == (Reason.SECRET_UNRESOLVED, "tunnel")
    assert ssh.logins == 0


def test_another_host_key_than_the_known_one_ends_before_the_login(
    plain_api: Server, ssh: SshServer
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = {"file": f"[127.0.0.1]:{ssh.port} {other}"}
    found = probe(plain_api.url, ssh=ssh_block(ssh, knownHosts=known))
    assert ended(found) == (Reason.TUNNEL_FAILURE, "tunnel")
    assert found.message == (
        "the SSH server shows another host key than the file of `knownHosts` has for it"
        f" ({ssh.host_key.get_fingerprint()})"
    )
    assert ssh.logins == 0


@pytest.mark.parametrize("known", ["", "# none\n"], ids=["empty", "a-comment"])
def test_an_unknown_host_key_is_not_learnt(plain_api: Server, ssh: SshServer, known: str) -> None:
    found = probe(plain_api.url, ssh=ssh_block(ssh, knownHosts={"file": known}))
    assert ended(found) == (Reason.TUNNEL_FAILURE, "tunnel")
    assert "is not in the file of `knownHosts`" in found.message
    assert ssh.logins == 0


def test_an_ssh_server_that_dies_when_it_is_asked_for_the_way_is_named(
    plain_api: Server, ssh: SshServer
) -> None:
    ssh.dies = True
    found = probe(plain_api.url, ssh=ssh_block(ssh))
    assert found.reason is Reason.TUNNEL_FAILURE
    assert found.message == "the SSH connection broke, or the server does not speak SSH"
    assert plain_api.connections == 0


def test_an_ssh_server_that_forbids_forwarding_is_named(plain_api: Server) -> None:
    with ssh_server(forwards=False) as ssh:
        found = probe(plain_api.url, ssh=ssh_block(ssh))
    assert ended(found) == (Reason.TUNNEL_FAILURE, "tunnel")


def test_a_server_that_ssh_cannot_reach_is_a_failure_of_the_server(
    ssh: SshServer, refusing: int
) -> None:
    found = probe(f"http://127.0.0.1:{refusing}", ssh=ssh_block(ssh))
    assert ended(found) == (Reason.CONNECT_REFUSED, "tcp")


def test_an_ssh_server_that_is_not_there_is_a_failure_of_the_tunnel(
    plain_api: Server, ssh: SshServer, refusing: int
) -> None:
    found = probe(plain_api.url, ssh=ssh_block(ssh, port=refusing))
    assert ended(found) == (Reason.TUNNEL_FAILURE, "tunnel")


def test_a_silent_ssh_server_ends_by_the_deadline(plain_api: Server, ssh: SshServer) -> None:
    with silent_server() as port:
        found = probe(plain_api.url, ssh=ssh_block(ssh, port=port), health=QUICK)
    assert ended(found) == (Reason.TUNNEL_FAILURE, "tunnel")
    assert found.latency_s < 5


def test_one_pass_logs_in_at_ssh_once(plain_api: Server, ssh: SshServer) -> None:
    found = asyncio.run(probe_all(30, plain_api.url, ssh=ssh_block(ssh)))
    assert {each.reason for each in found} == {Reason.OK}
    assert (ssh.connections, ssh.logins, len(ssh.targets)) == (1, 1, 30)


def test_one_pass_sends_a_wrong_ssh_password_once(plain_api: Server, ssh: SshServer) -> None:
    secrets = {"/ssh/password": "wrong"}
    found = asyncio.run(probe_all(30, plain_api.url, secrets, ssh=ssh_block(ssh)))
    assert {ended(each) for each in found} == {(Reason.AUTH_FAILED, "tunnel")}
    assert ssh.failed_logins == 1


def test_one_pass_sends_a_wrong_proxy_password_twice_at_most(plain_api: Server) -> None:
    secrets = {"/proxy/auth/password": "wrong"}
    with proxy_server("http", logins=LOGINS) as proxy:
        block = proxy_block(proxy, "http")
        found = asyncio.run(probe_all(30, plain_api.url, secrets, proxy=block))
    assert {ended(each) for each in found} == {(Reason.AUTH_FAILED, "proxy")}
    assert 1 <= proxy.failed_logins <= 2


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0/"]
)
@pytest.mark.parametrize("hop", ["proxy", "ssh"])
def test_a_denied_server_behind_a_hop_gets_no_packet(ssh: SshServer, hop: str, url: str) -> None:
    with proxy_server("http", logins=LOGINS) as proxy:
        block = proxy_block(proxy, "http") if hop == "proxy" else ssh_block(ssh)
        found = probe(url, **{hop: block})
    assert found.reason is Reason.DESTINATION_DENIED
    assert (proxy.connections, ssh.connections) == (0, 0)


@pytest.mark.parametrize("hop", ["proxy", "ssh"])
def test_a_denied_hop_gets_no_packet(plain_api: Server, ssh: SshServer, hop: str) -> None:
    blocks: dict[str, JsonObject] = {
        "proxy": {"url": "http://169.254.169.254:3128"},
        "ssh": ssh_block(ssh, host="169.254.169.254"),
    }
    found = probe(plain_api.url, **{hop: blocks[hop]})
    stage = {"proxy": "proxy", "ssh": "tunnel"}[hop]
    assert ended(found) == (Reason.DESTINATION_DENIED, stage)


def test_a_socket_in_the_file_system_is_an_api(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                received.append(client.recv(65536))
                client.sendall(answer)

        received: list[bytes] = []
        thread = threading.Thread(target=serve)
        thread.start()
        found = probe("http://docker/v1.43", socket=str(path))
        thread.join()
    assert (found.reason, names_of(found)) == (Reason.OK, ["secret", "tcp", "query"])
    assert received[0].startswith(b"GET /v1.43 HTTP/1.1\r\nHost: docker\r\n")


def test_a_socket_that_is_not_there_is_said(tmp_path: Path) -> None:
    found = probe("http://docker/", socket=str(tmp_path / "none.sock"))
    assert ended(found) == (Reason.CONNECT_REFUSED, "tcp")
    assert found.message == "there is no such socket in the file system"


def test_nothing_is_left_over(plain_api: Server, ssh: SshServer, refusing: int) -> None:
    with proxy_server("socks5", logins=LOGINS) as proxy:
        ways: list[dict[str, JsonObject]] = [
            {"ssh": ssh_block(ssh)},
            {"ssh": ssh_block(ssh), "proxy": proxy_block(proxy, "socks5")},
            {"proxy": proxy_block(proxy, "socks5")},
            {"ssh": ssh_block(ssh, knownHosts={"file": ""})},
            {"ssh": ssh_block(ssh, jump=ssh_block(ssh, port=refusing))},
        ]

        def all_ways() -> None:
            for way in ways:
                probe(plain_api.url, **way)
                probe(plain_api.url, {**SECRETS, "/ssh/password": "wrong"}, **way)

        before = descriptors_left()
        all_ways()
        threads = threading.active_count()
        all_ways()
        all_ways()
        assert descriptors_left(before + 2) <= before + 2  # what libraries keep open
        assert threading.active_count() == threads


@pytest.mark.parametrize("secret", [PASSWORD, PROXY_PASSWORD])
def test_no_secret_is_in_what_is_found(plain_api: Server, ssh: SshServer, secret: str) -> None:
    with proxy_server("http", logins={"report": "another"}) as proxy:
        for way in (
            {"ssh": ssh_block(ssh, username="nobody")},
            {"proxy": proxy_block(proxy, "http")},
        ):
            assert secret not in str(probe(plain_api.url, **way))


def test_a_missing_ssh_library_says_how_to_install_it(
    plain_api: Server, ssh: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "reconciler.clients.ssh", raising=False)
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    found = probe(plain_api.url, ssh=ssh_block(ssh))
    assert ended(found) == (Reason.DRIVER_MISSING, "tunnel")
    assert found.hint == 'install it: `pip install "reconciler[ssh]"`'


@pytest.mark.parametrize("kind", ["api", "database"])
def test_importing_the_ssh_library_is_no_time_of_a_stage(
    plain_api: Server, ssh: SshServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.delitem(sys.modules, "reconciler.clients.ssh", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SlowImport("reconciler.clients.ssh"), *sys.meta_path])
    began = time.monotonic()
    if kind == "api":
        found = probe(plain_api.url, ssh=ssh_block(ssh))
    else:
        found = probe_database(port=plain_api.port, ssh=ssh_block(ssh))
    took_s = time.monotonic() - began
    assert "tunnel" in [stage.name.value for stage in found.stages]
    assert took_s - sum(stage.seconds for stage in found.stages) >= SlowImport.TAKES_S


def test_no_ssh_library_is_imported_without_need() -> None:
    code = (
        "import sys, reconciler.probes.http, reconciler.probes.sql;print('asyncssh' in sys.modules)"
    )
    done = subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_nothing_comes_from_the_environment(
    plain_api: Server, monkeypatch: pytest.MonkeyPatch, name: str, refusing: int
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{refusing}")
    assert probe(plain_api.url).reason is Reason.OK


def test_nothing_comes_from_the_home_folder_or_an_agent(
    plain_api: Server,
    ssh: SshServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusing: int,
) -> None:
    """A host key, a client key and a configuration that would all let us in."""
    home = tmp_path / ".ssh"
    home.mkdir()
    home.joinpath("known_hosts").write_text(ssh.known_hosts)
    home.joinpath("id_ed25519").write_text(ssh.private_key)
    home.joinpath("id_ed25519").chmod(0o600)
    home.joinpath("config").write_text(f"Host *\n  HostName 127.0.0.1\n  Port {ssh.port}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    unknown = probe(plain_api.url, ssh=ssh_block(ssh, knownHosts={"file": ""}))
    assert ended(unknown) == (Reason.TUNNEL_FAILURE, "tunnel")
    refused = probe(plain_api.url, {"/ssh/password": "wrong"}, ssh=ssh_block(ssh))
    assert ended(refused) == (Reason.AUTH_FAILED, "tunnel")
    elsewhere = probe(plain_api.url, ssh=ssh_block(ssh, port=refusing))
    assert ended(elsewhere) == (Reason.TUNNEL_FAILURE, "tunnel")
    assert (ssh.logins, ssh.failed_logins) == (1, 1)
