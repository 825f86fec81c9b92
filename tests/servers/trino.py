"""A peer that speaks Trino's client protocol (Trino manual, "Client REST API"), over TLS.

It takes statements, gives each answer in two steps, keeps transactions that may only read, and
checks the password. It knows no SQL: what a statement does is told by its first words.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.model import Json, JsonObject
from tests.servers.certificates import Authority
from tests.servers.http import Client, Server, http_server
from tests.servers.sql_specs import password_of

USER, PASSWORD, CATALOG = "report", "p@/:% #=?", "orders"
_TRANSACTION = "tx-1"


@dataclass(slots=True, kw_only=True)
class Trino:
    """A running peer; `statements` has what was asked, with its transaction."""

    authority: str
    #: where the second step of an answer is said to be; empty for this server itself
    elsewhere: str = ""
    statements: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    failed_logins: int = 0
    server: Server | None = None

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the password, over verified TLS."""
        assert self.server is not None
        return {
            "engine": "trino",
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": CATALOG,
            "auth": password_of(USER),
            "tls": {"mode": "verify-full", "ca": {"file": self.authority}},
            **changes,
        }

    async def take(self, client: Client) -> None:
        """Answers a statement with the address of its result, or refuses the login."""
        headers = dict(client.request.headers)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("authorization") != f"Basic {login}":
            self.failed_logins += 1
            await _send(client, "401 Unauthorized", {"error": headers.get("authorization", "")})
            return
        self.headers.append(headers)
        transaction = headers.get("x-trino-transaction-id", "")
        self.statements.append((client.request.body.decode(), transaction))
        assert self.server is not None
        target = f"{self.elsewhere or self.server.url}/v1/statement/executing/1"
        await _send(client, "200 OK", {**_answer("QUEUED"), "nextUri": target})

    async def give(self, client: Client) -> None:
        """Answers with the result of the last statement."""
        statement, transaction = self.statements[-1]
        answer = _answer("FINISHED")
        extra = ""
        word = statement.split()[0].lower()
        catalog = self.headers[-1].get("x-trino-catalog")
        if word == "start":
            extra = f"X-Trino-Started-Transaction-Id: {_TRANSACTION}\r\n"
        elif word == "rollback":
            extra = "X-Trino-Clear-Transaction-Id: true\r\n"
        elif catalog != CATALOG:
            answer |= _error("CATALOG_NOT_FOUND", f"Catalog '{catalog}' not found")
        elif transaction != _TRANSACTION:
            answer |= _error("READ_ONLY_VIOLATION", "not in a transaction that only reads")
        elif "nothing" in statement:
            answer |= _error("TABLE_NOT_FOUND", "Table 'nothing' does not exist")
        else:
            kind = {"name": "x", "type": "integer"}
            signature = {"rawType": "integer", "arguments": []}
            answer |= {"columns": [{**kind, "typeSignature": signature}], "data": [[1]]}
        await _send(client, "200 OK", answer, extra)


def _answer(state: str) -> dict[str, Json]:
    return {"id": "1", "infoUri": "http://127.0.0.1:1/ui", "stats": {"state": state}}


def _error(name: str, text: str) -> dict[str, Json]:
    return {"error": {"errorName": name, "message": text, "errorType": "USER_ERROR"}}


async def _send(client: Client, status: str, data: Json, extra: str = "") -> None:
    body = json.dumps(data).encode()
    head = f"HTTP/1.1 {status}\r\n{extra}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    await client.send(head.encode() + body)


@contextmanager
def trino_peer(*, has_tls: bool = True) -> Iterator[Trino]:
    """Runs a peer for the length of the block."""
    authority = Authority()
    context = authority.server_context("127.0.0.1") if has_tls else None
    peer = Trino(authority=authority.pem)
    routes = {"/v1/statement": peer.take, "/v1/statement/executing/1": peer.give}
    with http_server(routes, context=context) as server:
        peer.server = server
        yield peer
