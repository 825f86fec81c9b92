"""Secrets in the state store, encrypted: `{store: NAME}`.

Handed a function that finds them when it is built, so that this package knows no store. A secret
that has expired is not given out; one that soon will is a warning wherever it was read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from reconciler.errors import SecretError
from reconciler.redact import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stored secret, opened."""

    value: Secret
    expires_at: datetime | None = None


#: Returns the stored secret of a name, None where there is none; raises SecretError where it cannot
#: be opened.
Find: TypeAlias = Callable[[str], Stored | None]


class StoreSource:
    """Reads stored secrets."""

    def __init__(self, find: Find, clock: Callable[[], datetime], warn_before_s: float) -> None:
        self._find = find
        self._clock = clock
        self._warn_before = timedelta(seconds=warn_before_s)
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns which of the secrets read so far expire soon."""
        return tuple(self._warnings)

    def read(self, argument: str, *, public: bool) -> str:  # noqa: ARG002 -- the same for both
        """Returns the value of the secret called `argument`.

        Raises:
            SecretError: there is none, it has expired, or it cannot be opened.
        """
        stored = self._find(argument)
        if stored is None:
            raise SecretError(
                f"there is no stored secret `{argument}`",
                f"`reconciler secret set {argument}` stores it",
            )
        now = self._clock()
        if stored.expires_at is not None:
            if stored.expires_at <= now:
                raise SecretError(
                    f"the stored secret `{argument}` expired at {_text(stored.expires_at)}",
                    f"`reconciler secret set {argument}` stores its successor",
                )
            if stored.expires_at <= now + self._warn_before:
                left = max(1, (stored.expires_at - now).days)
                self._warnings.append(
                    f"the stored secret `{argument}` expires at {_text(stored.expires_at)},"
                    f" in {left} day{'s' * (left > 1)}"
                )
        return stored.value.reveal()


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
