"""Access tokens: got, kept sealed in the state, and renewed by one process at a time.

Between the probes, which only ask for a token, and the stores, where tokens are kept; `reconcile`
makes one `Tokens` a pass. A token that is good costs nothing but a look into a dictionary: all that
the pass may need are read and opened together, the first time one is asked for.

Refresh tokens that rotate are the difficulty: a server that sees one twice ends all of them (RFC
9700, section 4.14.2). So whoever renews holds a lease in the state, reads the record again under
it, and stores what it got before anybody uses it; the lease shows that the state can be written
before anything is sent, and a check that is cancelled still waits for the answer. What nobody can
repair is the loss of an answer that the server has sent: then a person has to agree again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from secrets import token_urlsafe

from reconciler.auth import exchange, oauth2, oauth2_answers, oauth2_requests
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.clients import http
from reconciler.clients.stages import Stages
from reconciler.errors import ConfigError, Conflict, ConnectionFailed, ReconcilerError, SecretError
from reconciler.kinds import api_oauth2
from reconciler.kinds.durations import parse_duration
from reconciler.model import Event, Reason, StageName
from reconciler.probes import TokenRequest
from reconciler.redact import Redactor, Secret
from reconciler.sealing import NO_KEY_HINT
from reconciler.tokens.records import Kept, Records
from reconciler.values import dataclass

#: A lease outlives the request under it by so much, which is what storing may take.
STORING_S = 15.0
#: How often somebody who waits for another process looks, at first and at most.
_LOOKS_S = (0.02, 0.25)
_NOBODY_AGREED = "a person has to agree to this connection"
_KEYLESS = "tokens are kept encrypted, and there is no key to encrypt with"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What tokens are got, kept and named with."""

    records: Records
    redactor: Redactor
    clock: Callable[[], datetime]
    #: gives a random text with the prefix that it gets
    make_id: Callable[[str], str]

    def moment(self) -> exchange.Moment:
        """Returns what makes the next request unlike every other."""
        return exchange.Moment(now=self.clock(), nonce=token_urlsafe)

    def tell(self, token: Token) -> None:
        """Makes a token known to the redactor before anybody else sees it."""
        for secret in (token.access, token.refresh):
            if secret is not None:
                self.redactor.add(secret.reveal())


class Tokens:
    """The tokens of the connections `uids`, for one pass; see `probes.TokenSource`."""

    def __init__(self, tools: Tools, uids: Collection[str]) -> None:
        self.tools = tools
        self._uids = frozenset(uids)
        self._kept: dict[str, Kept | SecretError] | None = None
        self._loading = asyncio.Lock()
        #: connections whose token is from this very pass
        self._new: set[str] = set()
        self._running: set[asyncio.Task[Kept]] = set()

    async def access(self, request: TokenRequest) -> Secret:
        """Returns an access token that is good by what is known; see `probes.TokenSource`."""
        kept = await self._known(request.uid)
        margin_s = parse_duration(request.auth["refreshBefore"])
        if isinstance(kept, Kept) and self._is_good(kept, request, margin_s):
            return kept.token.access
        with request.stages.stage(StageName.AUTH) as stage:
            try:
                renewed = await self._renew(request, kept)
            except ConnectionFailed as failure:
                is_refusal = failure.reason in (Reason.AUTH_FAILED, Reason.CONSENT_REQUIRED)
                if is_refusal or not isinstance(kept, Kept):
                    raise
                if not self._is_good(kept, request, 0.0):
                    raise
                stage.detail = "the token server fails; the token is good for a while yet"
                return kept.token.access
            stage.detail = "token"
        return renewed.token.access

    async def consented(self, request: TokenRequest) -> Token:
        """Returns a token of OAuth 1.0, which nobody renews; see `probes.TokenSource`."""
        kept = await self._known(request.uid)
        _refuse_hopeless(request, kept, can_keep=self.tools.records.can_keep)
        if isinstance(kept, Kept) and kept.consent == self.tools.records.consent(request):
            return kept.token
        raise consent_required(request, _NOBODY_AGREED)

    async def renewed(self, request: TokenRequest) -> Secret | None:
        """Returns another token after the API refused one, None if that was new already."""
        if request.uid in self._new:
            return None
        kept = await self._known(request.uid)
        with request.stages.stage(StageName.AUTH) as stage:
            renewed = await self._renew(request, kept, is_refused=True)
            stage.detail = "token"
        return renewed.token.access

    async def keep(self, request: TokenRequest, token: Token, events: Sequence[Event]) -> None:
        """Stores what a consent gave in place of whatever was kept.

        Raises:
            ConfigError: there is no key.
            StoreError, Conflict: it could not be stored.
        """
        self.tools.tell(token)
        kept = self.tools.records.bound(request, token)
        await asyncio.to_thread(self.tools.records.write, request.uid, kept, events)

    async def revoke(self, request: TokenRequest, events: Sequence[Event]) -> None:
        """Gives the kept token of one connection back to its server, then forgets it.

        The refresh token goes first: with it, a server ends what was got by it (RFC 7009, section
        2.1). A token that the server does not take back stays in the state.

        Raises:
            ConfigError: no token is kept, or the manifest does not say where to give it back.
            ConnectionFailed: the server fails, or refuses.
            SecretError: the token cannot be opened.
            StoreError, Conflict: it could not be forgotten.
        """
        kept = await self._known(request.uid)
        if isinstance(kept, SecretError):
            raise kept
        if kept is None:
            raise ConfigError(f"no token of `{request.name}` is kept")
        tokens: list[tuple[oauth2_requests.TokenKind, Secret]] = []
        if kept.token.refresh is not None:
            tokens.append(("refresh_token", kept.token.refresh))
        tokens.append(("access_token", kept.token.access))
        for kind, token in tokens:
            await self._give_back(request, kind, token, is_last=len(tokens) > 1)
        if not await asyncio.to_thread(self.tools.records.forget, request.uid, kept, events):
            raise Conflict("another process has renewed the token meanwhile", "run it again")

    async def _give_back(
        self,
        request: TokenRequest,
        kind: oauth2_requests.TokenKind,
        token: Secret,
        *,
        is_last: bool,
    ) -> None:
        assert isinstance(request.grant, oauth2.Grant)
        asked = oauth2_requests.revoke(
            request.grant, kind, token, request.secrets, self.tools.moment()
        )
        if asked is None:
            raise ConfigError(
                f"the manifest of `{request.name}` does not say where tokens are given back",
                "add `revocationUrl` to `auth` and apply, or end the consent at the server",
            )
        try:
            oauth2_answers.read_revocation(await send(asked, request.route))
        except TokenRefused as refusal:
            # without the refresh token an access token ends soon by itself
            if not (is_last and refusal.error == "unsupported_token_type"):
                raise

    async def finish(self) -> None:
        """Waits for answers that are on their way: with one a refresh token could be lost."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _known(self, uid: str) -> Kept | SecretError | None:
        async with self._loading:
            if self._kept is None:
                self._kept = await asyncio.to_thread(self.tools.records.read, self._uids)
                for kept in self._kept.values():
                    if isinstance(kept, Kept):
                        self.tools.tell(kept.token)
        return self._kept.get(uid)

    def _is_good(self, kept: Kept, request: TokenRequest, margin_s: float) -> bool:
        is_fresh = _is_fresh(kept.token, self.tools.clock(), margin_s)
        return is_fresh and kept.binding == self.tools.records.binding(request)

    async def _renew(
        self, request: TokenRequest, kept: Kept | SecretError | None, *, is_refused: bool = False
    ) -> Kept:
        """Gets another token in a task that a cancelled check does not take along."""
        before = kept.version if isinstance(kept, Kept) else 0
        _refuse_hopeless(request, kept, can_keep=self.tools.records.can_keep)
        renewal = _Renewal(self.tools, request, before, is_refused=is_refused)
        task = asyncio.create_task(renewal.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            renewed = await asyncio.shield(task)
        except (ConnectionFailed, SecretError):
            raise
        except ReconcilerError as error:  # of the store
            raise ConnectionFailed(
                Reason.CANCELLED, StageName.AUTH, f"the token cannot be kept: {error.message}"
            ) from None
        assert self._kept is not None
        self._kept[request.uid] = renewed
        self._new.add(request.uid)
        return renewed


class _Renewal:
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
        is_fresh = _is_fresh(current.token, self._tools.clock(), margin_s)
        return is_fresh and current.binding == self._records.binding(self._request)

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
            if refusal.error != "invalid_grant" or not _is_consented(self._request):
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
            raise consent_required(self._request, _NOBODY_AGREED)
        response = await send(asked, self._request.route)
        token = oauth2_answers.read_token(response, self._tools.clock())
        self._tools.tell(token)
        return token if oauth2_requests.keeps_refresh(grant) else replace(token, refresh=None)


async def send(request: exchange.Request, route: http.Route) -> exchange.Response:
    """Returns the answer of a token server to `request`.

    Raises:
        ConnectionFailed: at stage `auth`, with the reason of whatever kept the answer from coming.
    """
    try:
        answer = await http.send(request, route, Stages())
    except ConnectionFailed as failure:
        raise ConnectionFailed(
            failure.reason, StageName.AUTH, f"token server: {failure.message}", failure.hint
        ) from None
    return exchange.Response(status=answer.status, headers=answer.text_headers(), body=answer.body)


def missing_scopes(token: Token, request: TokenRequest) -> tuple[str, ...]:
    """Returns what was asked for and not given, as far as the server said, in the manifest's order.

    A server may give less than it was asked for, and has to say so (RFC 6749, section 3.3).
    """
    if token.scopes is None:
        return ()
    return tuple(scope for scope in request.auth.get("scopes", ()) if scope not in token.scopes)


def consent_required(request: TokenRequest, message: str, hint: str = "") -> ConnectionFailed:
    """Returns what ends a check that a person has to agree to first."""
    hint = hint or f"reconciler authorize {request.name}"
    return ConnectionFailed(Reason.CONSENT_REQUIRED, StageName.AUTH, message, hint)


def _refuse_hopeless(
    request: TokenRequest, kept: Kept | SecretError | None, *, can_keep: bool
) -> None:
    """Raises what can be said without asking anybody."""
    is_renewing = request.auth.get("grant") == "refreshToken"
    if isinstance(kept, SecretError) and (is_renewing or _is_consented(request)):
        raise kept
    if can_keep:
        return
    if _is_consented(request):
        hint = f"{NO_KEY_HINT}; then `reconciler authorize {request.name}`"
        raise consent_required(request, f"a person has to agree, and {_KEYLESS}", hint)
    if is_renewing:
        # a server may give another refresh token, and the first one would be worth nothing
        raise SecretError(f"{_KEYLESS}: another refresh token would be lost", NO_KEY_HINT)


def _is_consented(request: TokenRequest) -> bool:
    return api_oauth2.consent(request.auth) is not None


def _is_fresh(token: Token, now: datetime, margin_s: float) -> bool:
    """Whether a token is good for longer than the margin, or than half of its life."""
    if token.expires_at is None:
        return True  # nobody knows; the API will say
    life_s = (token.expires_at - token.obtained_at).total_seconds()
    return (token.expires_at - now).total_seconds() > min(margin_s, life_s / 2)
