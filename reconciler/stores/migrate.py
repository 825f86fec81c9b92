"""Brings the tables of an existing store to this program's version, with Alembic.

Apart from the rest because importing Alembic takes a second, which only a migration may cost. A
migration is one transaction under the store's write lock: killed half-way it never happened.
SQLite is copied before; PostgreSQL has backups of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.network import StateReach
from reconciler.stores import Opening, new_file, opening, postgresql, sqlite, sqlite_file, tables
from reconciler.stores.transactions import LOCK_TIMEOUT_S, Transactions

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(
    url: str,
    *,
    now: datetime,
    reach: StateReach = StateReach(),  # noqa: B008 -- frozen
) -> str:
    """Migrates the store at `url` to the newest tables and returns their version.

    A store that has them already is left as it is. Before a SQLite file is changed a copy is
    written beside it, named after the old version and the time.

    Raises:
        StoreUnavailable: there is no store, or it cannot be written.
        MigrationRequired: it was written by a newer program.
        Conflict: another process holds it.
    """
    if urlsplit(url).scheme.startswith("postgresql"):
        transactions: Transactions = postgresql.PostgresqlTransactions(
            postgresql.parse_url(url), reach.network
        )
        path = None
    else:
        path = sqlite_file.parse_path(url, reach)
        if path is None:
            raise opening.missing("sqlite://")
        transactions = sqlite.open_file(path, Opening.WRITE)
    try:
        upgrade_store(transactions, path, now=now)
    finally:
        transactions.close()
    return tables.HEAD


def upgrade_store(
    transactions: Transactions, path: Path | None, *, now: datetime, scripts: Path = SCRIPTS
) -> None:
    """Runs those revisions of the folder `scripts` that the store lacks, in one transaction.

    `path` is the store's file, if it is one; its copy is written only when there is work to do.

    Raises:
        MigrationRequired: the store's version is not among the revisions.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    with transactions.writing(LOCK_TIMEOUT_S) as connection:
        found = opening.found_version(connection, transactions.place)
        if found is None:
            raise opening.missing(transactions.place)
        if found not in known:
            opening.require_head(found, transactions.place)
        if found == known[0]:
            return
        if path is not None:
            with new_file.new_file(_copy_path(path, found, now)) as draft:
                transactions.copy_to(draft)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if path is not None:
            connection.exec_driver_sql(f"PRAGMA user_version = {len(known)}")


def _copy_path(path: Path, version: str, now: datetime) -> Path:
    """Returns a free name for the copy: a migration that was killed has left one of its own."""
    stem = f"{path.name}.{version}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(free for name in names if not (free := path.with_name(f"{name}.backup")).exists())
