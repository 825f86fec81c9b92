"""How a token of OAuth 1.0 is got from a user: two requests with a visit to a web page between.

Beside `oauth1`, which signs; sans I/O like every flow, but a generator here also returns what it
got. The three addresses are an API's own, and are given by the caller; in a manifest they would be
called `requestTokenUrl`, `authorizationUrl` and `accessTokenUrl`, the names of most providers'
documentation. Whoever runs this keeps the temporary credentials until the user comes back, takes
each of them once, and checks that `oauth_token` of the callback is theirs (RFC 5849, section 2.2).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeAlias
from urllib.parse import parse_qs, quote

from reconciler.auth.exchange import Moment, Request, Response, Secrets
from reconciler.auth.oauth1 import Credentials, OAuth1Auth
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.redact import Secret

#: The callback of a client that has none: the page then shows the verifier (RFC 5849, section 2.1).
OUT_OF_BAND: Final = "oob"
_MOST_FIELDS: Final = 50
_OK: Final = 200
_UNAUTHORIZED: Final = 401

Grant: TypeAlias = Generator[Request, Response, Credentials]


def temporary_credentials(
    auth: OAuth1Auth, url: str, callback: str, secrets: Secrets, moment: Moment
) -> Grant:
    """Yields the request for temporary credentials and returns them (RFC 5849, section 2.1).

    `callback` is where the page sends the user back to, or `OUT_OF_BAND`.

    Raises:
        ConnectionFailed: AuthFailed where the client is refused, ProtocolError where the answer is
            no temporary credentials, or does not confirm the callback.
        SecretError: as `OAuth1Auth.flow`.
    """
    request = Request(method="POST", url=url)
    answer = yield auth.signed(request, secrets, moment, None, oauth_callback=callback)
    fields = _fields(answer, "the client")
    # a provider of before RFC 5849 takes the callback from the user's browser: session fixation
    if fields.get("oauth_callback_confirmed") != "true":
        raise _unreadable("the server does not confirm the callback")
    return _credentials(fields)


def authorization_url(url: str, temporary: Credentials) -> str:
    """Returns the page on which the user consents (RFC 5849, section 2.2)."""
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}oauth_token={quote(temporary.token.reveal(), safe='')}"


def token_credentials(
    auth: OAuth1Auth,
    url: str,
    secrets: Secrets,
    moment: Moment,
    *,
    temporary: Credentials,
    verifier: Secret,
) -> Grant:
    """Yields the request that turns consent into a token, and returns it (RFC 5849, section 2.3).

    Raises:
        ConnectionFailed: AuthFailed where the consent is refused, ProtocolError where the answer is
            no token.
        SecretError: as `OAuth1Auth.flow`.
    """
    request = Request(method="POST", url=url)
    answer = yield auth.signed(
        request, secrets, moment, temporary, oauth_verifier=verifier.reveal()
    )
    return _credentials(_fields(answer, "the consent"))


def _fields(answer: Response, what: str) -> dict[str, str]:
    """Returns the form in the body of a good answer."""
    if answer.status == _UNAUTHORIZED:
        raise ConnectionFailed(
            Reason.AUTH_FAILED,
            StageName.AUTH,
            f"401 Unauthorized: {what} is refused",
            "check `consumerKey` and its secret, and begin again",
        )
    if answer.status != _OK:
        raise _unreadable(f"the server answers {answer.status} to a request for a token")
    try:
        form = parse_qs(answer.body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:  # more fields than any token has
        return {}
    return {name: values[0] for name, values in form.items()}


def _credentials(fields: dict[str, str]) -> Credentials:
    if "oauth_token" not in fields or "oauth_token_secret" not in fields:
        raise _unreadable("the answer of the server holds no token")
    return Credentials(
        token=Secret(fields["oauth_token"]), secret=Secret(fields["oauth_token_secret"])
    )


def _unreadable(message: str) -> ConnectionFailed:
    return ConnectionFailed(Reason.PROTOCOL_ERROR, StageName.AUTH, message)
