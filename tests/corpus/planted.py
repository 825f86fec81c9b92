"""A project with a secret in every place that may hold one, and endpoints that give them all away.

Every authentication method of both kinds, from variables and from files, and a secret from every
other source, which has secrets of its own, against servers that echo
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
from urllib.parse import quote, unquote_plus

import pyrage  # type: ignore[import-untyped]

from reconciler.model import JsonObject
from tests.corpus.canary import make_canary, make_key
from tests.servers import sql_peers
from tests.servers.certificates import Authority
from tests.servers.http import Client, Route, Server, http_server
from tests.servers.http_routes import json_body
from tests.servers.key_vault import Version, key_vault
from tests.servers.proxies import ProxyServer, proxy_server
from tests.servers.secret_manager import secret_manager
from tests.servers.secrets_manager import ACCESS_KEY_ID, REGION, secrets_manager
from tests.servers.ssh import SshServer, ssh_server
from tests.servers.vault import ROLE_ID, vault

#: Variables and files, each with a secret of its own.
VARIABLES = (
    "BEARER", "KEY_IN_HEADER", "KEY_IN_COOKIE", "PAIR_ID", "PG_PASSWORD", "DIGEST",
    "CONSUMER_SECRET", "OAUTH1_TOKEN", "OAUTH1_SECRET", "AWS_ID", "AWS_SECRET", "AWS_SESSION",
    "KEY_PASSPHRASE", "PROXY_PASSWORD", "SSH_PASSPHRASE", "SSH_PASSWORD", "CLIENT_SECRET",
    "REFRESH", "OWNER_PASSWORD", "SIGNING_KEY", "SIGNING_PASSPHRASE", "SERVICE_TOKEN",
)  # fmt: skip
#: What the token server gives out.
TOKENS = ("access token", "rotated token")
FILES = (
    "basic", "key-in-query", "pair-key", "my-password", "client-key", "socks-password", "ssh-key",
)  # fmt: skip
#: The name of a secret that is kept in the state; whoever plays commands stores its canary.
STORED = "stored-token"
#: What the APIs answer; each to every authentication method.
STATUSES = (200, 302, 401, 500)
#: RFC 6265, section 4.1.1, and what a header can carry.
_COOKIE_SAFE = "'/+=%&@:<>#?{}$`|^~"
#: RFC 6749, appendix A.12.
_TOKEN_SAFE = "'/+=%&@:<>#?{}$`|^~\"\\,;"

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
#: A secret of its own from every source but variables and files.
_SOURCES: Mapping[str, JsonObject] = {
    "vault": {"vault": {"path": "apps/orders", "field": "token"}},
    # the path is that of the operator's folder
    "exec": {"exec": ["/bin/cat"]},
    "keyring": {"keyring": {"service": "reconciler", "username": "orders"}},
    "age": {"age": {"file": "secrets/orders.age"}},
    "aws": {"aws": {"secretId": "orders", "key": "token"}},
    "gcp": {"gcp": {"project": "prod", "secret": "orders", "key": "token"}},
    "azure": {"azure": {"secret": "orders", "key": "token"}},
    "systemdCredential": {"systemdCredential": "orders"},
}
#: Secrets that these sources need for themselves.
_OWN = (
    "secret id of Vault",
    "token of Vault",
    "key of AWS",
    "token of Google",
    "token of Entra",
    "secret of Azure",
)
#: How many endpoints there are.
APIS = len(_AUTH) * len(STATUSES) + len(_SOURCES)
_OPERATOR = """
[secrets.exec]
allow = [["/bin/cat"]]
[secrets.age]
identities = ["{own}/identity"]
[secrets.vault]
address = "{vault}"
[secrets.vault.auth]
method = "approle"
role_id = "{role}"
secret_id = {{file = "{own}/secret-id"}}
[secrets.aws]
region = "{region}"
endpoint = "{aws}"
access_key_id = {{env = "AWS_KEY_ID"}}
secret_access_key = {{file = "{own}/aws-key"}}
[secrets.gcp]
endpoint = "{gcp}"
key = {{file = "{own}/google.json"}}
[secrets.azure]
vault = "{azure.server.url}"
authority = "{azure.server.url}"
tenant = "{azure.tenant}"
client_id = "{azure.client_id}"
client_secret = {{file = "{own}/azure-password"}}
"""
_KEYRING = """
import keyring
from keyring.backend import KeyringBackend
class Drawer(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return {value!r} if (service, username) == ("reconciler", "orders") else None
    def set_password(self, service, username, password):
        raise NotImplementedError
keyring.set_keyring(Drawer())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A project, its secrets by name, and the environment that holds those that no file holds."""

    folder: Path
    canaries: Mapping[str, str]
    env: Mapping[str, str]
    server: Server
    #: of the database behind an API, which must prove who it is
    service: Server
    #: Python that gives the process its keyring
    prelude: str
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
    canaries |= {name: make_canary() for name in _SOURCES}
    canaries |= {name: make_canary("/+=-_") for name in _OWN}
    canaries |= {name: make_canary(_TOKEN_SAFE) for name in TOKENS}
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
        service = running.enter_context(_repeater(folder))
        ports = {
            engine: running.enter_context(sql_peers.sql_peer(script)).port
            for engine, script in _scripts(canaries).items()
        }
        certificate = Authority().client().certificate
        (folder / "secrets" / "client.pem").write_text(certificate)
        env |= running.enter_context(_sources(folder, canaries))
        proxy = running.enter_context(sql_peers.sql_peer(_parrot_proxy))
        socks = running.enter_context(proxy_server("socks5", logins={"user": "another"}))
        ssh = running.enter_context(ssh_server())
        (folder / "known_hosts").write_text(ssh.known_hosts)
        manifests = [
            *_apis(server, folder),
            *_oauth2(server, canaries),
            _mutual(),
            *_certified(),
            *_databases(ports),
            _service(service),
            *_hops(server, proxy.port, socks, ssh),
        ]
        (folder / "manifests").mkdir()
        (folder / "manifests/all.yaml").write_text("\n---\n".join(map(json.dumps, manifests)))
        password = quote(canaries["state password"], safe="")
        url = f"postgresql://user:{password}@127.0.0.1:{ports['state']}/state"
        yield Planted(
            folder=folder,
            canaries=canaries,
            env=env,
            server=server,
            service=service,
            prelude=_KEYRING.replace("{value!r}", repr(canaries["keyring"])),
            leaky_state=url,
        )


@contextmanager
def _sources(folder: Path, canaries: dict[str, str]) -> Iterator[dict[str, str]]:
    """Sets up the other sources beside `folder`; gives the variables that lead to them."""
    identity = pyrage.x25519.Identity.generate()
    canaries["age identity"] = str(identity)
    sealed = pyrage.encrypt(canaries["age"].encode(), [identity.to_public()])
    (folder / "secrets" / "orders.age").write_bytes(sealed)
    own = folder.parent / "operator"
    (own / "credentials").mkdir(parents=True)
    contents = {
        "printed": canaries["exec"],
        "secret-id": canaries["secret id of Vault"],
        "aws-key": canaries["key of AWS"],
        "azure-password": canaries["secret of Azure"],
        "identity": str(identity),
        "credentials/orders": canaries["systemdCredential"],
    }
    for name, content in contents.items():
        (own / name).write_text(content)
        (own / name).chmod(0o600)
    documents = {
        name: json.dumps({"token": canaries[name], "other": 1}) for name in ("aws", "gcp", "azure")
    }
    with (
        vault({"secret/apps/orders": [{"token": canaries["vault"]}]}) as peer,
        secrets_manager({"orders": documents["aws"]}, canaries["key of AWS"]) as manager,
        secret_manager({"prod/orders": [documents["gcp"]]}) as google,
        key_vault({"orders": {"0" * 32: Version(value=documents["azure"])}}) as azure,
    ):
        azure.client_secret = canaries["secret of Azure"]
        azure.next_token = canaries["token of Entra"]
        peer.secret_id = canaries["secret id of Vault"]
        peer.next_token = canaries["token of Vault"]
        google.next_token = canaries["token of Google"]
        # a line from the middle: the first ones are the same in every key
        canaries["key of Google"] = google.key["private_key"].splitlines()[8]
        (own / "google.json").write_text(google.key_text)
        (own / "google.json").chmod(0o600)
        granted = _OPERATOR.format(
            vault=peer.server.url,
            aws=manager.server.url,
            gcp=google.server.url,
            azure=azure,
            own=own,
            role=ROLE_ID,
            region=REGION,
        )
        (own / "operator.toml").write_text(granted)
        (own / "operator.toml").chmod(0o600)
        yield {
            "RECONCILER_OPERATOR_CONFIG": str(own / "operator.toml"),
            "CREDENTIALS_DIRECTORY": str(own / "credentials"),
            "AWS_KEY_ID": ACCESS_KEY_ID,
        }


def _manifest(kind: str, name: str, spec: JsonObject) -> JsonObject:
    metadata = {"name": name, "labels": {"team": "sales"}}
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _apis(server: Server, folder: Path) -> Iterator[JsonObject]:
    auths = {
        f"{name}-{status}": (auth, status) for name, auth in _AUTH.items() for status in STATUSES
    }
    for name, reference in _SOURCES.items():
        printed = {"exec": [*reference.get("exec", ()), f"{folder.parent}/operator/printed"]}
        token = printed if name == "exec" else reference
        auths[f"from-{name.lower()}"] = ({"method": "bearer", "token": token}, 500)
    for name, (auth, status) in auths.items():
        server.routes[f"/{name}"] = parrot(status)
        spec = {
            "baseUrl": f"{server.url}/{name}",
            "auth": auth,
            "health": {"expect": {"json": {"/absent": 1}, "text": "target"}},
        }
        yield _manifest("ApiConnection", name, spec)


def _oauth2(server: Server, canaries: Mapping[str, str]) -> Iterator[JsonObject]:
    """Yields APIs whose token server gives tokens away, or repeats what it was sent."""

    async def give(client: Client) -> None:
        access, rotated = (canaries[name] for name in TOKENS)
        given = {"access_token": access, "refresh_token": rotated, "token_type": "Bearer"}
        await json_body(given)(client)

    async def repeat(client: Client) -> None:
        sent = unquote_plus(client.request.body.decode())
        head = f"HTTP/1.1 400 {sent}\r\nX-Echo: {sent}\r\n".replace("\n\n", "")
        body = json.dumps({"error": "invalid_client", "error_description": sent}).encode()
        await client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    server.routes |= {"/tokens": give, "/repeat": repeat, "/oauth2": parrot(500)}
    common = {"method": "oauth2", "tokenUrl": f"{server.url}/repeat", "clientId": "client"}
    client = {"method": "post", "secret": {"env": "CLIENT_SECRET"}}
    key = {"key": {"env": "SIGNING_KEY"}, "keyPassphrase": {"env": "SIGNING_PASSPHRASE"}}
    fields: Mapping[str, JsonObject] = {
        "oauth2-rotating": {
            "grant": "refreshToken",
            "tokenUrl": f"{server.url}/tokens",
            "refreshToken": {"env": "REFRESH"},
            "clientAuthentication": client,
        },
        "oauth2-owner": {
            "grant": "password",
            "username": "user",
            "password": {"env": "OWNER_PASSWORD"},
            "clientAuthentication": {**client, "method": "basic"},
        },
        "oauth2-device": {
            "grant": "deviceCode",
            "deviceUrl": f"{server.url}/repeat",
            "clientAuthentication": client,
        },
        "oauth2-key": {"grant": "jwtBearer", "assertion": {**key, "issuer": "app"}},
    }
    for name, auth in fields.items():
        spec = {"baseUrl": f"{server.url}/oauth2", "auth": {**common, **auth}}
        yield _manifest("ApiConnection", name, spec)


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
    """Yields databases whose client certificates have the same key, and one with keys of AWS."""
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
    signed = {key: value for key, value in _AUTH["aws"].items() if key != "service"}
    by_token = {**signed, "method": "awsIam", "username": "user"}
    yield _manifest(
        "SqlConnection",
        "by-token",
        {**place, "engine": "mariadb", "host": "localhost", "auth": by_token},
    )


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


@contextmanager
def _repeater(folder: Path) -> Iterator[Server]:
    """Runs an HTTP API with a good certificate that repeats the token in its error."""

    async def repeat(client: Client) -> None:
        text = json.dumps({"code": "390144", "message": " ".join(client.request.headers.values())})
        head = f"HTTP/1.1 401 Unauthorized\r\nContent-Length: {len(text)}\r\n\r\n"
        await client.send((head + text).encode())

    authority = Authority()
    (folder / "service.pem").write_text(authority.pem)
    with http_server(
        {"/api/v2/statements": repeat}, context=authority.server_context("127.0.0.1")
    ) as server:
        yield server


def _service(server: Server) -> JsonObject:
    """Returns a database behind such an API."""
    place = {"host": server.host, "port": server.port, "database": "orders"}
    auth = {"method": "accessToken", "token": {"env": "SERVICE_TOKEN"}}
    spec = {"engine": "snowflake", **place, "auth": auth, "tls": {"ca": {"file": "service.pem"}}}
    return _manifest("SqlConnection", "service", spec)


def _hops(server: Server, proxy: int, socks: ProxyServer, ssh: SshServer) -> Iterator[JsonObject]:
    """Yields connections whose hops refuse them: logins of every kind, and a key that is none."""
    host = {"host": "127.0.0.1", "port": ssh.port, "username": "user"}
    known = {**host, "knownHosts": {"file": "known_hosts"}}
    key = {"privateKey": {"file": "secrets/ssh-key"}, "passphrase": {"env": "SSH_PASSPHRASE"}}
    password = {"password": {"env": "SSH_PASSWORD"}}
    in_env, in_file = {"env": "PROXY_PASSWORD"}, {"file": "secrets/socks-password"}
    ways: Mapping[str, JsonObject] = {
        "by-proxy": {
            "proxy": {
                "url": f"http://127.0.0.1:{proxy}",
                "auth": {"username": "user", "password": in_env},
            }
        },
        "by-socks": {
            "proxy": {"url": socks.url("socks5"), "auth": {"username": "u", "password": in_file}}
        },
        "by-ssh": {"ssh": {**known, **password}},
        "by-ssh-key": {"ssh": {**known, **key}},
        "by-jump": {"ssh": {**known, **password, "jump": {**known, **key}}},
    }
    for name, way in ways.items():
        yield _manifest("ApiConnection", name, {"baseUrl": server.url, **way})
        database = {"engine": "postgresql", "host": "127.0.0.1", "port": 1, "database": "orders"}
        yield _manifest("SqlConnection", name, {**database, **way})


def _parrot_proxy(client: sql_peers.Conversation) -> None:
    """Refuses with everything that it was sent, and with what that means."""
    head = client.receive_until(b"\r\n\r\n")
    sent = head.rpartition(b"Basic ")[2].strip()
    decoded = base64.b64decode(sent)
    client.send(b"HTTP/1.1 407 " + sent + b" " + decoded + b"\r\nX-Echo: " + sent + b"\r\n\r\n")


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
