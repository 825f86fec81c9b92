"""What is special about a store in a SQLite file: the file, and what may be wrong with it."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from reconciler.errors import ConfigError, ReconcilerError, StoreDamaged, StoreUnavailable
from reconciler.stores import (
    EventQuery,
    Opening,
    RowOp,
    RowWrite,
    Write,
    open_store,
    sqlite,
    tables,
)
from tests.contract import rivals
from tests.factories import NOW, make_event, make_recorded, make_ref, make_uid

RESTORE = "restore a backup with `reconciler state restore`; the file was left as it is"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Gives the path of a closed store file with 200 connections."""
    path = tmp_path / "state" / "state.db"
    store = open_store(f"sqlite:///{path}", Opening.WRITE, now=NOW)
    rows = (make_recorded(uid=make_uid(n), ref=make_ref(f"c{n}")) for n in range(200))
    store.commit(Write(rows=tuple(RowWrite(op=RowOp.INSERT, row=row) for row in rows)))
    store.close()
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def failure(path: Path, opening: Opening) -> ReconcilerError:
    """Returns what opening and reading everything raises; the file stays as it is."""
    before = path.read_bytes()
    with pytest.raises(ReconcilerError) as raised:
        read_all(path, opening)
    assert path.read_bytes() == before
    return raised.value


def read_all(path: Path, opening: Opening = Opening.READ) -> int:
    store = open_store(f"sqlite:///{path}", opening, now=NOW)
    try:
        return len(store.recorded())
    finally:
        store.close()


def count_events(path: Path) -> int:
    store = open_store(f"sqlite:///{path}", Opening.READ, now=NOW)
    try:
        return len(store.events(EventQuery()))
    finally:
        store.close()


def test_new_store_is_private_and_its_folder_is_ignored_by_git(path: Path) -> None:
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert (path.parent / ".gitignore").read_text() == "*\n"


def test_closed_store_is_one_file(path: Path) -> None:
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".gitignore", "state.db"]


def test_reading_leaves_no_file_behind(path: Path) -> None:
    assert read_all(path) == 200
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".gitignore", "state.db"]


def test_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    open_store(f"sqlite:///{tmp_path}/state.db", Opening.WRITE, now=NOW).close()
    assert mode(tmp_path) == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.db"]


def test_file_says_whose_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        marks = [
            file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode")
        ]
    assert marks == [sqlite.APPLICATION_ID, len(tables.REVISIONS), "wal"]


def test_store_opened_for_reading_cannot_be_written(path: Path) -> None:
    store = open_store(f"sqlite:///{path}", Opening.READ, now=NOW)
    with pytest.raises(StoreUnavailable) as raised:
        store.commit(Write(events=(make_event(),)))
    assert raised.value.message == f"the state store {path} cannot be written"
    assert store.events(EventQuery()) == ()
    store.close()


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_store(f"sqlite:///{tmp_path}/no/state.db", Opening.READ, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_missing_parent_folders_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        open_store(f"sqlite:///{tmp_path}/a/b/state.db", Opening.WRITE, now=NOW)
    assert raised.value.message == f"the folder {tmp_path}/a/b cannot be made"


def _empty(content: bytes) -> bytes:
    return b""


def _random(content: bytes) -> bytes:
    return bytes((n * 131 + 7) % 251 for n in range(len(content)))


def _halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _cut_last_bytes(content: bytes) -> bytes:
    return content[:-100]


def _zero_first_page(content: bytes) -> bytes:
    return b"\0" * 4096 + content[4096:]


@pytest.mark.parametrize("opening", list(Opening))
@pytest.mark.parametrize("damage", [_empty, _random, _halve, _cut_last_bytes, _zero_first_page])
def test_damaged_file_is_refused_and_left_as_it_is(
    path: Path, opening: Opening, damage: Callable[[bytes], bytes]
) -> None:
    path.write_bytes(damage(path.read_bytes()))
    error = failure(path, opening)
    assert isinstance(error, StoreDamaged)
    assert str(path) in error.message
    assert "restore a backup" in error.hint


def test_zeroed_page_of_rows_is_refused(path: Path) -> None:
    content = path.read_bytes()
    page = content.index(b"manifests/orders.yaml") // 4096
    path.write_bytes(content[: page * 4096] + b"\0" * 4096 + content[(page + 1) * 4096 :])
    error = failure(path, Opening.READ)
    assert (type(error), error.message) == (StoreDamaged, f"the state store {path} is damaged")
    assert error.hint == RESTORE


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE theirs (id INTEGER)")
    error = failure(path, Opening.WRITE)
    assert isinstance(error, StoreDamaged)
    assert error.message == f"{path} is not a state store, or its first page is damaged"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        pytest.param("DROP TABLE events", "the tables of", id="table gone"),
        pytest.param("DELETE FROM meta", "has lost its lineage or its key", id="key gone"),
        pytest.param(
            "UPDATE meta SET fingerprint_key = 'xx'", "has lost its lineage", id="key no hex"
        ),
        pytest.param(
            "UPDATE meta SET key_id = '0'", "has lost its lineage or its key", id="other key"
        ),
        pytest.param(
            "DELETE FROM reconciler_version", "does not say its version", id="version gone"
        ),
    ],
)
def test_store_with_parts_missing_is_refused(path: Path, statement: str, message: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)
    with pytest.raises(StoreDamaged, match=message):
        count_events(path)


def test_store_left_by_a_killed_process_is_read_whole(path: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{path}", Opening.WRITE, now=NOW)
    store.commit(Write(events=(make_event(),)))
    copy = tmp_path / "left.db"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(
            path.with_name(path.name + suffix).read_bytes()
        )
    store.close()
    assert count_events(copy) == 1


def test_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is not a file"):
        open_store(f"sqlite:///{tmp_path}", Opening.WRITE, now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("sqlite:///state.db?mode=ro", id="options"),
        pytest.param("sqlite://host/state.db", id="host"),
        pytest.param("sqlite:///state\0.db", id="zero byte"),
        pytest.param("sqlite:state.db", id="no slashes"),
    ],
)
def test_url_that_is_no_path_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_store(url, Opening.READ, now=NOW)


def test_name_with_characters_of_urls_is_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "a b#c?d%20é"
    open_store(f"sqlite:///{quote(str(folder))}/x.db", Opening.WRITE, now=NOW).close()
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Gives a folder that every user of the machine can enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_folder_that_cannot_be_written_is_still_read(path: Path, open_folder: Path) -> None:
    copy = Path(shutil.copy(path, open_folder))
    copy.chmod(0o444)
    open_folder.chmod(0o555)
    assert rivals.as_stranger(read_all, copy) == 200
    assert list(open_folder.iterdir()) == [copy]


def test_folder_that_cannot_be_written_gets_no_store(open_folder: Path) -> None:
    folder = open_folder / "closed"
    folder.mkdir(0o555)
    found = rivals.as_stranger(_message_of_making, folder / "state.db")
    assert found == f"the file {folder / 'state.db'} cannot be written: permission denied"
    assert list(folder.iterdir()) == []


def _message_of_making(path: Path) -> str:
    try:
        open_store(f"sqlite:///{path}", Opening.WRITE, now=NOW).close()
    except StoreUnavailable as error:
        return error.message
    return "made"


def test_full_disk_is_said_and_changes_nothing(path: Path) -> None:
    message = rivals.in_process(_message_of_a_full_disk, path)
    assert message == f"the disk of the state store {path} is full"
    assert read_all(path) == 200


def _message_of_a_full_disk(path: Path) -> str:
    transactions = sqlite.open_file(path, Opening.WRITE)
    try:
        with transactions.writing(1.0) as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            connection.exec_driver_sql("UPDATE connections SET message = hex(zeroblob(9000))")
    except StoreUnavailable as error:
        return error.message
    finally:
        transactions.close()
    return "written"


def test_memory_is_forgotten_when_the_last_store_closes() -> None:
    store = open_store("sqlite://", Opening.WRITE, now=NOW)
    store.close()
    with pytest.raises(StoreUnavailable):
        open_store("sqlite:///:memory:", Opening.READ, now=NOW)
