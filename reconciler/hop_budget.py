"""Counts logins at proxies and SSH servers in the store, as a pass counts those at servers.

Beside `health`, because such a login belongs to no single target: it is made when the first of them
needs the hop, and all others share what came of it. An account of a bastion is protected like one
of a database: never more than the login budget, over all connections and processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from reconciler import fingerprint
from reconciler.clients.hop_logins import LoginEnd
from reconciler.clients.hops import Hops
from reconciler.clients.via import HopLogin
from reconciler.errors import Conflict, ConnectionFailed, StoreError
from reconciler.model import Endpoint, Reason, StageName
from reconciler.network import NetworkPolicy
from reconciler.stores import LoginRequest, Store, Verdict

#: An attempt that is still open after so long belongs to a dead process.
_ATTEMPT_S = 60.0


def open_hops(
    store: Store, *, budget: int, clock: Callable[[], datetime], network: NetworkPolicy
) -> Hops:
    """Returns hops for one pass, whose logins are counted in `store`."""
    return Hops(_Guard(store, budget, clock), network=network)


class _Guard:
    def __init__(self, store: Store, budget: int, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._budget = budget
        self._clock = clock

    async def reserve(self, login: HopLogin) -> Callable[[LoginEnd], Awaitable[None]]:
        """Returns what settles the login; see `hop_logins.Guard`."""
        now = self._clock()
        request = self._request(login, now)
        (verdict,) = await asyncio.to_thread(
            self._store.reserve, (request,), now=now, budget=self._budget
        )
        if verdict is Verdict.GRANTED:
            return partial(self._settle, request)
        stage = StageName.TUNNEL if login.scheme == "ssh" else StageName.PROXY
        if verdict is Verdict.EXHAUSTED:
            what = f"{'SSH server' if login.scheme == 'ssh' else 'proxy'} {login.host}:{login.port}"
            raise ConnectionFailed(
                Reason.LOGIN_BUDGET_USED,
                stage,
                f"the login budget of the credential for the {what} is used up, so that it is not"
                " sent again",
                "put the secret right; if it is right by now: `reconciler health` suspends the"
                " connection, then `reconciler resume` gives the credential another budget",
            )
        raise ConnectionFailed(
            Reason.CANCELLED,
            stage,
            "other checks send this credential right now; it was not sent",
            "run it again when they have ended",
        )

    async def has_failed(self, login: HopLogin) -> bool:
        """Whether others were refused; where the state is away, nobody knows of any."""
        key = _credential_key(login, self._store.meta.fingerprint_key)
        try:
            return await asyncio.to_thread(self._store.has_failed, key)
        except (StoreError, Conflict):
            return False

    async def count(self, login: HopLogin) -> None:
        """Counts a refused login that was not reserved; see `hop_logins.Guard`."""
        with suppress(StoreError, Conflict):  # the refusal says more
            await self._settle(self._request(login, self._clock()), LoginEnd.REFUSED)

    async def share(self, login: HopLogin) -> None:
        """Notes whom the refusal of another's login has stopped; see `hop_logins.Guard`."""
        now = self._clock()
        with suppress(StoreError, Conflict):  # no check fails for the sake of a note
            await asyncio.to_thread(self._store.bar, self._request(login, now), now=now)

    def _request(self, login: HopLogin, now: datetime) -> LoginRequest:
        return LoginRequest(
            uid=login.uid,
            credential_key=_credential_key(login, self._store.meta.fingerprint_key),
            version=login.version,
            deadline_at=now + timedelta(seconds=_ATTEMPT_S),
        )

    async def _settle(self, request: LoginRequest, end: LoginEnd) -> None:
        if end in {LoginEnd.UNDECIDED, LoginEnd.KEPT}:
            await asyncio.to_thread(self._store.release, (request,))
            return
        await asyncio.to_thread(
            self._store.settle,
            request,
            is_accepted=end is LoginEnd.ACCEPTED,
            now=self._clock(),
        )


def _credential_key(login: HopLogin, key: bytes) -> str:
    endpoint = Endpoint(
        scheme=login.scheme,
        host=login.host.lower(),
        port=login.port,
        text="",
        method="hop",
        username=login.username,
    )
    return fingerprint.of_credential(endpoint, login.secrets, key)
