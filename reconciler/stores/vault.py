"""What a store keeps besides connections: sealed records, leases, and when connections were used.

Part of the `Store` Protocol, in a module of its own because `__init__` is long enough. A store sees
only sealed text: keys, and what a record means, are the business of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from reconciler.model import Event
from reconciler.redact import Secret
from reconciler.sealing import Context, Sealer

#: Where secrets that people store are kept, and where tokens.
SECRET, TOKEN = "secret", "token"
SPACES = (SECRET, TOKEN)
#: No lease is longer; one that ends later was taken before the clock was set back.
LONGEST_LEASE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """One sealed value as it is kept."""

    #: one of `SPACES`
    space: str
    #: of the secret, or the uid of the token's connection; unique within its space
    name: str
    #: from 1; rises with every change, and is compared before one
    version: int
    #: identifies the key that it is sealed with
    key_id: str
    ciphertext: str = field(repr=False)
    expires_at: datetime | None = None
    #: when the value was set
    updated_at: datetime

    @classmethod
    def seal(cls, sealer: Sealer, plaintext: Secret, context: Context) -> SealedRecord:
        """Returns the record of `plaintext`, sealed for the row that `context` describes.

        Raises:
            ConfigError: there is no key.
        """
        key_id, ciphertext = sealer.seal(plaintext, context=context)
        return cls(
            space=context.space,
            name=context.name,
            version=context.version,
            key_id=key_id,
            ciphertext=ciphertext,
            expires_at=context.expires_at,
            updated_at=context.updated_at,
        )

    def context(self, lineage: str) -> Context:
        """Returns what the value is bound to in the store of this lineage."""
        return Context(
            lineage=lineage,
            space=self.space,
            name=self.name,
            version=self.version,
            updated_at=self.updated_at,
            expires_at=self.expires_at,
        )

    def open(self, sealer: Sealer, lineage: str) -> Secret:
        """Returns the value.

        Raises:
            SecretError: the key is not there, or anything of the record was changed.
        """
        return sealer.open(self.key_id, self.ciphertext, context=self.context(lineage))


class Vault(Protocol):
    """Keeps sealed records, leases and uses."""

    def sealed(self, space: str) -> tuple[SealedRecord, ...]:
        """Returns the records of one of `SPACES`, by name."""

    def find_sealed(self, space: str, name: str) -> SealedRecord | None:
        """Returns one record, None where there is none."""

    def write_sealed(
        self, record: SealedRecord, *, expected: int | None, events: Sequence[Event] = ()
    ) -> bool:
        """Stores `record` and `events` if the record's version is `expected` now.

        None means that it must not be there. Returns whether anything was written.

        Raises:
            Conflict, StoreUnavailable: nothing is written then.
        """

    def delete_sealed(
        self, space: str, name: str, *, expected: int, events: Sequence[Event] = ()
    ) -> bool:
        """Deletes a record if its version is `expected` now; returns whether it did."""

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> bool:
        """Gives `holder` the lease `name` until `until`, at most `LONGEST_LEASE_S` from `now`.

        Over all processes there is one holder at a time; who has it already may extend it. Past
        its end it is free. Returns whether `holder` has it now.
        """

    def release_lease(self, name: str, holder: str) -> None:
        """Ends the lease `name` if `holder` has it."""

    def used(self, uid: str, at: datetime) -> None:
        """Notes that the connection was used; its row keeps its version.

        A connection that is gone is passed over, and the latest moment stays.
        """

    def last_used(self, uid: str) -> datetime | None:
        """Returns when the connection was last used, None for never."""

    def rewrap(self, keys: Sequence[bytes], *, events: Sequence[Event] = ()) -> bool:
        """Wraps the fingerprint key with the first of `keys`; returns False where it is already.

        The events are kept with the change.

        Raises:
            ConfigError: none of `keys` opens it.
        """
