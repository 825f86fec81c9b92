"""The file of a SQLite store before SQLite sees it: its URL, its folder, whether it may be opened.

Apart from `sqlite.py` because SQLite would turn what is refused here into a store: it fills an
empty file and makes a missing one.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from reconciler import paths
from reconciler.errors import ConfigError, StoreDamaged, StoreUnavailable
from reconciler.network import StateReach
from reconciler.stores import faults, opening

#: The file itself, and what SQLite keeps beside it (https://sqlite.org/tempfiles.html).
_BESIDE = ("", "-wal", "-shm", "-journal")


def parse_path(
    url: str,
    reach: StateReach = StateReach(),  # noqa: B008 -- frozen
) -> Path | None:
    """Returns the absolute path that a `sqlite:` URL names, None for memory.

    Raises:
        ConfigError: it is no such URL, or has options, which this store does not take; or links
            lead out of `reach.root`, from the path or from what SQLite keeps beside the file.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ConfigError("the state URL cannot be read", "write `sqlite:///path`") from None
    if parsed.query or parsed.host:
        raise ConfigError(
            "a SQLite state URL has neither host nor options", "write `sqlite:///path`"
        )
    if "\0" in (parsed.database or ""):
        raise ConfigError("the state URL cannot be read: no path has a zero byte in it")
    in_memory = parsed.database in (None, "", ":memory:")
    if in_memory:
        return None
    path = Path(str(parsed.database)).absolute()
    if reach.root:
        _require_within(path, reach.root)
    return path


def _require_within(path: Path, root: str) -> None:
    folder = os.path.realpath(root)
    for suffix in _BESIDE:
        place = f"{path}{suffix}"
        if paths.is_beneath(os.path.realpath(place), folder):
            continue
        written = os.path.normpath(place)
        if any(paths.is_beneath(written, each) for each in (root, folder)):
            raise ConfigError(
                f"the state store {place} is reached by a link out of the project",
                "take the link away; RECONCILER_STATE or `--state` may name a place elsewhere",
            )
        raise ConfigError(
            f"the project file names a state store outside of the project: {place}",
            "name it with RECONCILER_STATE or `--state`, or in the operator file",
        )


def writing_uri(path: Path) -> str:
    """Returns SQLite's URI of an existing file, for reading and writing."""
    return _uri(path, "mode=rw")


def reading_uri(path: Path) -> str:
    """Returns SQLite's URI of an existing file, for a connection that is only to read.

    A `mode=ro` connection leaves `-wal` and `-shm` files behind, so it is used only where file or
    folder cannot be written; and as SQLite can then not make the index that WAL readers share, the
    file is `immutable` when no `-wal` file says that somebody writes.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return writing_uri(path)
    return _uri(path, "mode=ro" if wal_of(path).exists() else "mode=ro&immutable=1")


def wal_of(path: Path) -> Path:
    """Returns where SQLite keeps what is not yet in `path`; it is gone after a clean end."""
    return path.with_name(f"{path.name}-wal")


def require_file(path: Path) -> None:
    """Refuses what is no file of a store, without opening it.

    Raises:
        StoreUnavailable: there is none, or it is no file.
        StoreDamaged: it is empty.
    """
    try:
        size_bytes = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise opening.missing(str(path)) from None
    except OSError:
        raise faults.SQLITE[sqlite3.SQLITE_CANTOPEN].at(str(path)) from None
    if not path.is_file():
        raise StoreUnavailable(f"{path} is not a file", "name a file with `--state`")
    if size_bytes == 0:
        raise StoreDamaged(f"the state store {path} is empty", faults.RESTORE)


def make_folder(folder: Path) -> None:
    """Makes the last folder of a path, closed to others and ignored by git, if it is missing.

    Raises:
        StoreUnavailable: it cannot be made.
    """
    try:
        folder.mkdir(0o700)
        folder.joinpath(".gitignore").write_text("*\n", encoding="utf-8")
    except FileExistsError:
        return
    except OSError:
        raise StoreUnavailable(
            f"the folder {folder} cannot be made", "make its parent folders, or correct `--state`"
        ) from None


def _uri(path: Path, query: str) -> str:
    return f"file:{quote(str(path))}?{query}"
