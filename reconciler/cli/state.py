"""`state info|check|backup|restore|migrate`: the store itself.

A group of its own, so that looking after the store never stands beside the daily commands.
"""

from __future__ import annotations

import click

from reconciler import config, stored_secrets
from reconciler.cli import workbench
from reconciler.cli.frame import Group, Row, command
from reconciler.cli.session import Session
from reconciler.errors import ConfigError, StoreDamaged
from reconciler.report import times, words
from reconciler.sealing import Sealer
from reconciler.stores import Opening, Store, vault

_SECTION = "Commands"
_ROWS = {
    "info": Row(
        target="reconciler.cli.state:info", summary="Say what the store is", section=_SECTION
    ),
    "check": Row(target="reconciler.cli.state:check", summary="Look for damage", section=_SECTION),
    "backup": Row(
        target="reconciler.cli.state:backup", summary="Copy it to a file", section=_SECTION
    ),
    "restore": Row(
        target="reconciler.cli.state:restore", summary="Fill it from a backup", section=_SECTION
    ),
    "migrate": Row(
        target="reconciler.cli.state:migrate",
        summary="Bring its tables to this version",
        section=_SECTION,
    ),
}

state = Group(
    name="state",
    rows=_ROWS,
    help="Look after the state store.",
    no_args_is_help=True,
    subcommand_metavar="COMMAND [ARGS]...",
)


@command("info")
@click.pass_obj
def info(session: Session) -> int:
    """Say where the state is, which store it is, and how much it holds."""
    with workbench.open_store(session, Opening.READ) as store:
        rows = store.recorded(archived=True)
        runs = store.runs(limit=1)
        live = sum(1 for row in rows if row.status.is_live)
        facts = {
            "state": config.shown_url(session.settings.state_url),
            "lineage": store.meta.lineage,
            "schema": store.meta.schema,
            "connections": f"{live} live, {len(rows) - live} archived",
            "sealed": _sealed(store),
            "last apply": f"{runs[0].id} at {times.utc(runs[0].at)}" if runs else "never",
        }
    session.output.data("".join(f"{name:<12} {value}\n" for name, value in facts.items()))
    return 0


def _sealed(store: Store) -> str:
    counts = {space: len(store.sealed(space)) for space in vault.SPACES}
    return ", ".join(words.plural(count, space) for space, count in counts.items())


@command("check")
@click.pass_obj
def check(session: Session) -> int:
    """Look for damage: pages, rows that do not parse, digests, names that clash, sealed values."""
    with workbench.open_store(session, Opening.READ) as store:
        found = store.check()
        if not found:
            found = stored_secrets.faults(store, Sealer(session.settings.keys))
            _say_missing_keys(session, store)
    if found:
        session.output.data("".join(f"{finding}\n" for finding in found))
        raise StoreDamaged(
            f"the state store has {len(found)} faults", "restore a backup: `state restore FILE`"
        )
    session.output.data("the state store is sound\n")
    return 0


def _say_missing_keys(session: Session, store: Store) -> None:
    for key, count in stored_secrets.without_key(store, Sealer(session.settings.keys)).items():
        session.output.warn(
            f"{words.plural(count, 'sealed value')} cannot be opened without the key {key}",
            "add it to RECONCILER_KEY, behind the one in use, and run `secret rotate-key`",
        )


@command("backup", examples=("reconciler state backup before-upgrade.db",))
@click.argument("file", type=click.Path(dir_okay=False))
@click.pass_obj
def backup(session: Session, *, file: str) -> int:
    """Write a consistent copy of the whole store to the new FILE, readable by you alone."""
    with workbench.open_store(session, Opening.READ) as store:
        store.backup(file)
    session.output.data(f"the state is copied to {file}\n")
    return 0


@command("restore", examples=("reconciler state restore before-upgrade.db --replace",))
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--replace", "replaces", is_flag=True, help="Replace what the store holds.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def restore(session: Session, *, file: str, replaces: bool, yes: bool) -> int:
    """Fill the state store from the backup FILE, all of it or nothing."""
    from reconciler.stores import backup as copies

    asks = replaces and session.output.can_ask and not yes
    if asks and not session.output.confirm(
        f"Replace all of {config.shown_url(session.settings.state_url)}?"
    ):
        raise ConfigError("nothing was restored", "`--yes` does not ask")
    copies.restore(
        session.settings.state_url,
        file,
        replace=replaces,
        now=session.now(),
        reach=session.settings.state_reach,
    )
    session.output.data(f"the state is what {file} holds\n")
    return 0


@command("migrate")
@click.pass_obj
def migrate(session: Session) -> int:
    """Bring the store's tables to this version; a SQLite file is copied first."""
    from reconciler.stores import migrate as migration

    version = migration.migrate(
        session.settings.state_url, now=session.now(), reach=session.settings.state_reach
    )
    session.output.data(f"the tables of the state have version {version}\n")
    return 0
