"""SQLite and DuckDB: a file is read, and nothing else happens to it or to this machine."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from reconciler import stores
from reconciler.model import JsonObject, Observation, Outcome, Reason
from tests.factories import NOW
from tests.servers.sql_specs import Check, names_of


def file_spec(engine: str, database: str, query: str = "select 1", **health: str) -> JsonObject:
    return {"engine": engine, "database": database, "health": {"query": query, **health}}


def make_sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("create table item (id integer); insert into item values (1), (2)")
    connection.close()


def make_duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table item (id integer)")
        connection.execute("insert into item values (1), (2)")


MAKE: dict[str, Callable[[Path], None]] = {"sqlite": make_sqlite, "duckdb": make_duckdb}
NAMES = ("a b.db", "50%.db", "hash#tag.db", "ünï.db", "quote'\".db")
both = pytest.mark.parametrize("engine", ["sqlite", "duckdb"])


@both
def test_a_query_that_answers_is_ok(tmp_path: Path, check: Check, engine: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    found = check(file_spec(engine, "data.db", "select id from item"))
    assert (found.outcome, found.message, names_of(found)) == (
        Outcome.OK,
        "the query answered",
        ("secret", "query"),
    )


@both
@pytest.mark.parametrize(
    "query",
    [
        "values (1)",
        "with one as (select 1 as id) select id from one",
        "select id from item where false",
        "select id from item -- all of them",
    ],
)
def test_every_form_of_query_is_ok(tmp_path: Path, check: Check, engine: str, query: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    assert check(file_spec(engine, "data.db", query)).reason is Reason.OK


def test_duckdb_shows_tables(tmp_path: Path, check: Check) -> None:
    make_duckdb(tmp_path / "data.db")
    assert check(file_spec("duckdb", "data.db", "show tables")).reason is Reason.OK


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        *((engine, name) for engine in MAKE for name in NAMES),
        # DuckDB without file access refuses a path that could be a pattern
        ("sqlite", "what?mode=rwc.db"),
    ],
)
def test_any_file_name_is_a_name(tmp_path: Path, check: Check, engine: str, name: str) -> None:
    MAKE[engine](tmp_path / name)
    assert check(file_spec(engine, name, "select id from item")).reason is Reason.OK
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208  # names, not paths


@both
def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path, check: Check, engine: str) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    MAKE[engine](folder / "data.db")
    assert check(file_spec(engine, str(folder / "data.db"))).reason is Reason.OK


@both
def test_a_missing_file_is_not_created(tmp_path: Path, check: Check, engine: str) -> None:
    found = check(file_spec(engine, "missing.db"))
    assert (found.reason, found.message, found.hint) == (
        Reason.DATABASE_MISSING,
        "the database file does not exist",
        "check `database`: a relative path begins at the project root",
    )
    assert list(tmp_path.iterdir()) == []


@both
def test_a_folder_is_no_database(tmp_path: Path, check: Check, engine: str) -> None:
    (tmp_path / "folder").mkdir()
    found = check(file_spec(engine, "folder"))
    assert (found.reason, found.message) == (
        Reason.DATABASE_MISSING,
        "the path of the database is not a file",
    )


@both
def test_a_named_pipe_is_not_waited_for(tmp_path: Path, check: Check, engine: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert check(file_spec(engine, "pipe")).reason is Reason.DATABASE_MISSING


@both
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, check: Check, engine: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    (tmp_path / "data.db").chmod(0)
    found = check(file_spec(engine, "data.db"))
    assert (found.reason, found.message) == (
        Reason.PERMISSION_DENIED,
        "the database file may not be read",
    )


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("sqlite", "the file is not a SQLite database, or is damaged (SQLITE_NOTADB)"),
        (
            "duckdb",
            "the file is no DuckDB database, or another process has it open for writing",
        ),
    ],
)
def test_another_file_is_no_database(
    tmp_path: Path, check: Check, engine: str, message: str
) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    found = check(file_spec(engine, "notes.txt"))
    assert (found.reason, found.message) == (Reason.PROTOCOL_ERROR, message)


@both
def test_a_wrong_query_fails(tmp_path: Path, check: Check, engine: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    found = check(file_spec(engine, "data.db", "select id from nowhere"))
    assert (found.reason, found.hint) == (Reason.QUERY_FAILED, "check `health.query`")
    assert found.message.startswith("the server refuses the health query (")


@both
@pytest.mark.parametrize(
    "query", ["insert into item values (3)", "create table new (id integer)", "drop table item"]
)
def test_a_query_cannot_write(tmp_path: Path, check: Check, engine: str, query: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    before = (tmp_path / "data.db").read_bytes()
    found = check(file_spec(engine, "data.db", query))
    assert (found.reason, (tmp_path / "data.db").read_bytes()) == (Reason.QUERY_FAILED, before)


def test_sqlite_attaches_nothing(tmp_path: Path, check: Check) -> None:
    make_sqlite(tmp_path / "data.db")
    found = check(file_spec("sqlite", "data.db", "attach 'new.db' as other"))
    assert found.reason is Reason.QUERY_FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["data.db"]


def test_sqlite_reads_no_huge_value(tmp_path: Path, check: Check) -> None:
    make_sqlite(tmp_path / "data.db")
    found = check(file_spec("sqlite", "data.db", "select zeroblob(500000000)"))
    assert found.reason is Reason.QUERY_FAILED


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('/etc/hostname')",
        "select * from '/etc/hostname'",
        "select content from read_text('/etc/hostname')",
        "select * from read_parquet('https://127.0.0.1/x.parquet')",
    ],
)
def test_duckdb_reads_no_other_file(tmp_path: Path, check: Check, query: str) -> None:
    make_duckdb(tmp_path / "data.db")
    found = check(file_spec("duckdb", "data.db", query))
    assert found.reason in (Reason.PERMISSION_DENIED, Reason.QUERY_FAILED)


ENDLESS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i from n) select max(i) from n",
    "duckdb": "select count(*) from range(100000000) a, range(100000) b where a.range = -b.range",
}


@both
def test_a_query_ends_at_its_deadline(tmp_path: Path, check: Check, engine: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    found = check(file_spec(engine, "data.db", ENDLESS[engine], timeout="300ms"))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


def test_a_locked_database_is_waited_for_until_the_deadline(tmp_path: Path, check: Check) -> None:
    make_sqlite(tmp_path / "data.db")
    writer = sqlite3.connect(tmp_path / "data.db", isolation_level=None)
    writer.execute("begin exclusive")
    found = check(file_spec("sqlite", "data.db", "select id from item", timeout="300ms"))
    writer.close()
    assert found.reason in (Reason.SERVER_ERROR, Reason.READ_TIMEOUT)


SECRET_ROWS = "select count(*) from item"


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """Gives a folder beside the project; checks run in the folder `tmp_path` otherwise."""
    made = tmp_path.parent / f"{tmp_path.name}-away"
    made.mkdir()
    return made


def denied(found: Observation, why: str) -> bool:
    assert (found.outcome, found.reason) == (Outcome.INCONCLUSIVE, Reason.DESTINATION_DENIED)
    return found.message == why


AWAY = "a link leads from the database file out of the project"
OWN = "the database file belongs to this tool"


@both
@pytest.mark.parametrize("at", ["file", "folder", "chain"])
def test_a_link_out_of_the_project_is_not_followed(
    tmp_path: Path, away: Path, check: Check, engine: str, at: str
) -> None:
    MAKE[engine](away / "data.db")
    (tmp_path / "in").mkdir()
    path = {"file": "data.db", "folder": "out/data.db", "chain": "in/hop.db"}[at]
    (tmp_path / "out").symlink_to(away)
    (tmp_path / "data.db").symlink_to(away / "data.db")
    (tmp_path / "in" / "hop.db").symlink_to("../data.db")
    assert denied(check(file_spec(engine, path, SECRET_ROWS)), AWAY)


@both
def test_a_link_inside_the_project_is_followed(tmp_path: Path, check: Check, engine: str) -> None:
    MAKE[engine](tmp_path / "data.db")
    (tmp_path / "again.db").symlink_to("data.db")
    assert check(file_spec(engine, "again.db", SECRET_ROWS)).reason is Reason.OK


@both
def test_a_link_to_what_this_tool_keeps_is_not_followed(
    tmp_path: Path, check: Check, engine: str
) -> None:
    (tmp_path / ".reconciler").mkdir()
    MAKE[engine](tmp_path / ".reconciler" / "state.db")
    (tmp_path / "data.db").symlink_to(".reconciler/state.db")
    (tmp_path / "folder").symlink_to(".reconciler")
    for path in ("data.db", "folder/state.db"):
        assert denied(check(file_spec(engine, path, SECRET_ROWS)), OWN)


def test_a_state_under_any_name_is_not_read(tmp_path: Path, check: Check) -> None:
    """It may be kept elsewhere in the project, or have a second name that is no link by itself."""
    stores.open_store(f"sqlite:///{tmp_path}/kept.db", stores.Opening.WRITE, now=NOW).close()
    (tmp_path / "data.db").hardlink_to(tmp_path / "kept.db")
    for path in ("kept.db", "data.db"):
        assert denied(check(file_spec("sqlite", path, "select * from meta")), OWN)


@both
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".wal"])
def test_a_link_beside_the_file_is_not_followed(
    tmp_path: Path, away: Path, check: Check, engine: str, suffix: str
) -> None:
    MAKE[engine](tmp_path / "data.db")
    (tmp_path / f"data.db{suffix}").symlink_to(away / "made")
    assert denied(check(file_spec(engine, "data.db", SECRET_ROWS)), AWAY)
    assert list(away.iterdir()) == []


@both
def test_a_link_that_is_put_in_the_way_is_noticed_before_the_query(
    tmp_path: Path, away: Path, check: Check, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the judgement and the library's own opening by name."""
    MAKE[engine](away / "data.db")
    MAKE[engine](tmp_path / "data.db")
    access = os.access

    def swap(path: str, mode: int) -> bool:
        allowed = access(path, mode)
        (tmp_path / "data.db").unlink()
        (tmp_path / "data.db").symlink_to(away / "data.db")
        return allowed

    monkeypatch.setattr("reconciler.clients.files.os.access", swap)
    found = check(file_spec(engine, "data.db", SECRET_ROWS))
    assert denied(found, "the database file was exchanged while it was opened")
