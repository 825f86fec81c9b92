"""Secrets in Azure Key Vault: `{azure: {secret, version, key}}`.

One request, "Get Secret" (Key Vault REST API, 7.4), with an access token of Microsoft Entra's that
an application gets by its secret or its certificate ("OAuth 2.0 client credentials flow",
"Application authentication certificate credentials"). Vault, tenant and application come from the
operator file: neither the environment nor a metadata server is asked, and the challenge of a vault,
which names a server for tokens, is read for the message and never followed. No error text of theirs
is repeated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from reconciler.auth import challenges, oauth2_jwt, oauth2_requests
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject
from reconciler.redact import Secret
from reconciler.secret_sources import Access, access_tokens, asking, operators, texts
from reconciler.settings import AzureVault

_AUTHORITY = "https://login.microsoftonline.com"
_RESOURCE = "https://vault.azure.net"
_CERTIFICATE = "the certificate in `secrets.azure.certificate` of the operator file"
_KEY = "the key in `secrets.azure.private_key` of the operator file"
_CHECK = "check `[secrets.azure]` of the operator file"
#: Number of an error (Microsoft Entra, "Authentication and authorization error codes") -> what is
#: wrong, what to do.
_LOGIN_REFUSALS = {
    7000215: ("refuses the client secret", "it is the secret's value that is wanted, not its id"),
    7000222: ("says that the client secret has expired", "make a new one for the application"),
    7000112: ("says that the application is disabled", "enable it, or name another"),
    700016: (
        "knows no such application in this tenant",
        "check `client_id` and `tenant` in the operator file",
    ),
    700024: (
        "does not accept the time of the signed statement",
        "check the clock of this machine",
    ),
    700027: (
        "does not know the certificate, or its key is another",
        "register the certificate with the application; name its own key",
    ),
    90002: ("knows no such tenant", "check `tenant` in the operator file"),
    900023: ("knows no such tenant", "check `tenant` in the operator file"),
    500011: ("knows no such resource in this tenant", "check `resource` in the operator file"),
    53003: ("gives no token: a Conditional Access policy forbids it", "ask who runs the tenant"),
}
#: What it means for a secret, by inner code or status; the inner code says more.
_REFUSALS: Mapping[str | int, tuple[str, str]] = {
    "SecretDisabled": ("is disabled", "enable the secret or this version of it, or name another"),
    "ForbiddenByFirewall": (
        "cannot be read from here: the firewall of the vault refuses this machine",
        "let the address of this machine through the firewall of the vault",
    ),
    "ForbiddenByConnection": (
        "cannot be read from here: the vault takes requests through its private link only",
        "ask the vault from a network that has the link",
    ),
    403: (
        "may not be read by the application of the operator file",
        "give it the role Key Vault Secrets User, or an access policy with `get` of secrets",
    ),
    404: ("does not exist", "check its name and version"),
    429: ("cannot be read: the vault refuses more requests for now", "try again later"),
}


class AzureSource:
    """Asks one vault; each secret once, with one access token."""

    def __init__(self, access: Access) -> None:
        assert access.policy.operator is not None  # the policy was asked before
        assert access.policy.operator.azure is not None
        self._vault: AzureVault = access.policy.operator.azure
        self._access = access
        self._warnings: list[str] = []
        self._tokens = access_tokens.AccessTokens(access, self._token)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which secret files everybody can read, and which secrets are past their time."""
        return tuple(self._warnings)

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the secret, or what it holds under `argument["key"]`.

        Raises:
            SecretError: no token, not there, disabled, not allowed, no text, or no answer.
        """
        vault, deadline = self._vault, time.monotonic() + self._vault.timeout_s
        name = f"the secret {argument['secret']} of the Azure vault"
        path = f"secrets/{argument['secret']}/{argument.get('version', '')}"
        token = self._tokens.current()
        answer = asking.send(
            Request(
                method="GET",
                url=f"{vault.address}/{path}?api-version=7.4",
                headers=(("Authorization", f"Bearer {token}"), ("Accept", "application/json")),
            ),
            server="Azure Key Vault",
            ca=operators.read_public(vault.ca, self._access),
            timeout_s=max(0.0, deadline - time.monotonic()),
        )
        data = asking.parsed(answer.body)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise self._unauthorized(name, answer)
        if answer.status != HTTPStatus.OK:
            raise _refusal(name, answer.status, data)
        if not isinstance(data, dict) or not _is_asked_for(data, argument):
            raise SecretError(f"{name} is not what the vault answers with", _CHECK)
        text = texts.judged(name, data["value"])
        self._access.redactor.add(text)
        self._judge_time(name, data.get("attributes"))
        return texts.entry(name, text, argument["key"]) if "key" in argument else text

    def _judge_time(self, name: str, attributes: Json) -> None:
        """Warns of a secret past its time; Key Vault gives it out all the same."""
        ends = attributes.get("exp") if isinstance(attributes, dict) else None
        now = self._access.clock().timestamp()
        if isinstance(ends, int) and 0 < ends <= now:
            expired = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._warnings.append(f"{name} expired at {expired}")

    def _unauthorized(self, name: str, answer: Response) -> SecretError:
        """Says why a vault takes no token: the challenge tells whose tokens it takes."""
        for challenge in challenges.challenges(answer):
            wanted = challenge.parameters
            tenant = wanted.get("authorization", "").rstrip("/").rpartition("/")[2]
            # names of tenants are not compared: a tenant has several
            is_other = _is_id(tenant) and _is_id(self._vault.tenant)
            if is_other and tenant.lower() != self._vault.tenant.lower():
                return SecretError(
                    f"{name} cannot be read: the vault belongs to another tenant",
                    "check `tenant` and `vault` in the operator file",
                )
            if wanted.get("resource", self._resource).rstrip("/") != self._resource:
                return SecretError(
                    f"{name} cannot be read: the vault takes tokens for another resource",
                    "check `resource` in the operator file",
                )
        return SecretError(f"{name} cannot be read: the vault refuses the access token", _CHECK)

    @property
    def _resource(self) -> str:
        return self._vault.resource or _RESOURCE

    def _token(self, moment: Moment) -> Token:
        vault = self._vault
        url = f"{vault.authority or _AUTHORITY}/{vault.tenant}/oauth2/v2.0/token"
        fields = {
            "grant_type": "client_credentials",
            "client_id": vault.client_id,
            "scope": f"{self._resource}/.default",
            **self._proof(url, moment),
        }
        server = access_tokens.TokenServer(
            name="Microsoft Entra",
            url=url,
            ca=operators.read_public(vault.ca, self._access),
            timeout_s=vault.timeout_s,
        )
        return access_tokens.ask(fields, server, moment, _refused)

    def _proof(self, url: str, moment: Moment) -> Mapping[str, str]:
        """Returns the fields that say that it is the application who asks."""
        vault = self._vault
        if vault.client_secret is not None:
            secret = operators.read(vault.client_secret, self._access, self._warnings)
            return {"client_secret": secret}
        assert vault.private_key is not None  # who read the operator file has seen to it
        thumbprint = _thumbprint(operators.read_public(vault.certificate, self._access), moment.now)
        pem = operators.read(vault.private_key, self._access, self._warnings)
        key = oauth2_jwt.SigningKey(
            pem=Secret(pem),
            passphrase=None,
            pointer=_KEY,
            algorithm="PS256",
            thumbprint=thumbprint,
        )
        claims = {"iss": vault.client_id, "sub": vault.client_id, "aud": url}
        try:
            assertion = oauth2_jwt.statement(claims, key, moment)
        except SecretError:
            raise SecretError(
                f"{_KEY} is no RSA key that can be read", "it is a PEM text without a passphrase"
            ) from None
        return {
            "client_assertion_type": oauth2_requests.ASSERTION_TYPE,
            "client_assertion": assertion,
        }


def _thumbprint(pem: str, now: datetime) -> bytes:
    """Returns the SHA-256 of a certificate that has not expired."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise SecretError(f"{_CERTIFICATE} is no certificate", "it is a PEM text") from None
    ends = certificate.not_valid_after_utc
    if ends <= now:
        raise SecretError(
            f"{_CERTIFICATE} expired at {ends:%Y-%m-%dT%H:%M:%SZ}",
            "register a new certificate with the application",
        )
    return certificate.fingerprint(SHA256())


def _refused(_: TokenRefused, answer: Response) -> SecretError | None:
    data = asking.parsed(answer.body)
    numbers = data.get("error_codes") if isinstance(data, dict) else None
    for number in numbers if isinstance(numbers, list) else ():
        if isinstance(number, int) and number in _LOGIN_REFUSALS:
            problem, hint = _LOGIN_REFUSALS[number]
            return SecretError(f"Microsoft Entra {problem}", hint)
    return None


def _refusal(name: str, status: int, data: Json) -> SecretError:
    inner = data
    for key in ("error", "innererror", "code"):
        inner = inner.get(key) if isinstance(inner, dict) else None
    if isinstance(inner, str) and inner in _REFUSALS:
        return SecretError(f"{name} {_REFUSALS[inner][0]}", _REFUSALS[inner][1])
    if status in _REFUSALS:
        return SecretError(f"{name} {_REFUSALS[status][0]}", _REFUSALS[status][1])
    return SecretError(f"{name} cannot be read: the vault answers {status}", _CHECK)


def _is_asked_for(data: JsonObject, argument: JsonObject) -> bool:
    """Whether an answer holds the secret that was asked for, of which names have no case."""
    version = argument.get("version", "[0-9a-f]+")
    wanted = rf"https?://[^/]+/secrets/{argument['secret']}/{version}"
    is_named = isinstance(data.get("id"), str) and re.fullmatch(wanted, data["id"], re.IGNORECASE)
    return bool(is_named) and isinstance(data.get("value"), str)


def _is_id(tenant: str) -> bool:
    return bool(re.fullmatch("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", tenant))
