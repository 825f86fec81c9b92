"""The secrets of one connection, read again as often as something is opened with them.

Secrets that are at hand, in a variable or a file, are read each time. Those that a server or a
program has to be asked for are kept for a minute, or until the server refuses them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from reconciler import kinds, secret_sources, stored_secrets
from reconciler.model import JsonObject
from reconciler.redact import Redactor, Secret
from reconciler.settings import Settings
from reconciler.values import dataclass

#: Secrets from slow sources are kept for so long.
_AGE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where connections are looked up, and what they may use."""

    settings: Settings
    environment: Mapping[str, str]
    redactor: Redactor
    clock: Callable[[], datetime]


class Credentials:
    """Reads the secrets of a normalised `spec`; any thread may ask."""

    def __init__(self, ground: Ground, kind: str, spec: JsonObject) -> None:
        self._ground = ground
        self._references = dict(kinds.shape(kind).secrets(spec))
        self._username = kinds.kind(kind).endpoint(spec).username
        names = {next(iter(reference)) for reference in self._references.values()}
        #: whether `read` answers without waiting for a server or a program
        self.is_quick = names <= secret_sources.QUICK_SOURCES
        self._sources = self._fresh_sources()
        self._secrets: Mapping[str, Secret] = {}
        self._read_at: float | None = None
        self._lock = threading.Lock()

    def read(self) -> Mapping[str, Secret]:
        """Returns the secrets by pointer; of one that is the same as before, the same object.

        By that object hops know a credential that they have proved.

        Raises:
            SecretError: one of them cannot be read.
        """
        if not self._references:
            return {}
        with self._lock:
            if self._is_fresh:
                return self._secrets
            sources = self._fresh_sources()
            sources.fetch(self._references.values())
            self._secrets = {
                pointer: _same_or_new(
                    self._secrets.get(pointer), sources.resolve(reference, username=self._username)
                )
                for pointer, reference in self._references.items()
            }
            self._sources, self._read_at = sources, time.monotonic()
            return self._secrets

    def forget(self) -> None:
        """Has the next `read` ask again: a server refused what was read."""
        self._read_at = None

    def read_public(self, reference: JsonObject) -> str:
        """Returns public material, such as a certificate authority.

        Raises:
            SecretError: it cannot be read.
        """
        return self._sources.read_public(reference)

    @property
    def _is_fresh(self) -> bool:
        if self.is_quick or self._read_at is None:
            return False
        return time.monotonic() - self._read_at < _AGE_S

    def _fresh_sources(self) -> secret_sources.Secrets:
        ground = self._ground
        kept = stored_secrets.source(ground.settings, ground.clock)
        return secret_sources.Secrets(
            ground.settings.secrets,
            ground.environment,
            ground.redactor,
            clock=ground.clock,
            sources={"store": kept},
        )


def _same_or_new(before: Secret | None, now: Secret) -> Secret:
    return before if before is not None and before.reveal() == now.reveal() else now
