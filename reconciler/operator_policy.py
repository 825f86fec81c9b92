"""What the operator file says of the network: `[[grant]]` and `[network]`.

Beside `operator_file`, which reads the file and everything else in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler import destinations, selection, toml_table
from reconciler.destinations import Pattern
from reconciler.errors import ConfigError
from reconciler.grants import SOURCES, Grant
from reconciler.network import NetworkPolicy

if TYPE_CHECKING:
    from reconciler.model import Json

_PROFILES = ("trusted", "restricted")


def _reference(raw: Json, where: toml_table.Where) -> str:
    """Returns a pattern of references, such as `env:CRM_*`."""
    text = toml_table.text(raw, where)
    source, colon, rest = text.partition(":")
    if not colon or not rest or source not in SOURCES:
        raise toml_table.Wrong(
            where,
            f"has `{_shown(text)}`, which is no pattern of references",
            f"write it as `env:CRM_*`; the sources are: {', '.join(SOURCES)}",
        )
    return text


def _connection(raw: Json, where: toml_table.Where) -> tuple[str, str, str]:
    """Returns a pattern of connections as kind, namespace and name.

    The namespace is always there: a name alone would let every namespace in.
    """
    text = toml_table.text(raw, where)
    hint = "write it as `sales/*` or `ApiConnection/sales/*`"
    if "/" not in text:
        raise toml_table.Wrong(where, f"has `{_shown(text)}`, which lacks the namespace", hint)
    try:
        reference = selection.parse_reference(text)
    except ConfigError:
        shown = _shown(text)
        raise toml_table.Wrong(where, f"has `{shown}`, which is no reference", hint) from None
    return reference.kind, reference.namespace, reference.name


def _destination(raw: Json, where: toml_table.Where) -> Pattern:
    text = toml_table.text(raw, where)
    try:
        return destinations.parse(text)
    except ValueError as error:
        raise toml_table.Wrong(where, f"has `{_shown(text)}`, which must be {error}") from None


def _place(raw: Json, where: toml_table.Where) -> Pattern:
    """Returns a network or a socket: names are not compared where addresses are judged."""
    pattern = _destination(raw, where)
    if pattern.scheme or not (pattern.network or pattern.path):
        raise toml_table.Wrong(
            where,
            f"has `{_shown(pattern.text)}`, which is neither a network nor a socket",
            "write addresses: 10.0.0.0/8, 10.0.0.0/8:5432, [fd00::/8]:443 or /run/docker.sock",
        )
    return pattern


def _profile(raw: Json, where: toml_table.Where) -> bool:
    """Returns whether the profile is `restricted`."""
    if raw not in _PROFILES:
        raise toml_table.Wrong(where, f"must be one of: {', '.join(_PROFILES)}")
    return bool(raw == "restricted")


def grants(raw: Json, where: toml_table.Where) -> tuple[Grant, ...]:
    """Returns what `[[grant]]` says, numbered from 1."""
    if not isinstance(raw, list):
        raise toml_table.Wrong(where, "must be written as `[[grant]]`")
    return tuple(
        replace(_GRANT(each, (*where, str(number))), number=number)
        for number, each in enumerate(raw, start=1)
    )


def _grant(**said: Json) -> Grant:
    return Grant(number=0, **said)


def network(raw: Json, where: toml_table.Where) -> NetworkPolicy:
    """Returns what `[network]` says."""
    policy: NetworkPolicy = _NETWORK(raw, where)
    if policy.allow and not policy.is_restricted:
        raise toml_table.Wrong(
            (*where, "allow"),
            "belongs to the profile `restricted`",
            'set `profile = "restricted"`, or leave it out: `trusted` contacts these addresses',
        )
    return policy


def _made(*, profile: bool = False, **said: Json) -> NetworkPolicy:
    return NetworkPolicy(is_restricted=profile, **said)


def _shown(text: str) -> str:
    return text if text.isascii() else ascii(text)[1:-1]


_PLACES = toml_table.list_of(_place)
_NETWORK = toml_table.table({"profile": _profile, "allow": _PLACES, "deny": _PLACES}, _made)
_GRANT = toml_table.table(
    {
        "references": toml_table.list_of(_reference, fewest=1),
        "connections": toml_table.list_of(_connection, fewest=1),
        "destinations": toml_table.list_of(_destination, fewest=1),
    },
    _grant,
    ("references", "connections", "destinations"),
)
