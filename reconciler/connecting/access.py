"""One stored connection, as an application uses it: what it is, its credential, its accounts.

Any thread may call what is here, and nearly all of it blocks. The spec is the one that was in force
when the connection was looked up; the phase and the credential are read again whenever something is
opened, so that a suspension and a rotated secret are noticed while the application runs.

Logins count as those of checks do (reliability P10). Each login to a database is reserved in the
state before it is made, and a pooled connection makes one. An API is sent its credential with each
request: it is reserved until the server has accepted it once, then only a refusal is counted, since
a transaction for every request would cost more than the request. So a credential that was good is
refused for all requests that are on the way at that moment, five or more; then it is reserved
again, here at once and by others within a second. Where the state cannot be written, a credential
that was accepted before is still good; one that was not is not sent.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

from reconciler import (
    fingerprint,
    health,
    hop_budget,
    kinds,
    plan,
    probes,
    selection,
    sending,
    stores,
)
from reconciler.clients.hop_logins import LoginEnd
from reconciler.clients.hops import Hops
from reconciler.connecting import refusing
from reconciler.connecting.credentials import Credentials, Ground
from reconciler.errors import ConfigError, Conflict, ConnectionFailed, StoreError
from reconciler.kinds import hops as hop_fields
from reconciler.model import Reason, Recorded, Ref, StageName, Target
from reconciler.redact import Redactor, Secret
from reconciler.settings import LONGEST_LOGIN_S
from reconciler.stores import LoginRequest, Opening, Store, Verdict
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler import tokens

#: Use is noted so often at most.
USED_EVERY_S = 60.0
#: The phase is read so often at most for the requests of a credential that was accepted.
_PHASE_EVERY_S = 1.0
#: A login waits so long for its turn, and looks so often whether it has come.
_TURN_S = 30.0
_LOOK_S = 0.05
#: A row that moves while a login is reserved is read again this often.
_ATTEMPTS = 20
_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The permission to send a credential once; `Access.settle` takes it back."""

    target: Target
    secrets: Mapping[str, Secret]
    #: under which its logins are counted; empty where there is no credential
    key: str
    #: None where nothing was reserved
    request: LoginRequest | None


class Access:
    """A connection that was looked up; `close` when it is no longer used."""

    def __init__(
        self, ground: Ground, row: Recorded, fingerprint_key: bytes, *, even_suspended: bool
    ) -> None:
        refusing.refuse_held(row, even_suspended=even_suspended)
        self._fingerprint_key = fingerprint_key
        self._ground = ground
        self._row = row
        self._even_suspended = even_suspended
        self.spec = plan.normal_spec(row)
        sending.require(ground.settings.grants, row.ref, self.spec, os.path.realpath)
        self._store: Store | None = None
        self._credentials = Credentials(ground, row.ref.kind, self.spec)
        self._looked_at = time.monotonic()
        self._used_at: float | None = None
        #: keys of credentials that were accepted, and not refused since
        self._proven: set[str] = set()
        self._lock = threading.Lock()
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reconciler")

    @property
    def ref(self) -> Ref:
        return self._row.ref

    @property
    def redactor(self) -> Redactor:
        return self._ground.redactor

    def tools(self) -> probes.Tools:
        """Returns what the clients of one event loop share; whoever asks ends them by `leave`."""
        return probes.Tools(
            redactor=self._ground.redactor,
            threads=self.threads,
            clock=self._ground.clock,
            read_public=self._credentials.read_public,
            root=self._ground.settings.root,
            hops=self._hops(),
            tokens=self._tokens(),
        )

    def admit(self, *, login_s: float, is_each_counted: bool) -> Admission:
        """Returns the credential and the permission to send it now, for at most `login_s`.

        Raises:
            Held: the connection was suspended or archived meanwhile.
            SecretError: a secret cannot be read.
            ConnectionFailed: the login budget of the credential is used up.
            StoreError, Conflict: the state cannot be read or written, and must be.
        """
        secrets = self._credentials.read()
        key = self._key(secrets)
        if key in self._proven and not self._is_phase_fresh:
            self._doubt(key)
        is_proven = key in self._proven
        if not key or (is_proven and not is_each_counted):
            target = self._target_as_read() if self._is_phase_fresh else self._target()
            return self._admission(target, secrets, key)
        try:
            return self._reserve(secrets, key, login_s)
        except (StoreError, Conflict):
            if not is_proven:
                raise
        return self._admission(self._target(), secrets, key)

    async def admitted(self, *, login_s: float, is_each_counted: bool) -> Admission:
        """Returns what `admit` does; in other threads than those that `settle` is called in.

        Else those who wait for their turn could keep the ones before them from ending theirs.
        """
        if not is_each_counted and self._credentials.is_quick:
            at_once = self._admit_at_once()
            if at_once is not None:
                return at_once
        ask = partial(self.admit, login_s=login_s, is_each_counted=is_each_counted)
        return await asyncio.get_running_loop().run_in_executor(self.threads, ask)

    def _admit_at_once(self) -> Admission | None:
        """Returns what `admit` does where neither the state nor a server has to be asked."""
        if not self._is_phase_fresh:
            return None
        secrets = self._credentials.read()
        key = self._key(secrets)
        if key and key not in self._proven:
            return None
        return self._admission(self._target_as_read(), secrets, key)

    @property
    def _is_phase_fresh(self) -> bool:
        return time.monotonic() - self._looked_at < _PHASE_EVERY_S

    def settle(self, admission: Admission, end: LoginEnd) -> None:
        """Says what came of the credential that `admission` was for."""
        key, request = admission.key, admission.request
        if not key:
            return
        if end in {LoginEnd.ACCEPTED, LoginEnd.KEPT}:
            self._proven.add(key)
        elif end is LoginEnd.REFUSED:
            self._proven.discard(key)
            self._credentials.forget()
            request = request or self._request(admission.target, key, 0.0)
        if request is None:
            return
        # what cannot be settled stays open, and counts until its time is over
        with suppress(StoreError, Conflict):
            if end in {LoginEnd.UNDECIDED, LoginEnd.KEPT}:
                self.store.release((request,))
            else:
                is_accepted = end is LoginEnd.ACCEPTED
                self.store.settle(request, is_accepted=is_accepted, now=self._ground.clock())

    def note_use(self) -> None:
        """Has the state note that the connection is used; in the background, once a minute."""
        with self._lock:
            now = time.monotonic()
            if self._used_at is not None and now - self._used_at < USED_EVERY_S:
                return
            self._used_at = now
        with suppress(RuntimeError):  # closed meanwhile
            self.threads.submit(self._note, self._ground.clock())

    def close(self) -> None:
        """Waits for what is under way and closes the state; may be called twice."""
        self.threads.shutdown()
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    @property
    def store(self) -> Store:
        """The state, opened for writing when that is first needed; it is not made."""
        with self._lock:
            if self._store is None:
                open_store(self._ground, Opening.READ).close()  # writing makes what is missing
                self._store = open_store(self._ground, Opening.WRITE)
            return self._store

    def _note(self, at: datetime) -> None:
        with suppress(StoreError, Conflict):  # nobody fails for the sake of a note
            self.store.used(self._row.uid, at)

    def _tokens(self) -> tokens.Tokens | None:
        """Returns where OAuth gets its tokens from, None where it is not the method."""
        if self._target_as_read().endpoint.method not in probes.TOKEN_METHODS:
            return None
        from reconciler import sealing, tokens
        from reconciler.tokens import asking, records

        return tokens.Tokens(
            asking.Tools(
                records=records.Records(self.store, sealing.Sealer(self._ground.settings.keys)),
                redactor=self._ground.redactor,
                clock=self._ground.clock,
                make_id=lambda prefix: prefix + token_hex(8),
            ),
            (self._row.uid,),
        )

    def _hops(self) -> Hops:
        network = self._ground.settings.network
        if hop_fields.ACCESS_FIELDS.isdisjoint(self.spec):
            return Hops(network=network)
        budget = self._ground.settings.health.login_budget
        return hop_budget.open_hops(
            self.store, budget=budget, clock=self._ground.clock, network=network
        )

    def _target(self) -> Target:
        """Returns the target on the row as it is now; as it was, where the state is away."""
        with suppress(StoreError, Conflict):
            found = self.store.find([self._row.uid])
            if not found:
                raise ConfigError(f"`{self.ref}` was deleted", "`reconciler events` says by whom")
            refusing.refuse_held(found[0], even_suspended=self._even_suspended)
            self._row = replace(self._row, version=found[0].version)
        self._looked_at = time.monotonic()
        return self._target_as_read()

    def _target_as_read(self) -> Target:
        target = health.target(self._row, self.spec)
        return replace(target, version=None) if self._even_suspended else target

    def _doubt(self, key: str) -> None:
        """Has a credential reserved again that was accepted here, and refused somebody since."""
        with suppress(StoreError, Conflict):
            if self.store.has_failed(key):
                self._proven.discard(key)

    def _reserve(self, secrets: Mapping[str, Secret], key: str, login_s: float) -> Admission:
        give_up_at = time.monotonic() + _TURN_S
        moved = 0
        while True:
            target = self._target()
            request = self._request(target, key, login_s)
            (verdict,) = self.store.reserve(
                (request,),
                now=self._ground.clock(),
                budget=self._ground.settings.health.login_budget,
            )
            if verdict is Verdict.GRANTED:
                return replace(self._admission(target, secrets, key), request=request)
            if verdict is Verdict.EXHAUSTED:
                raise refusing.exhausted(self.ref)
            moved += verdict is Verdict.STALE
            if time.monotonic() >= give_up_at or moved > _ATTEMPTS:
                raise refusing.not_its_turn()
            if verdict is Verdict.WAIT:
                time.sleep(_LOOK_S)

    def _request(self, target: Target, key: str, login_s: float) -> LoginRequest:
        allowed_s = min(login_s + health.QUEUE_ALLOWANCE_S, LONGEST_LOGIN_S)
        return LoginRequest(
            uid=target.uid,
            credential_key=key,
            version=target.version,
            deadline_at=self._ground.clock() + timedelta(seconds=allowed_s),
        )

    def _admission(self, target: Target, secrets: Mapping[str, Secret], key: str) -> Admission:
        return Admission(target=target, secrets=secrets, key=key, request=None)

    def _key(self, secrets: Mapping[str, Secret]) -> str:
        if not fingerprint.own_secrets(secrets):  # logins at hops are counted where they are made
            return ""
        endpoint = kinds.kind(self.ref.kind).endpoint(self.spec)
        return fingerprint.of_credential(endpoint, secrets, self._fingerprint_key)


async def leave(tools: probes.Tools) -> None:
    """Ends what the clients of one event loop shared."""
    if tools.tokens is not None:
        await tools.tokens.finish()
    await tools.hops.close()


def open_access(ground: Ground, name: str, *, even_suspended: bool) -> Access:
    """Returns the access to the connection that `name` means.

    Raises:
        ConfigError: none or several are meant.
        Held: it is suspended or archived, and `even_suspended` is not said.
        DestinationDenied: no grant lets one of its secrets go to where it would be sent.
        StoreError: the state is missing, damaged, or cannot be read.
    """
    with closing(open_store(ground, Opening.READ)) as store:
        row = selection.row_of(name, store.recorded(archived=True))
        key = store.meta.fingerprint_key
    return Access(ground, row, key, even_suspended=even_suspended)


def open_store(ground: Ground, opening: Opening) -> Store:
    """Returns the state; the caller closes it."""
    settings = ground.settings
    return stores.open_store(
        settings.state_url,
        opening,
        keys=settings.keys,
        now=ground.clock(),
        reach=settings.state_reach,
    )


def end_of(failure: ConnectionFailed) -> LoginEnd:
    """Returns what a failure says of the credential of the server; hops count their own."""
    is_own = failure.stage not in (StageName.TUNNEL, StageName.PROXY)
    is_refused = failure.reason is Reason.AUTH_FAILED and is_own
    return LoginEnd.REFUSED if is_refused else LoginEnd.UNDECIDED
