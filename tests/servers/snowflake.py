"""A peer that speaks Snowflake's SQL API (its "SQL API reference"), over TLS.

It verifies the signed statement of a key pair (signature, issuer, subject, times), or a
programmatic access token, knows one account, user, database, warehouse and role, and runs
statements at once, or slowly: then they have to be asked for. It knows no SQL: what a statement
does is told by its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reconciler.model import Json, JsonObject
from tests.factories import NOW
from tests.servers import statements
from tests.servers.certificates import Authority
from tests.servers.http import Client, Server, http_server
from tests.servers.statements import KeyPair, key_pair

ACCOUNT, USER, DATABASE, WAREHOUSE, ROLE = "XY12345", "REPORT", "ORDERS", "COMPUTE", "READER"
TOKEN = "snowflake-pat-4711"
PASSPHRASE = "open sesame"
HANDLE = "01b2c3d4-0000-4711-0000-000000000001"
_LONGEST_S = 3600


@dataclass(slots=True, kw_only=True)
class Snowflake:
    """A running peer; `statements` has the bodies of what was asked."""

    authority: str
    key: KeyPair
    #: what its clock shows; None for the machine's own
    now: datetime | None = NOW
    #: how often a slow statement answers that it runs on
    looks: int = 3
    handle: Json = HANDLE
    statements: list[JsonObject] = field(default_factory=list)
    failed_logins: int = 0
    #: answered instead of anything else
    refusal: tuple[int, Json] | None = None
    left: int = 0
    server: Server | None = None

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the key, over verified TLS."""
        assert self.server is not None
        return {
            "engine": "snowflake",
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": DATABASE,
            "auth": self.auth(),
            "tls": {"mode": "verify-full", "ca": {"file": self.authority}},
            "options": {"warehouse": WAREHOUSE, "role": ROLE},
            **changes,
        }

    def auth(self, **changes: Json) -> JsonObject:
        """Returns the login with the key."""
        login = {"method": "keyPair", "username": USER, "account": ACCOUNT, "key": {"env": "KEY"}}
        return {**login, **changes}

    @property
    def secrets(self) -> dict[str, str]:
        return {"/auth/key": self.key.pem()}

    async def take(self, client: Client) -> None:
        """Runs a statement, or refuses it."""
        if not await self._lets_in(client):
            return
        asked = json.loads(client.request.body)
        self.statements.append(asked)
        if self.refusal is not None:
            await statements.send(client, *self.refusal)
        elif "slow" in asked["statement"]:
            self.left = self.looks
            await statements.send(client, 202, {"code": "333334", "statementHandle": self.handle})
        else:
            await statements.send(client, *self._answer(asked))

    async def look(self, client: Client) -> None:
        """Says whether the slow statement has ended."""
        if not await self._lets_in(client):
            return
        self.left -= 1
        if self.left:
            await statements.send(client, 202, {"code": "333334", "statementHandle": self.handle})
        else:
            await statements.send(client, 200, _rows([["7"]], ("N", "fixed", 0)))

    async def _lets_in(self, client: Client) -> bool:
        headers = client.request.headers
        said, kind = headers.get("authorization", ""), "x-snowflake-authorization-token-type"
        if headers.get(kind) == "PROGRAMMATIC_ACCESS_TOKEN":
            is_in = said == f"Bearer {TOKEN}"
        else:
            is_in = headers.get(kind) == "KEYPAIR_JWT" and self._believes(said)
        if not is_in:
            self.failed_logins += 1
            text = f"JWT token is invalid. [{HANDLE}] {said}"  # a server may repeat anything
            await statements.send(client, 401, {"code": "390144", "message": text})
        return is_in

    def _believes(self, said: str) -> bool:
        claims = statements.claims(said, self.key)
        if claims is None or claims.keys() != {"iss", "sub", "iat", "exp"}:
            return False
        now = (self.now or datetime.now(UTC)).timestamp()  # noqa: TID251  # of the server
        is_in_time = claims["iat"] <= now < claims["exp"] <= claims["iat"] + _LONGEST_S
        subject = f"{ACCOUNT}.{USER}"
        is_known = (claims["iss"], claims["sub"]) == (f"{subject}.{self.key.fingerprint}", subject)
        return is_in_time and is_known

    def _answer(self, asked: JsonObject) -> tuple[int, Json]:
        statement: str = asked["statement"]
        if asked.get("role", ROLE) != ROLE:
            return 422, _error("390189", "08001", "Role specified does not exist or not authorized")
        database = asked["database"] if asked["database"] == DATABASE else None
        warehouse = asked.get("warehouse", WAREHOUSE)
        warehouse = warehouse if warehouse == WAREHOUSE else None
        if "current_database" in statement:
            row: list[Json] = [database, warehouse]
            return 200, _rows([row], ("DB", "text", 0), ("WH", "text", 0))
        for word, refusal in _REFUSALS.items():
            if word in statement:
                return refusal
        if "types" in statement:
            return 200, _rows([[value for *_, value in _TYPES]], *(kind[:3] for kind in _TYPES))
        if "many" in statement:
            count = min(asked["parameters"]["rows_per_resultset"], 1000)
            return 200, _rows([[str(number)] for number in range(count)], ("N", "fixed", 0))
        return 200, _rows([["1"]], ("1", "fixed", 0))


#: Word of a statement -> status and error.
_REFUSALS: dict[str, tuple[int, Json]] = {}
#: Name, type and scale of a column, and a value as the API writes it ("Handling responses").
_TYPES: tuple[tuple[str, str, int, Json], ...] = (
    ("I", "fixed", 0, "12345678901234567890"),
    ("D", "fixed", 2, "1.50"),
    ("R", "real", 0, "0.25"),
    ("B", "boolean", 0, "true"),
    ("N", "text", 0, None),
    ("DATE", "date", 0, "20513"),
    ("TIME", "time", 0, "3661.500000000"),
    ("NTZ", "timestamp_ntz", 0, "1772323200.250000000"),
    ("LTZ", "timestamp_ltz", 0, "1772323200.000000000"),
    ("TZ", "timestamp_tz", 0, "1772323200.000000000 1320"),
    ("V", "variant", 0, '{"a": 1}'),
    ("ODD", "date", 0, "never"),
)


def _error(code: str, state: str, text: str) -> JsonObject:
    return {"code": code, "sqlState": state, "message": text, "statementHandle": HANDLE}


_REFUSALS |= {
    "nothing": (422, _error("002003", "42S02", "Object 'NOTHING' does not exist")),
    "tables": (422, _error("000606", "57P03", "No active warehouse selected")),
    "quota": (422, _error("090073", "22000", "Warehouse 'COMPUTE' cannot be resumed")),
    "forbidden": (422, _error("003001", "42501", "Insufficient privileges")),
    "late": (
        408,
        _error("000630", "57014", "Statement reached its statement or warehouse timeout"),
    ),
}


def _rows(rows: list[list[Json]], *columns: tuple[str, str, int]) -> JsonObject:
    kinds = [{"name": name, "type": kind, "scale": scale} for name, kind, scale in columns]
    meta = {"numRows": len(rows), "format": "jsonv2", "rowType": kinds}
    return {"code": "090001", "resultSetMetaData": meta, "data": rows, "statementHandle": HANDLE}


@contextmanager
def snowflake_peer() -> Iterator[Snowflake]:
    """Runs a peer for the length of the block."""
    authority = Authority()
    peer = Snowflake(authority=authority.pem, key=key_pair())
    routes = {"/api/v2/statements": peer.take, f"/api/v2/statements/{HANDLE}": peer.look}
    with http_server(routes, context=authority.server_context("127.0.0.1")) as server:
        peer.server = server
        yield peer
