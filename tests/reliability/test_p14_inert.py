"""P14: what a pull request from a stranger runs is inert, whatever is in it.

`validate` and `plan` run on every bad input of the corpus and on fuzzed manifests, watched by an
audit hook: no socket, no name asked for, no process but git's, no file outside the project, no
module loaded that connects or reads secrets, and no look at a variable that is none of theirs.
`tests/e2e/test_inert.py` has the repositories and settings that would have more done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from reconciler import config, config_keys
from reconciler.cli.frame import COMPLETION_VARIABLE
from reconciler.manifests import git
from tests.corpus import environment_watch, oracle
from tests.corpus.cases import CANARY, Case, Place
from tests.corpus.zygote import Ended, Zygote
from tests.e2e.test_bad_inputs import CASES
from tests.fuzz.targets import TARGETS
from tests.reliability.figures import Record
from tests.servers.http import Server, http_server

INPUTS, SOAK_INPUTS = 60, 3_000
INERT = tuple(case for case in CASES if case.is_inert)
#: Its own settings, by whom and where it is run, what the terminal and the language are like, and
#: what git needs to find its programs and its user's settings.
MAY_LOOK_AT = frozenset(
    {
        *(key.variable for key in config_keys.KEYS),
        *("RECONCILER_CONFIG", "RECONCILER_DEBUG", "RECONCILER_KEY", "CREDENTIALS_DIRECTORY"),
        "RECONCILER_OPERATOR_CONFIG",
        *config.CI_VARIABLES,
        *config.ACTOR_VARIABLES,
        *("NO_COLOR", "TERM", "COLUMNS", COMPLETION_VARIABLE),
        *("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"),  # gettext
        *git._PASSED_ON,
    }
)
SOUND = "apiVersion: reconciler/v1\nkind: ApiConnection\nmetadata: {name: sound}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with http_server({}) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, command: Zygote, server: Server) -> Iterator[Place]:
    folder, outside = tmp_path / "project", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    run = partial(command, folder=folder)
    with ExitStack() as running:
        yield Place(folder=folder, outside=outside, server=server, run=run, running=running)


def intrusions(ended: Ended, folder: Path, argv: tuple[str, ...]) -> list[str]:
    """Returns what a run did that it must not, looks at foreign variables among it."""
    looks = environment_watch.looked_at(ended) - MAY_LOOK_AT
    return [
        *oracle.intrusions(ended, folder, argv),
        *(f"looks at {name}" for name in sorted(looks)),
    ]


@pytest.mark.parametrize("case", INERT, ids=lambda case: case.id)
def test_bad_input_has_nothing_done(case: Case, place: Place, figure: Record) -> None:
    case.prepare(place)
    ended = place.run(
        *case.argv,
        env={"TOKEN": CANARY, **case.env},
        is_watched=True,
        prelude=environment_watch.PRELUDE,
    )
    assert ended.events
    assert intrusions(ended, place.folder, tuple(case.argv)) == []
    figure("P14", "bad inputs", 1, "effects on the world", 0)


def test_fuzzed_manifests_have_nothing_done(
    tmp_path: Path, command: Zygote, figure: Record, is_soak: bool
) -> None:
    file = tmp_path / "fuzzed.yaml"
    manifests = next(target for target in TARGETS if target.name == "manifest")

    @settings(
        max_examples=SOAK_INPUTS if is_soak else INPUTS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(manifests.inputs)
    def run(data: bytes) -> None:
        file.write_bytes(data)
        argv = ("validate", file.name)
        ended = command(
            *argv,
            folder=tmp_path,
            env={"TOKEN": CANARY},
            is_watched=True,
            prelude=environment_watch.PRELUDE,
        )
        assert ended.code in (0, 3)
        assert intrusions(ended, tmp_path, argv) == []
        figure("P14", "fuzzed manifests", 1)

    run()


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        pytest.param("import os; os.getenv('TOKEN')", "looks at TOKEN", id="variable of os"),
        pytest.param(
            "from reconciler import config; config.take_environment().get('TOKEN')",
            "looks at TOKEN",
            id="variable of the copy",
        ),
        pytest.param("import socket; socket.socket()", "socket.__new__", id="socket"),
        pytest.param(
            "import socket; socket.getaddrinfo('localhost', 1)", "socket.getaddrinfo", id="name"
        ),
        pytest.param("import subprocess; subprocess.run(['true'])", "subprocess", id="process"),
        pytest.param("open('/etc/hostname')", "open: /etc/hostname", id="file outside"),
    ],
)
def test_watch_sees_what_it_is_there_for(
    code: str, complaint: str, tmp_path: Path, command: Zygote
) -> None:
    """Else nothing was tested: a command that misbehaves is found out."""
    (tmp_path / "sound.yaml").write_text(f"{SOUND}spec: {{baseUrl: 'https://a.example'}}\n")
    late = f"""
from reconciler.cli import main
before = main.main
def misbehave(*arguments):
    exec({code!r})
    return before(*arguments)
main.main = misbehave
"""
    ended = command(
        *("validate", "sound.yaml"),
        folder=tmp_path,
        env={"TOKEN": CANARY},
        is_watched=True,
        prelude=environment_watch.PRELUDE + late,
    )
    found = intrusions(ended, tmp_path, ("validate", "sound.yaml"))
    assert any(complaint in line for line in found), (found, ended.text)
