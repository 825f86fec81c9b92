"""A peer that speaks the statement execution API of Databricks SQL, over TLS.

It takes one token, knows one warehouse and one catalog, runs statements within the time that a
request waits, or later, and can be told to cancel. It knows no SQL: what a statement does is told
by its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.model import Json, JsonObject
from tests.servers import statements
from tests.servers.certificates import Authority
from tests.servers.http import Client, Server, http_server

TOKEN, WAREHOUSE, CATALOG = "dapi-4711-token", "1234567890abcdef", "main"
STATEMENT = "01ef-4711-statement"
_PATH = "/api/2.0/sql/statements"


@dataclass(slots=True, kw_only=True)
class Databricks:
    """A running peer; `statements` has the bodies of what was asked."""

    authority: str
    #: how often a slow statement answers that it runs on, and in which state
    looks: int = 3
    state: str = "RUNNING"
    name: Json = STATEMENT
    statements: list[JsonObject] = field(default_factory=list)
    failed_logins: int = 0
    cancelled: int = 0
    #: answered instead of anything else
    refusal: tuple[int, Json] | None = None
    left: int = 0
    server: Server | None = None

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the token, over verified TLS."""
        assert self.server is not None
        return {
            "engine": "databricks",
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": CATALOG,
            "auth": {"method": "accessToken", "token": {"env": "TOKEN"}},
            "tls": {"mode": "verify-full", "ca": {"file": self.authority}},
            "options": {"warehouse": WAREHOUSE},
            **changes,
        }

    async def take(self, client: Client) -> None:
        """Runs a statement, or refuses it."""
        if not await self._lets_in(client):
            return
        asked = json.loads(client.request.body)
        self.statements.append(asked)
        if self.refusal is not None:
            await statements.send(client, *self.refusal)
        elif asked["warehouse_id"] != WAREHOUSE:
            error = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such warehouse"}
            await statements.send(client, 404, error)
        elif "slow" in asked["statement"]:
            self.left = self.looks
            await statements.send(client, 200, self._running())
        else:
            await statements.send(client, 200, _answer(asked))

    async def look(self, client: Client) -> None:
        """Says whether the slow statement has ended."""
        if await self._lets_in(client):
            self.left -= 1
            answer = self._running() if self.left else _rows([["7"]], ("n", "INT"))
            await statements.send(client, 200, answer)

    async def cancel(self, client: Client) -> None:
        """Cancels the slow statement."""
        if await self._lets_in(client):
            self.cancelled += 1
            await statements.send(client, 200, {})

    def _running(self) -> JsonObject:
        return {"statement_id": self.name, "status": {"state": self.state}}

    async def _lets_in(self, client: Client) -> bool:
        is_in = client.request.headers.get("authorization") == f"Bearer {TOKEN}"
        if not is_in:
            self.failed_logins += 1
            # as it is: a number, and 403
            error = {"error_code": 403, "message": "Invalid access token."}
            await statements.send(client, 403, error)
        return is_in


def _answer(asked: JsonObject) -> JsonObject:
    statement: str = asked["statement"]
    if asked["catalog"] != CATALOG:
        text = f"[NO_SUCH_CATALOG_EXCEPTION] Catalog '{asked['catalog']}' was not found."
        return _failed("BAD_REQUEST", text)
    for word, text in _REFUSALS.items():
        if word in statement:
            return _failed("BAD_REQUEST", text)
    if "types" in statement:
        return _rows([[value for *_, value in _TYPES]], *(kind[:2] for kind in _TYPES))
    if "many" in statement:
        count = min(asked["row_limit"], 1000)
        return _rows([[str(number)] for number in range(count)], ("n", "LONG"))
    others = (answer for word, answer in _OTHERS.items() if word in statement)
    return next(others, _rows([["1"]], ("1", "INT")))


#: Word of a statement -> its error.
_REFUSALS = {
    "nothing": "[TABLE_OR_VIEW_NOT_FOUND] The table `nothing` cannot be found.",
    "forbidden": "[INSUFFICIENT_PERMISSIONS.MORE] Insufficient privileges",
    "odd": "something without a class",
}
_TYPES: tuple[tuple[str, str, Json], ...] = (
    ("i", "LONG", "12345678901"),
    ("d", "DECIMAL", "1.50"),
    ("f", "DOUBLE", "0.25"),
    ("b", "BOOLEAN", "true"),
    ("z", "STRING", None),
    ("t", "DATE", "2026-03-01"),
    ("x", "INT", "many"),
)


def _failed(code: str, text: str) -> JsonObject:
    error = {"error_code": code, "message": text}
    return {"statement_id": STATEMENT, "status": {"state": "FAILED", "error": error}}


def _rows(rows: list[list[Json]], *columns: tuple[str, str]) -> JsonObject:
    schema = {"columns": [{"name": name, "type_name": kind} for name, kind in columns]}
    return {
        "statement_id": STATEMENT,
        "status": {"state": "SUCCEEDED"},
        "manifest": {"format": "JSON_ARRAY", "schema": schema, "total_row_count": len(rows)},
        "result": {"row_count": len(rows), "data_array": rows},
    }


_OTHERS: dict[str, JsonObject] = {
    "cancelled": {"statement_id": STATEMENT, "status": {"state": "CANCELED"}},
    "none": {**_rows([], ("n", "LONG")), "result": {}},
}


@contextmanager
def databricks_peer() -> Iterator[Databricks]:
    """Runs a peer for the length of the block."""
    authority = Authority()
    peer = Databricks(authority=authority.pem)
    routes = {
        _PATH: peer.take,
        f"{_PATH}/{STATEMENT}": peer.look,
        f"{_PATH}/{STATEMENT}/cancel": peer.cancel,
    }
    with http_server(routes, context=authority.server_context("127.0.0.1")) as server:
        peer.server = server
        yield peer
