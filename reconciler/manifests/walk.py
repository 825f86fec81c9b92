"""Everything beneath one folder that may be a manifest, links resolved and none followed outside.

Apart from `find`, which knows inputs, globs and display paths: here is one folder and nothing but
names relative to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from typing import TypeAlias

from reconciler import beneath, paths
from reconciler.manifests import findings
from reconciler.manifests.findings import Note

#: JSON is YAML too, but a project is full of JSON files that are no manifests (a saved plan is
#: one): those are read where they are named.
SUFFIXES = (".yaml", ".yml")
#: Left alone: what is hidden (our own `.reconciler` and `.git` too), and what editors, patches
#: and tools leave behind.
_IGNORED = re.compile(
    "|".join(
        translate(pattern)
        for pattern in (
            ".*", "*~", "#*#", "*.swp", "*.orig", "*.rej", "*.bak", "node_modules", "__pycache__",
        )
    )
)  # fmt: skip
_FORBIDDEN_IN_NAME = "[\t\n]|" + findings.FORBIDDEN

#: Name as found, resolved name, and why it cannot be used or None; both relative to the top.
Entry: TypeAlias = tuple[str, str, Note | None]


def is_bad_name(name: str) -> bool:
    """Whether a name or path holds what no terminal or report should be given."""
    return not name.isprintable() and re.search(_FORBIDDEN_IN_NAME, name) is not None


def walk(top: str, descends: Callable[[str], bool]) -> Iterator[Entry]:
    """Yields the files with one of `SUFFIXES` beneath `top`, and everything that is in the way.

    `top` is absolute and resolved. Folders are entered where `descends` says so of their name.
    What links lead to comes last, so that a file's own name goes before that of a link to it; each
    folder is entered once, whatever leads to it.
    """
    return _Walk(top, descends).entries()


class _Walk:
    """One walk: the links that it met and has not followed yet, and the folders that it saw."""

    def __init__(self, top: str, descends: Callable[[str], bool]) -> None:
        self._top = top
        self._descends = descends
        self._links: list[str] = []
        self._seen: set[str] = set()

    def entries(self) -> Iterator[Entry]:
        """Yields everything beneath the top: first what is there, then what is linked."""
        yield from self._folder("", "")
        while self._links:
            self._links.sort(reverse=True)
            yield from self._link(self._links.pop())

    def _link(self, name: str) -> Iterator[Entry]:
        resolved = os.path.realpath(os.path.join(self._top, name))
        relative = os.path.relpath(resolved, self._top)
        # not `Path.is_dir`, which raises where a folder on the way may not be entered
        is_folder, is_there = os.path.isdir(resolved), os.path.exists(resolved)  # noqa: PTH112, PTH110
        # a link to nothing may have led to a folder of manifests: that is in the way, too
        if is_there and not is_folder and not name.endswith(SUFFIXES):
            return
        if is_bad_name(name):
            yield name, name, findings.BAD_NAME
        elif not paths.is_beneath(resolved, self._top):
            yield name, name, findings.OUTSIDE
        elif not is_there:
            yield name, name, findings.BROKEN_LINK
        elif not is_folder:
            yield name, relative, None
        elif self._descends(name):
            yield from self._folder(name, "" if relative == "." else relative)

    def _folder(self, name: str, resolved: str) -> Iterator[Entry]:
        """Walks one folder, its folders included, and remembers the links that it meets."""
        pending = [(name, resolved)]
        while pending:
            name, resolved = pending.pop()
            if resolved in self._seen:
                continue
            self._seen.add(resolved)
            try:
                files, folders, links = _list(self._top, resolved)
            except OSError as error:
                yield name, resolved, findings.unreadable(error)
                continue
            prefix, resolved_prefix = (f"{part}/" if part else "" for part in (name, resolved))
            self._links.extend(prefix + link for link in links)
            for file in files:
                note = findings.BAD_NAME if is_bad_name(file) else None
                yield prefix + file, resolved_prefix + file, note
            for folder in folders:
                if is_bad_name(folder):
                    yield prefix + folder, resolved_prefix + folder, findings.BAD_NAME
                elif self._descends(prefix + folder):
                    pending.append((prefix + folder, resolved_prefix + folder))


def _list(top: str, relative: str) -> tuple[list[str], list[str], list[str]]:
    """Returns the names of manifests, folders and links in one folder."""
    files: list[str] = []
    folders: list[str] = []
    links: list[str] = []
    descriptor = beneath.open_folder(top, relative)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_symlink():
                    names = links
                elif entry.is_dir(follow_symlinks=False):
                    names = folders
                elif name.endswith(SUFFIXES):
                    names = files
                else:
                    continue
                if not _IGNORED.match(name):
                    names.append(name)
    finally:
        os.close(descriptor)
    return files, folders, links
