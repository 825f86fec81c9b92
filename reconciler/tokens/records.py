"""Tokens as the state keeps them: sealed, bound to what they were given for, under a lease.

Below `tokens`, which decides. Everything here may block and runs in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler import fingerprint
from reconciler.auth.oauth2_answers import Token
from reconciler.auth.spec_model import at
from reconciler.errors import Conflict, SecretError
from reconciler.kinds import api_oauth2
from reconciler.model import Event, canonical
from reconciler.probes import TokenRequest
from reconciler.redact import Secret
from reconciler.sealing import Context, Sealer
from reconciler.stores import Store
from reconciler.stores.vault import TOKEN, SealedRecord
from reconciler.values import dataclass

#: Others than the holder of the lease change a record seldom: a key rotation, a new consent.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A token of one connection, and what it was given for."""

    token: Token
    #: keyed hash of what a person agreed to, or of the first refresh token
    consent: str
    #: keyed hash of everything that the token depends on, secrets included
    binding: str
    #: of the record; 0 where it is in memory only
    version: int = 0


class Records:
    """The records of tokens in one store."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    @property
    def can_keep(self) -> bool:
        """Whether there is a key to seal with."""
        return bool(self._sealer.key_id)

    def bound(self, request: TokenRequest, token: Token) -> Kept:
        """Returns `token` with what it is given for, not kept yet."""
        return Kept(token=token, consent=self.consent(request), binding=self.binding(request))

    def consent(self, request: TokenRequest) -> str:
        """Returns what a refresh token is bound to: with another one, it is not sent any more."""
        agreed: Mapping[str, object] = api_oauth2.consent(request.auth) or {
            name: request.auth.get(name) for name in ("grant", "tokenUrl", "clientId")
        }
        first = {place: s for place, s in request.secrets.items() if place == at("refreshToken")}
        return self._hash(canonical(agreed), first)

    def binding(self, request: TokenRequest) -> str:
        """Returns what an access token is bound to: a changed secret has to prove itself anew."""
        auth = {name: value for name, value in request.auth.items() if name != "refreshBefore"}
        own = {place: s for place, s in request.secrets.items() if place.startswith(at(""))}
        return self._hash(canonical(auth), own)

    def read(self, uids: Collection[str]) -> dict[str, Kept | SecretError]:
        """Returns what is kept for these connections, opened; an error where it cannot be."""
        if not self.can_keep:
            return {}
        records = self._store.sealed(TOKEN)
        return {record.name: self._open(record) for record in records if record.name in uids}

    def lease(
        self, uid: str, holder: str, *, now: datetime, lasting_s: float
    ) -> tuple[bool, Kept | None]:
        """Asks to be the one who renews; returns whether `holder` is, and what is kept then."""
        until = now + timedelta(seconds=lasting_s)
        is_ours = self._store.lease(_lease(uid), holder, now=now, until=until)
        record = self._store.find_sealed(TOKEN, uid)
        kept = self._open(record) if record else None
        return is_ours, kept if isinstance(kept, Kept) else None

    def release(self, uid: str, holder: str) -> None:
        """Gives the lease back."""
        self._store.release_lease(_lease(uid), holder)

    def write(self, uid: str, kept: Kept, events: Sequence[Event] = ()) -> Kept:
        """Keeps a token in place of whatever is there; returns it with its version.

        Raises:
            ConfigError: there is no key.
            StoreError, Conflict: it could not be stored.
        """
        for _ in range(_ATTEMPTS):
            before = self._store.find_sealed(TOKEN, uid)
            context = Context(
                lineage=self._store.meta.lineage,
                space=TOKEN,
                name=uid,
                version=before.version + 1 if before else 1,
                updated_at=kept.token.obtained_at,
            )
            record = SealedRecord.seal(self._sealer, _text(kept), context)
            expected = before.version if before else None
            if self._store.write_sealed(record, expected=expected, events=events):
                return replace(kept, version=record.version)
        raise Conflict("others keep changing the token", "run it again")

    def forget(self, uid: str, kept: Kept, events: Sequence[Event] = ()) -> bool:
        """Deletes a token that is good for nothing; returns False where there is another by now."""
        return self._store.delete_sealed(TOKEN, uid, expected=kept.version, events=events)

    def _open(self, record: SealedRecord) -> Kept | SecretError:
        try:
            text = record.open(self._sealer, self._store.meta.lineage).reveal()
        except SecretError as error:
            return error
        data = json.loads(text)
        token = Token(
            access=Secret(data["access"]),
            refresh=Secret(data["refresh"]) if data["refresh"] else None,
            obtained_at=datetime.fromisoformat(data["obtainedAt"]),
            expires_at=datetime.fromisoformat(data["expiresAt"]) if data["expiresAt"] else None,
        )
        return Kept(
            token=token, consent=data["consent"], binding=data["binding"], version=record.version
        )

    def _hash(self, text: str, secrets: Mapping[str, Secret]) -> str:
        return fingerprint.of_grant(text, secrets, self._store.meta.fingerprint_key)


def _lease(uid: str) -> str:
    return f"{TOKEN}/{uid}"


def _text(kept: Kept) -> Secret:
    token = kept.token
    data = {
        "access": token.access.reveal(),
        "refresh": token.refresh.reveal() if token.refresh else "",
        "obtainedAt": token.obtained_at.isoformat(),
        "expiresAt": token.expires_at.isoformat() if token.expires_at else "",
        "consent": kept.consent,
        "binding": kept.binding,
    }
    return Secret(json.dumps(data))
