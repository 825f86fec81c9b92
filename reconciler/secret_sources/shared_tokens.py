"""The token that a source uses for a whole run: got by who needs it first, while others wait.

A refusal is for all as well, so that a run with many secrets asks once and locks no account. Below
`access_tokens` and `vault`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import field
from math import inf
from threading import Lock

from reconciler.errors import SecretError
from reconciler.redact import Secret
from reconciler.values import dataclass

#: What can stand in a header; tokens are such text.
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A token, and until when it is used."""

    token: Secret = field(repr=False)
    #: on the monotonic clock
    good_until: float = inf


class SharedToken:
    """Asks for a token when there is none that is good for now."""

    def __init__(self, get: Callable[[], Held]) -> None:
        self._get = get
        self._lock = Lock()
        self._held: Held | SecretError | None = None

    def current(self) -> str:
        """Returns a token that is good for now.

        Raises:
            SecretError: there is none to be had; it is not asked for a second time.
        """
        with self._lock:
            is_over = isinstance(self._held, Held) and time.monotonic() >= self._held.good_until
            if self._held is None or is_over:
                try:
                    self._held = self._get()
                except SecretError as error:
                    self._held = error
            if isinstance(self._held, SecretError):
                raise self._held
            return self._held.token.reveal()


def judged(name: str, text: str) -> Secret:
    """Returns the token `text`, which messages call `name`.

    Raises:
        SecretError: no header can carry it.
    """
    if not _TOKEN.fullmatch(text):
        raise SecretError(f"{name} has a character that no header can carry")
    return Secret(text)
