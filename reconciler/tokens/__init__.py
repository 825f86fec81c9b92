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
from collections.abc import Collection, Sequence

from reconciler.auth import oauth2, oauth2_answers, oauth2_requests
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.errors import ConfigError, Conflict, ConnectionFailed, ReconcilerError, SecretError
from reconciler.kinds.durations import parse_duration
from reconciler.model import Event, Reason, StageName
from reconciler.probes import NEW_TOKEN, TokenRequest
from reconciler.redact import Secret
from reconciler.tokens.asking import (
    NOBODY_AGREED,
    Tools,
    consent_required,
    is_fresh,
    refuse_hopeless,
    send,
)
from reconciler.tokens.records import Kept
from reconciler.tokens.renewal import Renewal


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
            stage.detail = NEW_TOKEN
        return renewed.token.access

    async def consented(self, request: TokenRequest) -> Token:
        """Returns a token of OAuth 1.0, which nobody renews; see `probes.TokenSource`."""
        kept = await self._known(request.uid)
        refuse_hopeless(request, kept, can_keep=self.tools.records.can_keep)
        if isinstance(kept, Kept) and kept.consent == self.tools.records.consent(request):
            return kept.token
        raise consent_required(request, NOBODY_AGREED)

    async def renewed(self, request: TokenRequest) -> Secret | None:
        """Returns another token after the API refused one, None if that was new already."""
        if request.uid in self._new:
            return None
        kept = await self._known(request.uid)
        with request.stages.stage(StageName.AUTH) as stage:
            renewed = await self._renew(request, kept, is_refused=True)
            stage.detail = NEW_TOKEN
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
            ConfigError: no token is kept, it was given for another client or by another server, or
                the manifest does not say where to give it back.
            ConnectionFailed: the server fails, or refuses.
            SecretError: the token cannot be opened.
            StoreError, Conflict: it could not be forgotten.
        """
        kept = await self._known(request.uid)
        if isinstance(kept, SecretError):
            raise kept
        if kept is None:
            raise ConfigError(f"no token of `{request.name}` is kept")
        if kept.consent != self.tools.records.consent(request):
            raise ConfigError(
                f"the kept token of `{request.name}` was given for another client or server",
                "apply the manifest that it was given for, or end the consent at the server",
            )
        tokens: list[tuple[oauth2_requests.TokenKind, Secret]] = []
        if kept.token.refresh is not None:
            tokens.append(("refresh_token", kept.token.refresh))
        tokens.append(("access_token", kept.token.access))
        for kind, token in tokens:
            is_spare = kind == "access_token" and len(tokens) > 1
            await self._give_back(request, kind, token, is_spare=is_spare)
        if not await asyncio.to_thread(self.tools.records.forget, request.uid, kept, events):
            raise Conflict("another process has renewed the token meanwhile", "run it again")

    async def _give_back(
        self,
        request: TokenRequest,
        kind: oauth2_requests.TokenKind,
        token: Secret,
        *,
        is_spare: bool,
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
            if not (is_spare and refusal.error == "unsupported_token_type"):
                raise

    async def finish(self) -> None:
        """Waits for answers that are on their way: with one a refresh token could be lost."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _known(self, uid: str) -> Kept | SecretError | None:
        if self._kept is None:
            await self._load()
        assert self._kept is not None
        return self._kept.get(uid)

    async def _load(self) -> None:
        async with self._loading:
            if self._kept is None:
                self._kept = await asyncio.to_thread(self.tools.records.read, self._uids)
                for kept in self._kept.values():
                    if isinstance(kept, Kept):
                        self.tools.tell(kept.token)

    def _is_good(self, kept: Kept, request: TokenRequest, margin_s: float) -> bool:
        is_young = is_fresh(kept.token, self.tools.clock(), margin_s)
        return is_young and kept.binding == self.tools.records.binding(request)

    async def _renew(
        self, request: TokenRequest, kept: Kept | SecretError | None, *, is_refused: bool = False
    ) -> Kept:
        """Gets another token in a task that a cancelled check does not take along."""
        before = kept.version if isinstance(kept, Kept) else 0
        refuse_hopeless(request, kept, can_keep=self.tools.records.can_keep)
        renewal = Renewal(self.tools, request, before, is_refused=is_refused)
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
