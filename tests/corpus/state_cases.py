"""State stores that are damaged, foreign, out of reach or edited by hand."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.corpus.cases import API, CANARY, Case, Place, Prepare

_STATE = ".reconciler/state.db"
_APPLY = ("apply", "--health", "none")
#: Commands that read every row of the connections.
_READERS = (_APPLY, ("plan",), ("status",), ("health",), ("describe", "crm"), ("state", "check"))


def _applied(spoil: Callable[[Path], object]) -> Prepare:
    """Returns what applies one API, adds a second one, then spoils the state file."""

    def prepare(place: Place) -> None:
        place.write("manifests/case.yaml", API)
        place.command(*_APPLY)
        place.write("manifests/other.yaml", API.replace("crm}", "other}"))
        state = place.folder / _STATE
        with closing(sqlite3.connect(state)) as connection:
            connection.execute("pragma journal_mode = delete")
        spoil(state)

    return prepare


def _edited(statement: str) -> Prepare:
    def spoil(state: Path) -> None:
        with closing(sqlite3.connect(state)) as connection:
            connection.execute(statement)
            connection.commit()

    return _applied(spoil)


def _zero_pages(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:4096].ljust(state.stat().st_size, b"\0"))


def _halve(state: Path) -> None:
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])


def _become_folder(state: Path) -> None:
    state.unlink()
    state.mkdir()


def _shut_out(place: Place) -> None:
    """Takes the folder's place with a file: what a missing permission does, as root too."""
    _applied(lambda state: shutil.rmtree(state.parent))(place)
    (place.folder / ".reconciler").write_text("")


def _cases(
    row: str, what: str, prepare: Prepare, says: str, commands: Sequence[Sequence[str]]
) -> tuple[Case, ...]:
    return tuple(
        Case(
            row=row,
            what=f"{' '.join(argv[:2])} with {what}",
            prepare=prepare,
            argv=argv,
            exit=5,
            says=says,
        )
        for argv in commands
    )


CASES = (
    *(
        case
        for what, spoil, says in (
            ("an empty file", lambda state: state.write_bytes(b""), "is empty"),
            ("other bytes", lambda state: state.write_bytes(bytes(range(256)) * 64), "is damaged"),
            ("half a file", _halve, "is damaged"),
            ("zeroed pages", _zero_pages, "is damaged"),
            ("a folder", _become_folder, "is not a file"),
        )
        for case in _cases("B199", what, _applied(spoil), f"state.db {says}", _READERS[:3])
    ),
    *(
        case
        for row, what, statement, says in (
            ("B199", "another file", "pragma application_id = 1", "is not a state store"),
            ("B202", "a newer one", "update reconciler_version set version_num = 9", "was written"),
        )
        for case in _cases(row, what, _edited(statement), f"state.db {says}", _READERS[:3])
    ),
    *_cases("B203", "no folder", _shut_out, "state.db", (_APPLY,)),
    *(
        case
        for what, change in (
            ("an unknown phase", "phase = 'GONE'"),
            ("a name of bytes", "name = x'ff'"),
            ("text for a number", "generation = 'many'"),
            ("no failures but many", "consecutive_failures = 1e300"),
            ("a kind of the future", "kind = 'Future'"),
            ("a time that is none", "since_at = 'yesterday'"),
            ("a hold that is none", "hold = '{}'"),
        )
        for case in _cases(
            "B211",
            what,
            _edited(f"update connections set {change}"),
            "of table `connections` holds values that were never written",
            _READERS[::2],
        )
    ),
    *(
        case
        for what, text in (
            ("a manifest that is no JSON", f"{{{CANARY}"),
            ("a manifest without a spec", "{}"),
            ("a manifest to another host", '{"metadata":{},"spec":{"baseUrl":"http://evil"}}'),
        )
        for case in _cases(
            "B211",
            what,
            _edited(f"update connections set text = '{text}'"),
            "the manifest kept for ApiConnection/default/crm (",
            _READERS,
        )
    ),
    *_cases(
        "B211",
        "revisions edited",
        _edited(f"update revisions set text = '{CANARY}'"),
        "the manifest kept for ApiConnection/default/crm (",
        (("history", "crm"), ("rollback", "crm", "--to", "1"), ("state", "check")),
    ),
    *_cases("B211", "no meta", _edited("delete from meta"), "has lost its lineage", _READERS[:3]),
    *_cases(
        "B211",
        "a table less",
        _edited("drop table events"),
        "the tables of the state store",
        (_APPLY, ("events",)),
    ),
)
