"""Secrets in Google Secret Manager: `{gcp: {project, secret, version, key}}`.

One request, `projects.secrets.versions.access` (Secret Manager API, v1), with an access token that
a service account's key gets ("Using OAuth 2.0 for server to server applications"). Key and endpoint
come from the operator file: neither the environment nor a metadata server is asked. Its error texts
are not repeated.
"""

from __future__ import annotations

import base64
import re
import time
from http import HTTPStatus

from reconciler.auth import google_key, oauth2_jwt, oauth2_requests
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.errors import SecretError
from reconciler.kinds import addresses
from reconciler.model import Json, JsonObject
from reconciler.secret_sources import Access, access_tokens, asking, operators, texts
from reconciler.settings import GcpAccount

_ENDPOINT = "https://secretmanager.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_KEY = "the key in `secrets.gcp.key` of the operator file"
_FIELDS = ("client_email", "private_key", "private_key_id", "token_uri")
#: Status of an error (google.rpc.Code) -> what is wrong with a secret, what to do.
_REFUSALS = {
    "NOT_FOUND": ("does not exist", "check project, secret and version"),
    "PERMISSION_DENIED": (
        "may not be read by the service account of the operator file",
        "give it the role Secret Manager Secret Accessor, and enable the API in the project",
    ),
    "FAILED_PRECONDITION": (
        "is disabled or destroyed in this version",
        "enable the version, or name another",
    ),
    "UNAUTHENTICATED": ("cannot be read: Google refuses the access token", "check the endpoint"),
    "RESOURCE_EXHAUSTED": (
        "cannot be read: Google refuses more requests for now",
        "try again later",
    ),
}
#: Reflected polynomial of CRC-32C (RFC 3720, appendix B.4).
_CASTAGNOLI = 0x82F63B78


class GcpSource:
    """Asks Secret Manager; each secret once, with one access token."""

    def __init__(self, access: Access) -> None:
        assert access.policy.operator is not None  # the policy was asked before
        assert access.policy.operator.gcp is not None
        self._account: GcpAccount = access.policy.operator.gcp
        self._access = access
        self._warnings: list[str] = []
        self._tokens = access_tokens.AccessTokens(access, self._token)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the operator's own secret files everybody can read."""
        return tuple(self._warnings)

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the secret, or what it holds under `argument["key"]`.

        Raises:
            SecretError: no token, not there, disabled, not allowed, no text, damaged, or no answer.
        """
        account, deadline = self._account, time.monotonic() + self._account.timeout_s
        name = f"the secret {argument['secret']} of the Google project {argument['project']}"
        path = f"projects/{argument['project']}/secrets/{argument['secret']}/versions"
        version = int(argument["version"]) if "version" in argument else "latest"
        url = f"{account.endpoint or _ENDPOINT}/v1/{path}/{version}"
        token = self._tokens.current()
        answer = asking.ask(
            Request(
                method="GET",
                url=f"{url}:access",
                headers=(("Authorization", f"Bearer {token}"), ("Accept", "application/json")),
            ),
            server="Google Secret Manager",
            ca=operators.read_public(account.ca, self._access),
            timeout_s=max(0.0, deadline - time.monotonic()),
        )
        if answer.status != HTTPStatus.OK:
            raise _refusal(name, answer)
        text = texts.decoded(name, _payload(name, answer.data, argument))
        self._access.redactor.add(text)
        return texts.entry(name, text, argument["key"]) if "key" in argument else text

    def _token(self, moment: Moment) -> Token:
        key = self._key()
        server = access_tokens.TokenServer(
            name="Google's token server",
            url=key.token_uri,
            ca=operators.read_public(self._account.ca, self._access),
            timeout_s=self._account.timeout_s,
        )
        claims = {"iss": key.address, "scope": _SCOPE, "aud": key.token_uri}
        signing = oauth2_jwt.SigningKey(
            pem=key.private_key,
            passphrase=None,
            pointer=_KEY,
            algorithm="RS256",
            key_id=key.key_id,
        )
        try:
            assertion = oauth2_jwt.statement(claims, signing, moment)
        except SecretError:
            raise SecretError(f"{_KEY} holds no private key that can sign", _MAKE) from None
        fields = {"grant_type": oauth2_requests.JWT_BEARER, "assertion": assertion}
        return access_tokens.ask(fields, server, moment, _refused)

    def _key(self) -> google_key.GoogleKey:
        """Returns the service account's key, its private key known to the redactor."""
        text = operators.read(self._account.key, self._access, self._warnings)
        key = google_key.parse_key(text)
        if key is None:
            raise SecretError(f"{_KEY} is no key of a service account", _MAKE)
        if not key.can_sign or not key.token_uri:
            raise SecretError(f"{_KEY} lacks one of: {', '.join(_FIELDS)}", _MAKE)
        self._access.redactor.add(key.private_key.reveal())
        if not _is_safe(key.token_uri):
            raise SecretError(f"{_KEY} has a `token_uri` that is no https URL", _MAKE)
        return key


_MAKE = "create a JSON key for the service account, and name the file in the operator file"


def _is_safe(url: str) -> bool:
    """Whether what is sent to `url` is encrypted, or stays on this machine."""
    if addresses.url_problem(url):
        return False
    parts = addresses.split_url(url)
    return parts.scheme == "https" or addresses.is_loopback(parts.host)


def _refused(refusal: TokenRefused, _: Response) -> SecretError | None:
    if refusal.error not in ("invalid_grant", "invalid_client"):
        return None
    return SecretError(
        "Google refuses the key of the service account",
        "it may be deleted, disabled or expired; check `secrets.gcp.key` of the operator file, "
        "and the clock of this machine",
    )


def _refusal(name: str, answer: asking.Answer) -> SecretError:
    error = answer.data.get("error") if isinstance(answer.data, dict) else None
    status = error.get("status") if isinstance(error, dict) else None
    if isinstance(status, str) and status in _REFUSALS:
        problem, hint = _REFUSALS[status]
        return SecretError(f"{name} {problem}", hint)
    return SecretError(
        f"{name} cannot be read: Google Secret Manager answers {answer.status}",
        "check the endpoint in the operator file",
    )


def _payload(name: str, data: Json, argument: JsonObject) -> bytes:
    """Returns the bytes of the secret in an answer, which must be the one that was asked for."""
    number = int(argument["version"]) if "version" in argument else "[0-9]+"
    wanted = rf"projects/[^/]+/secrets/{re.escape(argument['secret'])}/versions/{number}"
    match data:
        case {"name": str(found), "payload": {"data": str(encoded), "dataCrc32c": checksum}}:
            try:
                content = base64.b64decode(encoded, validate=True)
                is_sound = int(checksum) == _crc32c(content)
            except (ValueError, TypeError):  # the text of a ValueError may hold the value
                is_sound = False
            if is_sound and re.fullmatch(wanted, found):
                return content
    raise SecretError(
        f"{name} did not arrive as it is kept: name, data and checksum do not fit",
        "try again; check the endpoint in the operator file",
    )


def _crc32c(data: bytes) -> int:
    """Returns the CRC-32C of `data`, which `zlib` does not have: it has another polynomial."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)  # noqa: PLW2901 -- a register
        table.append(byte)
    register = 0xFFFFFFFF
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ 0xFFFFFFFF
