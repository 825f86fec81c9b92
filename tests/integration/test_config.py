"""Settings are read from real files, since where they lie decides what holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler import config, master_keys
from reconciler.errors import ConfigError
from reconciler.model import Json
from reconciler.network import NetworkPolicy, StateReach
from reconciler.settings import HealthSettings, SecretPolicy, Settings

KEY = master_keys.make().upper()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder; a `.git` above would make another root."""
    return Path(os.path.realpath(tmp_path))


def load(folder: Path, flags: Mapping[str, Json] | None = None, /, **environment: str) -> Settings:
    return config.load(
        flags or {}, {"RECONCILER_ACTOR": "ana", **environment}, str(folder)
    ).settings


def refusal(folder: Path, text: str) -> ConfigError:
    (folder / "reconciler.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return caught.value


def test_defaults_hold_without_a_file(folder: Path) -> None:
    assert load(folder) == Settings(
        root=str(folder),
        state_url=f"sqlite:///{folder}/.reconciler/state.db",
        is_default_state=True,
        state_reach=StateReach(root=str(folder)),
        actor="ana",
        secrets=SecretPolicy(root=str(folder)),
    )


def test_file_says_everything(folder: Path) -> None:
    (folder / "reconciler.toml").write_text(
        """
        [state]
        url = "postgresql://state.example.com/reconciler"
        [stack]
        name = "prod"
        [prune]
        limit = 3
        [health]
        concurrency = 7
        per_host = 2
        login_budget = 1
        [secrets]
        env_allow = ["APP_*"]
        file_allow = ["secrets", "/run/secrets/app"]
        """
    )
    assert load(folder) == Settings(
        root=str(folder),
        state_url="postgresql://state.example.com/reconciler",
        is_default_state=False,
        state_reach=StateReach(root=str(folder)),
        stack="prod",
        actor="ana",
        prune_limit=3,
        secrets=SecretPolicy(
            root=str(folder), env_allow=("APP_*",), file_allow=("secrets", "/run/secrets/app")
        ),
        health=HealthSettings(concurrency=7, per_host=2, login_budget=1),
    )


def test_flag_wins_over_variable_wins_over_file(folder: Path) -> None:
    (folder / "reconciler.toml").write_text('[stack]\nname = "file"\n')
    assert load(folder).stack == "file"
    assert load(folder, RECONCILER_STACK="variable").stack == "variable"
    assert load(folder, {"stack.name": "flag"}, RECONCILER_STACK="variable").stack == "flag"


_ELSEWHERE = "postgresql://state.example.com/reconciler"


def operated(folder: Path, text: str) -> str:
    """Returns the path of an operator file that says `text`."""
    file = folder / "operator.toml"
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def test_operator_file_says_where_the_state_is_unless_the_command_does(folder: Path) -> None:
    file = operated(folder, f'[state]\nurl = "{_ELSEWHERE}"\n')
    settings = load(folder, RECONCILER_OPERATOR_CONFIG=file)
    assert (settings.state_url, settings.is_default_state) == (_ELSEWHERE, False)
    assert settings.state_reach == StateReach()
    told = load(folder, RECONCILER_OPERATOR_CONFIG=file, RECONCILER_STATE="sqlite:////srv/s.db")
    assert (told.state_url, told.state_reach) == ("sqlite:////srv/s.db", StateReach())
    (folder / "reconciler.toml").write_text(f'[state]\nurl = "{_ELSEWHERE}"\n')
    assert load(folder, RECONCILER_OPERATOR_CONFIG=file).state_reach == StateReach()


def test_state_of_the_operator_file_must_be_one(folder: Path) -> None:
    file = operated(folder, '[state]\nurl = "nonsense"\n')
    with pytest.raises(ConfigError, match=r"operator.toml: `state.url` must be an SQLAlchemy URL"):
        load(folder, RECONCILER_OPERATOR_CONFIG=file)


def test_state_of_the_project_file_reaches_as_far_as_connections(folder: Path) -> None:
    (folder / "reconciler.toml").write_text(f'[state]\nurl = "{_ELSEWHERE}"\n')
    file = operated(folder, '[network]\nprofile = "restricted"\n')
    settings = load(folder, RECONCILER_OPERATOR_CONFIG=file)
    assert settings.network.own != ()
    network = NetworkPolicy(is_restricted=True)
    assert settings.state_reach == StateReach(root=str(folder), network=network)


def test_nearest_file_above_holds(folder: Path) -> None:
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    (folder / "reconciler.toml").write_text('[stack]\nname = "far"\n')
    (folder / "a" / "reconciler.toml").write_text('[stack]\nname = "near"\n')
    settings = load(deep)
    assert (settings.stack, settings.root) == ("near", str(folder / "a"))


def test_file_below_is_not_looked_for(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "reconciler.toml").write_text('[stack]\nname = "below"\n')
    assert load(folder).stack == "default"


def test_named_file_decides_the_root(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "prod.toml").write_text('[stack]\nname = "prod"\n')
    settings = load(folder, {"config": "a/prod.toml"})
    assert (settings.stack, settings.root) == ("prod", str(folder / "a"))


def test_git_top_level_is_the_root_without_a_file(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "a").mkdir()
    assert load(folder / "a").root == str(folder)


def test_path_of_an_sqlite_state_is_relative_to_the_root(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "reconciler.toml").write_text('[state]\nurl = "sqlite:///kept/state.db"\n')
    assert load(folder / "a").state_url == f"sqlite:///{folder}/kept/state.db"


@pytest.mark.parametrize("url", ["sqlite:////srv/state.db", "sqlite:///:memory:", "sqlite://"])
def test_other_state_urls_stay_as_they_are(folder: Path, url: str) -> None:
    assert load(folder, {"state.url": url}).state_url == url


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param(
            "[health]\nconcurency = 5\n",
            "reconciler.toml:2: there is no setting `health.concurency`",
            "a similar setting exists: `health.concurrency`",
            id="unknown key",
        ),
        pytest.param(
            "\nactor = 'eve'\n",
            "reconciler.toml:2: there is no setting `actor`",
            None,
            id="not for a file",
        ),
        pytest.param(
            "[health]\n\nlogin_budget = 6\n",
            "reconciler.toml:3: `health.login_budget` must be a whole number from 1 to 5",
            "",
            id="budget raised",
        ),
        pytest.param(
            "[health]\nper_host = true\n",
            "reconciler.toml:2: `health.per_host` must be a whole number from 1 to 10000",
            "",
            id="wrong type",
        ),
        pytest.param(
            "state.url = 'nonsense'\n",
            "reconciler.toml:1: `state.url` must be an SQLAlchemy URL such as sqlite:///state.db "
            "or postgresql://host/state",
            "",
            id="dotted key",
        ),
        pytest.param(
            "[stack]\nname = \n",
            "reconciler.toml:2:8: this is not TOML",
            "write settings as key = value",
            id="syntax",
        ),
        pytest.param(
            "[secrets]\nfile_allow = ['/etc']\n",
            "`secrets.file_allow` names '/etc', outside what is allowed",
            None,
            id="widening",
        ),
    ],
)
def test_wrong_file_is_refused_with_its_line(
    folder: Path, text: str, message: str, hint: str | None
) -> None:
    error = refusal(folder, text)
    assert error.message == message
    assert hint is None or error.hint == hint


def test_file_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "reconciler.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="byte 0 is not UTF-8"):
        load(folder)


def test_pipe_in_the_place_of_the_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "reconciler.toml")
    with pytest.raises(ConfigError, match="not a regular file"):
        load(folder)


def test_missing_named_file_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"prod.toml cannot be read: No such file"):
        load(folder, {"config": "prod.toml"})


def test_misspelt_variable_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, RECONCILER_STAET="sqlite://")
    assert caught.value.hint == "a similar variable exists: `RECONCILER_STATE`"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECONCILER_KEY", "too short"),
        ("RECONCILER_LOCK_TIMEOUT", "77"),
        ("RECONCILER_PRUNE_LIMIT", "-1"),
        ("RECONCILER_STACK", "Prod"),
    ],
)
def test_wrong_variable_is_refused_without_its_value(folder: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, **{name: value})
    assert caught.value.message.startswith(f"{name} must be ")
    assert value not in caught.value.message.removeprefix(name)


def test_variables_set_what_no_file_may(folder: Path) -> None:
    settings = load(folder, RECONCILER_KEY=KEY, RECONCILER_LOCK_TIMEOUT="1500ms")
    assert (settings.keys, settings.lock_timeout_s) == ((bytes.fromhex(KEY),), 1.5)


@pytest.mark.parametrize(
    ("environment", "actor"),
    [
        pytest.param({"GITHUB_ACTOR": "octo"}, "octo", id="github"),
        pytest.param({"GITLAB_USER_LOGIN": "leo"}, "leo", id="gitlab"),
        pytest.param({"GITHUB_ACTOR": "a\x1b[31mb"}, "a\\x1b[31mb", id="hostile"),
    ],
)
def test_actor_is_who_started_the_ci_run(environment: dict[str, str], actor: str) -> None:
    assert config.actor(environment) == actor


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"CI": "true"}, True),
        ({"CI": "false"}, False),
        ({"GITLAB_CI": "1"}, True),
    ],
)
def test_ci_is_recognised(environment: dict[str, str], expected: bool) -> None:
    assert config.is_ci(environment) is expected


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        pytest.param("sqlite:///state.db", (), id="none"),
        pytest.param("postgresql://u:p%40ss@h/d", ("p%40ss", "p@ss"), id="quoted"),
        pytest.param("postgresql://u:p@ss@h/d", ("p", "p@ss"), id="unquoted"),
        pytest.param("postgresql://h/d?password=abc&x=1", ("abc",), id="option"),
    ],
)
def test_passwords_of_a_url_are_found(url: str, passwords: tuple[str, ...]) -> None:
    assert config.passwords(url) == passwords


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:pw@h:5432/d?password=x", "postgresql+psycopg://u@h:5432/d"),
        ("sqlite:////srv/state.db", "sqlite:////srv/state.db"),
        ("postgresql://u:pw@[broken/d", "postgresql"),
    ],
)
def test_shown_url_has_no_password(url: str, shown: str) -> None:
    assert config.shown_url(url) == shown
