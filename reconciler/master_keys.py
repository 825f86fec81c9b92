"""The master keys that encrypt the state: how they are written, made and read from a file.

`RECONCILER_KEY` holds them, or the file that `RECONCILER_KEY_FILE` names; the first encrypts, all
of them open. A key that stands in a manual or can be typed is no key, so those are refused. Beside
`config_keys`, which has the table of settings; only `config` calls `read_file`.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from itertools import pairwise

from reconciler.errors import ConfigError
from reconciler.redact import escape

#: What a value must be, as the rest of a sentence.
FORM = (
    "keys of 64 hexadecimal digits each, with commas between, as `reconciler secret keygen` makes"
)
#: More than a file of keys can hold.
_LONGEST_BYTES = 4096
#: As `sealing.KEY_BYTES`, which `--help` would pay to import.
_KEY_BYTES = 32
#: Of 32 random bytes about 30 differ; so few never occur, but do in keys made up by hand.
_FEWEST_DISTINCT = 17
#: Whose SHA-256 people take for a key.
_WORDS = ("", "key", "secret", "password", "passphrase", "test", "changeme", "admin", "reconciler")
_HASHES = frozenset(hashlib.sha256(word.encode()).digest() for word in _WORDS)


def make() -> str:
    """Returns a new random key, 64 hexadecimal digits."""
    return secrets.token_hex(_KEY_BYTES)


def parse(text: str) -> tuple[bytes, ...]:
    """Returns the keys in `text`, in order, each once.

    Raises:
        ValueError: it holds anything else, or a key that others know; the rest of a sentence.
    """
    keys: list[bytes] = []
    for part in re.split(r"[,\s]+", text.strip()):
        if not re.fullmatch("[0-9a-fA-F]{64}", part):
            raise ValueError(FORM)
        key = bytes.fromhex(part)
        if is_known(key):
            raise ValueError(
                "a random key: this one stands in examples or was made by hand;"
                " `reconciler secret keygen` makes one"
            )
        keys.append(key)
    return tuple(dict.fromkeys(keys))


def is_known(key: bytes) -> bool:
    """Whether `key` is one of those in manuals: few bytes, a series, text, or a word's hash."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    is_text = key.isascii() and key.decode().isprintable()
    return len(set(key)) < _FEWEST_DISTINCT or len(steps) == 1 or is_text or key in _HASHES


def read_file(path: str) -> str:
    """Returns the text of a file of keys.

    Raises:
        ConfigError: it cannot be read, is no file, or others than its owner may read it.
    """
    shown = f"the key file {escape(path)}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ConfigError(f"{shown} is not a regular file", "correct RECONCILER_KEY_FILE")
            if facts.st_mode & 0o077:
                raise ConfigError(f"{shown} may be read by others", f"chmod 600 {escape(path)}")
            data = os.read(descriptor, _LONGEST_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number).lower() if number else "it is no path"
        raise ConfigError(f"{shown} cannot be read: {reason}") from None
    return data.decode("ascii", "replace")
