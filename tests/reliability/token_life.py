"""What processes do that share the token of one connection; each function runs in one of its own.

In a module of its own because a child process imports it by name. The real probe asks the real
token server and the real API, with tokens in the real state.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

from reconciler.model import Observation, Target
from reconciler.probes import Tools, http
from reconciler.redact import Redactor, Secret
from reconciler.sealing import Sealer
from reconciler.stores import Opening, Store, open_store, vault
from reconciler.tokens import Tokens, records
from reconciler.tokens.asking import Tools as TokenTools
from tests.servers.http_targets import RESOLVED, make_target

KEY = bytes(range(7, 7 + 64, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the state, the token server and the API are, and the first refresh token."""

    state: str
    server: str
    seed: str
    #: how long a check may take
    patience: str = "60s"
    #: how much later it is than the real time
    later_s: float = 0.0
    #: at which step the process is killed: `before the write`, `after the write`, or empty
    dies: str = ""

    @property
    def target(self) -> Target:
        auth = {
            "method": "oauth2",
            "grant": "refreshToken",
            "tokenUrl": f"{self.server}/token",
            "clientId": "crm",
            "refreshToken": {"env": "SEED"},
        }
        health = {"path": "/api", "timeout": self.patience}
        timeout = {"total": self.patience, "connect": self.patience}
        return make_target(self.server, auth=auth, health=health, timeout=timeout)


def open_state(place: Place) -> Store:
    """Opens the state, made where it is not there yet."""
    return open_store(place.state, Opening.WRITE, keys=[KEY], now=_clock(place)())


def check(place: Place, number: int, *, workers: int = 1) -> list[str]:
    """Checks the connection `workers` times at once, each on its own; returns the reasons."""
    store = open_state(place)
    try:
        return asyncio.run(_check_all(place, store, workers))
    finally:
        store.close()


def is_kept(place: Place, token: str) -> bool:
    """Whether `token` is the refresh token that the state holds."""
    store = open_state(place)
    try:
        (record,) = store.sealed(vault.TOKEN)
        return token in record.open(Sealer([KEY]), store.meta.lineage).reveal()
    finally:
        store.close()


async def _check_all(place: Place, store: Store, workers: int) -> list[str]:
    with ThreadPoolExecutor(1) as threads:
        found = await asyncio.gather(*(_check(place, store, threads) for _ in range(workers)))
    return [str(observation.reason) for observation in found]


async def _check(place: Place, store: Store, threads: ThreadPoolExecutor) -> Observation:
    redactor, clock, target = Redactor(), _clock(place), place.target
    kept = _Dying(store, Sealer([KEY]), place.dies)
    tools = TokenTools(records=kept, redactor=redactor, clock=clock, make_id=_ids())
    tokens = Tokens(tools, [target.uid])
    probing = Tools(
        redactor=redactor,
        threads=threads,
        clock=clock,
        read_public=lambda _: "",
        root="/",
        tokens=tokens,
    )
    secrets = {"/auth/refreshToken": Secret(place.seed)}
    try:
        return await http.probe(target, secrets, probing, reached=RESOLVED)
    finally:
        await tokens.finish()


class _Dying(records.Records):
    """Keeps tokens, and kills its process at a step."""

    def __init__(self, store: Store, sealer: Sealer, dies: str) -> None:
        super().__init__(store, sealer)
        self._dies = dies

    def write(self, uid: str, kept: records.Kept, events: object = ()) -> records.Kept:
        if self._dies == "before the write":
            os.kill(os.getpid(), signal.SIGKILL)
        written = super().write(uid, kept)
        if self._dies == "after the write":
            os.kill(os.getpid(), signal.SIGKILL)
        return written


def _clock(place: Place) -> Callable[[], datetime]:
    offset = timedelta(seconds=place.later_s)
    return lambda: datetime.now(UTC) + offset  # noqa: TID251 - processes share the real clock


def _ids() -> Callable[[str], str]:
    numbers, process = count(), uuid4().hex
    return lambda prefix: f"{prefix}{process}{next(numbers)}"


def late(place: Place) -> Place:
    """Returns the place when the lease of a dead process is over."""
    return replace(place, later_s=place.later_s + 700.0)
