"""Secrets that people keep in the state: set, removed, sealed with another key, and read.

Above the stores, which see only sealed text, and above the sources, which are handed `source`.
Every change is compared with the version that was read, and kept with its event, in one
transaction. No event and no message holds a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler import kinds, plan, stores
from reconciler.errors import ConfigError, Conflict, Refused, SecretError, StoreMissing
from reconciler.model import SECRET_KIND, Event, Recorded, Ref
from reconciler.redact import Secret
from reconciler.sealing import Context, Sealer
from reconciler.secret_sources.store import Stored, StoreSource
from reconciler.settings import Settings
from reconciler.stores import SealedRecord, Store, vault
from reconciler.values import dataclass

#: A record that others change meanwhile is read again this often.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who changes something, when, and with which keys."""

    actor: str
    now: datetime
    sealer: Sealer

    def event(self, type_: str, name: str, message: str) -> Event:
        """Returns the event of a change of `name`."""
        ref = Ref(kind=SECRET_KIND, namespace="store", name=name)
        return Event(
            at=self.now, uid="", ref=ref, type=type_, reason="", message=message, actor=self.actor
        )


def put(
    store: Store, name: str, value: Secret, order: Order, *, expires_at: datetime | None
) -> SealedRecord:
    """Stores `value` under `name`, in the place of what was there, and returns its record.

    Raises:
        ConfigError: there is no key.
        Conflict: others keep changing it.
    """
    for _ in range(_ATTEMPTS):
        before = store.find_sealed(vault.SECRET, name)
        expected = before.version if before else None
        context = Context(
            lineage=store.meta.lineage,
            space=vault.SECRET,
            name=name,
            version=(expected or 0) + 1,
            updated_at=order.now,
            expires_at=expires_at,
        )
        record = SealedRecord.seal(order.sealer, value, context)
        event = order.event("secret-set", name, f"version {record.version}")
        if store.write_sealed(record, expected=expected, events=[event]):
            return record
    raise _busy(name)


def remove(store: Store, name: str, order: Order) -> None:
    """Deletes the secret `name`.

    Raises:
        ConfigError: there is none.
        Refused: a live connection references it.
        Conflict: others keep changing it.
    """
    for _ in range(_ATTEMPTS):
        record = store.find_sealed(vault.SECRET, name)
        if record is None:
            raise ConfigError(
                f"there is no stored secret `{name}`", "`reconciler secret list` lists them"
            )
        users = users_of(store.recorded()).get(name, ())
        if users:
            more = f" and {len(users) - 1} more" if len(users) > 1 else ""
            raise Refused(
                f"the secret `{name}` is used by `{users[0]}`{more}",
                "give the connection another secret, or archive it, first",
            )
        event = order.event("secret-removed", name, f"version {record.version}")
        expected = record.version
        if store.delete_sealed(vault.SECRET, name, expected=expected, events=[event]):
            return
    raise _busy(name)


def users_of(recorded: Iterable[Recorded]) -> Mapping[str, tuple[Ref, ...]]:
    """Returns the live connections that reference each stored secret, sorted, by its name."""
    users: dict[str, set[Ref]] = {}
    for row in recorded:
        if row.status.is_live:
            for _, reference in kinds.shape(row.ref.kind).secrets(plan.normal_spec(row)):
                if "store" in reference:
                    users.setdefault(reference["store"], set()).add(row.ref)
    return {name: tuple(sorted(refs)) for name, refs in sorted(users.items())}


def rotate(store: Store, keys: tuple[bytes, ...], order: Order) -> int:
    """Seals everything in the store with the first of `keys`; returns how many records it moved.

    Record by record, each in a transaction of its own: what is killed half-way leaves every record
    readable with all of `keys`, and goes on where it stood when it is run again. The key of the
    fingerprints comes last, so that a store that opens with the first key alone needs no other.

    Raises:
        ConfigError: there is no key.
        SecretError: a record cannot be opened; those before it are moved.
        Conflict: others keep changing a record.
    """
    moved = 0
    while left := [record for record in _records(store) if record.key_id != order.sealer.key_id]:
        moved += sum(_reseal(store, record, order) for record in left)
    event = order.event("key-rotated", "*", f"{moved} records sealed with {order.sealer.key_id}")
    store.rewrap(keys, events=[event])
    return moved


def _reseal(store: Store, found: SealedRecord, order: Order) -> bool:
    """Seals one record with the first key; returns whether there was anything to do."""
    record: SealedRecord | None = found
    for _ in range(_ATTEMPTS):
        if record is None or record.key_id == order.sealer.key_id:
            return False
        context, version = record.context(store.meta.lineage), record.version + 1
        key_id, text = order.sealer.rewrap(
            record.key_id, record.ciphertext, context=context, version=version
        )
        after = replace(record, version=version, key_id=key_id, ciphertext=text)
        event = order.event("secret-resealed", record.name, f"from key {record.key_id} to {key_id}")
        if store.write_sealed(after, expected=record.version, events=[event]):
            return True
        record = store.find_sealed(found.space, found.name)
    raise _busy(found.name)


def faults(store: Store, sealer: Sealer) -> tuple[str, ...]:
    """Returns what of the sealed records was tampered with, a sentence each; opens every one.

    Those of a key that is not given cannot be judged; see `without_key`.
    """
    found: list[str] = []
    for record in _records(store):
        if record.key_id in sealer.key_ids:
            try:
                record.open(sealer, store.meta.lineage)
            except SecretError as error:
                found.append(error.message)
    return tuple(found)


def without_key(store: Store, sealer: Sealer) -> Mapping[str, int]:
    """Returns how many records are sealed with each key that is not given, by the key's id."""
    counts = Counter(record.key_id for record in _records(store))
    return {key: counts[key] for key in sorted(counts) if key not in sealer.key_ids}


def ending(store: Store, now: datetime, within_s: float) -> tuple[tuple[str, datetime], ...]:
    """Returns the secrets that have expired or will within `within_s`, by name, and when."""
    latest = now + timedelta(seconds=within_s)
    return tuple(
        (record.name, record.expires_at)
        for record in store.sealed(vault.SECRET)
        if record.expires_at is not None and record.expires_at <= latest
    )


def source(settings: Settings, clock: Callable[[], datetime]) -> StoreSource:
    """Returns the source of `{store: NAME}`; it opens the state store when it is first asked."""
    records: dict[str, SealedRecord] = {}
    lineage: list[str] = []
    sealer = Sealer(settings.keys)

    def load() -> None:
        reading = stores.Opening.READ
        try:
            store = stores.open_store(
                settings.state_url,
                reading,
                keys=settings.keys,
                now=clock(),
                reach=settings.state_reach,
            )
        except StoreMissing:
            lineage.append("")
            return
        with closing(store):
            records.update({record.name: record for record in store.sealed(vault.SECRET)})
            lineage.append(store.meta.lineage)

    def find(name: str) -> Stored | None:
        if not lineage:
            load()
        record = records.get(name)
        if record is None:
            return None
        return Stored(value=record.open(sealer, lineage[0]), expires_at=record.expires_at)

    return StoreSource(find, clock, settings.expiry_warning_s)


def _records(store: Store) -> list[SealedRecord]:
    return [record for space in vault.SPACES for record in store.sealed(space)]


def _busy(name: str) -> Conflict:
    return Conflict(f"the secret `{name}` is being changed by others", "try again")
