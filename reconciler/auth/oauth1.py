"""OAuth 1.0 signatures in the `Authorization` header (RFC 5849).

One of the methods of `auth.ApiAuth`; pure, with Authlib's encoding and signing. With a token the
request is made for the user who gave it, without one for the client alone. How a token is got from
a user is in `oauth1_consent`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Annotated, Final, Literal, assert_never
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import Field

from reconciler.auth import libraries
from reconciler.auth.exchange import (
    Flow,
    Moment,
    Request,
    Secrets,
    revealed,
    target,
    with_header,
)
from reconciler.auth.oauth2 import Url
from reconciler.auth.spec_model import MASKED, SecretReference, SpecModel, at, whole
from reconciler.errors import SecretError
from reconciler.redact import Secret
from reconciler.values import dataclass

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A token and its secret: those of a user, or temporary ones on the way there."""

    token: Secret
    secret: Secret


class OAuth1Consent(SpecModel):
    """Where a user agrees, and where the token is got (RFC 5849, section 2)."""

    request_token_url: Url = Field(
        description="Gives temporary credentials; https, or this machine.",
        examples=["https://api.example.com/oauth/request_token"],
        json_schema_extra=MASKED,
    )
    authorization_url: Url = Field(
        description="Where the user agrees.",
        examples=["https://api.example.com/oauth/authorize"],
        json_schema_extra=MASKED,
    )
    access_token_url: Url = Field(
        description="Gives the token; https, or this machine.",
        examples=["https://api.example.com/oauth/access_token"],
        json_schema_extra=MASKED,
    )
    redirect_url: Url = Field(
        default="http://127.0.0.1:8765/callback",
        description="Where the browser is sent back to: this machine.",
        json_schema_extra=MASKED,
    )


class OAuth1Auth(SpecModel):
    """Signs each request with the secrets of a client and, where there is one, of a token."""

    method: Literal["oauth1"] = Field(description="Signs each request (RFC 5849).")
    signature_method: Literal["HMAC-SHA1", "HMAC-SHA256", "RSA-SHA1", "PLAINTEXT"] = Field(
        default="HMAC-SHA1", description="How a request is signed."
    )
    consumer_key: Annotated[str, Field(pattern=whole(r"[!-~]+"), max_length=512)] = Field(
        description="Name of the client, which the API gave it.", examples=["dpf43f3p2l4k3l03"]
    )
    consumer_secret: SecretReference | None = Field(
        default=None, description="Where the client's secret is; not with RSA-SHA1."
    )
    private_key: SecretReference | None = Field(
        default=None, description="Where the client's RSA key is, in PEM; RSA-SHA1 only."
    )
    token: SecretReference | None = Field(
        default=None, description="Where the token is; without one, the client acts for itself."
    )
    token_secret: SecretReference | None = Field(
        default=None, description="Where the token's secret is."
    )
    consent: OAuth1Consent | None = Field(
        default=None,
        description="How a user agrees, by `reconciler authorize`; instead of `token`.",
    )
    realm: Annotated[str, Field(pattern=whole(r"[ !#-\[\]-~]+"), max_length=256)] | None = Field(
        default=None, description="Part of the API that is meant, where it asks for one."
    )

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:
        """Yields `request` with its signature in the Authorization header.

        Raises:
            SecretError: a secret was not resolved, or the key is none.
            ConnectionFailed: DriverMissing, without Authlib.
        """
        own = None
        if self.token is not None or self.consent is not None:
            has_secret = self.token_secret is not None or self.consent is not None
            own = Credentials(
                token=Secret(revealed(secrets, at("token"))),
                secret=Secret(revealed(secrets, at("tokenSecret")) if has_secret else ""),
            )
        yield self.signed(request, secrets, moment, own)

    def signed(
        self,
        request: Request,
        secrets: Secrets,
        moment: Moment,
        credentials: Credentials | None,
        **extra: str,
    ) -> Request:
        """Returns `request` signed for `credentials`; `extra` are further `oauth_` parameters.

        Raises:
            SecretError: a secret was not resolved, or the key is none.
            ConnectionFailed: DriverMissing, without Authlib.
        """
        library = libraries.load("oauth1")
        parameters = {
            "oauth_consumer_key": self.consumer_key,
            "oauth_nonce": moment.nonce(),
            "oauth_signature_method": self.signature_method,
            "oauth_timestamp": str(int(moment.now.timestamp())),
            "oauth_version": "1.0",
            **extra,
        }
        if credentials is not None:
            parameters["oauth_token"] = credentials.token.reveal()
        secret = credentials.secret if credentials else Secret("")
        base = _base_string(library, request, parameters)
        parameters["oauth_signature"] = self._signature(library, base, secrets, secret)
        fields = {name: _escape(value) for name, value in sorted(parameters.items())}
        if self.realm is not None:
            fields = {"realm": self.realm, **fields}
        header = ", ".join(f'{name}="{value}"' for name, value in fields.items())
        return with_header(request, "Authorization", f"OAuth {header}")

    def _signature(self, library: ModuleType, base: str, secrets: Secrets, token: Secret) -> str:
        """Returns the signature over `base` (RFC 5849, section 3.4)."""
        if self.signature_method == "RSA-SHA1":
            return _rsa_sha1(library, base, revealed(secrets, at("privateKey")))
        client_secret, token_secret = revealed(secrets, at("consumerSecret")), token.reveal()
        match self.signature_method:
            case "HMAC-SHA1":
                return str(library.hmac_sha1_signature(base, client_secret, token_secret))
            case "HMAC-SHA256":
                key = library.plaintext_signature(client_secret, token_secret)
                made = hmac.new(key.encode(), base.encode(), hashlib.sha256)
                return base64.b64encode(made.digest()).decode()
            case "PLAINTEXT":
                return str(library.plaintext_signature(client_secret, token_secret))
            case _:
                assert_never(self.signature_method)


def _base_string(library: ModuleType, request: Request, parameters: Mapping[str, str]) -> str:
    """Returns what is signed: method, URL and every parameter (RFC 5849, section 3.4.1).

    Not Authlib's `construct_base_string`: it decodes `oauth_` values first, so that a token with a
    percent sign would be signed as another one.
    """
    parts = urlsplit(request.url)
    path, _, query = target(request.url).partition("?")
    url = library.normalize_base_string_uri(f"{parts.scheme}://{parts.netloc}{path}")
    everything = [*parameters.items(), *parse_qsl(query, keep_blank_values=True), *_form(request)]
    joined = library.normalize_parameters(everything)
    return "&".join(map(_escape, (request.method.upper(), url, joined)))


def _form(request: Request) -> Iterator[tuple[str, str]]:
    """Yields the parameters of the body, where it is a form (RFC 5849, section 3.4.1.3.1)."""
    types = [value for name, value in request.headers if name.lower() == "content-type"]
    if types and types[0].partition(";")[0].strip().lower() == _FORM:
        yield from parse_qsl(request.body.decode("ascii", "replace"), keep_blank_values=True)


def _rsa_sha1(library: ModuleType, base: str, key: str) -> str:
    try:
        return str(library.rsa_sha1_signature(base, key))
    except (ValueError, TypeError, AttributeError):  # no PEM, a passphrase, another kind of key
        raise SecretError(
            f"the secret at {at('privateKey')} is no RSA private key",
            "it is a PEM block without a passphrase: `-----BEGIN PRIVATE KEY-----`",
        ) from None


def _escape(text: str) -> str:
    """Returns `text` in the one encoding of the protocol (RFC 5849, section 3.6)."""
    return quote(text, safe="~")
