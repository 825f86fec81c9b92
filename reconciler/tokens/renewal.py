"""One connection gets another token, in whichever process is first.

Whoever renews holds a lease in the state, reads the record again under it, and stores what it got
before anybody uses it; see the package for why.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from reconciler.auth import oauth2, oauth2_answers, oauth2_requests
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.errors import ConnectionFailed, ReconcilerError
from reconciler.kinds.durations import parse_duration
from reconciler.model import Reason, StageName
from reconciler.probes import TokenRequest
from reconciler.redact import Secret
from reconciler.tokens.asking import (
    NOBODY_AGREED,
    Tools,
    consent_required,
    is_consented,
    is_fresh,
    send,
)
from reconciler.tokens.records import Kept

#: A lease outlives the request under it by so much, which is what storing may take.
STORING_S = 15.0
#: How often somebody who waits for another process looks, at first and at most.
_LOOKS_S = (0.02, 0.25)


class Renewal:
    """One connection gets another token, in whichever process is first."""

    def __init__(
        self, tools: Tools, request: TokenRequest, before: int, *, is_refused: bool
    ) -> None:
        self._tools = tools
        self._records = tools.records
        self._request = request
        #: version of the record that was found wanting; 0 for none
        self._before = before
        #: whether the API refused it, so that it is no good whatever is known of it
        self._is_refused = is_refused

    async def run(self) -> Kept:
        """Returns a token that is good, kept where there is a key."""
        if not self._records.can_keep:
            return self._records.bound(self._request, await self._fetch(None))
        holder = self._tools.make_id("lease_")
        try:
            current = await self._lease(holder)
            if current is not None and self._is_good(current):
                return current
            return await self._replace(current)
        finally:
            with suppress(ReconcilerError):  # it ends by itself
                await asyncio.to_thread(self._records.release, self._request.uid, holder)

    def _is_good(self, current: Kept) -> bool:
        """Whether another process has done the work."""
        if self._is_refused and current.version == self._before:
            return False
        margin_s = parse_duration(self._request.auth["refreshBefore"])
        is_young = is_fresh(current.token, self._tools.clock(), margin_s)
        return is_young and current.binding == self._records.binding(self._request)

    async def _lease(self, holder: str) -> Kept | None:
        """Waits for the lease, or for a good token of who holds it; returns what is kept then."""
        loop = asyncio.get_running_loop()
        pause_s = _LOOKS_S[0]
        while True:
            left_s = max(0.0, self._request.route.deadline - loop.time())
            is_ours, current = await asyncio.to_thread(
                self._records.lease,
                self._request.uid,
                holder,
                now=self._tools.clock(),
                lasting_s=left_s + STORING_S,
            )
            if current is not None:
                self._tools.tell(current.token)
            if is_ours or (current is not None and self._is_good(current)):
                return current
            if left_s <= pause_s:
                raise ConnectionFailed(
                    Reason.CANCELLED,
                    StageName.AUTH,
                    "another process is getting the token, and has not got it in time",
                    "run it again",
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LOOKS_S[1])

    async def _replace(self, current: Kept | None) -> Kept:
        """Gets another token under the lease, and stores it before anybody uses it."""
        is_same = current is not None and current.consent == self._records.consent(self._request)
        refresh = current.token.refresh if current is not None and is_same else None
        try:
            token = await self._fetch(refresh)
        except TokenRefused as refusal:
            if refusal.error != "invalid_grant" or not is_consented(self._request):
                raise
            assert current is not None
            await asyncio.to_thread(self._records.forget, self._request.uid, current)
            raise consent_required(
                self._request, "the consent was withdrawn, has expired, or its token was lost"
            ) from None
        if token.refresh is None:
            token = replace(token, refresh=refresh)  # the same goes on (RFC 6749, section 6)
        kept = self._records.bound(self._request, token)
        return await asyncio.to_thread(self._records.write, self._request.uid, kept)

    async def _fetch(self, refresh: Secret | None) -> Token:
        grant, secrets, moment = self._request.grant, self._request.secrets, self._tools.moment()
        assert isinstance(grant, oauth2.Grant)
        asked = (
            oauth2_requests.direct(grant, secrets, moment)
            if refresh is None
            else oauth2_requests.refresh(grant, refresh, secrets, moment)
        )
        if asked is None:
            raise consent_required(self._request, NOBODY_AGREED)
        response = await send(asked, self._request.route)
        token = oauth2_answers.read_token(response, self._tools.clock())
        self._tools.tell(token)
        return token if oauth2_requests.keeps_refresh(grant) else replace(token, refresh=None)
