"""Secrets in Vault and OpenBao: `{vault: {mount, path, field, version}}`, of KV engines version 2.

Server, namespace and login stand in the operator file: a manifest that could name a server could
have our token sent there. Requests follow the HTTP API of Vault ("KV secrets engine - version 2",
"AppRole auth method", "Kubernetes auth method"); its error texts are not repeated, since they may
hold what was sent.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from urllib.parse import quote

from reconciler.auth.exchange import Request
from reconciler.errors import SecretError
from reconciler.model import Json
from reconciler.redact import Secret
from reconciler.secret_sources import Access, asking, operators, shared_tokens, texts
from reconciler.secret_sources.shared_tokens import Held, SharedToken
from reconciler.settings import VaultLogin, VaultServer

#: Methods that log in -> name of the field with the role, name of the field with the secret.
_LOGINS = {"approle": ("role_id", "secret_id"), "kubernetes": ("role", "jwt")}
_TOKEN = "the token for Vault"

_SEALED = "unseal it; until then it gives nothing to anybody"
#: Status -> what is wrong, what to do; of every request.
_ALWAYS = {
    **dict.fromkeys(
        (301, 302, 307, 308),
        ("redirects, which is not followed", "name the server that it redirects to"),
    ),
    429: ("refuses more requests for now", "try again later"),
    472: ("is a standby of another site", "name a server that answers reads"),
    473: ("is a standby", "name a server that answers reads"),
    503: ("is sealed or in maintenance", _SEALED),
}


class VaultSource:
    """Reads fields of secrets; logs in once."""

    def __init__(self, access: Access) -> None:
        assert access.policy.operator is not None  # the policy was asked before
        assert access.policy.operator.vault is not None
        self._server: VaultServer = access.policy.operator.vault
        self._access = access
        self._warnings: list[str] = []
        self._token = SharedToken(lambda: Held(token=self._log_in(self._server.login)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the operator's own secret files everybody can read."""
        return tuple(self._warnings)

    def read(self, argument: Json, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the field `argument["field"]` of a secret, as it is.

        Raises:
            SecretError: no login, not there, not allowed, no text, or the server does not answer.
        """
        path = f"{argument.get('mount', 'secret')}/data/{argument['path']}"
        version = f"?version={argument['version']}" if "version" in argument else ""
        answer = self._ask("GET", f"{path}{version}", token=self._token.current())
        name = f"the secret {argument['path']} of Vault"
        match answer.status:
            case 200:
                return _field(name, answer.data, argument["field"])
            case 403:
                raise SecretError(
                    f"Vault does not allow to read {path}",
                    "give the role of the operator file a policy with `read` on that path",
                )
            case 404:
                raise SecretError(
                    f"{name} does not exist, or this version of it was deleted",
                    "check mount and path; they are written without `data/`",
                )
            case 400:
                raise SecretError(
                    f"Vault refuses to read {path}", "check that the mount is KV version 2"
                )
            case _:
                raise _failure(answer.status)

    def _log_in(self, login: VaultLogin) -> Secret:
        """Returns the token of the run; it is not renewed."""
        secret = operators.read(login.secret, self._access, self._warnings)
        if login.method == "token":
            return shared_tokens.judged(_TOKEN, secret)
        role_field, secret_field = _LOGINS[login.method]
        body = json.dumps({role_field: login.role, secret_field: secret}).encode()
        answer = self._ask("POST", f"auth/{login.mount}/login", body=body)
        if answer.status in (400, 401, 403, 404):
            raise SecretError(
                f"Vault refuses the {login.method} login",
                "check role, secret and mount in `[secrets.vault.auth]` of the operator file",
            )
        if answer.status != HTTPStatus.OK:
            raise _failure(answer.status)
        token = _at(answer.data, "auth", "client_token")
        if not isinstance(token, str):
            raise SecretError("Vault's answer to the login holds no token")
        self._access.redactor.add(token)
        return shared_tokens.judged(_TOKEN, token)

    def _ask(self, method: str, path: str, *, token: str = "", body: bytes = b"") -> asking.Answer:
        headers = [("X-Vault-Request", "true"), ("Accept", "application/json")]
        headers += [("X-Vault-Token", token)] if token else []
        headers += [("Content-Type", "application/json")] if body else []
        namespace = self._server.namespace
        headers += [("X-Vault-Namespace", namespace)] if namespace else []
        url = f"{self._server.address.rstrip('/')}/v1/{quote(path, safe='/?=')}"
        return asking.ask(
            Request(method=method, url=url, headers=tuple(headers), body=body),
            server="Vault",
            ca=operators.read_public(self._server.ca, self._access),
            timeout_s=self._server.timeout_s,
        )


def _field(name: str, answer: Json, field: str) -> str:
    content = _at(answer, "data", "data")
    if not isinstance(content, dict):
        raise SecretError(f"{name} is not of the KV engine's version 2", "check the mount")
    if field not in content:
        raise SecretError(f"{name} has no field {field}", "check the name of the field")
    if not isinstance(content[field], str):
        raise SecretError(f"the field {field} of {name} is no text", "store it as text")
    return texts.judged(f"the field {field} of {name}", content[field])


def _at(data: Json, *keys: str) -> Json:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _failure(status: int) -> SecretError:
    problem, hint = _ALWAYS.get(status, (f"answers {status}", "look into its log"))
    return SecretError(f"Vault {problem}", hint)
