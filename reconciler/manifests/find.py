"""Which files are manifests: files, folders, globs and standard input become a list of files.

The first half of reading; `read` opens what is found here. It lists folders and resolves links,
and opens no file. Nothing is skipped in silence but what the fixed ignore list names: whatever
cannot be listed or must not be followed is a diagnostic, because a file that is overlooked would
look like a connection that was deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path

from reconciler import paths
from reconciler.manifests import findings
from reconciler.manifests.findings import Note
from reconciler.manifests.walk import is_bad_name, walk
from reconciler.model import Diagnostic, Location
from reconciler.values import dataclass

STANDARD_INPUT = "-"
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file to read."""

    #: relative to the project root where it lies under it, else absolute
    path: str
    #: absolute, resolved folder that the file, and what it may link to, must lie in
    folder: str
    #: where it lies in `folder`
    name: str
    #: whether a part of `name` is a link, so that it has to be resolved to be read
    is_link: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the inputs of a command come to."""

    #: sorted by path, each file once
    files: tuple[File, ...] = ()
    #: the files and folders that were given, as in `File.path`; for a glob, those that it matches
    roots: tuple[str, ...] = ()
    #: what cannot be listed or must not be followed, sorted by location
    diagnostics: tuple[Diagnostic, ...] = ()
    #: whether standard input was among the inputs
    has_standard_input: bool = False


def find(inputs: Sequence[str], *, root: str, cwd: str) -> Found:
    """Returns the files that `inputs` (files, folders, globs, `-`) stand for.

    `root` is the project root and `cwd` the folder that relative inputs start from, both absolute.
    A folder stands for its .yaml and .yml files at any depth, a glob for those that it
    matches and for the folders that it matches. A link found in a folder is followed where its
    target stays in the folder that was given; a path given by itself may lead anywhere in the
    project or, outside of it, in its own folder. Lists folders and resolves links; opens no file.
    """
    search = _Search(os.path.normpath(root), cwd)
    for given in inputs:
        if given != STANDARD_INPUT:
            search.add(given)
    return Found(
        files=tuple(sorted(search.files.values(), key=attrgetter("path"))),
        roots=tuple(sorted(search.roots)),
        diagnostics=tuple(sorted(search.diagnostics, key=attrgetter("location"))),
        has_standard_input=STANDARD_INPUT in inputs,
    )


class _Search:
    """Collects files over all inputs."""

    def __init__(self, root: str, cwd: str) -> None:
        self._root = root
        self._cwd = cwd
        #: by resolved path, so that a file given twice is read once
        self.files: dict[str, File] = {}
        self.roots: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def add(self, given: str) -> None:
        """Takes one input."""
        if is_bad_name(given):
            self._report(findings.BAD_NAME, given)
            return
        absolute = os.path.normpath(os.path.join(self._cwd, given))
        if os.path.lexists(absolute):
            self._add_path(absolute)
        elif _MAGIC.search(given):
            self._add_glob(absolute)
        else:
            self._report(findings.MISSING, self._display(absolute))

    def _add_path(self, absolute: str) -> None:
        path = self._display(absolute)
        self.roots.add(path)
        resolved = self._resolve(absolute)
        if resolved is None:
            return
        if Path(resolved).is_dir():
            self._add_folder(resolved, path, _everything, _everything)
        elif not Path(resolved).exists():
            self._report(findings.BROKEN_LINK, path)
        else:
            top = self._top_of(absolute)
            boundary, name = os.path.realpath(top), os.path.relpath(absolute, top)
            is_link = os.path.join(boundary, name) != resolved
            file = File(path=path, folder=boundary, name=name, is_link=is_link)
            self.files.setdefault(resolved, file)

    def _top_of(self, absolute: str) -> str:
        """Returns the folder that a path given by itself must not leave by a link."""
        is_inside = paths.is_beneath(absolute, self._root)
        return self._root if is_inside else os.path.dirname(absolute)

    def _resolve(self, absolute: str) -> str | None:
        """Returns a path without links; None, and says so, where it leads out."""
        resolved = os.path.realpath(absolute)
        if paths.is_beneath(resolved, os.path.realpath(self._top_of(absolute))):
            return resolved
        self._report(findings.OUTSIDE, self._display(absolute))
        return None

    def _add_folder(
        self,
        top: str,
        path: str,
        wants: Callable[[str], bool],
        descends: Callable[[str], bool],
    ) -> None:
        """Takes the files beneath the resolved folder `top`, displayed as `path`."""
        prefix = "" if path == "." else f"{path.rstrip('/')}/"
        for name, resolved, note in walk(top, descends):
            if note is not None:
                self._report(note, prefix + name if name else path)
            elif wants(name):
                file = File(path=prefix + name, folder=top, name=name, is_link=name != resolved)
                self.files.setdefault(f"{top}/{resolved}", file)
                if len(self.files) > findings.LARGEST_FILES:
                    self.files.clear()
                    self._report(findings.TOO_MANY_FILES, path)
                    return

    def _add_glob(self, absolute: str) -> None:
        """Takes what a glob matches; a part `**` stands for any number of folders."""
        parts = absolute.split("/")
        fixed = next(index for index, part in enumerate(parts) if _MAGIC.search(part))
        top, pattern = "/".join(parts[:fixed]) or "/", parts[fixed:]
        path = self._display(top)
        prefix = "" if path == "." else f"{path.rstrip('/')}/"
        matched: set[str] = set()

        def wants(name: str) -> bool:
            found = name.split("/")
            for length in range(1, len(found) + 1):
                if _matches(found[:length], pattern):
                    matched.add(prefix + "/".join(found[:length]))
                    return True
            return False

        before = len(self.diagnostics)
        resolved = self._resolve(top)
        if resolved is not None and Path(resolved).is_dir():
            self._add_folder(resolved, path, wants, lambda name: _leads_to(name, pattern))
        self.roots |= matched
        if not matched and len(self.diagnostics) == before:
            self._report(findings.NO_MATCH, self._display(absolute))

    def _display(self, absolute: str) -> str:
        """Returns an absolute path as it is shown and recorded."""
        is_inside = paths.is_beneath(absolute, self._root)
        return os.path.relpath(absolute, self._root) if is_inside else absolute

    def _report(self, note: Note, path: str) -> None:
        location = Location(path=findings.escaped(path), line=1, column=1)
        self.diagnostics.append(findings.diagnostic(note, location))


def _everything(_: str) -> bool:
    return True


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether all of a path matches all of a glob."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _leads_to(folder: str, pattern: Sequence[str]) -> bool:
    """Whether a match of the glob may lie in a folder, as far as its first `**` tells."""
    for part, expected in zip(folder.split("/"), pattern, strict=False):
        if expected == "**":
            return True
        if not fnmatchcase(part, expected):
            return False
    return True
