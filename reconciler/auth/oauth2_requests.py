"""What is sent to get a token: requests to the token server, and the address that a person opens.

Between the models of `oauth2` and `tokens`, which sends. Pure: the moment, the state and the PKCE
verifier come in. A request for a token holds only credentials of its own connection.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, assert_never
from urllib.parse import quote_plus, urlencode

from reconciler.auth import oauth2
from reconciler.auth.exchange import Moment, Request, Secrets, revealed
from reconciler.auth.oauth2_jwt import SigningKey, statement
from reconciler.auth.spec_model import at
from reconciler.redact import Secret

#: Form fields, in the order sent.
Fields: TypeAlias = Mapping[str, str]

#: What a token is called where it is given back (RFC 7009, section 4.1.2).
TokenKind: TypeAlias = Literal["refresh_token", "access_token"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"


def direct(auth: oauth2.AnyGrant, secrets: Secrets, moment: Moment) -> Request | None:
    """Returns the request that gets a token without a person and without a kept refresh token.

    None where there is no such way.

    Raises:
        SecretError: a secret was not resolved, or a key cannot sign.
    """
    match auth:
        case oauth2.ClientCredentialsGrant():
            fields = {"grant_type": "client_credentials", **_wanted(auth)}
        case oauth2.JwtBearerGrant():
            signed = _assertion(auth, secrets, moment)
            fields = {"grant_type": JWT_BEARER, "assertion": signed, **_wanted(auth)}
        case oauth2.PasswordGrant():
            fields = {
                "grant_type": "password",
                "username": auth.username,
                "password": revealed(secrets, at("password")),
                **_wanted(auth),
            }
        case oauth2.RefreshTokenGrant():
            return refresh(auth, Secret(revealed(secrets, at("refreshToken"))), secrets, moment)
        case oauth2.AuthorizationCodeGrant() | oauth2.DeviceCodeGrant():
            return None
        case _:
            assert_never(auth)
    return _request(auth, auth.token_url, fields, secrets, moment)


def refresh(auth: oauth2.AnyGrant, token: Secret, secrets: Secrets, moment: Moment) -> Request:
    """Returns the request that turns a refresh token into a new access token (RFC 6749, 6)."""
    fields = {"grant_type": "refresh_token", "refresh_token": token.reveal(), **_wanted(auth)}
    return _request(auth, auth.token_url, fields, secrets, moment)


def exchange_code(
    auth: oauth2.AuthorizationCodeGrant, code: str, verifier: str, secrets: Secrets, moment: Moment
) -> Request:
    """Returns the request that turns a code into tokens (RFC 6749, 4.1.3; RFC 7636, 4.5)."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": auth.redirect_url,
        "code_verifier": verifier,
        **_targets(auth),
    }
    return _request(auth, auth.token_url, fields, secrets, moment)


def ask_device(auth: oauth2.DeviceCodeGrant, secrets: Secrets, moment: Moment) -> Request:
    """Returns the request for a code that a person enters elsewhere (RFC 8628, section 3.1)."""
    return _request(auth, auth.device_url, _wanted(auth), secrets, moment)


def poll_device(
    auth: oauth2.DeviceCodeGrant, device_code: str, secrets: Secrets, moment: Moment
) -> Request:
    """Returns the request that asks whether the person has agreed (RFC 8628, section 3.4)."""
    fields = {"grant_type": _DEVICE_CODE, "device_code": device_code}
    return _request(auth, auth.token_url, fields, secrets, moment)


def revoke(
    auth: oauth2.AnyGrant, kind: TokenKind, token: Secret, secrets: Secrets, moment: Moment
) -> Request | None:
    """Returns the request that gives a token back (RFC 7009, section 2.1).

    None where the manifest does not say where to.
    """
    if isinstance(auth, oauth2.JwtBearerGrant) or auth.revocation_url is None:
        return None
    fields = {"token": token.reveal(), "token_type_hint": kind}
    return _request(auth, auth.revocation_url, fields, secrets, moment)


def authorization_address(auth: oauth2.AuthorizationCodeGrant, state: str, verifier: str) -> str:
    """Returns the address that a person opens to agree (RFC 6749, 4.1.1; RFC 7636, 4.3)."""
    fields = {
        **auth.authorization_parameters,
        "response_type": "code",
        "client_id": auth.client_id,
        "redirect_uri": auth.redirect_url,
        **_wanted(auth),
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    return f"{auth.authorization_url}?{urlencode(fields)}"


def challenge(verifier: str) -> str:
    """Returns the S256 challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def keeps_refresh(auth: oauth2.AnyGrant) -> bool:
    """Whether a refresh token that comes with an access token is worth keeping.

    The other grants ask again with what the manifest gives them.
    """
    return isinstance(
        auth, oauth2.AuthorizationCodeGrant | oauth2.DeviceCodeGrant | oauth2.RefreshTokenGrant
    )


def _wanted(auth: oauth2.AnyGrant) -> Fields:
    scope = {"scope": " ".join(auth.scopes)} if auth.scopes else {}
    return {**scope, **_targets(auth)}


def _targets(auth: oauth2.AnyGrant) -> Fields:
    targets = {"audience": auth.audience, "resource": auth.resource}
    return {name: value for name, value in targets.items() if value is not None}


def _request(
    auth: oauth2.AnyGrant, url: str, fields: Fields, secrets: Secrets, moment: Moment
) -> Request:
    headers, own = _client(auth, secrets, moment)
    return form(url, {**auth.parameters, **fields, **own}, headers)


def form(url: str, fields: Fields, headers: tuple[tuple[str, str], ...] = ()) -> Request:
    """Returns the request that sends `fields` to a token server (RFC 6749, section 3.2)."""
    return Request(
        method="POST",
        url=url,
        headers=(
            ("Content-Type", "application/x-www-form-urlencoded"),
            # some servers answer with a form unless JSON is asked for
            ("Accept", "application/json"),
            *headers,
        ),
        body=urlencode(fields).encode("ascii"),
    )


def _client(
    auth: oauth2.AnyGrant, secrets: Secrets, moment: Moment
) -> tuple[tuple[tuple[str, str], ...], Fields]:
    """Returns the headers and the fields that say who the client is (RFC 6749, section 2.3)."""
    client_id = auth.client_id or ""
    own = {"client_id": client_id} if client_id else {}
    match auth.client_authentication:
        case oauth2.PublicClient():
            return (), own
        case oauth2.SecretInBody():
            secret = revealed(secrets, at("clientAuthentication", "secret"))
            return (), {**own, "client_secret": secret}
        case oauth2.SecretInHeader():
            pair = basic_pair(client_id, revealed(secrets, at("clientAuthentication", "secret")))
            encoded = base64.b64encode(pair.encode()).decode()
            return (("Authorization", f"Basic {encoded}"),), {}
        case oauth2.PrivateKeyJwt() as method:
            claims = {"iss": client_id, "sub": client_id, "aud": auth.token_url}
            key = _key(method, secrets, ("clientAuthentication",))
            assertion = statement(claims, key, moment)
            proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            return (), {**own, **proof}
        case _:
            assert_never(auth.client_authentication)


def basic_pair(client_id: str, secret: str) -> str:
    """Returns what the Basic header holds: both parts are form-encoded first (RFC 6749, 2.3.1)."""
    return f"{quote_plus(client_id)}:{quote_plus(secret)}"


def _assertion(auth: oauth2.JwtBearerGrant, secrets: Secrets, moment: Moment) -> str:
    stated = auth.assertion
    claims = {
        **stated.claims,
        "iss": stated.issuer,
        "sub": stated.subject or stated.issuer,
        "aud": stated.audience or auth.token_url,
    }
    return statement(claims, _key(stated, secrets, ("assertion",)), moment)


def _key(
    field: oauth2.PrivateKeyJwt | oauth2.Assertion, secrets: Secrets, path: tuple[str, ...]
) -> SigningKey:
    pointer, passphrase = at(*path, "key"), at(*path, "keyPassphrase")
    return SigningKey(
        pem=Secret(revealed(secrets, pointer)),
        passphrase=secrets.get(passphrase) if field.key_passphrase else None,
        pointer=pointer,
        algorithm=field.algorithm,
        key_id=field.key_id or "",
    )
