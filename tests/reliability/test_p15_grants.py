"""P15: a credential reaches only granted hosts, whatever a manifest is made to say.

Everything that leads a kept credential elsewhere is tried through the command line, against
listeners that write down what arrives. Each change is made twice: to a manifest that was applied,
where the plan has to block it, and in a state that has it already, where the check has to. That the
listener would have been reached is shown first, without grants.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh
import pytest

from reconciler.model import Json, JsonObject
from tests.corpus.canary import leaks, make_canary, make_key
from tests.corpus.zygote import Ended, Zygote
from tests.reliability.figures import Record
from tests.servers import http_routes
from tests.servers.http import Server, http_server
from tests.servers.oauth import Client, Provider, oauth_server
from tests.servers.sinks import Sink, sink

FILE = "manifests/all.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A project, the server that its secret is for, and a listener that it is not for."""

    folder: Path
    command: Zygote
    server: Server
    sink: Sink
    secret: str
    key: str

    def declare(self, spec: JsonObject, *, kind: str = "ApiConnection", name: str = "crm") -> None:
        manifest = {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "sales"},
            "spec": {"timeout": {"connect": "2s"}, "health": {"timeout": "4s"}, **spec},
        }
        (self.folder / "manifests").mkdir(exist_ok=True)
        (self.folder / FILE).write_text(json.dumps(manifest))

    def run(self, *argv: str, guarded: bool, prelude: str = "") -> Ended:
        env = {"CRM_TOKEN": self.secret, "OTHER_TOKEN": f"other-{self.secret}"}
        env["RECONCILER_KEY"] = self.key
        if guarded:
            env["RECONCILER_OPERATOR_CONFIG"] = str(self.folder.parent / "operator.toml")
        return self.command(*argv, folder=self.folder, env=env, prelude=prelude)

    def grant(self, *destinations: str) -> None:
        file = self.folder.parent / "operator.toml"
        file.write_text(
            '[[grant]]\nreferences = ["env:CRM_*"]\nconnections = ["sales/*"]\n'
            f"destinations = {json.dumps(destinations)}\n"
        )
        file.chmod(0o600)

    def assert_kept(self) -> None:
        assert (self.sink.connections, self.sink.received) == (0, b"")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with http_server({"/": http_routes.answer(200)}) as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, command: Zygote, server: Server) -> Iterator[Scene]:
    folder = tmp_path / "project"
    folder.mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    with sink("127.0.0.2", server.port) as there:
        (folder / "known_hosts").write_text(f"[127.0.0.2]:{there.port} {key}\n")
        made = Scene(
            folder=folder,
            command=command,
            server=server,
            sink=there,
            secret=make_canary("p15"),
            key=make_key(),
        )
        server.requests.clear()
        made.grant(f"http://127.0.0.1:{server.port}")
        yield made


def base(scene: Scene) -> dict[str, Json]:
    return {
        "baseUrl": scene.server.url,
        "auth": {"method": "bearer", "token": {"env": "CRM_TOKEN"}},
    }


def another_host(scene: Scene) -> JsonObject:
    return {**base(scene), "baseUrl": f"http://127.0.0.2:{scene.sink.port}"}


def another_spelling(scene: Scene) -> JsonObject:
    return {**base(scene), "baseUrl": f"http://0x7f.2:{scene.sink.port}"}


def another_scheme(scene: Scene) -> JsonObject:
    url = f"https://127.0.0.2:{scene.sink.port}"
    return {**base(scene), "baseUrl": url, "tls": {"verify": False}}


def a_proxy(scene: Scene) -> JsonObject:
    return {**base(scene), "proxy": {"url": f"http://127.0.0.2:{scene.sink.port}"}}


def a_socks_proxy(scene: Scene) -> JsonObject:
    return {**base(scene), "proxy": {"url": f"socks5://127.0.0.2:{scene.sink.port}"}}


def a_proxy_with_the_secret(scene: Scene) -> JsonObject:
    login = {"username": "crm", "password": {"env": "CRM_TOKEN"}}
    return {
        **base(scene),
        "proxy": {"url": f"http://127.0.0.2:{scene.sink.port}", "auth": login},
    }


def a_tunnel(scene: Scene) -> JsonObject:
    return {
        **base(scene),
        "ssh": {
            "host": "127.0.0.2",
            "port": scene.sink.port,
            "username": "ops",
            "password": {"env": "CRM_TOKEN"},
            "knownHosts": {"file": "known_hosts"},
        },
    }


def a_jump_host(scene: Scene) -> JsonObject:
    way = a_tunnel(scene)["ssh"]
    return {**base(scene), "ssh": {**way, "host": "127.0.0.1", "jump": way}}


def another_method(scene: Scene) -> JsonObject:
    auth = {"method": "basic", "username": "crm", "password": {"env": "CRM_TOKEN"}}
    return {**another_host(scene), "auth": auth}


_WAYS: tuple[Callable[[Scene], JsonObject], ...] = (
    *(another_host, another_spelling, another_scheme, a_proxy, a_socks_proxy),
    *(a_proxy_with_the_secret, a_tunnel, a_jump_host, another_method),
)


@pytest.mark.parametrize("way", _WAYS, ids=lambda way: way.__name__)
def test_kept_credential_goes_nowhere_else(
    way: Callable[[Scene], JsonObject], scene: Scene, figure: Record
) -> None:
    scene.declare(base(scene))
    assert scene.run("apply", guarded=True).code == 0
    assert len(scene.server.requests) == 1

    scene.declare(way(scene))
    planned = scene.run("plan", "-o", "json", guarded=True)
    (change,) = json.loads(planned.stdout)["changes"]
    assert planned.code == 8
    assert change["blockedBy"].startswith("no grant of the operator file lets")
    assert scene.run("apply", guarded=True).code == 8
    assert scene.run("plan", "--secrets", guarded=True).code == 8
    scene.assert_kept()

    assert scene.run("apply", "--health", "none", guarded=False).code == 0
    for command in (("health",), ("apply", "--health", "all"), ("health", "sales/crm")):
        ended = scene.run(*command, guarded=True)
        assert (ended.code, b"no grant of the operator file lets" in ended.stdout) == (11, True)
    scene.assert_kept()

    # else nothing was tested: without grants the listener is reached
    scene.run("health", guarded=False)
    assert scene.sink.connections > 0
    figure("P15", "ways to lead a credential elsewhere", 1, "bytes that arrived there", 0)


_KINDS = ("postgresql", "mysql", "mariadb")


@pytest.mark.parametrize("engine", _KINDS)
def test_database_gets_nothing_without_a_grant(engine: str, scene: Scene, figure: Record) -> None:
    auth = {"method": "password", "username": "crm", "password": {"env": "CRM_TOKEN"}}
    spec = {"engine": engine, "database": "crm", "auth": auth, "tls": {"mode": "disable"}}
    scene.grant(f"{engine}://127.0.0.1:1")
    scene.declare({**spec, "host": "127.0.0.1", "port": 1}, kind="SqlConnection")
    assert scene.run("apply", "--health", "none", guarded=True).code == 0
    scene.declare({**spec, "host": "127.0.0.2", "port": scene.sink.port}, kind="SqlConnection")
    assert scene.run("apply", guarded=True).code == 8
    assert scene.run("apply", "--health", "none", guarded=False).code == 0
    assert b"DestinationDenied" in scene.run("health", "-o", "json", guarded=True).stdout
    scene.assert_kept()
    scene.run("health", guarded=False)
    assert scene.sink.connections > 0 or engine != "postgresql"
    figure("P15", "ways to lead a credential elsewhere", 1, "bytes that arrived there", 0)


def test_other_secret_and_other_connection_go_nowhere(scene: Scene, figure: Record) -> None:
    """A granted destination does not open it for everything, nor a granted secret every name."""
    other = {"method": "bearer", "token": {"env": "OTHER_TOKEN"}}
    scene.declare({**base(scene), "auth": other})
    assert b"DestinationDenied" in scene.run("apply", "-o", "json", guarded=True).stdout
    text = (scene.folder / FILE).read_text().replace('"sales"', '"hr"')
    (scene.folder / FILE).write_text(text.replace("OTHER_TOKEN", "CRM_TOKEN"))
    assert b"DestinationDenied" in scene.run("apply", "-o", "json", guarded=True).stdout
    assert scene.server.requests == []
    figure("P15", "ways to lead a credential elsewhere", 2, "bytes that arrived there", 0)


def test_redirect_takes_no_credential_along(scene: Scene, figure: Record) -> None:
    place = f"http://127.0.0.2:{scene.sink.port}/"
    for status in (301, 302, 303, 307, 308):
        scene.server.routes["/away"] = http_routes.redirect(place, status)
        scene.declare({**base(scene), "health": {"path": "/away", "timeout": "4s"}})
        assert scene.run("apply", "--health", "all", guarded=True).code == 11
        scene.run("resume", "crm", guarded=True)
        scene.assert_kept()
        figure("P15", "ways to lead a credential elsewhere", 1, "bytes that arrived there", 0)
    assert {request.path for request in scene.server.requests} == {"/away"}


#: Answers with the good address first, and with the other one whenever it is asked again.
_REBINDING = """
import socket
answers = ["127.0.0.1"]
before = socket.getaddrinfo
def getaddrinfo(host, port, *rest, **named):
    if host == "crm.test":
        host = answers.pop() if answers else "127.0.0.2"
    return before(host, port, *rest, **named)
socket.getaddrinfo = getaddrinfo
"""


def test_name_that_answers_differently_within_a_check_changes_nothing(
    scene: Scene, figure: Record
) -> None:
    scene.grant(f"http://crm.test:{scene.server.port}")
    scene.declare({**base(scene), "baseUrl": f"http://crm.test:{scene.server.port}"})
    assert scene.run("apply", guarded=True, prelude=_REBINDING).code == 0
    assert len(scene.server.requests) == 1
    scene.assert_kept()
    late = _REBINDING.replace('["127.0.0.1"]', "[]")
    scene.run("health", guarded=True, prelude=late)
    assert scene.sink.connections == 1  # the resolver was the one above
    figure("P15", "ways to lead a credential elsewhere", 1, "bytes that arrived there", 0)


@pytest.fixture
def provider(scene: Scene) -> Iterator[Provider]:
    with oauth_server() as running:
        running.clients["crm"] = Client(secret=scene.secret)
        yield running


def oauth(scene: Scene, provider: Provider) -> JsonObject:
    return {
        "method": "oauth2",
        "grant": "clientCredentials",
        "tokenUrl": provider.token_url,
        "clientId": "crm",
        "clientAuthentication": {"method": "basic", "secret": {"env": "CRM_TOKEN"}},
    }


@pytest.mark.parametrize("moved", ["baseUrl", "tokenUrl"])
def test_neither_client_secret_nor_token_goes_elsewhere(
    moved: str, scene: Scene, provider: Provider, figure: Record
) -> None:
    """A token that is kept and still good is not sent, nor is one refreshed."""
    place = urlsplit(provider.token_url)
    scene.grant(f"http://127.0.0.1:{scene.server.port}", f"127.0.0.1:{place.port}")
    spec = {**base(scene), "auth": oauth(scene, provider)}
    scene.declare(spec)
    ended = scene.run("apply", guarded=True)
    assert ended.code == 0, ended.text
    assert len(scene.server.requests) == 1
    scene.server.requests.clear()

    away = f"http://127.0.0.2:{scene.sink.port}"
    if moved == "baseUrl":
        scene.declare({**spec, "baseUrl": away})
    else:
        scene.declare({**spec, "auth": {**spec["auth"], "tokenUrl": f"{away}/token"}})
    assert scene.run("apply", guarded=True).code == 8
    scene.run("apply", "--health", "none", guarded=False)
    assert b"DestinationDenied" in scene.run("health", "-o", "json", guarded=True).stdout
    scene.assert_kept()
    assert scene.server.requests == []
    scene.run("health", guarded=False)
    assert scene.sink.connections > 0
    figure("P15", "ways to lead a credential elsewhere", 1, "bytes that arrived there", 0)


def _consents(provider: Provider) -> dict[str, JsonObject]:
    """Returns by method an `auth` that a person has to agree to."""
    code = {
        "method": "oauth2",
        "grant": "authorizationCode",
        "clientId": "crm",
        "clientAuthentication": {"method": "basic", "secret": {"env": "CRM_TOKEN"}},
        "tokenUrl": provider.token_url,
        "authorizationUrl": provider.authorization_url,
        "redirectUrl": "http://127.0.0.1:8765/callback",
    }
    signed = {
        "method": "oauth1",
        "consumerKey": "crm",
        "consumerSecret": {"env": "CRM_TOKEN"},
        "consent": {
            "requestTokenUrl": provider.token_url,
            "authorizationUrl": provider.authorization_url,
            "accessTokenUrl": provider.token_url,
            "redirectUrl": "http://127.0.0.1:8765/callback",
        },
    }
    return {"oauth2": code, "oauth1": signed}


@pytest.mark.parametrize("method", ["oauth2", "oauth1"])
def test_person_is_not_sent_to_a_page_without_a_grant(
    method: str, scene: Scene, provider: Provider, figure: Record
) -> None:
    """Whoever agrees there plants an account of theirs, which the connection would then use."""
    place = urlsplit(provider.token_url)
    scene.grant(f"http://127.0.0.1:{scene.server.port}", f"127.0.0.1:{place.port}")
    auth = _consents(provider)[method]
    scene.declare({**base(scene), "auth": auth})
    assert b"ConsentRequired" in scene.run("apply", guarded=True).stdout

    away = {"authorizationUrl": f"http://127.0.0.2:{scene.sink.port}/authorize"}
    moved = (
        {**auth, **away} if method == "oauth2" else {**auth, "consent": {**auth["consent"], **away}}
    )
    scene.declare({**base(scene), "auth": moved})
    ended = scene.run("apply", guarded=True)
    assert ended.code == 8
    assert "lets a person agree at http://127.0.0.2:" in ended.text
    scene.run("apply", "--health", "none", guarded=False)
    ended = scene.run("authorize", "crm", "--no-browser", "--within", "1s", guarded=True)
    assert (ended.code, ended.stdout) == (8, b""), ended.text
    assert b"lets a person agree at" in scene.run("describe", "crm", guarded=True).stdout
    scene.assert_kept()
    figure("P15", "ways to plant another account", 1)


def test_refusal_shows_no_secret(scene: Scene) -> None:
    scene.declare(another_host(scene))
    ended = scene.run("apply", "-o", "json", guarded=True)
    told = {"stdout": ended.stdout, "stderr": ended.stderr}
    assert leaks({"token": scene.secret}, told) == []
