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

from reconciler import redact, toml_file, toml_table
from reconciler.errors import ConfigError
from reconciler.grants import Grant
from reconciler.network import NetworkPolicy
from reconciler.settings import OperatorSecrets
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.model import Json

VARIABLE = "RECONCILER_OPERATOR_CONFIG"
DEFAULT = "/etc/reconciler/reconciler.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What the operator file says."""

    secrets: OperatorSecrets = OperatorSecrets()
    #: which secret may be sent where; without any, every secret may be sent anywhere
    grants: tuple[Grant, ...] = ()
    network: NetworkPolicy = NetworkPolicy()
    #: as written, wherever projects say that their state is; empty where they may say so
    state_url: str = ""


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


def _secrets(raw: Json, where: toml_table.Where) -> Json:
    from reconciler import operator_sources  # nothing of it is needed where there is no such table

    return operator_sources.secrets(raw, where)


def _grants(raw: Json, where: toml_table.Where) -> Json:
    from reconciler import operator_policy  # most files have none, and each command reads the file

    return operator_policy.grants(raw, where)


def _network(raw: Json, where: toml_table.Where) -> Json:
    from reconciler import operator_policy

    return operator_policy.network(raw, where)


def _operator(
    *, grant: tuple[Grant, ...] = (), state: Mapping[str, str] | None = None, **others: Json
) -> Operator:
    return Operator(grants=grant, state_url=(state or {}).get("url", ""), **others)


_FILE: dict[str, toml_table.Read] = {
    "secrets": _secrets,
    "grant": _grants,
    "network": _network,
    "state": toml_table.table({"url": toml_table.text}),
}
