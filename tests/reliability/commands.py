"""The command line on a state of its own: a project of two SQLite databases, and every command."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.corpus.zygote import Ended, Zygote
from tests.e2e.projects import sqlite_file

NAMES = ("orders", "stock")
#: Commands that only look at the state.
READING: tuple[tuple[str, ...], ...] = (
    ("plan",),
    ("status",),
    ("describe", "orders"),
    ("history", "orders"),
    ("events",),
    ("diff", "--revision", "1", "orders"),
    ("state", "info"),
    ("state", "check"),
    ("state", "backup", "copy.db"),
)
#: Commands that change the state, each of them something in a project that was `applied`.
WRITING: tuple[tuple[str, ...], ...] = (
    ("apply",),
    ("apply", "--health", "none"),
    ("health",),
    ("suspend", "orders"),
    ("resume", "stock"),
    ("archive", "orders"),
    ("rollback", "orders", "--to", "1"),
)
#: Every command that opens the state.
USING_STATE = (*READING, *WRITING)


def run(command: Zygote, folder: Path, *arguments: str, state: str, prelude: str = "") -> Ended:
    """Returns how `reconciler *arguments` ended in the project in `folder`."""
    return command(*arguments, folder=folder, env={"RECONCILER_STATE": state}, prelude=prelude)


def make_project(folder: Path) -> None:
    """Writes a project whose connections are sound."""
    for name in NAMES:
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            database.execute("CREATE TABLE rows (number)")
    (folder / "reconciler.toml").write_text("")
    (folder / "manifests").mkdir()
    declare(folder, size=1)


def declare(folder: Path, *, size: int) -> None:
    """Writes the manifests, with a pool of `size`."""
    manifests = [sqlite_file(name, pool={"size": size}) for name in NAMES]
    text = "---\n".join(json.dumps(manifest) + "\n" for manifest in manifests)
    (folder / "manifests" / "all.yaml").write_text(text)


def make_applied(command: Zygote, folder: Path, *, state: str) -> None:
    """Makes a project, applied twice and checked, in which every command has something to do."""
    make_project(folder)
    for arguments in (
        ("apply", "--health", "none"),
        ("health",),
        ("suspend", "stock"),
    ):
        assert run(command, folder, *arguments, state=state).code == 0
    declare(folder, size=2)
    assert run(command, folder, "apply", "--health", "none", state=state).code == 0
    declare(folder, size=3)
