"""What getting, renewing and giving back a token have in common: tools, one request, what is said.

Below `renewal`, `consent` and `Tokens`, which decide when.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from secrets import token_urlsafe

from reconciler.auth import exchange
from reconciler.auth.oauth2_answers import Token
from reconciler.clients import http
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.kinds import api_oauth2
from reconciler.model import Reason, StageName
from reconciler.probes import TokenRequest
from reconciler.redact import Redactor
from reconciler.sealing import NO_KEY_HINT
from reconciler.tokens.records import Kept, Records
from reconciler.values import dataclass

NOBODY_AGREED = "a person has to agree to this connection"
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


def refuse_hopeless(
    request: TokenRequest, kept: Kept | SecretError | None, *, can_keep: bool
) -> None:
    """Raises what can be said without asking anybody."""
    is_renewing = request.auth.get("grant") == "refreshToken"
    if isinstance(kept, SecretError) and (is_renewing or is_consented(request)):
        raise kept
    if can_keep:
        return
    if is_consented(request):
        hint = f"{NO_KEY_HINT}; then `reconciler authorize {request.name}`"
        raise consent_required(request, f"a person has to agree, and {_KEYLESS}", hint)
    if is_renewing:
        # a server may give another refresh token, and the first one would be worth nothing
        raise SecretError(f"{_KEYLESS}: another refresh token would be lost", NO_KEY_HINT)


def is_consented(request: TokenRequest) -> bool:
    """Whether a person has to agree to the connection."""
    return api_oauth2.consent(request.auth) is not None


def is_fresh(token: Token, now: datetime, margin_s: float) -> bool:
    """Whether a token is good for longer than the margin, or than half of its life."""
    if token.expires_at is None:
        return True  # nobody knows; the API will say
    life_s = (token.expires_at - token.obtained_at).total_seconds()
    return (token.expires_at - now).total_seconds() > min(margin_s, life_s / 2)
