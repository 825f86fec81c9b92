"""Tables made directly, tables made by migrations, and stores on the way between versions."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.engine.interfaces import ReflectedIndex

from reconciler.errors import MigrationRequired, StoreUnavailable
from reconciler.stores import Opening, RowOp, RowWrite, Write, migrate, open_store, opening, tables
from tests.contract import rivals
from tests.contract.databases import run_sql
from tests.factories import NOW, make_event, make_recorded, make_revision

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.add_column("runs", sa.Column("note", sa.Text()))
    op.execute("UPDATE connections SET stack = 'moved'")
    {last}
"""


@pytest.fixture
def next_scripts(tmp_path: Path) -> Path:
    """Gives the migrations of a program one version ahead."""
    folder = tmp_path / "scripts"
    shutil.copytree(migrate.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "rev_0003.py").write_text(NEXT.format(last=""))
    return folder


def make_store(url: str) -> None:
    store = open_store(url, Opening.WRITE, now=NOW)
    store.commit(
        Write(
            rows=(RowWrite(op=RowOp.INSERT, row=make_recorded()),),
            revisions=(make_revision(),),
            events=(make_event(),),
        )
    )
    store.close()


def upgrade(url: str, scripts: Path) -> None:
    transactions = rivals.open_transactions(url)
    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None
    try:
        migrate.upgrade_store(transactions, path, now=NOW, scripts=scripts)
    finally:
        transactions.close()


def run_migrations(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def shape(connection: Connection) -> dict[str, object]:
    """Returns every table as the database describes it."""
    found = inspect(connection)
    return {
        table: (
            [{**column, "type": str(column["type"])} for column in found.get_columns(table)],
            found.get_pk_constraint(table),
            found.get_foreign_keys(table),
            sorted(
                (index["name"], index["column_names"], index["unique"], _where(index))
                for index in found.get_indexes(table)
            ),
            found.get_unique_constraints(table),
            found.get_check_constraints(table),
        )
        for table in sorted(found.get_table_names())
        if table != tables.VERSION_TABLE
    }


def _where(index: ReflectedIndex) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


def test_tables_made_directly_equal_migrated_ones(shared_url: str) -> None:
    make_store(shared_url)
    transactions = rivals.open_transactions(shared_url)
    with transactions.writing(5.0) as connection:
        direct = shape(connection)
        for table in (*reversed(tables.METADATA.sorted_tables), tables.version):
            table.drop(connection)
        run_migrations(connection)
        assert shape(connection) == direct
        assert opening.found_version(connection, "here") == tables.HEAD
    transactions.close()


def test_tables_and_migrations_do_not_drift(shared_url: str) -> None:
    make_store(shared_url)
    transactions = rivals.open_transactions(shared_url)
    with transactions.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": tables.VERSION_TABLE}
        )
        assert compare_metadata(context, tables.METADATA) == []
    transactions.close()


def test_list_of_versions_is_that_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")
    newest_first = [s.revision for s in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(newest_first)) == tables.REVISIONS


def test_migration_of_a_store_at_the_newest_version_changes_nothing(shared_url: str) -> None:
    make_store(shared_url)
    assert migrate.migrate(shared_url, now=NOW) == tables.HEAD
    store = open_store(shared_url, Opening.READ, now=NOW)
    assert store.recorded() == (make_recorded(),)
    store.close()


def test_migration_keeps_the_rows(shared_url: str, next_scripts: Path) -> None:
    make_store(shared_url)
    upgrade(shared_url, next_scripts)
    assert run_sql(shared_url, "SELECT uid, stack FROM connections") == [
        ("conn_abcdefghijklmno", "moved")
    ]
    assert run_sql(shared_url, "SELECT version_num FROM reconciler_version") == [("0003",)]


def test_migration_that_fails_half_way_never_happened(shared_url: str, next_scripts: Path) -> None:
    make_store(shared_url)
    failing = NEXT.format(last="raise KeyError('half-way')")
    (next_scripts / "versions" / "rev_0003.py").write_text(failing)
    with pytest.raises(KeyError):
        upgrade(shared_url, next_scripts)
    store = open_store(shared_url, Opening.READ, now=NOW)
    assert store.recorded() == (make_recorded(),)
    assert store.runs() == ()
    store.close()


def test_store_of_the_next_version_is_refused_by_this_one(
    shared_url: str, next_scripts: Path
) -> None:
    make_store(shared_url)
    upgrade(shared_url, next_scripts)
    with pytest.raises(MigrationRequired, match="was written by a newer version"):
        migrate.migrate(shared_url, now=NOW)


def test_migration_leaves_a_private_copy_of_the_old_file_beside_it(
    sqlite_url: str, next_scripts: Path
) -> None:
    make_store(sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    upgrade(sqlite_url, next_scripts)
    copy = path.with_name("state.db.0002-20260301T120000Z.backup")
    assert copy.stat().st_mode & 0o777 == 0o600
    old = open_store(f"sqlite:///{copy}", Opening.READ, now=NOW)
    assert old.recorded() == (make_recorded(),)
    old.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (3,)


def test_migration_makes_no_store(sqlite_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="there is no state store at"):
        migrate.migrate(sqlite_url, now=NOW)


def test_migration_makes_no_tables(postgresql_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="there is no state store at"):
        migrate.migrate(postgresql_url, now=NOW)


def test_memory_is_not_migrated() -> None:
    with pytest.raises(StoreUnavailable):
        migrate.migrate("sqlite://", now=NOW)
