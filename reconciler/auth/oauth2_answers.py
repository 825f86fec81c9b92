"""What comes back from a token server, and from the browser: read strictly, said in our words.

Beside `oauth2_requests`. Pure. Nothing that a server wrote gets into a message, for it may repeat
what was sent: an error is known by its code in a closed list, or not at all.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from reconciler.auth.exchange import Response
from reconciler.errors import ConnectionFailed
from reconciler.model import Json, JsonObject, Reason, StageName
from reconciler.redact import Secret
from reconciler.values import dataclass

_OK: Final = 200
#: A token that says that it is good for longer is asked for again after this.
_LONGEST_S: Final = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a token server gave."""

    access: Secret
    #: None where the server gave none
    refresh: Secret | None
    obtained_at: datetime
    #: None where the server did not say
    expires_at: datetime | None
    #: what it is good for; None where the server did not say: then for what was asked for (RFC
    #: 6749, section 5.1)
    scopes: frozenset[str] | None = None


class TokenRefused(ConnectionFailed):
    """The token server said no; `error` is its code (RFC 6749, section 5.2), or empty."""

    def __init__(self, error: str, reason: Reason, message: str, hint: str) -> None:
        super().__init__(reason, StageName.AUTH, message, hint)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    reason: Reason
    message: str
    hint: str = ""


_CLIENT_HINT: Final = "check `clientId` and the client's secret or key"
#: Error code -> what it means (RFC 6749, section 5.2; RFC 7009, section 2.2.1; RFC 8628, section
#: 3.5; RFC 8707, section 2).
_ERRORS: Final[Mapping[str, _Meaning]] = {
    "invalid_client": _Meaning(
        reason=Reason.AUTH_FAILED, message="it refuses the client", hint=_CLIENT_HINT
    ),
    "invalid_grant": _Meaning(
        reason=Reason.AUTH_FAILED,
        message="it refuses what the token is asked for with",
        hint="it may be wrong, used, expired or revoked",
    ),
    "unauthorized_client": _Meaning(
        reason=Reason.PERMISSION_DENIED,
        message="the client may not use this grant",
        hint="allow the grant where the client is registered, or name another",
    ),
    "invalid_scope": _Meaning(
        reason=Reason.PERMISSION_DENIED,
        message="it gives none of these scopes to the client",
        hint="check `scopes`",
    ),
    "invalid_target": _Meaning(
        reason=Reason.PERMISSION_DENIED,
        message="it gives no token for this `resource`",
        hint="check `resource` and `audience`",
    ),
    "access_denied": _Meaning(
        reason=Reason.CONSENT_REQUIRED, message="the person did not agree", hint=""
    ),
    "expired_token": _Meaning(
        reason=Reason.CONSENT_REQUIRED, message="the code has expired", hint="begin again"
    ),
    "authorization_pending": _Meaning(
        reason=Reason.CONSENT_REQUIRED, message="the person has not agreed yet"
    ),
    "slow_down": _Meaning(reason=Reason.RATE_LIMITED, message="it is asked too often"),
    "unsupported_token_type": _Meaning(
        reason=Reason.PROTOCOL_ERROR, message="it does not take tokens of this type back"
    ),
    "unsupported_grant_type": _Meaning(
        reason=Reason.PROTOCOL_ERROR, message="it does not know this grant", hint="check `grant`"
    ),
    "invalid_request": _Meaning(
        reason=Reason.PROTOCOL_ERROR,
        message="it does not understand the request",
        hint="check `parameters`, `audience` and how the client authenticates",
    ),
    "temporarily_unavailable": _Meaning(
        reason=Reason.SERVER_ERROR, message="it is not available for the moment"
    ),
    "server_error": _Meaning(reason=Reason.SERVER_ERROR, message="it has an error of its own"),
}
#: Status -> what it means where no known error code stands in the body.
_STATUSES: Final[Mapping[int, _Meaning]] = {
    401: _ERRORS["invalid_client"],
    403: _Meaning(
        reason=Reason.PERMISSION_DENIED, message="it lets nobody in here", hint=_CLIENT_HINT
    ),
    404: _Meaning(
        reason=Reason.ASSERTION_FAILED, message="there is nothing here", hint="check `tokenUrl`"
    ),
    429: _Meaning(reason=Reason.RATE_LIMITED, message="it is asked too often"),
}


def read_token(response: Response, now: datetime) -> Token:
    """Returns the token in an answer (RFC 6749, section 5.1).

    Raises:
        TokenRefused: the answer is an error, or no token of type Bearer.
    """
    data = _read(response)
    access, refresh = data.get("access_token"), data.get("refresh_token")
    if not isinstance(access, str) or not access:
        raise _strange("its answer has no `access_token`")
    if str(data.get("token_type", "")).lower() != "bearer":
        raise _strange("its tokens are of another type than Bearer, which alone is known here")
    lasting = _seconds(data.get("expires_in"))
    scope = data.get("scope")
    return Token(
        access=Secret(access),
        refresh=Secret(refresh) if isinstance(refresh, str) and refresh else None,
        obtained_at=now,
        expires_at=None if lasting is None else now + timedelta(seconds=lasting),
        # an empty list of scopes is what servers write that have none
        scopes=frozenset(scope.split()) if isinstance(scope, str) and scope.strip() else None,
    )


def read_revocation(response: Response) -> None:
    """Takes note that a token is no longer good (RFC 7009, section 2.2).

    A token that the server never knew is no longer good either: it says 200 to both.

    Raises:
        TokenRefused: the answer is an error.
    """
    if response.status == _OK:
        return
    try:
        _read(response)
    except TokenRefused as refusal:
        hint = refusal.hint.replace("tokenUrl", "revocationUrl")
        raise TokenRefused(refusal.error, refusal.reason, refusal.message, hint) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What a person enters elsewhere, and how the answer is waited for (RFC 8628, section 3.2)."""

    device_code: Secret
    user_code: str
    #: where the person enters it
    address: str
    expires_at: datetime
    interval_s: float


def read_device(response: Response, now: datetime) -> DeviceCode:
    """Returns the codes in an answer.

    Raises:
        TokenRefused: the answer is an error, or lacks a code or the address.
    """
    data = _read(response)
    # some servers, older than the RFC, say `verification_url`
    address = data.get("verification_uri", data.get("verification_url"))
    device, user = data.get("device_code"), data.get("user_code")
    if not all(isinstance(text, str) and text for text in (device, user, address)):
        raise _strange("its answer has no code for the device")
    if urlsplit(str(address)).scheme not in ("https", "http"):
        raise _strange("the address that it sends people to is no web page")
    lasting = _seconds(data.get("expires_in"))
    return DeviceCode(
        device_code=Secret(str(device)),
        user_code=str(user),
        address=str(address),
        expires_at=now + timedelta(seconds=600.0 if lasting is None else lasting),
        interval_s=min(60.0, max(1.0, _seconds(data.get("interval")) or 5.0)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the browser must come back with."""

    #: path of the redirect URL
    path: str
    state: str
    #: who must have answered, or empty where anybody may have
    issuer: str


class CallbackRefused(Exception):
    """A request to the listener is not the answer that is awaited; the wait goes on."""


class ConsentRefused(Exception):
    """The answer that was awaited says no, or is not from whom it must be; the wait is over."""


def read_callback(target: str, expected: Expected) -> Secret:
    """Returns the code in the request target that the browser came back with.

    Raises:
        CallbackRefused: another path, a state missing or not ours, or a repeated parameter (RFC
            6749, sections 3.1 and 10.12): nobody whom we sent has come back yet.
        ConsentRefused: it has our state, and an error, another issuer (RFC 9207, section 2.4), or
            no code.
    """
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(pairs)
    if parts.path != expected.path or len(given) != len(pairs):
        raise CallbackRefused
    if not hmac.compare_digest(given.get("state", "").encode(), expected.state.encode()):
        raise CallbackRefused
    if expected.issuer and given.get("iss") != expected.issuer:
        raise ConsentRefused("the answer is not from the issuer that the manifest names")
    if "error" in given:
        known = _ERRORS.get(given["error"])
        raise ConsentRefused(known.message if known else "the server refused")
    if not given.get("code"):
        raise ConsentRefused("the answer has no code")
    return Secret(given["code"])


def read_verifier(target: str, expected: Expected) -> Secret:
    """Returns the verifier of OAuth 1.0 that the browser came back with (RFC 5849, section 2.2).

    The temporary token is what `expected.state` is elsewhere.

    Raises:
        CallbackRefused: another path, or not our temporary token.
        ConsentRefused: it is ours, and there is no verifier.
    """
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    given = dict(pairs)
    if parts.path != expected.path or len(given) != len(pairs):
        raise CallbackRefused
    if not hmac.compare_digest(given.get("oauth_token", "").encode(), expected.state.encode()):
        raise CallbackRefused
    if not given.get("oauth_verifier"):
        raise ConsentRefused("the user did not agree")
    return Secret(given["oauth_verifier"])


def _read(response: Response) -> JsonObject:
    data = _json(response.body)
    error = data.get("error")
    if response.status == _OK and error is None:
        return data
    code = error if isinstance(error, str) and error in _ERRORS else ""
    meaning = _ERRORS.get(code) or _STATUSES.get(response.status) or _by_class(response.status)
    shown = f"{response.status}: {code}: " if code else f"{response.status}: "
    raise TokenRefused(
        code or ("invalid_client" if response.status == 401 else ""),  # noqa: PLR2004
        meaning.reason,
        f"token server: {shown}{meaning.message}",
        meaning.hint,
    )


def _by_class(status: int) -> _Meaning:
    match status // 100:
        case 5:
            return _ERRORS["server_error"]
        case 3:
            return _Meaning(
                reason=Reason.REDIRECT_REFUSED,
                message="it redirects, which is not followed",
                hint="put the final address into `tokenUrl`",
            )
        case _:
            return _Meaning(
                reason=Reason.PROTOCOL_ERROR,
                message="the answer is none of a token server",
                hint="check `tokenUrl`",
            )


def _strange(message: str) -> TokenRefused:
    return TokenRefused("", Reason.PROTOCOL_ERROR, f"token server: {message}", "check `tokenUrl`")


def _json(body: bytes) -> JsonObject:
    try:
        data: Json = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _seconds(value: Json) -> float | None:
    """Returns a number of seconds, which some servers write as text; None where there is none."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    # NaN is never at least 0
    return min(seconds, float(_LONGEST_S)) if seconds >= 0 else None
