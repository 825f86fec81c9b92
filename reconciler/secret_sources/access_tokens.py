"""Access tokens that a source gets for itself, with a credential of the operator's own.

What is sent and how the answer is read is OAuth 2's (`auth.oauth2_requests`,
`auth.oauth2_answers`). Unlike the tokens of connections these are kept in memory alone: nobody has
to agree to them, so that a new one costs one request.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from secrets import token_urlsafe
from threading import Lock
from typing import TypeAlias

from reconciler.auth import oauth2_answers, oauth2_requests
from reconciler.auth.exchange import Moment, Response
from reconciler.auth.oauth2_answers import Token, TokenRefused
from reconciler.errors import SecretError
from reconciler.redact import Secret
from reconciler.secret_sources import Access, asking
from reconciler.values import dataclass

#: So long before its end a token is replaced, and no token is used longer than this.
_RENEWED_BEFORE_S = 60.0
_LONGEST_S = 3600.0
#: What can stand in a header; tokens are such text.
_TOKEN = re.compile(r"[\x21-\x7e]+")

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
    """The token of one source: got by who needs it first, for all; a refusal is for all as well."""

    def __init__(self, access: Access, get: Callable[[Moment], Token]) -> None:
        self._access = access
        self._get = get
        self._lock = Lock()
        self._held: Secret | SecretError | None = None
        #: on the monotonic clock
        self._good_until = 0.0

    def current(self) -> str:
        """Returns a token that is good for now.

        Raises:
            SecretError: there is none to be had; it is not asked for a second time.
        """
        with self._lock:
            is_over = isinstance(self._held, Secret) and time.monotonic() >= self._good_until
            if self._held is None or is_over:
                try:
                    self._held = self._new()
                except SecretError as error:
                    self._held = error
            if isinstance(self._held, SecretError):
                raise self._held
            return self._held.reveal()

    def _new(self) -> Secret:
        asked_at = time.monotonic()
        token = self._get(Moment(now=self._access.clock(), nonce=token_urlsafe))
        self._access.redactor.add(token.access.reveal())
        if not _TOKEN.fullmatch(token.access.reveal()):
            raise SecretError("the access token has a character that no header can carry")
        lasting = _LONGEST_S
        if token.expires_at is not None:
            lasting = min(lasting, (token.expires_at - token.obtained_at).total_seconds())
        self._good_until = asked_at + lasting - _RENEWED_BEFORE_S
        return token.access
