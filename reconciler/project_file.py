"""Finds the project's folder and reads its `reconciler.toml`: names, raw values, line numbers.

Apart from `config`, which knows what the settings mean; this module knows only where the file is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler import redact, toml_file
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.model import Json

FILE = "reconciler.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One setting as written."""

    value: Json
    #: of the file, and the text in it; the line is looked up only for what is wrong
    name: str
    text: str
    section: str
    key: str

    @property
    def place(self) -> str:
        """Where the setting stands: `reconciler.toml:4`."""
        return f"{self.name}:{toml_file.line(self.text, [self.section, self.key])}"


def locate(cwd: str, named: str | None) -> str:
    """Returns the absolute path of `named`, else of the nearest project file at or above `cwd`.

    Empty where there is none; a named one is not looked for, since reading it will tell.
    """
    if named:
        folder, name = os.path.split(os.path.join(cwd, named))
        return os.path.join(os.path.realpath(folder), name)
    paths = (os.path.join(folder, FILE) for folder in _upwards(cwd))
    return next((path for path in paths if os.path.lexists(path)), "")


def root(cwd: str, file: str) -> str:
    """Returns the project root: the folder of `file`, else the git top level, else `cwd`."""
    if file:
        return os.path.dirname(file)
    top = (folder for folder in _upwards(cwd) if os.path.lexists(os.path.join(folder, ".git")))
    return next(top, cwd)


def read(file: str) -> Mapping[str, Entry]:
    """Returns `section.key` -> entry for everything that the file holds, in its order.

    Raises:
        ConfigError: it cannot be read or is not TOML.
    """
    name = redact.escape(os.path.basename(file))
    text = toml_file.text(file, name)
    data = toml_file.parse(text, name)
    entries = {}
    for section, content in data.items():
        items = content.items() if isinstance(content, dict) else [("", content)]
        for key, value in items:
            entry = Entry(value=value, name=name, text=text, section=section, key=key)
            entries[f"{section}.{key}" if key else section] = entry
    return entries


def _upwards(folder: str) -> list[str]:
    folders = [folder]
    while (parent := os.path.dirname(folders[-1])) != folders[-1]:
        folders.append(parent)
    return folders
