"""Says why a database file cannot be opened, before a library is asked to.

Shared by the engines whose database is a file. Libraries create what is missing, wait for ever on a
named pipe, and report every other cause with one code.
"""

from __future__ import annotations

import os
import stat

from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName


def require(path: str) -> None:
    """Returns when `path` is a regular file that we may read.

    Raises:
        ConnectionFailed: DatabaseMissing or PermissionDenied.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 -- a third of the time
    except PermissionError:
        raise _denied() from None
    except (OSError, ValueError):  # ValueError: the path holds a NUL
        raise ConnectionFailed(
            Reason.DATABASE_MISSING,
            StageName.QUERY,
            "the database file does not exist",
            "check `database`: a relative path begins at the project root",
        ) from None
    if not stat.S_ISREG(mode):
        raise ConnectionFailed(
            Reason.DATABASE_MISSING,
            StageName.QUERY,
            "the path of the database is not a file",
            "check `database`",
        )
    if not os.access(path, os.R_OK):
        raise _denied()


def _denied() -> ConnectionFailed:
    return ConnectionFailed(
        Reason.PERMISSION_DENIED,
        StageName.QUERY,
        "the database file may not be read",
        "give the user that runs this the permission to read it",
    )
