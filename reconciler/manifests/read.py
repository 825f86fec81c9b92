"""The files of a command's inputs become documents: the only part of stage 1 that opens files.

`find` says which files, `beneath` opens them so that no link leads out, `loader` parses. All that
goes wrong is a diagnostic at the file; nothing is raised, and one bad file hides no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from errno import ELOOP, EMLINK, ENOENT, ENOTDIR, ENXIO
from typing import BinaryIO, TypeAlias

from reconciler import beneath, paths
from reconciler.manifests import findings, loader
from reconciler.manifests.find import STANDARD_INPUT, File, Found, find
from reconciler.manifests.findings import Note
from reconciler.model import Accepted, Diagnostic, Document, Location, Severity

__all__ = ["File", "Found", "documents", "find", "load", "read"]

#: A component went away or became a link since it was found. ELOOP is what Linux and macOS say of
#: a link opened with O_NOFOLLOW, EMLINK what FreeBSD says, ENOTDIR what all say of a folder.
_MOVED = (ENOENT, ENOTDIR, ELOOP, EMLINK)


#: Says what a file holds, None where that is not known yet.
Knowing: TypeAlias = Callable[[File, beneath.Folders], Iterable[Accepted] | None]


def _nothing(_: File, _folders: beneath.Folders) -> None:
    """Knows nothing of any file."""


def documents(
    found: Found,
    stdin: BinaryIO | None,
    known: Knowing = _nothing,
) -> Iterator[Document | Diagnostic | Accepted]:
    """Yields the documents of everything found, and everything that is wrong, file by file.

    A file of which `known` says what it holds is not read.


    `stdin` is read to its end if it was among the inputs, at most one byte more than a file may
    have. Where there is no document and nothing else is wrong, the last thing is E023: an empty
    folder must never look like a folder whose manifests were deleted.
    """
    yield from found.diagnostics
    is_silent = not found.diagnostics
    for result in _results(found, stdin, known):
        is_silent = is_silent and (
            isinstance(result, Diagnostic) and result.severity is Severity.WARNING
        )
        yield result
    if is_silent:
        place = found.roots[0] if found.roots else "."
        yield _said(findings.NO_MANIFEST, place)


def read(file: File) -> bytes | Diagnostic:
    """Returns the content of a file, or why it has none.

    Of a file that is too large one byte more than `findings.LARGEST_FILE_BYTES` is returned.
    """
    with beneath.open_folders() as folders:
        return _read(file, folders)


def content(file: File, folders: beneath.Folders) -> bytes | None:
    """Returns the content of one file, None where it has none; `load` says why."""
    found = _read(file, folders)
    return found if isinstance(found, bytes) else None


def load(file: File, folders: beneath.Folders) -> Iterator[Document | Diagnostic]:
    """Yields the documents of one file, and everything that is wrong with it."""
    content = _read(file, folders)
    if isinstance(content, bytes):
        yield from loader.load(content, file.path)
    else:
        yield content


def _results(
    found: Found, stdin: BinaryIO | None, known: Knowing
) -> Iterator[Document | Diagnostic | Accepted]:
    if found.has_standard_input:
        yield from _from_standard_input(stdin)
    with beneath.open_folders() as folders:
        for file in found.files:
            accepted = known(file, folders)
            yield from load(file, folders) if accepted is None else accepted


def _from_standard_input(stdin: BinaryIO | None) -> Iterator[Document | Diagnostic]:
    if stdin is None:
        yield _said(findings.NO_STANDARD_INPUT, STANDARD_INPUT)
        return
    try:
        content = stdin.read(findings.LARGEST_FILE_BYTES + 1)
    except OSError as error:
        yield _said(findings.unreadable(error), STANDARD_INPUT)
        return
    yield from loader.load(content, STANDARD_INPUT)


def _read(file: File, folders: beneath.Folders) -> bytes | Diagnostic:
    """Reads a file; where it moved since it was found, resolves it anew and tries once more."""
    result = _attempt(file, folders, is_link=file.is_link)
    if result is findings.CHANGED:
        folders.close()
        result = _attempt(file, folders, is_link=True)
    return result if isinstance(result, bytes) else _said(result, file.path)


def _attempt(file: File, folders: beneath.Folders, *, is_link: bool) -> bytes | Note:
    name = file.name
    if is_link:
        resolved = os.path.realpath(os.path.join(file.folder, name))
        if not paths.is_beneath(resolved, file.folder):
            return findings.OUTSIDE
        name = os.path.relpath(resolved, file.folder)
    parent, _, leaf = name.rpartition("/")
    try:
        folder = folders.descriptor(file.folder, parent)
        return beneath.read_file(leaf, folder=folder, limit_bytes=findings.LARGEST_FILE_BYTES)
    except beneath.NotRegular:
        return findings.NOT_REGULAR
    except beneath.Changed:
        return findings.CHANGED
    except OSError as error:
        if error.errno in _MOVED:
            return findings.CHANGED
        return findings.NOT_REGULAR if error.errno == ENXIO else findings.unreadable(error)


def _said(note: Note, path: str) -> Diagnostic:
    return findings.diagnostic(note, Location(path=path, line=1, column=1))
