"""A person agrees to one connection: what `reconciler authorize` does, apart from the screen.

On top of `reconcile`, whose workspace it shares, and apart from it because it is no part of the
pipeline: nothing is planned or checked here, only a token is got and kept for the next pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler import health, hop_budget, kinds, plan, reconcile
from reconciler.errors import ConfigError, Held
from reconciler.model import Event, Reason, Recorded
from reconciler.sealing import NO_KEY_HINT
from reconciler.stores import Store

if TYPE_CHECKING:
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
    if not workspace.settings.keys:
        raise ConfigError("tokens are kept encrypted, and there is no key", NO_KEY_HINT)


async def authorize(
    workspace: reconcile.Workspace,
    store: Store,
    row: Recorded,
    tell: Callable[[Prompt], None],
    *,
    within_s: float,
) -> None:
    """Gets the consent of a person to `row` and keeps the token; `tell` says what to do.

    Raises:
        ConnectionFailed: nobody agreed, or the token server fails.
        ConfigError: nobody can listen for the browser.
        SecretError: a secret of the connection cannot be resolved.
        StoreError, Conflict: the token could not be kept.
    """
    from reconciler.clients.stages import Stages
    from reconciler.probes import http
    from reconciler.tokens import consent

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
            request = http.token_request(
                target, secrets, tools, Stages(), http.limits_of(target.spec)
            )
            try:
                token = await consent.ask(request, source.tools, tell, within_s=within_s)
            finally:
                await hops.close()
            event = Event(
                at=workspace.clock(),
                uid=row.uid,
                ref=row.ref,
                type="authorized",
                reason=Reason.AUTHORIZED,
                message=f"authorized by {workspace.settings.actor}",
                actor=workspace.settings.actor,
            )
            await source.keep(request, token, (event,))
