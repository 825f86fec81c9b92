"""Opening files so that nothing outside a given folder is ever opened.

Manifests and secret files are opened here, and it must withstand an author who swaps a file for a
link between two system calls. A path is opened one component after the other, each relative to the
descriptor of the one before and none of them through a link; links are resolved beforehand, by
name, and what they resolve to is opened in the same way. Whatever is swapped in the meantime, the
descriptor in the end is of a file beneath the folder, or there is none.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Not to wait for the writer of a pipe, and not to get a terminal as the controlling one.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class NotRegular(Exception):
    """The path is a device, a pipe, a socket or a folder."""


class Changed(Exception):
    """The file's size changed while it was read."""


def open_folder(top: str, relative: str) -> int:
    """Returns a descriptor of the folder `relative` (`""` for itself) beneath the folder `top`.

    `top` is absolute and resolved. The caller closes the descriptor.

    Raises:
        OSError: a component does not exist, is no folder, is a link, or may not be opened.
    """
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for part in relative.split("/") if relative else ():
        try:
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def open_file(name: str, *, folder: int) -> tuple[int, os.stat_result]:
    """Returns a descriptor of the file `name` in the open `folder`, and what `fstat` says of it.

    The caller closes the descriptor.

    Raises:
        NotRegular: it is no regular file; a device or a pipe is not read from.
        OSError: it does not exist, is a link, or may not be opened.
    """
    descriptor = os.open(name, _FILE, dir_fd=folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotRegular
    return descriptor, status


def read_file(name: str, *, folder: int, limit_bytes: int) -> bytes:
    """Returns the content of the file `name` in the open `folder`.

    Of a file larger than `limit_bytes` one byte more than the limit is returned.

    Raises:
        NotRegular: it is no regular file.
        Changed: it grew or shrank meanwhile.
        OSError: it does not exist, is a link, or cannot be read.
    """
    descriptor, status = open_file(name, folder=folder)
    try:
        if status.st_size > limit_bytes:
            return os.read(descriptor, limit_bytes + 1)
        # One byte more than there should be: a file that grows is noticed without another call.
        data = os.read(descriptor, status.st_size + 1)
    finally:
        os.close(descriptor)
    if len(data) != status.st_size:
        raise Changed
    return data


class Folders:
    """Keeps the folder open that the last file was read from: neighbours are read in a row."""

    def __init__(self) -> None:
        self._key = ("", "")
        self._descriptor = -1

    def descriptor(self, top: str, relative: str) -> int:
        """Returns a descriptor of a folder, as `open_folder` does; it stays this object's own."""
        if self._descriptor < 0 or self._key != (top, relative):
            self.close()
            self._descriptor = open_folder(top, relative)
            self._key = (top, relative)
        return self._descriptor

    def close(self) -> None:
        """Closes the folder; the next file opens its own again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def open_folders() -> Iterator[Folders]:
    """Gives `Folders` for a run of files and closes what it holds in the end."""
    folders = Folders()
    try:
        yield folders
    finally:
        folders.close()
