"""Finds the project's folder and reads its `reconciler.toml`: names, raw values, line numbers.

Apart from `config`, which knows what the settings mean; this module knows only where the file is
and how it is written. Lines are looked up in the text because `tomllib` keeps no positions.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler import redact
from reconciler.errors import ConfigError
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.model import Json

FILE = "reconciler.toml"
#: A project file holds a handful of short lines; anything more is another file, or an attack:
#: `tomllib` takes a minute for one key of 60,000 dots.
_LARGEST_BYTES = 64 * 1024
_LONGEST_LINE = 2000


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
        return f"{self.name}:{_line(self.text, self.section, self.key)}"


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
    import tomllib

    text = _text(file)
    name = redact.escape(os.path.basename(file))
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        found = re.search(r"line ([0-9]+), column ([0-9]+)", str(error))
        place = f"{name}:{found[1]}:{found[2]}" if found else name
        raise ConfigError(f"{place}: this is not TOML", "write settings as key = value") from None
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


def _text(file: str) -> str:
    name = redact.escape(os.path.basename(file))
    try:
        # Not blocking: the name may belong to a pipe that nobody writes to.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{name} is not a regular file")
            data = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST_BYTES:
        raise ConfigError(f"{name} is larger than 64 KiB")
    if any(len(line) > _LONGEST_LINE for line in data.splitlines()):
        raise ConfigError(f"{name} has a line of more than {_LONGEST_LINE} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not UTF-8") from None


def _line(text: str, section: str, key: str) -> int:
    """Returns the line of a key, else of its section, else 1; dotted and quoted keys included."""
    part = r"""["']?{}["']?"""
    head, tail = part.format(re.escape(section)), part.format(re.escape(key))
    inside, at_section = False, 1
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*{head}\s*(=|\.\s*{tail}\s*=)", line):
            return number
        if re.match(r"\s*\[", line):
            inside = bool(re.match(rf"\s*\[+\s*{head}\s*[\].]", line))
            at_section = number if inside else at_section
        elif inside and key and re.match(rf"\s*{tail}\s*[=.]", line):
            return number
    return at_section
