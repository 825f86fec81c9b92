"""A peer that speaks BigQuery's REST API (`jobs.query`, `jobs.getQueryResults`), over TLS.

It verifies what the key of a service account signed (signature, key id, issuer, subject, audience,
times), knows one project, one dataset and one location, and answers at once, or later. It knows no
SQL: what a query does is told by its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs

from reconciler.model import Json, JsonObject
from tests.factories import NOW
from tests.servers import statements
from tests.servers.certificates import Authority
from tests.servers.http import Client, Server, http_server
from tests.servers.statements import KeyPair, key_pair

PROJECT, DATASET, LOCATION = "my-project-4711", "sales", "EU"
ADDRESS = "report@my-project-4711.iam.gserviceaccount.com"
KEY_ID = "0a1b2c3d"
JOB = "job_4711-AbC"
_LONGEST_S = 3600
_QUERIES = f"/bigquery/v2/projects/{PROJECT}/queries"


@dataclass(slots=True, kw_only=True)
class BigQuery:
    """A running peer; `queries` has the bodies of what was asked, `looked` the later questions."""

    authority: str
    key: KeyPair
    now: datetime = NOW
    #: how often a slow query answers that it runs on
    looks: int = 3
    job: Json = JOB
    queries: list[JsonObject] = field(default_factory=list)
    looked: list[dict[str, list[str]]] = field(default_factory=list)
    failed_logins: int = 0
    #: answered instead of anything else
    refusal: tuple[int, Json] | None = None
    left: int = 0
    server: Server | None = None

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that logs in with the key, over verified TLS."""
        assert self.server is not None
        return {
            "engine": "bigquery",
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": PROJECT,
            "auth": {"method": "serviceAccount", "key": {"env": "KEY"}},
            "tls": {"mode": "verify-full", "ca": {"file": self.authority}},
            **changes,
        }

    async def take(self, client: Client) -> None:
        """Runs a query, or refuses it."""
        if not await self._lets_in(client):
            return
        asked = json.loads(client.request.body)
        self.queries.append(asked)
        if self.refusal is not None:
            await statements.send(client, *self.refusal)
        elif "slow" in asked["query"]:
            self.left = self.looks
            await statements.send(client, 200, self._running())
        else:
            await statements.send(client, *_answer(asked))

    async def look(self, client: Client) -> None:
        """Says whether the slow query has ended."""
        if await self._lets_in(client):
            self.looked.append(parse_qs(client.request.target.partition("?")[2]))
            self.left -= 1
            answer = self._running() if self.left else _rows([["7"]], ("n", "INTEGER", ""))
            await statements.send(client, 200, answer)

    def _running(self) -> JsonObject:
        reference = {"projectId": PROJECT, "jobId": self.job, "location": LOCATION}
        return {"jobComplete": False, "jobReference": reference}

    async def _lets_in(self, client: Client) -> bool:
        said = client.request.headers.get("authorization", "")
        is_in = self._believes(said)
        if not is_in:
            self.failed_logins += 1
            text = f"Request had invalid authentication credentials. {said}"
            await statements.send(client, 401, _error(401, "authError", text))
        return is_in

    def _believes(self, said: str) -> bool:
        claims = statements.claims(said, self.key, kid=KEY_ID)
        if claims is None or claims.keys() != {"iss", "sub", "aud", "iat", "exp"}:
            return False
        now = self.now.timestamp()
        is_in_time = claims["iat"] <= now < claims["exp"] <= claims["iat"] + _LONGEST_S
        said_to = (claims["iss"], claims["sub"], claims["aud"])
        return is_in_time and said_to == (ADDRESS, ADDRESS, "https://bigquery.googleapis.com/")


def key_file(key: KeyPair, **changes: Json) -> str:
    """Returns the key file of the account, as Google gives it out."""
    content: JsonObject = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": KEY_ID,
        "private_key": key.pem(),
        "client_email": ADDRESS,
        **changes,
    }
    return json.dumps(content)


def _answer(asked: JsonObject) -> tuple[int, Json]:
    query: str = asked["query"]
    dataset = asked.get("defaultDataset", {"projectId": PROJECT, "datasetId": DATASET})
    if dataset != {"projectId": PROJECT, "datasetId": DATASET}:
        text = f"Not found: Dataset {PROJECT}:{dataset['datasetId']} was not found in location EU"
        return 404, _error(404, "notFound", text)
    for word, refusal in _REFUSALS.items():
        if word in query:
            return refusal
    if "types" in query:
        return 200, _rows([[value for *_, value in _TYPES]], *(kind[:3] for kind in _TYPES))
    count = min(asked["maxResults"], 1000) if "many" in query else 1
    return 200, _rows([[str(number)] for number in range(count)], ("n", "INTEGER", ""))


def _error(status: int, reason: str, text: str) -> JsonObject:
    detail = {"reason": reason, "message": text, "domain": "global"}
    return {"error": {"code": status, "message": text, "errors": [detail], "status": "X"}}


_TABLE = "Not found: Table my-project-4711:sales.nothing was not found in location EU"
#: Word of a query -> status and error.
_REFUSALS: dict[str, tuple[int, Json]] = {
    "nothing": (404, _error(404, "notFound", _TABLE)),
    "syntax": (400, _error(400, "invalidQuery", "Syntax error at [1:8]")),
    "forbidden": (403, _error(403, "accessDenied", "Access Denied: Table x")),
    "quota": (403, _error(403, "quotaExceeded", "Quota exceeded")),
    "dear": (400, _error(400, "bytesBilledLimitExceeded", "Query exceeded limit")),
    "late": (400, _error(400, "stopped", "Job timed out")),
}
_TYPES: tuple[tuple[str, str, str, Json], ...] = (
    ("i", "INTEGER", "NULLABLE", "12345678901"),
    ("d", "NUMERIC", "NULLABLE", "1.50"),
    ("f", "FLOAT", "NULLABLE", "0.25"),
    ("b", "BOOLEAN", "NULLABLE", "false"),
    ("z", "STRING", "NULLABLE", None),
    ("t", "TIMESTAMP", "NULLABLE", "2026-03-01T00:00:00.000000Z"),
    ("r", "INTEGER", "REPEATED", [{"v": "1"}, {"v": "2"}]),
    ("x", "INTEGER", "NULLABLE", "many"),
)


def _rows(rows: list[list[Json]], *columns: tuple[str, str, str]) -> JsonObject:
    fields = [{"name": name, "type": kind, "mode": mode} for name, kind, mode in columns]
    return {
        "jobComplete": True,
        "jobReference": {"projectId": PROJECT, "jobId": JOB, "location": LOCATION},
        "schema": {"fields": fields},
        "rows": [{"f": [{"v": value} for value in row]} for row in rows],
        "totalRows": str(len(rows)),
    }


@contextmanager
def bigquery_peer() -> Iterator[BigQuery]:
    """Runs a peer for the length of the block."""
    authority = Authority()
    peer = BigQuery(authority=authority.pem, key=key_pair())
    routes = {_QUERIES: peer.take, f"{_QUERIES}/{JOB}": peer.look}
    with http_server(routes, context=authority.server_context("127.0.0.1")) as server:
        peer.server = server
        yield peer
