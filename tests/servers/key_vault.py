"""A small HTTP server that speaks Microsoft's: tokens for applications, and Azure Key Vault.

It verifies what Microsoft documents that is verified ("OAuth 2.0 client credentials flow",
"Application authentication certificate credentials", "Authentication, requests and responses" of
Key Vault): tenant, application, its secret or a statement signed with the key of a registered
certificate, the resource; then that a token is of the vault's own tenant, for the vault's resource,
and has not ended. Written from Microsoft's pages and never compared with the real services.

    with key_vault({"orders": {VERSION: Version(value="...")}}) as azure:
        ...  azure.server.url, azure.tenant, azure.client_secret, azure.reads()
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets as randomness
import ssl
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler.model import Json, JsonObject
from tests.servers import http_routes, oauth
from tests.servers.http import Client, Received, Server, http_server
from tests.servers.vault import Everything

RESOURCE = "https://vault.azure.net"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a secret."""

    value: str
    is_enabled: bool = True
    #: seconds since 1970 at which it expires, or None
    exp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    tenant: str
    audience: str
    ends_at: float


@dataclass(slots=True, kw_only=True)
class Azure:
    """A running server; its fields may be changed while it runs."""

    server: Server
    #: name -> versions by their id, oldest first
    secrets: dict[str, dict[str, Version]]
    #: of the vault
    tenant: str
    #: tenant -> ids of its applications
    applications: dict[str, set[str]]
    client_id: str
    client_secret: str
    has_expired: bool = False
    #: certificates registered with the application
    certificates: list[x509.Certificate] = field(default_factory=list)
    #: why the vault lets nobody read, or empty
    forbidden: str = ""
    resource: str = RESOURCE
    lifetime_s: float = 3599.0
    #: what is given out in place of a random token
    next_token: str = ""
    issued: dict[str, _Token] = field(default_factory=dict)
    #: changes an answer with a secret on its way
    spoil: Any = None
    _statements: set[str] = field(default_factory=set)

    def register(self, pem: str) -> None:
        """Registers a certificate with the application."""
        self.certificates.append(x509.load_pem_x509_certificate(pem.encode()))

    def reads(self) -> list[str]:
        """Returns the targets of all requests for secrets, in order."""
        targets = [request.target for request in self.server.requests]
        return [target for target in targets if target.startswith("/secrets/")]

    def answer(self, request: Received) -> tuple[int, Json, Mapping[str, str]]:
        """Returns status, body and special headers of the answer to a request."""
        found = re.fullmatch("/([^/]+)/oauth2/v2.0/token", request.path)
        if found and request.method == "POST":
            number, error = self._wrong(found[1], dict(parse_qsl(request.body.decode())))
            self.server.logins += 1
            if number:
                self.server.failed_logins += 1
                # the text repeats what was sent, as theirs may
                text = f"AADSTS{number}: {request.body.decode()}"
                said = {"error": error, "error_codes": [number], "error_description": text}
                return 401 if error == "invalid_client" else 400, said, {}
            return 200, self._issue(found[1], request), {}
        return self._vault(request)

    def _issue(self, tenant: str, request: Received) -> JsonObject:
        token = self.next_token or f"eyJ0.{randomness.token_urlsafe(60)}"
        scope = parse_qs(request.body.decode())["scope"][0]
        self.issued[token] = _Token(
            tenant=tenant,
            audience=scope.removesuffix("/.default"),
            ends_at=oauth._now() + self.lifetime_s,
        )
        lasting = int(self.lifetime_s)
        return {"token_type": "Bearer", "expires_in": lasting, "access_token": token}

    def _wrong(self, tenant: str, form: Mapping[str, str]) -> tuple[int, str]:
        """Returns the number and the name of the error, 0 where there is none."""
        assert form["grant_type"] == "client_credentials"
        if tenant not in self.applications:
            return 90002, "invalid_request"
        if form.get("client_id") not in self.applications[tenant]:
            return 700016, "unauthorized_client"
        if form.get("scope") != f"{self.resource}/.default":
            return 500011, "invalid_resource"
        if form.get("client_assertion_type") == _ASSERTION:
            return self._wrong_statement(tenant, form.get("client_assertion", "")), "invalid_client"
        if form.get("client_secret") != self.client_secret:
            return 7000215, "invalid_client"
        return (7000222 if self.has_expired else 0), "invalid_client"

    def _wrong_statement(self, tenant: str, statement: str) -> int:
        parts = statement.split(".")
        header, claims = oauth._json_part(parts[0]), oauth._json_part(parts[1])
        signed = f"{parts[0]}.{parts[1]}".encode()
        known = {_thumbprint(each): each.public_key() for each in self.certificates}
        key = known.get(header.get("x5t#S256", ""))
        if not isinstance(key, rsa.RSAPublicKey) or header.get("alg") not in ("PS256", "RS256"):
            return 700027
        if not oauth._is_signed(key, header["alg"], signed, oauth._decoded(parts[2])):
            return 700027
        if claims.get("aud") != f"{self.server.url}/{tenant}/oauth2/v2.0/token":
            return 700023
        now = oauth._now()
        if not float(claims["iat"]) - 5 <= now < float(claims["exp"]) <= now + 600:
            return 700024
        is_ours = claims["iss"] == claims["sub"] == self.client_id
        if not is_ours or claims["jti"] in self._statements:
            return 700030
        self._statements.add(claims["jti"])
        return 0

    def _vault(self, request: Received) -> tuple[int, Json, Mapping[str, str]]:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.issued.get(text) if scheme == "Bearer" else None
        is_good = token is not None and token.ends_at > oauth._now()
        if (
            token is None
            or not is_good
            or (token.tenant, token.audience)
            != (
                self.tenant,
                RESOURCE,
            )
        ):
            challenge = (
                f'Bearer authorization="https://login.windows.net/{self.tenant}", '
                f'resource="{RESOURCE}"'
            )
            return 401, _error("Unauthorized"), {"WWW-Authenticate": challenge}
        named = re.fullmatch("/secrets/([0-9A-Za-z-]+)/([0-9a-f]*)", request.path)
        query = parse_qs(urlsplit(request.target).query)
        if request.method != "GET" or named is None or query != {"api-version": ["7.4"]}:
            return 400, _error("BadParameter"), {}
        return *self._get(*named.groups()), {}

    def _get(self, name: str, version: str) -> tuple[int, Json]:
        if self.forbidden:
            return 403, _error("Forbidden", self.forbidden)
        versions = self.secrets.get(name.lower(), {})
        version = version or next(reversed(versions), "")
        if version not in versions:
            return 404, _error("SecretNotFound")
        kept = versions[version]
        if not kept.is_enabled:
            return 403, _error("Forbidden", "SecretDisabled")
        ends = {} if kept.exp is None else {"exp": kept.exp}
        answer: JsonObject = {
            "value": kept.value,
            "id": f"https://prod.vault.azure.net/secrets/{name}/{version}",
            "attributes": {"enabled": True, "created": 1700000000, **ends},
        }
        if self.spoil is not None:
            self.spoil(answer)
        return 200, answer


def _thumbprint(certificate: x509.Certificate) -> str:
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _error(code: str, inner: str = "") -> JsonObject:
    within = {"innererror": {"code": inner}} if inner else {}
    return {"error": {"code": code, "message": "<script>", **within}}


@contextmanager
def key_vault(
    secrets: Mapping[str, Mapping[str, Version]],
    *,
    context: ssl.SSLContext | None = None,
    name: str = "",
) -> Iterator[Azure]:
    """Runs both services, at one address, with a new tenant and application for the block."""
    with http_server({}, context=context, name=name) as server:
        tenant, client_id = str(uuid.uuid4()), str(uuid.uuid4())
        azure = Azure(
            server=server,
            secrets={name: dict(versions) for name, versions in secrets.items()},
            tenant=tenant,
            applications={tenant: {client_id}},
            client_id=client_id,
            client_secret=f"Q~{randomness.token_urlsafe(27)}",
        )

        async def route(client: Client) -> None:
            status, body, special = azure.answer(client.request)
            headers = [("Content-Type", "application/json; charset=utf-8"), *special.items()]
            await http_routes.answer(status, json.dumps(body).encode(), headers=headers)(client)

        server.routes = Everything(route)
        yield azure
