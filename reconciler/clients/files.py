"""Finds a database file and says why it cannot be opened, before a library is asked to.

Shared by the engines whose database is a file. Libraries create what is missing, wait for ever on a
named pipe, and report every other cause with one code. They also follow links, which come with a
pull request as manifests do: out of the project, or to the state of this tool. So a path is
resolved and judged, and what it resolved to is opened. A library opens by name, so a link that is
put in the way meanwhile is noticed after that, before anything is asked of the file.

The file is not opened here: closing it would end the locks that this process holds on it through
SQLite (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import stat
from functools import lru_cache

from reconciler import paths
from reconciler.clients.meaning import Meaning
from reconciler.model import Reason, StageName
from reconciler.values import dataclass

#: What this tool keeps in a project.
_OWN_FOLDER = ".reconciler"
#: What SQLite and DuckDB keep beside a file; they would follow a link there as well.
_BESIDE = ("-wal", "-shm", "-journal", ".wal")

_AWAY = Meaning(
    reason=Reason.DESTINATION_DENIED,
    message="a link leads from the database file out of the project",
    hint="name a file in the project: links to other folders are not followed",
)
#: For a file in the folder of the state, and for a state anywhere else.
OWN = Meaning(
    reason=Reason.DESTINATION_DENIED,
    message="the database file belongs to this tool",
    hint="name another file",
)
_CHANGED = Meaning(
    reason=Reason.DESTINATION_DENIED,
    message="the database file was exchanged while it was opened",
    hint="try again",
)
_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the database file does not exist",
    hint="check `database`: a relative path begins at the project root",
)
_NO_FILE = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the path of the database is not a file",
    hint="check `database`",
)
_DENIED = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the database file may not be read",
    hint="give the user that runs this the permission to read it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A file that may be opened."""

    #: absolute, without links
    path: str
    device: int
    inode: int


def locate(path: str, root: str) -> Located:
    """Returns where the regular file `path` really is, which we may read and which is in `root`.

    Raises:
        ConnectionFailed: DatabaseMissing, PermissionDenied, or DestinationDenied where links lead
            out of `root`, or to what this tool keeps in it.
    """
    try:
        real = os.path.realpath(path, strict=True)
        _judge(real, _resolved(root))
        facts = os.lstat(real)
    except PermissionError:
        raise _DENIED.at(StageName.QUERY) from None
    except (OSError, ValueError):  # ValueError: the path holds a NUL
        raise _MISSING.at(StageName.QUERY) from None
    if not stat.S_ISREG(facts.st_mode):
        raise _NO_FILE.at(StageName.QUERY)
    if not os.access(real, os.R_OK):
        raise _DENIED.at(StageName.QUERY)
    return Located(path=real, device=facts.st_dev, inode=facts.st_ino)


def confirm(located: Located) -> None:
    """Returns when the file is still the one that was judged; called once a library opened it.

    Raises:
        ConnectionFailed: DestinationDenied.
    """
    try:
        real = os.path.realpath(located.path, strict=True)
        facts = os.lstat(real)
    except OSError:
        raise _CHANGED.at(StageName.QUERY) from None
    if (real, facts.st_dev, facts.st_ino) != (located.path, located.device, located.inode):
        raise _CHANGED.at(StageName.QUERY)


@lru_cache(maxsize=64)
def _resolved(root: str) -> str:
    return os.path.realpath(root)


def _judge(real: str, root: str) -> None:
    if not paths.is_beneath(real, root):
        raise _AWAY.at(StageName.QUERY)
    # some file systems do not tell capitals from small letters
    if _OWN_FOLDER in paths.inside(real, root).casefold().split("/"):
        raise OWN.at(StageName.QUERY)
    for suffix in _BESIDE:
        if os.path.islink(f"{real}{suffix}"):  # noqa: PTH114 -- a third of the time
            raise _AWAY.at(StageName.QUERY)
