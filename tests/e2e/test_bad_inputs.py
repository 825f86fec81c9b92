"""Every bad input of the corpus, one shared oracle.

A case says the exit code and the gist of the message; the oracle adds what holds for all of them:
no traceback, no secret in any form, no control characters, no flood, little time and memory, and a
project that is left as it was, byte for byte. `validate` and `plan` are watched as well: they may
not reach out, whatever they are given.

Where the list of bad inputs and the design differ, the design is followed: an address that is
never contacted is a check that says nothing, so that `apply` ends with 11, and a secret that cannot
be sent ends it with 4. A world-readable secret file is a warning only. A path of Vault that leads
up is found before anything is asked, so that it ends with 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.corpus import (
    oracle,
    path_cases,
    plan_cases,
    schema_cases,
    secret_cases,
    sql_cases,
    state_cases,
    url_cases,
    yaml_cases,
)
from tests.corpus.cases import Case, Place
from tests.corpus.zygote import Zygote, zygote
from tests.servers.http import Server, http_server

CASES: tuple[Case, ...] = (
    *yaml_cases.CASES,
    *schema_cases.CASES,
    *path_cases.CASES,
    *secret_cases.CASES,
    *url_cases.CASES,
    *sql_cases.CASES,
    *plan_cases.CASES,
    *state_cases.CASES,
)
_NO_SOPS = "there is no such source: Debian and PyPI have no current program of it to test with"
_SCHEMAS = "there are no schemas of users"
_CONTRACT = "needs a fault between two statements: tests/contract, on both stores"
_FRAME = "needs a process with other streams: tests/e2e/test_cli_frame.py"
_SERVERS = "needs a peer of its own: tests/integration"
#: Rows of the list that are played elsewhere, or not at all, and why.
ELSEWHERE = {
    **dict.fromkeys(("B068", "B070", "B071"), _SCHEMAS),
    "B080": "needs a swap between two system calls: tests/integration/test_read.py",
    "B088": "needs a swap between two system calls: tests/integration/test_read.py",
    "B104": _NO_SOPS,
    **dict.fromkeys(("B106", "B107", "B109"), "no secret is kept in the state, encrypted or not"),
    "B110": "tests/integration/sql, with real servers",
    **dict.fromkeys(("B136", "B137"), "needs name servers: tests/reliability/test_p16_network.py"),
    **dict.fromkeys(("B140", "B151", "B157", "B158"), _SERVERS),
    "B160": "needs proxies in the environment: tests/e2e/test_inert.py",
    **dict.fromkeys(("B163", "B164"), "there are no tunnels"),
    **dict.fromkeys(("B172", "B181", "B182", "B184", "B185"), _SERVERS),
    "B178": "there is no such engine",
    **dict.fromkeys(("B193", "B194"), _FRAME),
    "B197": "tests/e2e/test_inert.py",
    "B200": "a state that went back is told by nothing that is recorded outside of it",
    "B205": "no network file system is at hand; the store refuses a file system without WAL",
    **dict.fromkeys(("B206", "B208", "B209"), _CONTRACT),
    "B212": "needs a process whose clock jumps",
}


@pytest.fixture(scope="module")
def command() -> Iterator[Zygote]:
    with zygote() as warmed_up:
        yield warmed_up


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with http_server({}) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, command: Zygote, server: Server) -> Place:
    folder, outside = tmp_path / "project", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    return Place(folder=folder, outside=outside, server=server, run=partial(command, folder=folder))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_answered_and_does_no_harm(case: Case, place: Place) -> None:
    case.prepare(place)
    before = oracle.snapshot(place.folder, without_state=case.may_record)
    ended = place.run(*case.argv, env=case.environment(place), is_watched=case.is_inert)
    assert oracle.complaints(case, ended, place.folder) == [], ended.text
    assert oracle.snapshot(place.folder, without_state=case.may_record) == before


def test_cases_have_names_of_their_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


def test_row_is_played_here_or_said_to_be_elsewhere() -> None:
    assert not {case.row for case in CASES} & ELSEWHERE.keys()
