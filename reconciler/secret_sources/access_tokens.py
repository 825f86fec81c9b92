"""Access tokens that a source gets for itself, with a credential of the operator's own.

What is sent and how the answer is read is OAuth 2's (`auth.oauth2_requests`,
`auth.oauth2_answers`). Unlike the tokens of connections these are kept in memory alone: nobody has
to agree to them, so that a new one costs one request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from secrets import token_urlsafe
from typing import TypeAlias

from reconciler.auth import oauth2_answers, oauth2_requests
from reconciler.auth.exchange import Moment, Response
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.errors import SecretError
from reconciler.secret_sources import Access, asking, shared_tokens
from reconciler.secret_sources.shared_tokens import Held, SharedToken
from reconciler.values import dataclass

#: So long before its end a token is replaced, and no token is used longer than this.
_RENEWED_BEFORE_S = 60.0
_LONGEST_S = 3600.0

#: Says what a refusal means, or None where the general words will do.
Explain: TypeAlias = Callable[[TokenRefused, Response], SecretError | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenServer:
    """Who gives tokens."""

    #: in messages
    name: str
    url: str
    #: PEM text in place of the machine's authorities, or empty
    ca: str
    timeout_s: float


def ask(fields: Mapping[str, str], server: TokenServer, now: Moment, explain: Explain) -> Token:
    """Returns the token that `server` gives for `fields`.

    Raises:
        SecretError: it gives none, or does not answer; never with anything sent or received.
    """
    request = oauth2_requests.form(server.url, fields)
    answer = asking.send(request, server=server.name, ca=server.ca, timeout_s=server.timeout_s)
    try:
        return oauth2_answers.read_token(answer, now.now)
    except TokenRefused as refusal:
        reason = refusal.message.removeprefix("token server: ")
        raise explain(refusal, answer) or SecretError(
            f"{server.name} gives no access token: {reason}", "check the operator file"
        ) from None


class AccessTokens:
    """The token of one source, got anew before it ends."""

    def __init__(self, access: Access, get: Callable[[Moment], Token]) -> None:
        self._access = access
        self._get = get
        self._shared = SharedToken(self._new)

    def current(self) -> str:
        """Returns a token that is good for now; raises as `SharedToken.current`."""
        return self._shared.current()

    def _new(self) -> Held:
        asked_at = time.monotonic()
        token = self._get(Moment(now=self._access.clock(), nonce=token_urlsafe))
        self._access.redactor.add(token.access.reveal())
        lasting = _LONGEST_S
        if token.expires_at is not None:
            lasting = min(lasting, (token.expires_at - token.obtained_at).total_seconds())
        return Held(
            token=shared_tokens.judged("the access token", token.access.reveal()),
            good_until=asked_at + lasting - _RENEWED_BEFORE_S,
        )
