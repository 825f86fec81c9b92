"""A small HTTP server that speaks Google's: access tokens for service accounts, and Secret Manager.

It verifies what Google documents that it verifies ("Using OAuth 2.0 for server to server
applications"): who signed, with which key, for which audience and scope, and when; then that the
token is one it gave and has not ended. Written from Google's pages and never compared with the real
services.

    with secret_manager({"prod-data/orders": ["older", "newest"]}) as google:
        ...  google.key, google.server.url, google.reads()
"""

from __future__ import annotations

import base64
import json
import re
import secrets as randomness
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reconciler.model import Json, JsonObject
from tests.servers import http_routes, oauth
from tests.servers.http import Client, Received, Server, http_server
from tests.servers.vault import Everything

EMAIL = "reader@prod-data.iam.gserviceaccount.com"
_SCOPES = {
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/secretmanager",
}
_ACCESS = re.compile(
    r"/v1/projects/([^/]+)/secrets/([^/]+)/versions/([0-9]+|latest):access(?![^/])"
)
#: Google's projects have a number, which is what answers name.
PROJECT_NUMBER = "802412345"


@dataclass(slots=True, kw_only=True)
class Google:
    """A running server; its fields may be changed while it runs."""

    server: Server
    #: project and name -> versions, oldest first
    secrets: dict[str, list[bytes]]
    #: keys of the service account by their id; one that is taken out is deleted
    keys: dict[str, rsa.RSAPublicKey]
    #: what the console gives out for download
    key: JsonObject
    #: versions, as `prod-data/orders/2`, that cannot be read for now
    disabled: set[str] = field(default_factory=set)
    #: secrets, as `prod-data/orders`, that the account may not read
    forbidden: set[str] = field(default_factory=set)
    #: seconds that an access token is good
    lifetime_s: float = 3599.0
    #: what is given out in place of a random token
    next_token: str = ""
    #: access tokens and when they end
    issued: dict[str, float] = field(default_factory=dict)
    #: changes an answer with a secret on its way
    spoil: Any = None

    def reads(self) -> list[str]:
        """Returns the paths of all requests for secrets, in order."""
        return [request.target for request in self.server.requests if request.path != "/token"]

    @property
    def key_text(self) -> str:
        """The key as the file that is downloaded."""
        return json.dumps(self.key, indent=2)

    def answer(self, request: Received) -> tuple[int, Json]:
        """Returns status and body of the answer to a request."""
        if request.path == "/token":
            return self._token(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self.issued.get(token, 0.0) <= oauth._now():
            return _error(401, "UNAUTHENTICATED")
        named = _ACCESS.fullmatch(request.target)
        if request.method != "GET" or named is None:
            return 404, {}
        return self._access(*named.groups())

    def _token(self, request: Received) -> tuple[int, Json]:
        self.server.logins += 1
        form = parse_qs(request.body.decode())
        granted = form.get("grant_type") == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        if not granted or not self._is_stated("".join(form.get("assertion", []))):
            self.server.failed_logins += 1
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        token = self.next_token or f"ya29.{randomness.token_urlsafe(40)}"
        self.issued[token] = oauth._now() + self.lifetime_s
        return 200, {"access_token": token, "expires_in": self.lifetime_s, "token_type": "Bearer"}

    def _is_stated(self, assertion: str) -> bool:
        parts = assertion.split(".")
        if len(parts) != 3:
            return False
        header, claims = oauth._json_part(parts[0]), oauth._json_part(parts[1])
        key = self.keys.get(header.get("kid", ""))
        signed = f"{parts[0]}.{parts[1]}".encode()
        if key is None or header.get("alg") != "RS256" or header.get("typ") != "JWT":
            return False
        if not oauth._is_signed(key, "RS256", signed, oauth._decoded(parts[2])):
            return False
        now, issued, ends = oauth._now(), float(claims["iat"]), float(claims["exp"])
        is_now = issued - 5 <= now < ends <= issued + 3600
        is_for_us = claims["aud"] == f"{self.server.url}/token"
        return is_now and is_for_us and claims["iss"] == EMAIL and claims["scope"] in _SCOPES

    def _access(self, project: str, name: str, version: str) -> tuple[int, Json]:
        versions = self.secrets.get(f"{project}/{name}", [])
        number = len(versions) if version == "latest" else int(version)
        if f"{project}/{name}" in self.forbidden:
            return _error(403, "PERMISSION_DENIED")
        if not 0 < number <= len(versions):
            return _error(404, "NOT_FOUND")
        if f"{project}/{name}/{number}" in self.disabled:
            return _error(400, "FAILED_PRECONDITION")
        content = versions[number - 1]
        answer: JsonObject = {
            "name": f"projects/{PROJECT_NUMBER}/secrets/{name}/versions/{number}",
            "payload": {
                "data": base64.b64encode(content).decode(),
                "dataCrc32c": str(checksum(content)),
            },
        }
        if self.spoil is not None:
            self.spoil(answer)
        return 200, answer


def checksum(content: bytes) -> int:
    """Returns the CRC-32C of `content`, a bit at a time (RFC 3720, section 12.1)."""
    register = 0xFFFFFFFF
    for byte in content:
        for place in range(8):
            bit = register & 1 ^ byte >> place & 1
            register = register >> 1 ^ (0x82F63B78 if bit else 0)
    return register ^ 0xFFFFFFFF


def _error(code: int, status: str) -> tuple[int, Json]:
    return code, {"error": {"code": code, "message": "<script>", "status": status}}


@contextmanager
def secret_manager(
    secrets: Mapping[str, Sequence[str | bytes]],
    *,
    context: ssl.SSLContext | None = None,
    name: str = "",
) -> Iterator[Google]:
    """Runs both services, at one address, with a new service account for the block."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with http_server({}, context=context, name=name) as server:
        key = {
            "type": "service_account",
            "project_id": "prod-data",
            "private_key_id": randomness.token_hex(20),
            "private_key": private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": f"{server.url}/token",
        }
        google = Google(
            server=server,
            secrets={
                path: [each.encode() if isinstance(each, str) else each for each in versions]
                for path, versions in secrets.items()
            },
            keys={key["private_key_id"]: private.public_key()},
            key=key,
        )

        async def route(client: Client) -> None:
            status, body = google.answer(client.request)
            headers = [("Content-Type", "application/json; charset=UTF-8")]
            await http_routes.answer(status, json.dumps(body).encode(), headers=headers)(client)

        server.routes = Everything(route)
        yield google
