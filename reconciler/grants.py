"""Grants of the operator file: which secret may be sent for which connection to where.

Pure floor: judges texts and values, whatever a manifest looks like; `sending` knows where the
secrets of a manifest go. Everything is matched whole: `*` in a pattern of references stands for any
characters, and nothing else in it has a meaning.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from reconciler import paths
from reconciler.destinations import Destination, Pattern
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.model import Json, JsonObject, Ref

#: Sources that a pattern may name; `token:CLIENT` is what a client without a secret was given.
SOURCES = (
    *("env", "file", "store", "systemdCredential", "vault", "exec", "keyring", "age", "aws"),
    *("gcp", "azure"),
    "token",
)

_FILES = frozenset({"file", "age"})
#: Source -> the name of what a reference names, where that is more than one text.
_TEXTS: dict[str, Callable[[Json], str]] = {
    "vault": lambda secret: f"{secret.get('mount', 'secret')}/data/{secret['path']}",
    "exec": shlex.join,
    "keyring": lambda entry: shlex.join((entry["service"], entry["username"])),
    "aws": lambda secret: str(secret["secretId"]),
    "azure": lambda secret: str(secret["secret"]),
    "gcp": lambda secret: f"{secret['project']}/{secret['secret']}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One `[[grant]]`: any of its references, for any of its connections, to any destination."""

    #: its place in the file, from 1
    number: int
    #: `env:CRM_*`
    references: tuple[str, ...]
    #: globs for kind, namespace and name
    connections: tuple[tuple[str, str, str], ...]
    destinations: tuple[Pattern, ...]

    def is_for(self, ref: Ref) -> bool:
        """Whether the connection is one of those that are meant; case does not matter."""
        parts = [part.casefold() for part in (ref.kind, ref.namespace, ref.name)]
        return any(
            all(fnmatchcase(part, glob.casefold()) for part, glob in zip(parts, globs, strict=True))
            for globs in self.connections
        )

    def lists(self, texts: tuple[str, ...]) -> bool:
        """Whether a reference, by one of its texts, is one of those that are meant."""
        return any(_expression(glob).fullmatch(text) for glob in self.references for text in texts)

    def allows(self, texts: tuple[str, ...], ref: Ref, destination: Destination) -> bool:
        """Whether a reference, by one of its texts, may be sent to `destination` for `ref`."""
        return (
            self.lists(texts)
            and self.is_for(ref)
            and any(pattern.matches(destination) for pattern in self.destinations)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """All of them; where there is none, everything is allowed."""

    #: absolute path of the project root, which relative files are relative to
    root: str = ""
    entries: tuple[Grant, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def covering(
        self, reference: JsonObject, ref: Ref, destination: Destination
    ) -> tuple[Grant, ...]:
        """Returns the grants that let `reference` be sent to `destination` for `ref`."""
        texts = self.texts(reference)
        return tuple(grant for grant in self.entries if grant.allows(texts, ref, destination))

    def listing(self, reference: JsonObject) -> tuple[Grant, ...]:
        """Returns the grants that list `reference`, for whatever connection and destination."""
        texts = self.texts(reference)
        return tuple(grant for grant in self.entries if grant.lists(texts))

    def texts(self, reference: JsonObject) -> tuple[str, ...]:
        """Returns how patterns may call a reference: `env:NAME`, `vault:secret/data/crm/orders`.

        A file in the project has two names, its absolute path and the one relative to the root.
        Words of a command and the two parts of an entry in a keyring stand as in a shell, so that
        no word can pose as two.
        """
        ((source, argument),) = reference.items()
        if source in _FILES:
            return self._of_file(source, argument["file"] if source == "age" else argument)
        return (f"{source}:{_TEXTS[source](argument) if source in _TEXTS else argument}",)

    def _of_file(self, source: str, path: str) -> tuple[str, ...]:
        absolute = paths.folded(path, self.root)
        if not paths.is_beneath(absolute, self.root):
            return (f"{source}:{absolute}",)
        return (f"{source}:{absolute}", f"{source}:{paths.inside(absolute, self.root)}")


@lru_cache(maxsize=1024)
def _expression(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, glob.split("*"))), re.DOTALL)
