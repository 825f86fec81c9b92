"""A project with a secret in every place that may hold one, and endpoints that give them all away.

Every authentication method of both kinds, from variables and from files, against servers that echo
what they were sent in the status line, in headers, in the redirect and in the body, and databases
whose error texts hold the password in all its forms.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from reconciler.model import JsonObject
from tests.corpus.canary import make_canary, make_key
from tests.servers import sql_peers
from tests.servers.certificates import Authority
from tests.servers.http import Client, Route, Server, http_server

#: Variables and files, each with a secret of its own.
VARIABLES = (
    "BEARER", "KEY_IN_HEADER", "KEY_IN_COOKIE", "PAIR_ID", "PG_PASSWORD", "DIGEST",
    "CONSUMER_SECRET", "OAUTH1_TOKEN", "OAUTH1_SECRET", "AWS_ID", "AWS_SECRET", "AWS_SESSION",
    "KEY_PASSPHRASE",
)  # fmt: skip
FILES = ("basic", "key-in-query", "pair-key", "my-password", "client-key")
#: The name of a secret that is kept in the state; whoever plays commands stores its canary.
STORED = "stored-token"
#: What the APIs answer; each to every authentication method.
STATUSES = (200, 302, 401, 500)
#: RFC 6265, section 4.1.1, and what a header can carry.
_COOKIE_SAFE = "'/+=%&@:<>#?{}$`|^~"

_AUTH: Mapping[str, JsonObject] = {
    "bearer": {"method": "bearer", "token": {"env": "BEARER"}},
    "basic": {"method": "basic", "username": "user", "password": {"file": "secrets/basic"}},
    "digest": {"method": "digest", "username": "user", "password": {"env": "DIGEST"}},
    "oauth1": {
        "method": "oauth1",
        "signatureMethod": "PLAINTEXT",  # so that the secrets are in what is echoed
        "consumerKey": "client",
        "consumerSecret": {"env": "CONSUMER_SECRET"},
        "token": {"env": "OAUTH1_TOKEN"},
        "tokenSecret": {"env": "OAUTH1_SECRET"},
    },
    "aws": {
        "method": "awsSigV4",
        "region": "eu-central-1",
        "service": "execute-api",
        "accessKeyId": {"env": "AWS_ID"},
        "secretAccessKey": {"env": "AWS_SECRET"},
        "sessionToken": {"env": "AWS_SESSION"},
    },
    "in-header": {
        "method": "apiKey",
        "in": "header",
        "name": "X-Key",
        "value": {"env": "KEY_IN_HEADER"},
    },
    "in-query": {
        "method": "apiKey",
        "in": "query",
        "name": "key",
        "value": {"file": "secrets/key-in-query"},
    },
    "in-cookie": {
        "method": "apiKey",
        "in": "cookie",
        "name": "session",
        "value": {"env": "KEY_IN_COOKIE"},
    },
    "stored": {"method": "bearer", "token": {"store": STORED}},
    "pair": {
        "method": "headers",
        "headers": {"X-Id": {"env": "PAIR_ID"}, "X-Pair": {"file": "secrets/pair-key"}},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A project, its secrets by name, and the environment that holds those that no file holds."""

    folder: Path
    canaries: Mapping[str, str]
    env: Mapping[str, str]
    server: Server
    #: a store that is a server which gives its password away
    leaky_state: str


def parrot(status: int) -> Route:
    """Answers `status` with everything that was sent, in every part of the answer."""

    async def route(client: Client) -> None:
        request = client.request
        sent = " ".join((request.target, *request.headers.values()))
        body = json.dumps({"target": request.target, "headers": dict(request.headers)})
        head = f"HTTP/1.1 {status} {sent}\r\nX-Echo: {sent}\r\nLocation: http://evil/?{sent}\r\n"
        length = f"Content-Length: {len(body.encode())}\r\n\r\n"
        await client.send((head + length + body).encode())

    return route


@contextmanager
def planted(folder: Path) -> Iterator[Planted]:
    """Plants new secrets in the empty `folder` and serves the endpoints for the block."""
    canaries = {name: make_canary() for name in (*VARIABLES, *FILES)}
    canaries |= {"KEY_IN_COOKIE": make_canary(_COOKIE_SAFE), "RECONCILER_KEY": make_key()}
    canaries[STORED] = make_canary()
    canaries |= {"state password": make_canary(), "other variable": make_canary()}
    for name in FILES:
        file = folder / "secrets" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(canaries[name] + "\n")
        file.chmod(0o600)
    env = {name: canaries[name] for name in (*VARIABLES, "RECONCILER_KEY")}
    env["UNUSED_TOKEN"] = canaries["other variable"]
    with ExitStack() as running:
        server = running.enter_context(http_server({}))
        ports = {
            engine: running.enter_context(sql_peers.sql_peer(script)).port
            for engine, script in _scripts(canaries).items()
        }
        certificate = Authority().client().certificate
        (folder / "secrets" / "client.pem").write_text(certificate)
        manifests = [*_apis(server), _mutual(), *_certified(), *_databases(ports)]
        (folder / "manifests").mkdir()
        (folder / "manifests/all.yaml").write_text("\n---\n".join(map(json.dumps, manifests)))
        password = quote(canaries["state password"], safe="")
        url = f"postgresql://user:{password}@127.0.0.1:{ports['state']}/state"
        yield Planted(folder=folder, canaries=canaries, env=env, server=server, leaky_state=url)


def _manifest(kind: str, name: str, spec: JsonObject) -> JsonObject:
    metadata = {"name": name, "labels": {"team": "sales"}}
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _apis(server: Server) -> Iterator[JsonObject]:
    for status in STATUSES:
        for name, auth in _AUTH.items():
            path = f"/{name}-{status}"
            server.routes[path] = parrot(status)
            spec = {
                "baseUrl": server.url + path,
                "auth": auth,
                "health": {"expect": {"json": {"/absent": 1}, "text": "target"}},
            }
            yield _manifest("ApiConnection", path[1:], spec)


def _mutual() -> JsonObject:
    """Returns an API whose client certificate has a key and a passphrase that are canaries."""
    pair = {
        "certificate": {"file": "secrets/client.pem"},
        "key": {"file": "secrets/client-key"},
        "keyPassphrase": {"env": "KEY_PASSPHRASE"},
    }
    spec = {"baseUrl": "https://127.0.0.1:1", "tls": {"clientCertificate": pair}}
    return _manifest("ApiConnection", "mutual", spec)


def _certified() -> Iterator[JsonObject]:
    """Yields databases whose client certificates have the same key and passphrase."""
    pair = {
        "certificate": {"file": "secrets/client.pem"},
        "key": {"file": "secrets/client-key"},
        "keyPassphrase": {"env": "KEY_PASSPHRASE"},
    }
    place = {"host": "127.0.0.1", "port": 1, "database": "orders"}
    by_certificate = {"method": "clientCertificate", "username": "user", **pair}
    yield _manifest("SqlConnection", "by-key", {"engine": "mysql", **place, "auth": by_certificate})
    directory = {"method": "ldap", "username": "user", "password": {"env": "PG_PASSWORD"}}
    spec = {"engine": "postgresql", **place, "auth": directory, "tls": {"clientCertificate": pair}}
    yield _manifest("SqlConnection", "beside-key", spec)


def _databases(ports: Mapping[str, int]) -> Iterator[JsonObject]:
    for engine, secret in {
        "postgresql": {"env": "PG_PASSWORD"},
        "mysql": {"file": "secrets/my-password"},
        "clickhouse": {"env": "PG_PASSWORD"},
    }.items():
        spec = {
            "engine": engine,
            "host": "127.0.0.1",
            "port": ports[engine],
            "database": "orders",
            "auth": {"method": "password", "username": "user", "password": secret},
            "tls": {"mode": "disable"},
        }
        yield _manifest("SqlConnection", engine, spec)


def _scripts(
    canaries: Mapping[str, str],
) -> Mapping[str, Callable[[sql_peers.Conversation], None]]:
    return {
        "postgresql": partial(_refuse_postgresql, _given_away(canaries["PG_PASSWORD"])),
        "clickhouse": partial(_refuse_http, _given_away(canaries["PG_PASSWORD"])),
        "mysql": partial(_refuse_mysql, _given_away(canaries["my-password"])),
        "state": partial(_refuse_postgresql, _given_away(canaries["state password"])),
    }


def _given_away(secret: str) -> bytes:
    """Returns an error text with `secret` in every form that a server may know it in."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"user:"[:length] + raw).decode() for length in (0, 1, 2, 5)]
    forms = (secret, quote(secret), quote(secret, safe=""), json.dumps(secret), repr(secret))
    return " ".join(("refused", *forms, raw.hex(), *shifted)).encode()


def _refuse_postgresql(text: bytes, client: sql_peers.Conversation) -> None:
    if client.postgresql_start()[:4] == (80877103).to_bytes(4):  # a request for TLS
        client.send(b"N")
        client.postgresql_start()
    client.send(sql_peers.postgresql_error("28P01", text))


def _refuse_mysql(text: bytes, client: sql_peers.Conversation) -> None:
    client.mysql_send(0, sql_peers.mysql_greeting())
    client.mysql_packet()
    client.mysql_send(2, sql_peers.mysql_error(1045, "28000", text))


def _refuse_http(text: bytes, client: sql_peers.Conversation) -> None:
    """Reads a request and gives it back as ClickHouse's error, in status, headers and body."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += client.receive(1)
    head = b"HTTP/1.1 403 " + text + b"\r\nX-ClickHouse-Exception-Code: 516\r\nX-Echo: " + text
    body = b"Code: 516. DB::Exception: (" + text + b") " + request
    client.send(head + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
