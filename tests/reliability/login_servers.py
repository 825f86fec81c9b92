"""Servers that count failed logins, each with two connections, `a` and `b`, of one credential.

The credential is in the variable SECRET, and whatever is in it is wrong. Every server is real: what
it counts it has looked at, over a socket, apart from the program's own books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from reconciler.model import Json, JsonObject
from tests.servers import http_routes
from tests.servers.http import Client as Peer
from tests.servers.http import Route, Server, http_server
from tests.servers.http_digest import DigestLogin
from tests.servers.http_oauth1 import Provider as Signer
from tests.servers.mariadb import MariadbServer
from tests.servers.oauth import Client, Provider, oauth_server
from tests.servers.postgresql import PostgresServer
from tests.servers.proxies import proxy_server
from tests.servers.ssh import USER, ssh_server

REFERENCE: JsonObject = {"env": "SECRET"}
NAMES = ("a", "b")
#: Paths that APIs answer at, for connections that come later.
_PATHS = ("/a", "/b", "/c", "/d", "/v2/a", "/v2/b")
#: So many failures in a row end the checks of a connection: many more than logins may fail.
SUSPEND_AFTER = 100
_OK = http_routes.answer(200)
_KEYED = http_routes.login(http_routes.api_key("query", "key", "right"), _OK)
_HEADED = http_routes.login(http_routes.api_key("header", "X-Key", "right"), _OK)
_LOGIN: JsonObject = {"username": "report", "password": REFERENCE}
_CLIENT: JsonObject = {
    "clientId": "crm",
    "clientAuthentication": {"method": "basic", "secret": REFERENCE},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Two connections of one wrong credential, and what their server has counted."""

    manifests: tuple[JsonObject, ...]
    #: how often a wrong credential was sent, since the server was started
    failed: Callable[[], int]
    #: public files that the manifests name
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def use(self) -> tuple[str, ...]:
        """The command that uses `a`."""
        if self.manifests[0]["kind"] == "SqlConnection":
            return ("query", "a", "select 1")
        return ("request", "a", "GET", "/a")


def api(url: str, name: str, **spec: Json) -> JsonObject:
    """Returns an API at `url` that is checked, and used, at the path `/name`."""
    health = {"path": f"/{name}", "suspendAfter": SUSPEND_AFTER}
    return _manifest("ApiConnection", name, {"baseUrl": url, "health": health, **spec})


def sql(engine: str, port: int, name: str, **spec: Json) -> JsonObject:
    """Returns a database on loopback without TLS."""
    fields: JsonObject = {
        "engine": engine,
        "host": "127.0.0.1",
        "port": port,
        "tls": {"mode": "disable"},
        "health": {"suspendAfter": SUSPEND_AFTER},
        **spec,
    }
    return _manifest("SqlConnection", name, fields)


def _manifest(kind: str, name: str, spec: JsonObject) -> JsonObject:
    return {
        "apiVersion": "reconciler/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _oauth1() -> tuple[JsonObject, Route]:
    consumer = Signer(consumer_key="client", consumer_secret="right", tokens={"": ""})
    auth = {"consumerKey": "client", "consumerSecret": REFERENCE, "realm": "Photos"}
    return auth, consumer.resource


#: What an API asks for -> method, the rest of `auth`, and the route of a server that wants it.
_APIS: Mapping[str, Callable[[], tuple[str, JsonObject, Route]]] = {
    "basic": lambda: (
        "basic",
        _LOGIN,
        http_routes.login(http_routes.basic("report", "right"), _OK),
    ),
    "bearer": lambda: (
        "bearer",
        {"token": REFERENCE},
        http_routes.login(http_routes.bearer("right"), _OK),
    ),
    "apiKey": lambda: ("apiKey", {"in": "query", "name": "key", "value": REFERENCE}, _KEYED),
    "headers": lambda: ("headers", {"headers": {"X-Key": REFERENCE}}, _HEADED),
    "digest": lambda: ("digest", _LOGIN, DigestLogin(username="report", password="right").route()),
    "oauth1": lambda: ("oauth1", *_oauth1()),
}
_GRANTS: Mapping[str, JsonObject] = {
    "oauth2 clientCredentials": {"grant": "clientCredentials", **_CLIENT},
    "oauth2 password": {
        "grant": "password",
        "clientId": "public",
        "clientAuthentication": {"method": "none"},
        **_LOGIN,
    },
}
_PROXIES = {"HTTP proxy": "http", "SOCKS5 proxy": "socks5"}
#: One server of each family.
FAMILIES = ("bearer", "HTTP proxy", "SSH server")
#: Everything that counts logins, by what stands in a test's name.
KINDS = (
    *_APIS,
    *_GRANTS,
    *_PROXIES,
    "SSH server",
    pytest.param("postgresql", marks=pytest.mark.server),
    pytest.param("mariadb", marks=pytest.mark.server),
)


@contextmanager
def open_target(kind: str, request: pytest.FixtureRequest) -> Iterator[Target]:
    """Gives the target of one of `KINDS`; databases are fixtures of the test."""
    if kind == "postgresql":
        yield _postgresql(request.getfixturevalue("postgresql"))
        return
    if kind == "mariadb":
        yield _mariadb(request.getfixturevalue("mariadb"))
        return
    with ExitStack() as stack:
        if kind in _GRANTS:
            yield _oauth2(stack, _GRANTS[kind])
        elif kind in _PROXIES:
            yield _proxy(stack, _PROXIES[kind], {"report": "right"})
        elif kind == "SSH server":
            yield _ssh(stack)
        else:
            yield _api(stack, *_APIS[kind]())


@contextmanager
def open_revocable(known: Mapping[str, str], *, is_behind_proxy: bool) -> Iterator[Target]:
    """Gives a target that asks for the password of `report` in `known` as it is at the time."""

    async def check(client: Peer) -> None:
        await http_routes.basic("report", known["report"])(client)

    with ExitStack() as stack:
        if is_behind_proxy:
            yield _proxy(stack, "http", known)
        else:
            yield _api(stack, "basic", _LOGIN, http_routes.login(check, _OK))


def _open_server(stack: ExitStack, route: Route = _OK) -> Server:
    return stack.enter_context(http_server(dict.fromkeys(_PATHS, route)))


def _api(stack: ExitStack, method: str, auth: JsonObject, route: Route) -> Target:
    server = _open_server(stack, route)
    manifests = (api(server.url, name, auth={"method": method, **auth}) for name in NAMES)
    return Target(
        manifests=tuple(manifests),
        failed=lambda: server.failed_logins,
    )


def _oauth2(stack: ExitStack, auth: JsonObject) -> Target:
    return _client_of(stack.enter_context(oauth_server()), auth)


@contextmanager
def open_oauth2() -> Iterator[tuple[Target, Provider]]:
    """Gives a client of a token server, and the server."""
    with oauth_server() as provider:
        yield _client_of(provider, _GRANTS["oauth2 clientCredentials"]), provider


def _client_of(provider: Provider, auth: JsonObject) -> Target:
    provider.clients |= {"crm": Client(secret="right"), "public": Client()}
    provider.server.routes |= {f"/{name}": provider.api for name in NAMES}
    full = {"method": "oauth2", "tokenUrl": provider.token_url, **auth}
    return Target(
        manifests=tuple(api(provider.url, name, auth=full) for name in NAMES),
        failed=lambda: provider.failed_logins,
    )


def _proxy(stack: ExitStack, scheme: str, known: Mapping[str, str]) -> Target:
    proxy = stack.enter_context(proxy_server(scheme, logins=known))
    server = _open_server(stack)
    way = {"url": proxy.url(scheme), "auth": _LOGIN}
    return Target(
        manifests=tuple(api(server.url, name, proxy=way) for name in NAMES),
        failed=lambda: proxy.failed_logins,
    )


def _ssh(stack: ExitStack) -> Target:
    bastion = stack.enter_context(ssh_server())
    server = _open_server(stack)
    way: JsonObject = {
        "host": "127.0.0.1",
        "port": bastion.port,
        "username": USER,
        "password": REFERENCE,
        "knownHosts": {"file": "known_hosts"},
    }
    return Target(
        manifests=tuple(api(server.url, name, ssh=way) for name in NAMES),
        failed=lambda: bastion.failed_logins,
        files={"known_hosts": bastion.known_hosts},
    )


def _postgresql(server: PostgresServer) -> Target:
    role = server.make_role("right")
    auth = {"method": "password", "username": role, "password": REFERENCE}
    spec = {"database": "postgres", "auth": auth}
    return Target(
        manifests=tuple(sql("postgresql", server.port, name, **spec) for name in NAMES),
        failed=lambda: server.failed_logins(role),
    )


def _mariadb(server: MariadbServer) -> Target:
    spec = {"database": "orders", "auth": {"method": "password", **_LOGIN}}
    return Target(
        manifests=tuple(sql("mariadb", server.port, name, **spec) for name in NAMES),
        failed=lambda: server.failed_logins("report"),
    )
