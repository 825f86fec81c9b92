"""A person agrees to one connection, or takes it back: `reconciler authorize` without the screen.

On top of `reconcile`, whose workspace it shares, and apart from it because it is no part of the
pipeline: nothing is planned or checked here, only a token is got or given back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from reconciler import health, hop_budget, kinds, plan, reconcile
from reconciler.errors import ConfigError, Held
from reconciler.model import Event, Reason, Recorded
from reconciler.sealing import NO_KEY_HINT
from reconciler.stores import Store

if TYPE_CHECKING:
    from reconciler.probes import TokenRequest
    from reconciler.tokens import Tokens
    from reconciler.tokens.consent import Prompt


def require_consent(workspace: reconcile.Workspace, row: Recorded) -> None:
    """Refuses a connection that nobody has to agree to, or whose token could not be kept.

    Raises:
        ConfigError: it needs no consent, or there is no key to encrypt its token with.
        Held: it is archived.
    """
    if not row.status.is_live:
        raise Held(f"`{row.ref}` is archived", "the same name in a manifest is a new connection")
    if kinds.kind(row.ref.kind).consent(plan.normal_spec(row)) is None:
        raise ConfigError(
            f"`{row.ref}` needs no consent",
            "that is for `oauth2` with `grant: authorizationCode` or `deviceCode`, and for "
            "`oauth1` with `consent`",
        )
    require_key(workspace)


def require_key(workspace: reconcile.Workspace) -> None:
    """Refuses where tokens could neither be kept nor read.

    Raises:
        ConfigError: there is no key.
    """
    if not workspace.settings.keys:
        raise ConfigError("tokens are kept encrypted, and there is no key", NO_KEY_HINT)


async def authorize(
    workspace: reconcile.Workspace,
    store: Store,
    row: Recorded,
    tell: Callable[[Prompt], None],
    *,
    within_s: float,
) -> tuple[str, ...]:
    """Gets the consent of a person to `row` and keeps the token; `tell` says what to do.

    Returns the scopes that were asked for and not given.

    Raises:
        ConnectionFailed: nobody agreed, or the token server fails.
        ConfigError: nobody can listen for the browser.
        SecretError: a secret of the connection cannot be resolved.
        StoreError, Conflict: the token could not be kept.
    """
    from reconciler.tokens import asking, consent

    async with _asking(workspace, store, row) as (source, request):
        token = await consent.ask(request, source.tools, tell, within_s=within_s)
        event = _event(workspace, row, "authorized", Reason.AUTHORIZED)
        await source.keep(request, token, (event,))
        return asking.missing_scopes(token, request)


async def revoke(workspace: reconcile.Workspace, store: Store, row: Recorded) -> None:
    """Gives the kept token of `row` back to its server and forgets it.

    Raises:
        ConfigError: it is not OAuth 2, has no token, no address for this, or there is no key.
        ConnectionFailed: the server fails, or refuses; the token is still kept.
        SecretError: a secret of the connection cannot be resolved.
        StoreError, Conflict: the token could not be forgotten.
    """
    if plan.normal_spec(row).get("auth", {}).get("method") != "oauth2":
        raise ConfigError(f"`{row.ref}` is given no token that could be revoked")
    require_key(workspace)
    async with _asking(workspace, store, row) as (source, request):
        await source.revoke(request, (_event(workspace, row, "revoked", Reason.REVOKED),))


@asynccontextmanager
async def _asking(
    workspace: reconcile.Workspace, store: Store, row: Recorded
) -> AsyncIterator[tuple[Tokens, TokenRequest]]:
    """Yields what asks the token server of `row`, and the request that it asks with."""
    from reconciler.clients.stages import Stages
    from reconciler.probes import http_flow

    target = health.target(row, plan.normal_spec(row))
    secrets = reconcile.resolve(workspace, target)
    async with reconcile.open_tokens(workspace, store, [row.uid]) as source:
        assert source is not None
        budget = workspace.settings.health.login_budget
        hops = hop_budget.open_hops(
            store, budget=budget, clock=workspace.clock, network=workspace.settings.network
        )
        public = workspace.secrets.read_public
        with health.open_tools(
            workspace.settings,
            workspace.redactor,
            workspace.clock,
            public,
            tokens=source,
            hops=hops,
        ) as tools:
            limits = http_flow.limits_of(target.spec)
            try:
                yield source, http_flow.token_request(target, secrets, tools, Stages(), limits)
            finally:
                await hops.close()


def _event(workspace: reconcile.Workspace, row: Recorded, what: str, reason: Reason) -> Event:
    actor = workspace.settings.actor
    return Event(
        at=workspace.clock(),
        uid=row.uid,
        ref=row.ref,
        type=what,
        reason=reason,
        message=f"{what} by {actor}",
        actor=actor,
    )
