"""What the operator file says of secrets: `[secrets]`, and the servers that keep them.

Beside `operator_file`, which reads the file and everything else in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler import toml_table
from reconciler.settings import (
    AwsAccount,
    AzureVault,
    GcpAccount,
    OperatorSecrets,
    VaultLogin,
    VaultServer,
)

if TYPE_CHECKING:
    from reconciler.model import Json

#: Where Kubernetes puts the token of a pod's service account.
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_LONGEST_TIMEOUT_S = 600.0


def secrets(raw: Json, where: toml_table.Where) -> OperatorSecrets:
    """Returns what `[secrets]` says."""
    said: OperatorSecrets = toml_table.table(_SECRETS, _secrets)(raw, where)
    return said


def _command(raw: Json, where: toml_table.Where) -> tuple[str, ...]:
    """Returns a beginning of a command line; a program is named by its path, not searched for."""
    words: tuple[str, ...] = toml_table.list_of(toml_table.text, fewest=1)(raw, where)
    toml_table.path(words[0], where)
    return words


def _timeout(raw: Json, where: toml_table.Where) -> float:
    from reconciler.kinds import durations

    try:
        seconds = durations.parse_duration(raw)
    except (TypeError, ValueError):
        raise toml_table.Wrong(where, "must be a duration with a unit, such as 10s") from None
    if not 0 < seconds <= _LONGEST_TIMEOUT_S:
        raise toml_table.Wrong(where, "must be at most 10m")
    return seconds


def _url(raw: Json, where: toml_table.Where) -> str:
    """Returns the URL of a server; only the same machine may be asked without TLS."""
    from reconciler.kinds import addresses

    url = toml_table.text(raw, where)
    try:
        parts = urlsplit(url)
        is_plain = not parts.query and not parts.fragment and "@" not in parts.netloc
        host = parts.hostname or ""
        is_right = bool(host) and is_plain and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or parts.scheme not in ("http", "https"):
        raise toml_table.Wrong(where, "must be a URL such as https://vault.example.com:8200")
    if parts.scheme == "http" and not addresses.is_loopback(host):
        raise toml_table.Wrong(
            where, "must begin with https: secrets would cross the network readable"
        )
    return url.rstrip("/")


def _reference(raw: Json, where: toml_table.Where) -> Json:
    """Returns where a secret of the operator's own is, `{env = ...}` or `{file = ...}`."""
    if not isinstance(raw, dict) or len(raw) != 1 or not raw.keys() <= {"env", "file"}:
        # the value is shown nowhere: it may be the secret itself
        raise toml_table.Wrong(
            where, 'must be {env = "NAME"} or {file = "/path"}, not the secret itself'
        )
    ((source, argument),) = raw.items()
    check = toml_table.path if source == "file" else toml_table.text
    return {source: check(argument, (*where, source))}


def _login(raw: Json, where: toml_table.Where) -> VaultLogin:
    method = raw.get("method") if isinstance(raw, dict) else None
    if not isinstance(method, str) or method not in _LOGINS:
        raise toml_table.Wrong((*where, "method"), f"must be one of: {', '.join(sorted(_LOGINS))}")
    login: VaultLogin = _LOGINS[method](raw, where)
    return login


def _by_token(method: str, token: Json) -> VaultLogin:
    return VaultLogin(method=method, secret=token)


def _by_approle(method: str, role_id: str, secret_id: Json, mount: str = "approle") -> VaultLogin:
    return VaultLogin(method=method, mount=mount, role=role_id, secret=secret_id)


def _by_kubernetes(
    method: str, role: str, token: Json = None, mount: str = "kubernetes"
) -> VaultLogin:
    secret = token or {"file": _SERVICE_ACCOUNT}
    return VaultLogin(method=method, mount=mount, role=role, secret=secret)


def _vault(address: str, auth: VaultLogin, timeout: float = 10.0, **others: str) -> VaultServer:
    return VaultServer(address=address, login=auth, timeout_s=timeout, **others)


def _aws(timeout: float = 10.0, **others: Json) -> AwsAccount:
    return AwsAccount(timeout_s=timeout, **others)


def _gcp(timeout: float = 10.0, **others: Json) -> GcpAccount:
    return GcpAccount(timeout_s=timeout, **others)


def _azure(raw: Json, where: toml_table.Where) -> AzureVault:
    vault: AzureVault = _AZURE(raw, where)
    by_certificate = bool(vault.certificate), vault.private_key is not None
    if by_certificate != ((vault.client_secret is None),) * 2:
        raise toml_table.Wrong(
            where, "must have either `client_secret`, or `certificate` and `private_key`"
        )
    return vault


def _make_azure(*, vault: str, timeout: float = 10.0, **others: Json) -> AzureVault:
    return AzureVault(address=vault, timeout_s=timeout, **others)


def _tenant(raw: Json, where: toml_table.Where) -> str:
    """Returns the id or the domain of a tenant, which is a part of a URL."""
    text = toml_table.text(raw, where)
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9.-]*", text):
        raise toml_table.Wrong(where, "must be the id of a tenant, or one of its domains")
    return text


def _secrets(
    *,
    file_roots: tuple[str, ...] = (),
    exec: Mapping[str, Json] | None = None,  # noqa: A002 -- the table's name
    keyring: Mapping[str, Json] | None = None,
    age: Mapping[str, Json] | None = None,
    **servers: Json,
) -> OperatorSecrets:
    programs = exec or {}
    return OperatorSecrets(
        file_roots=file_roots,
        exec_allow=programs.get("allow", ()),
        exec_timeout_s=programs.get("timeout", 10.0),
        keyring_allow=(keyring or {}).get("allow", ()),
        age_identities=(age or {}).get("identities", ()),
        **servers,
    )


#: Method of a login to Vault -> what reads its table.
_LOGINS: dict[str, toml_table.Read] = {
    "token": toml_table.table(
        {"method": toml_table.text, "token": _reference}, _by_token, ("token",)
    ),
    "approle": toml_table.table(
        {
            "method": toml_table.text,
            "role_id": toml_table.text,
            "secret_id": _reference,
            "mount": toml_table.text,
        },
        _by_approle,
        ("role_id", "secret_id"),
    ),
    "kubernetes": toml_table.table(
        {
            "method": toml_table.text,
            "role": toml_table.text,
            "token": _reference,
            "mount": toml_table.text,
        },
        _by_kubernetes,
        ("role",),
    ),
}
_SERVER: dict[str, toml_table.Read] = {"ca": toml_table.path, "timeout": _timeout}
_VAULT: dict[str, toml_table.Read] = {
    "address": _url,
    "namespace": toml_table.text,
    "auth": _login,
    **_SERVER,
}
_KEYS: dict[str, toml_table.Read] = dict.fromkeys(
    ("access_key_id", "secret_access_key", "session_token"), _reference
)
_AWS: dict[str, toml_table.Read] = {"region": toml_table.text, "endpoint": _url, **_KEYS, **_SERVER}
_GCP: dict[str, toml_table.Read] = {"key": _reference, "endpoint": _url, **_SERVER}
_AZURE = toml_table.table(
    {
        **dict.fromkeys(("vault", "authority", "resource"), _url),
        "tenant": _tenant,
        "client_id": toml_table.text,
        **dict.fromkeys(("client_secret", "private_key"), _reference),
        "certificate": toml_table.path,
        **_SERVER,
    },
    _make_azure,
    ("vault", "tenant", "client_id"),
)
_SECRETS: dict[str, toml_table.Read] = {
    "file_roots": toml_table.list_of(toml_table.path),
    "exec": toml_table.table({"allow": toml_table.list_of(_command), "timeout": _timeout}),
    "keyring": toml_table.table({"allow": toml_table.list_of(toml_table.text)}),
    "age": toml_table.table({"identities": toml_table.list_of(toml_table.path)}),
    "vault": toml_table.table(_VAULT, _vault, ("address", "auth")),
    "aws": toml_table.table(_AWS, _aws, ("region", "access_key_id", "secret_access_key")),
    "gcp": toml_table.table(_GCP, _gcp, ("key",)),
    "azure": _azure,
}
