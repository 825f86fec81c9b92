"""State stores that are damaged, foreign, out of reach or edited by hand."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.corpus.cases import API, CANARY, Case, Place, Prepare

_STATE = ".reconciler/state.db"


def _applied(spoil: Callable[[Path], object]) -> Prepare:
    """Returns what applies one API, then spoils the state file."""

    def prepare(place: Place) -> None:
        place.write("manifests/case.yaml", API)
        place.command("apply", "--health", "none")
        place.write("manifests/other.yaml", API.replace("crm}", "other}"))
        state = place.folder / _STATE
        with closing(sqlite3.connect(state)) as connection:
            connection.execute("pragma journal_mode = delete")
        spoil(state)

    return prepare


def _edited(*statements: str) -> Prepare:
    def spoil(state: Path) -> None:
        with closing(sqlite3.connect(state)) as connection:
            connection.execute("pragma ignore_check_constraints = 1")
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return _applied(spoil)


def _zero_pages(state: Path) -> None:
    data = bytearray(state.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 4096] = bytes(4096)
    state.write_bytes(data)


def _cut(state: Path) -> None:
    data = state.read_bytes()
    state.write_bytes(data[: len(data) // 2])


def _case(what: str, prepare: Prepare, *argv: str, row: str = "B199", exit: int = 5, says: str = "", records: bool = False, **env: str) -> Case:
    return Case(row=row, what=f"{argv[0]} with {what}", prepare=prepare, argv=argv, exit=exit, says=says, env=env, records=records)


_APPLY = ("apply", "--health", "none")
_SPOILT = {
    "an empty file": _applied(lambda state: state.write_bytes(b"")),
    "random bytes": _applied(lambda state: state.write_bytes(bytes(range(256)) * 64)),
    "half a file": _applied(_cut),
    "zeroed pages": _applied(_zero_pages),
    "a folder": _applied(lambda state: (state.unlink(), state.mkdir())),
    "another program's file": _edited("pragma application_id = 1"),
    "tables of the future": _edited("update reconciler_version set version_num = '9999'"),
}

def _locked(place: Place) -> None:
    """Keeps the write lock for as long as the connection lives, which the case's place does."""
    _applied(lambda _: None)(place)
    connection = sqlite3.connect(place.folder / _STATE, isolation_level=None)
    connection.execute("begin exclusive")
    place.keep(connection)


def _read_only(path: str) -> Prepare:
    def prepare(place: Place) -> None:
        _applied(lambda _: None)(place)
        for name in (_STATE, ".reconciler"):
            (place.folder / name).chmod(0o555)

    return prepare


CASES = (
    *(_case(what, prepare, *argv) for what, prepare in _SPOILT.items() for argv in (_APPLY, ("plan",), ("status",), ("health",), ("state", "check"))),
    *(
        _case(what, _edited(statement), *argv, row="B211")
        for what, statement in {
            "an unknown phase": "update connections set phase = 'GONE'",
            "a NULL name": "update connections set name = x'ff'",
            "a text for a number": "update connections set generation = 'many'",
            "a number beyond 64 bits": "update connections set consecutive_failures = 1e300",
            "a manifest that is no JSON": f"update connections set text = '{{{CANARY}'",
            "a manifest of another shape": "update connections set text = '[]'",
            "an empty manifest": "update connections set text = '{}'",
            "a manifest without an engine": """update connections set text = '{"apiVersion":"reconciler/v1","kind":"ApiConnection","metadata":{"name":"crm"},"spec":{}}'""",
            "a kind of the future": "update connections set kind = 'Future', ref_key = 'Future/default/crm'",
            "a time that is none": "update connections set since_at = 'yesterday'",
            "a hold that is none": "update connections set hold = '{}'",
            "no meta": "delete from meta",
            "a short key": "update meta set fingerprint_key = 'ab'",
            "a table less": "drop table events",
            "a column less": "alter table connections drop column message",
        }.items()
        for argv in (_APPLY, ("plan",), ("status",), ("health",), ("describe", "crm"), ("state", "check"))
    ),
    *(
        _case("a last error of 10 MiB", _edited("update connections set last_error = printf('%.*c', 10485760, 'x')"), *argv, row="B211", exit=exit)
        for argv, exit in ((("plan",), 0), (("status",), 0), (("describe", "crm"), 0))
    ),
)
