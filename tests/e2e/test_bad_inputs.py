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

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.corpus import (
    oracle,
    path_cases,
    peer_cases,
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
    *peer_cases.CASES,
    *plan_cases.CASES,
    *state_cases.CASES,
)
_SCHEMAS = "there are no schemas of users"
_CONTRACT = "needs a fault between two statements: tests/contract, on both stores"
_FRAME = "needs a process with other streams: tests/e2e/test_cli_frame.py"
#: The rows about secrets, URLs and databases.
_ROWS = """
B091 B092 B094 B095 B097 B098 B100 B101 B103 B104 B106 B107 B109 B110 B112
B113 B115 B116 B118 B119 B121 B122 B124 B125 B127 B128 B130 B131 B133 B134 B136 B137 B139 B140
B142 B143 B145 B146 B148 B149 B151 B152 B154 B155 B157 B158 B160 B161 B163 B164
B166 B167 B169 B170 B172 B173 B175 B176 B178 B179 B181 B182 B184 B185
"""
#: Rows of the list that are played elsewhere, or not at all, and why.
ELSEWHERE = {
    **dict.fromkeys(("B068", "B070", "B071"), _SCHEMAS),
    "B080": "needs a swap between two system calls: tests/integration/test_read.py",
    "B088": "needs a swap between two system calls: tests/integration/test_read.py",
    "B110": "the password of every check of real servers, such as "
    "tests/integration/sql/test_sql_mysql.py::test_a_query_that_answers_is_ok",
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
def place(tmp_path: Path, command: Zygote, server: Server) -> Iterator[Place]:
    folder, outside = tmp_path / "project", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    run = partial(command, folder=folder)
    with ExitStack() as running:
        yield Place(folder=folder, outside=outside, server=server, run=run, running=running)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_answered_and_does_no_harm(case: Case, place: Place) -> None:
    case.prepare(place)
    before = oracle.snapshot(place.folder, without_state=case.may_record)
    ended = place.run(
        *case.argv,
        env=case.environment(place),
        prelude=case.prelude,
        is_watched=case.is_inert,
    )
    assert oracle.complaints(case, ended, place.folder) == [], ended.text
    assert oracle.snapshot(place.folder, without_state=case.may_record) == before


def test_cases_have_names_of_their_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


def test_row_is_played_here_or_said_to_be_elsewhere() -> None:
    played = {case.row for case in CASES}
    assert not played & ELSEWHERE.keys()
    assert set(_ROWS.split()) <= played | ELSEWHERE.keys()


@pytest.mark.parametrize("reason", ELSEWHERE.values())
def test_test_that_plays_a_row_elsewhere_is_there(reason: str) -> None:
    for path, name in re.findall(r"(tests/[\w/]+(?:\.py)?)(?:::(\w+))?", reason):
        assert Path(path).exists()
        assert not name or f"def {name}(" in Path(path).read_text()
