"""Makes a file that is there whole or not at all, for new stores and backups.

A file that appears half-written under its final name would be taken for a damaged store after a
kill. So it is built under a draft name in the same folder and linked to its name, which fails where
somebody else was first. The draft is mode 0600 from the start.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reconciler.errors import StoreUnavailable


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yields the path of an empty draft; at the end it becomes the new file `path`.

    Raises:
        StoreUnavailable: `path` exists, or the folder cannot be written; nothing is left behind.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.draft")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield draft
        _flush(draft)
        path.hardlink_to(draft)
        _flush(path.parent)
    except FileExistsError:
        raise StoreUnavailable(f"the file {path} exists already", "name another file") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown error"
        raise StoreUnavailable(
            f"the file {path} cannot be written: {reason.lower()}",
            "check the folder, its permissions and free space",
        ) from None
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                draft.with_name(draft.name + suffix).unlink()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
