"""Each credential of a hop is proved by one login before others send it; a refused one is kept.

A hundred connections share a proxy or a bastion: without this a wrong password would be sent a
hundred times in one pass, and lock the account. Logins are counted by a `Guard`. Those with a
proved credential are not reserved, only a refusal is counted: then it has to be proved again, here
at once and in other processes within a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Protocol, TypeVar

from reconciler.clients.via import HopLogin
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

T = TypeVar("T")

#: Logins at once with a credential that no login has proved yet: two, since an answer may be slow
#: for the sake of one server behind a proxy.
_UNPROVED_AT_ONCE = 2
#: Whether a proved credential was refused elsewhere is asked so often at most.
_LOOK_EVERY_S = 1.0


class LoginEnd(Enum):
    """What came of a login at a hop."""

    ACCEPTED = auto()
    REFUSED = auto()
    #: let in by what an earlier login has given: nothing new is known of the credential
    KEPT = auto()
    #: nobody knows whether the hop has looked at it, or nothing was sent
    UNDECIDED = auto()


class Guard(Protocol):
    """Counts logins at hops, over all processes."""

    async def reserve(self, login: HopLogin) -> Callable[[LoginEnd], Awaitable[None]]:
        """Returns what is to be called, once, with the end of the login.

        Raises:
            ConnectionFailed: it must not be sent now.
        """

    async def has_failed(self, login: HopLogin) -> bool:
        """Whether the credential was refused somebody, and accepted nobody since."""

    async def count(self, login: HopLogin) -> None:
        """Notes that a login was refused which nobody has reserved, since others were accepted."""

    async def share(self, login: HopLogin) -> None:
        """Notes that a login was not made, since the same was refused for another connection."""


class HopLogins:
    """What is known of the credentials of hops, for one pass or one application."""

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard
        self._trusts: dict[tuple[object, ...], _Trust] = {}

    async def prove(self, login: HopLogin, send: Callable[[], Awaitable[T]]) -> T:
        """Returns what `send` does, which sends the credential; not where it was refused before.

        Raises:
            ConnectionFailed: from `send`, now or before, or from the guard.
        """
        trust = self._trusts.setdefault(_key(login), _Trust(login))
        await self._look(trust, login)
        if trust.is_proved:
            return await self._send_proved(trust, login, send)
        async with trust.turns:
            return await self._prove(trust, login, send)

    async def _prove(self, trust: _Trust, login: HopLogin, send: Callable[[], Awaitable[T]]) -> T:
        if trust.refusal is not None:
            if self._guard is not None:
                await self._guard.share(login)
            raise _again(trust.refusal)
        if trust.is_proved or self._guard is None:
            return await self._send_proved(trust, login, send)
        settle = await self._guard.reserve(login)
        try:
            return await trust.observe(send)
        finally:
            await settle(trust.end)

    async def _look(self, trust: _Trust, login: HopLogin) -> None:
        """Has a proved credential proved again where others were refused since, now and then."""
        now = time.monotonic()
        if self._guard is None or not trust.is_proved or now - trust.looked_at < _LOOK_EVERY_S:
            return
        trust.looked_at = now
        if await self._guard.has_failed(login):
            trust.is_proved = False

    async def _send_proved(
        self, trust: _Trust, login: HopLogin, send: Callable[[], Awaitable[T]]
    ) -> T:
        """Returns what `send` does; a credential that is refused from now on is counted, too."""
        try:
            return await trust.observe(send)
        except ConnectionFailed as failure:
            if self._guard is not None and failure.reason is Reason.AUTH_FAILED:
                await self._guard.count(login)
            raise


class _Trust:
    """What is known of one credential."""

    def __init__(self, login: HopLogin) -> None:
        #: keeps the secrets alive by whose identity the credential is found
        self.login = login
        self.turns = asyncio.Semaphore(_UNPROVED_AT_ONCE)
        self.is_proved = False
        #: when it was last known that nobody else was refused, on the clock of `time.monotonic`
        self.looked_at = time.monotonic()
        self.refusal: ConnectionFailed | None = None

    @property
    def end(self) -> LoginEnd:
        if self.refusal is not None:
            return LoginEnd.REFUSED
        return LoginEnd.ACCEPTED if self.is_proved else LoginEnd.UNDECIDED

    async def observe(self, send: Callable[[], Awaitable[T]]) -> T:
        try:
            result = await send()
        except ConnectionFailed as failure:
            if failure.reason is Reason.AUTH_FAILED:
                self.is_proved, self.refusal = False, failure
            elif failure.stage is StageName.TCP:  # it was let in, and then told of the server
                self.is_proved = True
            raise
        self.is_proved = True
        return result


def _key(login: HopLogin) -> tuple[object, ...]:
    """Returns what makes two logins the same; a secret is read once a run, so it has one object."""
    secrets = tuple((name, id(secret)) for name, secret in sorted(login.secrets.items()))
    return (login.scheme, login.host, login.port, login.username, secrets)


def _again(failure: ConnectionFailed) -> ConnectionFailed:
    return ConnectionFailed(failure.reason, failure.stage, failure.message, failure.hint)
