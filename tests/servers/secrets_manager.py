"""A small HTTP server that speaks `GetSecretValue` of AWS Secrets Manager and checks signatures.

It computes every signature anew after the description of Signature Version 4 ("Create a signed AWS
API request", IAM User Guide), without the library that made it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.model import Json
from tests.servers import http_routes
from tests.servers.http import Client, Received, Server, http_server

ACCESS_KEY_ID = "AKIDEXAMPLE000000000"
REGION = "eu-central-1"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/secretsmanager/aws4_request, "
    r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})"
)


@dataclass(slots=True, kw_only=True)
class Manager:
    """A running server; `secrets` may be changed while it runs."""

    server: Server
    secrets: dict[str, str | None]
    secret_access_key: str

    def answer(self, request: Received) -> tuple[int, Json]:
        """Returns status and body of the answer to a request."""
        self.server.logins += 1
        if not self._is_signed(request):
            self.server.failed_logins += 1
            return 400, {"__type": "InvalidSignatureException"}
        assert request.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
        name = json.loads(request.body)["SecretId"]
        if name == "forbidden":
            return 400, {"__type": "com.amazon.coral#AccessDeniedException"}
        if name not in self.secrets:
            return 400, {"__type": "ResourceNotFoundException"}
        text = self.secrets[name]
        return 200, {
            "Name": name,
            **({"SecretBinary": "AA=="} if text is None else {"SecretString": text}),
        }

    def _is_signed(self, request: Received) -> bool:
        given = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if given is None:
            return False
        key_id, day, region, names, signature = given.groups()
        headers = "".join(f"{name}:{request.headers[name]}\n" for name in names.split(";"))
        payload = hashlib.sha256(request.body).hexdigest()
        canonical = f"{request.method}\n{request.path}\n\n{headers}\n{names}\n{payload}"
        scope = f"{day}/{region}/secretsmanager/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join(("AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest))
        key = f"AWS4{self.secret_access_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        right = hmac.new(key, text.encode(), "sha256").hexdigest()
        is_complete = {"host", "x-amz-date", "x-amz-target"} <= set(names.split(";"))
        return (key_id, region, signature) == (ACCESS_KEY_ID, REGION, right) and is_complete


@contextmanager
def secrets_manager(secrets: Mapping[str, str | None], secret_access_key: str) -> Iterator[Manager]:
    """Runs a server for the block; a secret of None is binary."""
    with http_server({}) as server:
        manager = Manager(server=server, secrets=dict(secrets), secret_access_key=secret_access_key)

        async def route(client: Client) -> None:
            status, body = manager.answer(client.request)
            headers = [("Content-Type", "application/x-amz-json-1.1")]
            await http_routes.answer(status, json.dumps(body).encode(), headers=headers)(client)

        server.routes["/"] = route
        yield manager
