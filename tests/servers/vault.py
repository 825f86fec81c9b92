"""A small HTTP server that speaks Vault's API: KV version 2, AppRole and Kubernetes logins.

No binary of Vault or OpenBao is to be had from Debian's or Python's packages, so this is a peer of
our own after Vault's documented API, not the product: what it answers was written from the pages on
the KV engine, the two login methods, and on status codes, and was never compared with a real one.

    with vault(secrets={"secret/apps/orders": [{"password": "..."}]}) as peer:
        ...  peer.server.url, peer.token, peer.server.logins
"""

from __future__ import annotations

import json
import secrets as randomness
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from reconciler.model import Json, JsonObject
from tests.servers import http_routes
from tests.servers.http import Client, Received, Route, Server, http_server

ROLE_ID = "5f0c2c3e-role"
KUBERNETES_ROLE = "reconciler"


@dataclass(slots=True, kw_only=True)
class Vault:
    """A running server; its fields may be changed while it runs."""

    server: Server
    #: mount and path -> versions, oldest first; None for one that was deleted
    secrets: dict[str, list[JsonObject | None]]
    #: good for every path but those in `forbidden`
    token: str
    secret_id: str
    #: of the service account that the role is bound to
    jwt: str
    namespace: str = ""
    forbidden: set[str] = field(default_factory=set)
    is_sealed: bool = False
    #: what logins give out in place of random tokens
    next_token: str = ""
    #: tokens that logins gave out
    issued: list[str] = field(default_factory=list)

    def reads(self) -> list[str]:
        """Returns the paths of all requests for secrets, in order."""
        return [request.target for request in self.server.requests if "/data/" in request.path]

    def answer(self, request: Received) -> tuple[int, Json]:
        """Returns status and body of the answer to a request."""
        if self.is_sealed:
            return 503, _errors("Vault is sealed")
        if request.headers.get("x-vault-namespace", "") != self.namespace:
            return 404, _errors("no handler for route")
        path = unquote(request.path).removeprefix("/v1/")
        if path.startswith("auth/"):
            return self._login(path, json.loads(request.body))
        if request.headers.get("x-vault-token") not in (self.token, *self.issued):
            self.server.failed_logins += 1
            return 403, _errors("permission denied")
        if path in self.forbidden:
            return 403, _errors("permission denied")
        return self._read(path, parse_qs(urlsplit(request.target).query))

    def _login(self, path: str, body: JsonObject) -> tuple[int, Json]:
        self.server.logins += 1
        match path, body:
            case "auth/approle/login", {"role_id": role, "secret_id": secret}:
                is_right = (role, secret) == (ROLE_ID, self.secret_id)
                refusal = 400, _errors("invalid role or secret ID")
            case "auth/kubernetes/login", {"role": role, "jwt": secret}:
                is_right = (role, secret) == (KUBERNETES_ROLE, self.jwt)
                refusal = 403, _errors("permission denied")
            case _:
                return 404, _errors("no handler for route")
        if not is_right:
            self.server.failed_logins += 1
            return refusal
        self.issued.append(self.next_token or f"hvs.{randomness.token_hex(20)}")
        return 200, {"auth": {"client_token": self.issued[-1], "lease_duration": 3600}}

    def _read(self, path: str, query: Mapping[str, Sequence[str]]) -> tuple[int, Json]:
        mount, _, name = path.partition("/data/")
        versions = self.secrets.get(f"{mount}/{name}", [])
        number = int(query.get("version", ["0"])[0]) or len(versions)
        if not 0 < number <= len(versions):
            return 404, _errors()
        data = versions[number - 1]
        metadata = {"version": number, "deletion_time": "" if data else "2026-01-01T00:00:00Z"}
        return 200 if data else 404, {"data": {"data": data, "metadata": metadata}}


class Everything(dict[str, Route]):
    """Routes of which one takes all paths."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._route = route

    def get(self, key: str, default: Any = None) -> Route:
        return self._route


def _errors(*texts: str) -> JsonObject:
    return {"errors": list(texts)}


@contextmanager
def vault(
    secrets: Mapping[str, Sequence[JsonObject | None]],
    *,
    context: ssl.SSLContext | None = None,
    name: str = "",
    **fields: Any,
) -> Iterator[Vault]:
    """Runs a server with random credentials, or those in `fields`, for the block."""
    with http_server({}, context=context, name=name) as server:
        credentials = {
            key: f"{key}-{randomness.token_hex(12)}" for key in ("token", "secret_id", "jwt")
        }
        peer = Vault(
            server=server,
            secrets={path: list(versions) for path, versions in secrets.items()},
            **{**credentials, **fields},
        )

        async def route(client: Client) -> None:
            status, body = peer.answer(client.request)
            headers = [("Content-Type", "application/json")]
            await http_routes.answer(status, json.dumps(body).encode(), headers=headers)(client)

        server.routes = Everything(route)
        yield peer
