"""Reads a settings file: its text within bounds, what the TOML says, and where a key stands.

What the settings mean is said elsewhere: `config_keys` for the project's file, `operator_file` for
the machine's. Lines are looked up in the text because `tomllib` keeps no positions.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reconciler.errors import ConfigError

if TYPE_CHECKING:
    from reconciler.model import Json

#: A settings file holds a handful of short lines; anything more is another file, or an attack:
#: `tomllib` takes a minute for one key of 60,000 dots.
_LARGEST_BYTES = 64 * 1024
_LONGEST_LINE = 2000
_HEADER = re.compile(r"\s*\[{1,2}([^\[\]]*)\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=")


def _anything(_: os.stat_result) -> None:
    """Takes a file whoever owns it."""


def text(file: str, name: str, judge: Callable[[os.stat_result], None] = _anything) -> str:
    """Returns the text of `file`, which messages call `name`.

    `judge` gets what `fstat` says of the opened file, and raises where it is not to be read.

    Raises:
        ConfigError: it cannot be read, is too large or not UTF-8.
    """
    try:
        # Not blocking: the name may belong to a pipe that nobody writes to.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ConfigError(f"{name} is not a regular file")
            judge(facts)
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


def parse(content: str, name: str) -> dict[str, Json]:
    """Returns what a settings file says.

    Raises:
        ConfigError: it is not TOML; names the place.
    """
    import tomllib

    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        found = re.search(r"line ([0-9]+), column ([0-9]+)", str(error))
        place = f"{name}:{found[1]}:{found[2]}" if found else name
        raise ConfigError(f"{place}: this is not TOML", "write settings as key = value") from None


def line(content: str, path: Sequence[str]) -> int:
    """Returns the line of the key at `path`, else of the nearest table around it, else 1.

    A table of a list, `[[grant]]`, is found by its number: `("grant", "2")` is the second.
    """
    table: tuple[str, ...] = ()
    seen: Counter[str] = Counter()
    best, depth = 1, 0
    for number, written in enumerate(content.splitlines(), start=1):
        if header := _HEADER.fullmatch(written):
            here = table = _parts(header[1])
            if written.lstrip().startswith("[["):
                seen[header[1]] += 1
                here = table = (*table, str(seen[header[1]]))
        elif key := _KEY.match(written):
            here = (*table, *_parts(key[1]))
        else:
            continue
        if len(here) > depth and tuple(path[: len(here)]) == here:
            best, depth = number, len(here)
    return best


def _parts(written: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in written.split("."))
