"""The table of settings: under which names each can be given, and within which bounds.

Apart from `config`, which goes and gets the values: this is pure. A value comes as TOML gives it,
or as the text of a variable or an option, and is read the same way from all three.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler import master_keys, redact
from reconciler.settings import LOGIN_BUDGET

if TYPE_CHECKING:
    from reconciler.model import Json

#: An actor's name is cut to this many characters.
LONGEST_ACTOR = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting: its names, and how its value is read."""

    #: `section.key` in the file
    name: str
    variable: str
    #: gives the value of TOML, of a variable's text or of a flag; ValueError says what it must be
    parse: Callable[[Json], Json]
    #: the option that sets it, or empty
    flag: str = ""
    #: whether the project file may hold it
    in_file: bool = True


def _actor_name(raw: Json) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("text that is not empty")
    return redact.escape(raw.strip())[:LONGEST_ACTOR]


def _name(raw: Json) -> str:
    from reconciler.kinds import names

    if not isinstance(raw, str) or not re.fullmatch(names.UNRESERVED_PATTERN, raw):
        raise ValueError(f"1 to {names.LONGEST} of a-z, 0-9, - and _, with a letter or digit first")
    return raw


def _state_url(raw: Json) -> str:
    form = "an SQLAlchemy URL such as sqlite:///state.db or postgresql://host/state"
    if not isinstance(raw, str) or not re.fullmatch(r"[a-z][a-z0-9+]*://[^\s]*", raw):
        raise ValueError(form)
    try:
        urlsplit(raw)
    except ValueError:  # an IPv6 address without its end; the library's text holds the host
        raise ValueError(form) from None
    return raw


def _texts(raw: Json) -> tuple[str, ...]:
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple) or not all(isinstance(i, str) and i for i in items):
        raise ValueError("a list of texts")
    return tuple(item.strip() for item in items)


def _whole(low: int, high: int) -> Callable[[Json], int]:
    def parse(raw: Json) -> int:
        number = int(raw) if isinstance(raw, str) and re.fullmatch("[0-9]{1,9}", raw) else raw
        if type(number) is not int or not low <= number <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return number

    return parse


def _seconds(raw: Json) -> float:
    from reconciler.kinds import durations

    try:
        return durations.parse_duration(raw)
    except (TypeError, ValueError):
        raise ValueError("a duration with a unit, such as 30s") from None


def _keys(raw: Json) -> tuple[bytes, ...]:
    if not isinstance(raw, str):
        raise ValueError(master_keys.FORM)  # noqa: TRY004 - config catches one exception
    return master_keys.parse(raw)


def _path(raw: Json) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError("the path of a file")
    return raw


#: Every setting there is.
KEYS = (
    Key(name="state.url", variable="RECONCILER_STATE", flag="--state", parse=_state_url),
    Key(name="stack.name", variable="RECONCILER_STACK", flag="--stack", parse=_name),
    Key(
        name="prune.limit",
        variable="RECONCILER_PRUNE_LIMIT",
        flag="--prune-limit",
        parse=_whole(0, 1_000_000_000),
    ),
    Key(
        name="health.concurrency",
        variable="RECONCILER_HEALTH_CONCURRENCY",
        flag="--concurrency",
        parse=_whole(1, 10_000),
    ),
    Key(
        name="health.per_host",
        variable="RECONCILER_HEALTH_PER_HOST",
        flag="--per-host",
        parse=_whole(1, 10_000),
    ),
    Key(
        name="health.login_budget",
        variable="RECONCILER_HEALTH_LOGIN_BUDGET",
        parse=_whole(1, LOGIN_BUDGET),
    ),
    Key(name="secrets.env_allow", variable="RECONCILER_SECRETS_ENV_ALLOW", parse=_texts),
    Key(name="secrets.file_allow", variable="RECONCILER_SECRETS_FILE_ALLOW", parse=_texts),
    Key(
        name="secrets.expiry_warning",
        variable="RECONCILER_SECRETS_EXPIRY_WARNING",
        parse=_seconds,
    ),
    Key(
        name="actor", variable="RECONCILER_ACTOR", flag="--actor", parse=_actor_name, in_file=False
    ),
    Key(
        name="lock_timeout",
        variable="RECONCILER_LOCK_TIMEOUT",
        flag="--lock-timeout",
        parse=_seconds,
        in_file=False,
    ),
    Key(name="key", variable="RECONCILER_KEY", parse=_keys, in_file=False),
    Key(name="key_file", variable="RECONCILER_KEY_FILE", parse=_path, in_file=False),
)
