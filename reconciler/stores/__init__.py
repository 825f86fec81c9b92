"""Where state is kept: one Protocol, one set of tables, SQLite and PostgreSQL behind it.

Effects on the state are values too: `apply.py` and `reconcile.py` build a `Write` or a tuple of
`HealthWrite`, and the store carries each out in one transaction or not at all. A store never
decides anything; the two rules it enforces are compare-and-set on `version` and the login budget,
because only a transaction can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit

from reconciler.errors import ConfigError
from reconciler.model import Event, FileReading, Observation, Recorded, Ref, Revision, Run
from reconciler.network import StateReach
from reconciler.stores.vault import SealedRecord as SealedRecord
from reconciler.stores.vault import Vault
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What a store says of itself."""

    #: random, made with the store; a plan of another lineage is foreign
    lineage: str
    #: version of the tables, an Alembic revision
    schema: str
    #: 32 random bytes for keyed fingerprints, unwrapped
    fingerprint_key: bytes
    #: identifies `fingerprint_key` without revealing it
    key_id: str


class RowOp(StrEnum):
    """What happens to one row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWrite:
    """One row as it shall be; `row.version` is the new version.

    `expected` is the version it must have now (None for an insert). A delete leaves its events.
    """

    op: RowOp
    row: Recorded
    expected: int | None = None

    @property
    def is_end(self) -> bool:
        """Whether the connection ends with this write; its token is deleted with it."""
        return self.op is RowOp.DELETE or not self.row.status.is_live

    @classmethod
    def update(cls, before: Recorded, after: Recorded) -> RowWrite:
        """Returns the write that turns `before` into `after`, if nobody else was faster."""
        row = replace(after, version=before.version + 1)
        return cls(op=RowOp.UPDATE, row=row, expected=before.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Everything that one apply or one command changes, in one transaction."""

    rows: tuple[RowWrite, ...] = ()
    revisions: tuple[Revision, ...] = ()
    events: tuple[Event, ...] = ()
    run: Run | None = None
    #: uids whose credentials get a fresh login budget
    forgive: tuple[str, ...] = ()
    #: what the files of `stack` were read as, for next time; alone no reason to write
    readings: tuple[FileReading, ...] = ()
    #: paths of files of `stack` that are gone
    forgotten: tuple[str, ...] = ()
    stack: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.rows or self.revisions or self.events or self.run or self.forgive)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """Asks to send a credential once."""

    uid: str
    #: keyed hash of method, user name, secret fingerprints and destination
    credential_key: str
    #: row version that the target was read at; the phase must still allow a probe. None asks for
    #: neither: somebody wants to connect whatever the phase is
    version: int | None
    #: when the probe will have ended; an attempt still open after it belongs to a dead process
    deadline_at: datetime


class Verdict(StrEnum):
    """The answer to a `LoginRequest`."""

    #: a row in `login_attempts` is written; send
    GRANTED = "granted"
    #: others are using the rest of the budget right now; ask again when one has settled
    WAIT = "wait"
    #: the budget is used up; the connection is to be suspended
    EXHAUSTED = "exhausted"
    #: the row moved or its phase no longer allows a probe; do nothing
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthWrite:
    """The result of one probe and the row that follows from it."""

    observation: Observation
    #: the row with its new status; `row.version` is the new version
    row: Recorded
    #: version that the row must have now
    expected: int
    events: tuple[Event, ...] = ()
    #: the login attempt to settle, or empty where no credential was to be sent
    credential_key: str = ""
    #: of that attempt, where it is known
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events to read; newest `limit` of them, returned oldest first."""

    uid: str | None = None
    ref: Ref | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    after_id: int = 0
    limit: int = 1000


class Store(Vault, Protocol):
    """Keeps rows, revisions, events, observations, login attempts, runs, and what a vault does."""

    @property
    def meta(self) -> Meta:
        """Returns what the store says of itself, read when it was opened."""

    def recorded(self, *, archived: bool = False) -> tuple[Recorded, ...]:
        """Returns the live rows and the archived ones with a hold, of every stack, by ref.

        With `archived`, all archived rows too (last archived first within a ref).
        """

    def readings(self, stack: str) -> Mapping[str, str]:
        """Returns by path what is kept of the files of a stack (`Write.readings`)."""

    def find(self, uids: Sequence[str]) -> tuple[Recorded, ...]:
        """Returns the rows with these uids, in any phase, in the order given, if there."""

    def commit(self, write: Write, *, lock_timeout_s: float = 30.0) -> None:
        """Carries out `write` in one transaction; an empty one opens none.

        Raises:
            Conflict: the lock was not free in time. Nothing is written then.
            RowsMoved: a row has another version than expected, or an insert would make a second
                live row of one ref. Nothing is written then.
            StoreUnavailable: the store cannot be written. Nothing is written then.
        """

    def reserve(
        self, requests: Sequence[LoginRequest], *, now: datetime, budget: int
    ) -> tuple[Verdict, ...]:
        """Writes one open login attempt per granted request, in one transaction; answers in order.

        An attempt counts while it is settled as failed, or open. Of one credential, settled and
        open attempts never exceed `budget`. Where only open ones with a deadline in the future
        stand in the way the answer is WAIT; open ones past their deadline count like failed ones.
        A connection that is told EXHAUSTED is noted as one that uses the credential, so that
        resuming it gives the credential another budget, whoever has used up the first.
        """

    def bar(self, request: LoginRequest, *, now: datetime) -> None:
        """Notes the same of a connection for which nothing was asked: another one was refused."""

    def has_failed(self, credential_key: str) -> bool:
        """Whether a login with the credential was refused, and none was accepted since."""

    def release(self, requests: Sequence[LoginRequest]) -> None:
        """Takes back granted requests that were not used: nothing was sent."""

    def settle(self, request: LoginRequest, *, is_accepted: bool, now: datetime) -> None:
        """Settles a granted request that belongs to no result: a login at a hop on the way.

        An accepted one deletes every settled attempt of the credential with its own, a refused one
        counts from now on.
        """

    def record(self, writes: Sequence[HealthWrite], *, now: datetime) -> tuple[str, ...]:
        """Stores a batch of results in one transaction; returns uids whose row had moved.

        For a moved row nothing of its HealthWrite is stored but the settling of the attempt. An ok
        observation deletes its own attempt and every other of the credential that is settled or
        past its deadline; AuthFailed turns its own into a settled one, unless a hop on the way said
        so; any other deletes its own.
        """

    def revisions(self, uid: str) -> tuple[Revision, ...]:
        """Returns the applied changes of one row, oldest first."""

    def events(self, query: EventQuery) -> tuple[Event, ...]:
        """Returns matching events, oldest first."""

    def observations(self, uid: str, *, limit: int = 100) -> tuple[Observation, ...]:
        """Returns the newest probes of one row, newest first."""

    def runs(self, *, limit: int = 50) -> tuple[Run, ...]:
        """Returns the newest applies, newest first."""

    def check(self) -> tuple[str, ...]:
        """Returns what is wrong with the store, a sentence each; empty when all is well."""

    def backup(self, path: str) -> None:
        """Writes a consistent copy of the whole store to the new file `path`, mode 0600."""

    def close(self) -> None:
        """Releases connections."""


class Opening(StrEnum):
    """How a store is opened."""

    #: for reading; nothing is created, and a missing store is StoreMissing
    READ = "read"
    #: for writing; created where missing
    WRITE = "write"


#: URL scheme -> where the implementation is.
STORES = {
    "sqlite": "reconciler.stores.sqlite:open_store",
    "postgresql": "reconciler.stores.postgresql:open_store",
}


def open_store(
    url: str,
    opening: Opening,
    *,
    keys: Sequence[bytes] = (),
    now: datetime,
    reach: StateReach = StateReach(),  # noqa: B008 -- frozen
) -> Store:
    """Opens the store at the SQLAlchemy URL `url`.

    The first of `keys` wraps its fingerprint key, each of them opens it. `reach` says how far the
    URL is believed.

    Raises:
        ConfigError: no store has this URL scheme, or its file lies out of reach.
        DestinationDenied: its server is at an address that is not contacted.
        StoreError: it cannot be opened, is damaged, or needs a migration.
    """
    return _implementation(url)(url, opening, keys=keys, now=now, reach=reach)


class _Open(Protocol):
    def __call__(
        self,
        url: str,
        opening: Opening,
        *,
        keys: Sequence[bytes],
        now: datetime,
        reach: StateReach,
    ) -> Store: ...


def _implementation(url: str) -> _Open:
    scheme = urlsplit(url).scheme.split("+")[0]
    if scheme not in STORES:
        raise ConfigError(
            f"no state store has the URL scheme `{scheme}`", f"use one of: {', '.join(STORES)}"
        )
    module, attribute = STORES[scheme].split(":")
    opener: _Open = getattr(import_module(module), attribute)
    return opener
