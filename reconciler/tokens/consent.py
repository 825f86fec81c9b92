"""A person agrees: through a browser that comes back to this machine, or on another device.

Above `tokens`, which keeps what comes of it. State and PKCE verifier live in this process only, so
nothing of a consent can be replayed, or begun by somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from secrets import token_urlsafe

from reconciler.auth import oauth1, oauth1_consent, oauth2, oauth2_answers, oauth2_requests
from reconciler.auth.oauth2_answers import ConsentRefused, DeviceCode, Token, TokenRefused
from reconciler.clients.http import Route
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.probes import TokenRequest
from reconciler.tokens import listener
from reconciler.tokens.asking import Tools, send
from reconciler.values import dataclass

#: RFC 8628, section 3.5.
_SLOWER_S = 5.0
#: Of one request while others may follow.
_REQUEST_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a person has to do."""

    #: to be opened in a browser
    address: str
    #: to be entered there, or empty
    code: str = ""
    #: whether the browser has to run on this machine
    is_local: bool


async def ask(
    request: TokenRequest, tools: Tools, tell: Callable[[Prompt], None], *, within_s: float
) -> Token:
    """Returns the token that a person agreed to.

    `tell` is called once, when the person can begin.

    Raises:
        ConnectionFailed: ConsentRequired where nobody agreed within the time; else what is wrong
            with the token server.
        ConfigError: nobody can listen on the redirect URL.
    """
    try:
        async with asyncio.timeout(within_s):
            match request.grant:
                case oauth2.AuthorizationCodeGrant() as grant:
                    return await _by_browser(grant, request, tools, tell)
                case oauth2.DeviceCodeGrant() as grant:
                    return await _by_device(grant, request, tools, tell)
                case oauth1.OAuth1Auth(consent=oauth1.OAuth1Consent() as places) as auth:
                    return await _by_signature(auth, places, request, tools, tell)
                case _:
                    raise AssertionError("the caller knows which grants need a person")
    except TimeoutError:
        raise _not_given("nobody agreed in time") from None
    except ConsentRefused as refusal:
        raise _not_given(f"no consent was given: {refusal}") from None


async def _by_browser(
    grant: oauth2.AuthorizationCodeGrant,
    request: TokenRequest,
    tools: Tools,
    tell: Callable[[Prompt], None],
) -> Token:
    state, verifier = token_urlsafe(32), token_urlsafe(32)
    tools.redactor.add(verifier)
    async with listener.listening(
        grant.redirect_url, state=state, issuer=grant.issuer or ""
    ) as listening:
        address = oauth2_requests.authorization_address(grant, state, verifier)
        tell(Prompt(address=address, is_local=True))
        code = await listening.answer()
        tools.redactor.add(code.reveal())
        asked = oauth2_requests.exchange_code(
            grant, code.reveal(), verifier, request.secrets, tools.moment()
        )
        response = await send(asked, _soon(request.route))
    return oauth2_answers.read_token(response, tools.clock())


async def _by_device(
    grant: oauth2.DeviceCodeGrant,
    request: TokenRequest,
    tools: Tools,
    tell: Callable[[Prompt], None],
) -> Token:
    asked = oauth2_requests.ask_device(grant, request.secrets, tools.moment())
    response = await send(asked, _soon(request.route))
    device = oauth2_answers.read_device(response, tools.clock())
    tools.redactor.add(device.device_code.reveal())
    tell(Prompt(address=device.address, code=device.user_code, is_local=False))
    interval_s = device.interval_s
    while not _is_over(device, tools.clock()):
        await asyncio.sleep(interval_s)
        try:
            return await _poll(grant, device, request, tools)
        except TokenRefused as refusal:
            match refusal.error:
                case "authorization_pending":
                    pass
                case "slow_down":
                    interval_s += _SLOWER_S
                case _:
                    raise
        except ConnectionFailed as failure:
            if failure.reason not in (Reason.CONNECT_TIMEOUT, Reason.READ_TIMEOUT):
                raise
            interval_s *= 2  # RFC 8628, section 3.5
    raise _not_given("nobody agreed before the code expired")


async def _poll(
    grant: oauth2.DeviceCodeGrant, device: DeviceCode, request: TokenRequest, tools: Tools
) -> Token:
    asked = oauth2_requests.poll_device(
        grant, device.device_code.reveal(), request.secrets, tools.moment()
    )
    response = await send(asked, _soon(request.route))
    return oauth2_answers.read_token(response, tools.clock())


async def _by_signature(
    auth: oauth1.OAuth1Auth,
    places: oauth1.OAuth1Consent,
    request: TokenRequest,
    tools: Tools,
    tell: Callable[[Prompt], None],
) -> Token:
    temporary = await _granted(
        oauth1_consent.temporary_credentials(
            auth, places.request_token_url, places.redirect_url, request.secrets, tools.moment()
        ),
        request,
        tools,
    )
    async with listener.listening(
        places.redirect_url, state=temporary.token.reveal(), read=oauth2_answers.read_verifier
    ) as listening:
        address = oauth1_consent.authorization_url(places.authorization_url, temporary)
        tell(Prompt(address=address, is_local=True))
        verifier = await listening.answer()
        tools.redactor.add(verifier.reveal())
        granted = await _granted(
            oauth1_consent.token_credentials(
                auth,
                places.access_token_url,
                request.secrets,
                tools.moment(),
                temporary=temporary,
                verifier=verifier,
            ),
            request,
            tools,
        )
    return Token(
        access=granted.token, refresh=granted.secret, obtained_at=tools.clock(), expires_at=None
    )


async def _granted(
    asking: oauth1_consent.Grant, request: TokenRequest, tools: Tools
) -> oauth1.Credentials:
    """Runs one step of OAuth 1.0 and returns what it gave."""
    response = await send(next(asking), _soon(request.route))
    try:
        asking.send(response)
    except StopIteration as end:
        granted: oauth1.Credentials = end.value
        tools.redactor.add(granted.secret.reveal())
        return granted
    raise AssertionError("a step is one request")


def _soon(route: Route) -> Route:
    """Returns the route with a deadline of its own: people are slower than any check."""
    return replace(route, deadline=asyncio.get_running_loop().time() + _REQUEST_S)


def _is_over(device: DeviceCode, now: datetime) -> bool:
    return now >= device.expires_at


def _not_given(message: str) -> ConnectionFailed:
    return ConnectionFailed(
        Reason.CONSENT_REQUIRED, StageName.AUTH, message, "begin again: reconciler authorize"
    )
