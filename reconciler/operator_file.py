"""The operator file: what widens trust on this machine, which no pull request can reach.

`reconciler.toml` of a project may only narrow what secrets manifests can name. What goes beyond the
default (servers that keep secrets, programs that print them, more folders) is granted here, by
whoever runs the machine. So the file must belong to them: a file that others can write is refused,
since they could grant themselves anything.

A table of the file is a function that reads it, made by `toml_table.table` out of the functions of
its fields; a new table is one more entry of `_FILE` and one more field of `Operator`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler import redact, toml_file, toml_table
from reconciler.errors import ConfigError
from reconciler.grants import Grant
from reconciler.network import NetworkPolicy
from reconciler.settings import AwsAccount, OperatorSecrets, VaultLogin, VaultServer
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.model import Json

VARIABLE = "RECONCILER_OPERATOR_CONFIG"
DEFAULT = "/etc/reconciler/reconciler.toml"
#: Where Kubernetes puts the token of a pod's service account.
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_LONGEST_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What the operator file says."""

    secrets: OperatorSecrets = OperatorSecrets()
    #: which secret may be sent where; without any, every secret may be sent anywhere
    grants: tuple[Grant, ...] = ()
    network: NetworkPolicy = NetworkPolicy()


def locate(environment: Mapping[str, str]) -> str:
    """Returns the path of the operator file in force, or `""` where there is none.

    Raises:
        ConfigError: the one that the environment names is not there, or is no absolute path.
    """
    named = environment.get(VARIABLE, "")
    if not named:
        return DEFAULT if _is_there(DEFAULT) else ""
    shown = redact.escape(named)
    if not named.startswith("/"):
        raise ConfigError(f"{VARIABLE} must be an absolute path, not {shown!r}")
    if not _is_there(named):
        raise ConfigError(f"{VARIABLE} names {shown}, which does not exist")
    return named


def read(file: str) -> Operator:
    """Returns what the operator file says.

    Raises:
        ConfigError: others could have written it, it cannot be read, or a setting is unknown or
            wrong; names the line.
    """
    name = redact.escape(file)
    _require_trust(name, "its folder", _facts(os.path.dirname(os.path.realpath(file)), name))
    text = toml_file.text(file, name, lambda facts: _require_trust(name, "it", facts))
    data = toml_file.parse(text, name)
    try:
        said = toml_table.table(_FILE, _operator)(data, ())
    except toml_table.Wrong as wrong:
        place = f"{name}:{toml_file.line(text, wrong.where)}"
        path = redact.escape(".".join(wrong.where))
        raise ConfigError(f"{place}: `{path}` {wrong}", wrong.hint) from None
    operator: Operator = said
    return operator


def _is_there(path: str) -> bool:
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def _facts(path: str, name: str) -> os.stat_result:
    try:
        return Path(path).stat()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from None


def _require_trust(name: str, what: str, facts: os.stat_result) -> None:
    """Refuses a file, or its folder, that others than root and this user could have changed."""
    if facts.st_uid not in (0, os.getuid()):
        raise ConfigError(
            f"{name} is not trusted: {what} belongs to another user",
            "it must belong to root or to the user who runs this",
        )
    # in a folder with the sticky bit nobody can replace what belongs to others
    is_sticky = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_sticky:
        raise ConfigError(f"{name} is not trusted: {what} can be written by others", "chmod go-w")


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


def _secrets(
    *,
    file_roots: tuple[str, ...] = (),
    exec: Mapping[str, Json] | None = None,  # noqa: A002 -- the table's name
    keyring: Mapping[str, Json] | None = None,
    age: Mapping[str, Json] | None = None,
    vault: VaultServer | None = None,
    aws: AwsAccount | None = None,
) -> OperatorSecrets:
    programs = exec or {}
    return OperatorSecrets(
        file_roots=file_roots,
        exec_allow=programs.get("allow", ()),
        exec_timeout_s=programs.get("timeout", 10.0),
        keyring_allow=(keyring or {}).get("allow", ()),
        age_identities=(age or {}).get("identities", ()),
        vault=vault,
        aws=aws,
    )


def _grants(raw: Json, where: toml_table.Where) -> Json:
    from reconciler import operator_policy  # most files have none, and each command reads the file

    return operator_policy.grants(raw, where)


def _network(raw: Json, where: toml_table.Where) -> Json:
    from reconciler import operator_policy

    return operator_policy.network(raw, where)


def _operator(*, grant: tuple[Grant, ...] = (), **others: Json) -> Operator:
    return Operator(grants=grant, **others)


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
_SECRETS: dict[str, toml_table.Read] = {
    "file_roots": toml_table.list_of(toml_table.path),
    "exec": toml_table.table({"allow": toml_table.list_of(_command), "timeout": _timeout}),
    "keyring": toml_table.table({"allow": toml_table.list_of(toml_table.text)}),
    "age": toml_table.table({"identities": toml_table.list_of(toml_table.path)}),
    "vault": toml_table.table(_VAULT, _vault, ("address", "auth")),
    "aws": toml_table.table(_AWS, _aws, ("region", "access_key_id", "secret_access_key")),
}
_FILE: dict[str, toml_table.Read] = {
    "secrets": toml_table.table(_SECRETS, _secrets),
    "grant": _grants,
    "network": _network,
}
