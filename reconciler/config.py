"""Reads `reconciler.toml`, the environment and the flags into settings, once, at the top.

The only module that reads the process environment and the wall clock; everything below gets values.
The table of settings is `config_keys.KEYS`; flags win over environment variables, these over the
file, the file over the defaults. A project file can come with a pull request, so what it says about
secrets can only narrow what is allowed anyway.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from reconciler import config_keys, master_keys, operator_file, project_file, redact
from reconciler.errors import ConfigError
from reconciler.grants import Grants
from reconciler.network import NetworkPolicy, StateReach
from reconciler.settings import HealthSettings, SecretPolicy, Settings
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.model import Json

#: Variables that drivers and libraries read by themselves. libpq fills what a connection leaves out
#: from PG*, OpenSSL takes its authorities from SSL_CERT_*, HTTP clients their proxy from *_PROXY:
#: left in place, the same manifest would connect elsewhere on another machine, or log its TLS keys.
#: They stay in the snapshot, so a manifest can still name them as secrets.
STEERING = (
    *("NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
STEERING_PREFIXES = ("PG", "MYSQL_", "MARIADB_", "LIBMYSQL_")
STEERING_SUFFIXES = ("_PROXY", "_proxy")
#: Where CI services say who started the run, in the order in which they are asked.
ACTOR_VARIABLES = (
    *("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "GITEA_ACTOR", "FORGEJO_ACTOR", "BUILD_REQUESTEDFOR"),
    *("CIRCLE_USERNAME", "BUILDKITE_BUILD_CREATOR", "CI_COMMIT_AUTHOR", "BUILD_USER_ID"),
)
#: Any of them set, and not to `false` or `0`, means that a CI service runs this.
CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "JENKINS_URL", "BUILDKITE")
#: Variables with the program's prefix that are no settings.
_OTHER_VARIABLES = ("RECONCILER_CONFIG", "RECONCILER_DEBUG", operator_file.VARIABLE)
_PREFIX = "RECONCILER_"
_PASSWORDS = (
    r"://[^/\s@]*?:(\S*)@",
    r"://[^/\s@]*?:(\S*?)@",
    r"(?i)[?&][a-z_]*(?:password|passwd|pwd|token|secret)=([^&#\s]*)",
)


_STATE = next(key for key in config_keys.KEYS if key.name == "state.url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What was read, and where."""

    settings: Settings
    #: absolute path of the project file, or empty
    file: str
    #: absolute path of the operator file, or empty
    operator_file: str = ""


def now() -> datetime:
    """Returns the time, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that reads the clock


class Environment(Mapping[str, str]):
    """A copy of the environment variables; they may be secrets, so it shows none of them."""

    __slots__ = ("_held",)

    def __init__(self, held: Mapping[str, str]) -> None:
        self._held = held

    def __getitem__(self, name: str) -> str:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"Environment(<{len(self)} variables>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the environment may hold secrets and is not pickled or copied")


def take_environment() -> Mapping[str, str]:
    """Returns a copy of the process environment and takes the `STEERING` variables out of it."""
    environment = dict(os.environ)  # noqa: TID251 - the one place that reads it
    for name in environment:
        has_affix = name.startswith(STEERING_PREFIXES) or name.endswith(STEERING_SUFFIXES)
        if has_affix or name in STEERING:
            del os.environ[name]  # noqa: TID251
    return Environment(environment)


def environment() -> Mapping[str, str]:
    """Returns a copy of the process environment, which belongs to somebody else and stays as is."""
    return Environment(dict(os.environ))  # noqa: TID251


def load(flags: Mapping[str, Json], environment: Mapping[str, str], cwd: str) -> Configuration:
    """Returns the settings that hold in the folder `cwd`.

    `flags` maps `config` and names of `KEYS` to what the command line says.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or wrong; names the place.
    """
    _refuse_unknown_variables(environment)
    named = flags.get("config") or environment.get("RECONCILER_CONFIG")
    file = project_file.locate(cwd, named)
    root = project_file.root(cwd, file)
    written = project_file.read(file) if file else {}
    known = [key.name for key in config_keys.KEYS if key.in_file]
    for name, entry in written.items():
        if name not in known:
            raise ConfigError(
                f"{entry.place}: there is no setting `{redact.escape(name)}`",
                near_miss("setting", name, known),
            )
    granted = operator_file.locate(environment)
    operator = operator_file.read(granted) if granted else None
    values = {key.name: _value(key, flags, environment, written) for key in config_keys.KEYS}
    given = {name: value for name, value in values.items() if value is not None}
    is_told = bool(flags.get(_STATE.name) or environment.get(_STATE.variable))
    if operator and operator.state_url and not is_told:
        given[_STATE.name] = _pinned(operator.state_url, granted, given.get(_STATE.name), written)
        is_told = True
    if file_of_keys := given.pop("key_file", None):
        given["key"] = _keys_in(os.path.join(root, file_of_keys), given)
    settings = _settings(given, environment, root, operator)
    if not is_told:
        network = replace(settings.network, own=())
        settings = replace(settings, state_reach=StateReach(root=root, network=network))
    return Configuration(settings=settings, file=file, operator_file=granted)


def _pinned(
    url: str, file: str, written_url: Json, written: Mapping[str, project_file.Entry]
) -> Json:
    """Returns the state URL of the operator file, which no project file changes."""
    try:
        pinned = _STATE.parse(url)
    except ValueError as error:
        raise ConfigError(f"{redact.escape(file)}: `state.url` must be {error}") from None
    if written_url not in (None, pinned):
        raise ConfigError(
            f"{written[_STATE.name].place}: `state.url` differs from the one of the operator file,"
            " which holds for every project here",
            "take it out of the project file",
        )
    return pinned


def near_miss(noun: str, name: str, known: Sequence[str], *, otherwise: str = "") -> str:
    """Returns a hint that states which known name is near `name`.

    Where none is, the hint is a command that lists them, `otherwise`, or the whole list.
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    if close:
        return f"a similar {noun} exists: `{close[0]}`"
    return f"{otherwise} lists them" if otherwise else f"use one of: {', '.join(known)}"


def passwords(text: str) -> tuple[str, ...]:
    """Returns the passwords inside a URL, as written and decoded, so that they can be redacted."""
    if "@" not in text and "=" not in text:
        return ()
    from urllib.parse import unquote, unquote_plus

    # A password with an unquoted @ or / in it is cut differently by each reader: take both cuts.
    found = [raw for pattern in _PASSWORDS for raw in re.findall(pattern, text)]
    forms = {form for raw in found for form in (raw, unquote(raw), unquote_plus(raw)) if form}
    return tuple(sorted(forms))


def shown_url(url: str) -> str:
    """Returns a store's URL without password and options, fit to be shown."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        user = f"{parts.username}@" if parts.username else ""
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return url.partition("://")[0]
    return f"{parts.scheme}://{user}{host}{parts.path}"


def is_ci(environment: Mapping[str, str]) -> bool:
    """Returns whether a CI service runs this."""
    return any(
        environment.get(name, "").casefold() not in ("", "0", "false") for name in CI_VARIABLES
    )


def actor(environment: Mapping[str, str]) -> str:
    """Returns who runs this: the CI service's user, else the user of the process."""
    for name in ACTOR_VARIABLES:
        if text := environment.get(name, "").strip():
            return redact.escape(text)[: config_keys.LONGEST_ACTOR]
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        return f"uid {os.getuid()}"


def _settings(
    values: Mapping[str, Json],
    environment: Mapping[str, str],
    root: str,
    operator: operator_file.Operator | None,
) -> Settings:
    names = {"concurrency", "per_host", "login_budget"}
    health = {name: values[f"health.{name}"] for name in names if f"health.{name}" in values}
    url = values.get("state.url")
    optional = {"stack": "stack.name", "prune_limit": "prune.limit"}
    optional |= {"lock_timeout_s": "lock_timeout", "keys": "key"}
    optional |= {"expiry_warning_s": "secrets.expiry_warning"}
    return Settings(
        root=root,
        state_url=_absolute(url or "sqlite:///.reconciler/state.db", root),
        is_default_state=url is None,
        actor=values.get("actor") or actor(environment),
        is_ci=is_ci(environment),
        secrets=_policy(values, environment, root, operator),
        health=HealthSettings(**health),
        grants=_grants(operator, root),
        network=_network(operator, url),
        **{field: values[name] for field, name in optional.items() if name in values},
    )


def _grants(operator: operator_file.Operator | None, root: str) -> Grants:
    if operator is None or not operator.grants:
        return Grants()
    return Grants(root=root, entries=operator.grants)


def _network(operator: operator_file.Operator | None, url: str | None) -> NetworkPolicy:
    """Returns which addresses may be contacted; the state's own are known only where it matters."""
    policy = operator.network if operator else NetworkPolicy()
    if not (policy.is_restricted and url):
        return policy
    from reconciler import state_servers

    return replace(policy, own=state_servers.named(url))


def _policy(
    values: Mapping[str, Json],
    environment: Mapping[str, str],
    root: str,
    operator: operator_file.Operator | None,
) -> SecretPolicy:
    widest = SecretPolicy(
        root=root,
        credentials_directory=environment.get("CREDENTIALS_DIRECTORY", ""),
        operator=operator.secrets if operator else None,
    )
    folders = values.get("secrets.file_allow", ())
    for folder in folders:
        if widest.denial({"file": folder}):
            raise ConfigError(
                f"`secrets.file_allow` names {redact.escape(folder)!r}, outside what is allowed",
                f"it can only narrow: {', '.join(widest.folders())}",
            )
    return replace(
        widest, env_allow=values.get("secrets.env_allow", widest.env_allow), file_allow=folders
    )


def _keys_in(path: str, given: Mapping[str, Json]) -> tuple[bytes, ...]:
    if "key" in given:
        raise ConfigError(
            "RECONCILER_KEY and RECONCILER_KEY_FILE are both set", "set only one of them"
        )
    try:
        return master_keys.parse(master_keys.read_file(path))
    except ValueError as error:
        raise ConfigError(f"the file of RECONCILER_KEY_FILE must hold {error}") from None


def _absolute(url: str, root: str) -> str:
    """Returns `url` with the path of an SQLite file made absolute against the project root."""
    scheme, slashes, path = url.partition(":///")
    is_file = scheme.split("+")[0] == "sqlite" and slashes and path and not path.startswith("/")
    if not is_file or path.startswith((":memory:", "file:")):
        return url
    return f"{scheme}:///{os.path.join(root, path)}"


def _value(
    key: config_keys.Key,
    flags: Mapping[str, Json],
    environment: Mapping[str, str],
    written: Mapping[str, project_file.Entry],
) -> Json:
    """Returns the value of `key` from the first place that has one, or None."""
    raw, place = flags.get(key.name), key.flag
    if raw is None and environment.get(key.variable):
        raw, place = environment[key.variable], key.variable
    if raw is None and key.name in written:
        raw, place = written[key.name].value, f"{written[key.name].place}: `{key.name}`"
    if raw is None:
        return None
    try:
        return key.parse(raw)
    except ValueError as error:
        raise ConfigError(f"{place} must be {error}") from None


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """A misspelt variable would leave, for instance, the default state in force without a word."""
    known = sorted({*_OTHER_VARIABLES, *(key.variable for key in config_keys.KEYS)})
    for name in sorted(environment):
        if name.startswith(_PREFIX) and name not in known:
            raise ConfigError(
                f"there is no setting with the variable `{redact.escape(name)}`",
                near_miss("variable", name, known),
            )
