"""OAuth 2 (RFC 6749): one model for each grant, chosen by `grant`, and the flow of their requests.

One of the methods of `auth.ApiAuth`; pure. Access tokens are no secrets of a manifest: they are got
and kept by `tokens`, which hands one to `flow` under a pointer that no field has. What is sent to
get them is in `oauth2_requests`, and what comes back is read in `oauth2_answers`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from reconciler.auth.exchange import Flow, Moment, Request, Secrets, header_value, with_header
from reconciler.auth.spec_model import (
    MASKED,
    PRINTABLE,
    Duration,
    SecretReference,
    SpecModel,
    at,
    whole,
)

#: Where `flow` finds the access token among the secrets.
ACCESS_TOKEN: Final = at("accessToken")

#: Sound URLs are told from others by `kinds.api`, with codes of their own.
Url: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000)]
#: A name of a person, client or audience.
Name: TypeAlias = Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=500)]
#: RFC 6749, section 3.3.
Scope: TypeAlias = Annotated[str, Field(pattern=whole(r"[!#-\[\]-~]+"), max_length=500)]
ParameterName: TypeAlias = Annotated[
    str, Field(pattern=whole(r"[A-Za-z0-9._~\[\]-]+"), max_length=100)
]
Parameters: TypeAlias = Annotated[
    dict[ParameterName, Annotated[str, Field(max_length=2000)]], Field(max_length=30)
]
Algorithm: TypeAlias = Literal["RS256", "PS256", "ES256", "EdDSA"]


class PublicClient(SpecModel):
    """A client that has no secret (RFC 6749, section 2.1)."""

    method: Literal["none"] = Field(description="A public client: only its id is sent.")


class SecretInHeader(SpecModel):
    """A client secret in the Basic header (RFC 6749, section 2.3.1)."""

    method: Literal["basic"] = Field(description="Sends the client's secret in the Basic header.")
    secret: SecretReference = Field(description="Where the client's secret is.")


class SecretInBody(SpecModel):
    """A client secret in the body (RFC 6749, section 2.3.1)."""

    method: Literal["post"] = Field(description="Sends the client's secret in the body.")
    secret: SecretReference = Field(description="Where the client's secret is.")


class PrivateKeyJwt(SpecModel):
    """A signed statement instead of a secret (RFC 7523, section 2.2)."""

    method: Literal["privateKeyJwt"] = Field(description="Signs a statement with a private key.")
    key: SecretReference = Field(description="Where the private key is, as PEM.")
    key_passphrase: SecretReference | None = Field(
        default=None, description="Where the passphrase of the key is, if it has one."
    )
    key_id: Name | None = Field(default=None, description="Names the key to the server (`kid`).")
    algorithm: Algorithm = Field(default="RS256", description="How it is signed.")


ClientAuthentication: TypeAlias = Annotated[
    PublicClient | SecretInHeader | SecretInBody | PrivateKeyJwt, Field(discriminator="method")
]
ConfidentialClient: TypeAlias = Annotated[
    SecretInHeader | SecretInBody | PrivateKeyJwt, Field(discriminator="method")
]
_CLIENT: Final = "How the client proves who it is."


class Grant(SpecModel):
    """What every grant has."""

    method: Literal["oauth2"] = Field(description="Gets access tokens by OAuth 2 (RFC 6749).")
    token_url: Url = Field(
        description="Where tokens are given out; https, or this machine.",
        examples=["https://login.example.com/oauth2/token"],
        json_schema_extra=MASKED,
    )
    scopes: Annotated[tuple[Scope, ...], Field(strict=False, max_length=100)] = Field(
        default=(), description="What is asked for.", examples=[["orders.read"]]
    )
    audience: Name | None = Field(
        default=None, description="Sent as `audience`, for servers that want it."
    )
    resource: Url | None = Field(
        default=None,
        description="Sent as `resource` (RFC 8707): the API that the token is for.",
        json_schema_extra=MASKED,
    )
    parameters: Parameters = Field(
        default={},
        description="Sent with every request for a token as well; never a credential.",
        examples=[{"tenant": "acme"}],
    )
    refresh_before: Duration = Field(
        default="60s", description="So long before its end a token is replaced."
    )

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:  # noqa: ARG002
        """Yields `request` with the access token (RFC 6750, section 2.1).

        Raises:
            SecretError: the token cannot be a header value.
        """
        yield with_header(request, "Authorization", f"Bearer {header_value(secrets, ACCESS_TOKEN)}")


class _ClientId(Grant):
    """A grant that names its client."""

    client_id: Name = Field(description="Who the client is.", examples=["crm-reports"])
    revocation_url: Url | None = Field(
        default=None,
        description="Where tokens are given back (RFC 7009), by `authorize --revoke`.",
        examples=["https://login.example.com/oauth2/revoke"],
        json_schema_extra=MASKED,
    )


class ClientCredentialsGrant(_ClientId):
    """The client itself is who we are (RFC 6749, section 4.4)."""

    grant: Literal["clientCredentials"] = Field(description="The client asks for itself.")
    client_authentication: ConfidentialClient = Field(description=_CLIENT)


class AuthorizationCodeGrant(_ClientId):
    """A person agrees once, in a browser (RFC 6749, section 4.1; RFC 7636; RFC 8252)."""

    grant: Literal["authorizationCode"] = Field(description="A person agrees in a browser.")
    authorization_url: Url = Field(
        description="Where the person agrees.",
        examples=["https://login.example.com/oauth2/authorize"],
        json_schema_extra=MASKED,
    )
    redirect_url: Url = Field(
        default="http://127.0.0.1:8765/callback",
        description="Where the browser is sent back to: this machine, as registered.",
        json_schema_extra=MASKED,
    )
    issuer: Url | None = Field(
        default=None,
        description="Who must have answered (RFC 9207); with it, an answer without `iss` is "
        "refused.",
        json_schema_extra=MASKED,
    )
    authorization_parameters: Parameters = Field(
        default={},
        description="Added to the address that the person opens; never a credential.",
        examples=[{"access_type": "offline"}],
    )
    client_authentication: ClientAuthentication = Field(
        default=PublicClient(method="none"), description=_CLIENT
    )


class RefreshTokenGrant(_ClientId):
    """A refresh token that was got elsewhere (RFC 6749, section 6)."""

    grant: Literal["refreshToken"] = Field(description="Starts from a refresh token.")
    refresh_token: SecretReference = Field(
        description="Where the first refresh token is; later ones are kept in the state."
    )
    client_authentication: ClientAuthentication = Field(
        default=PublicClient(method="none"), description=_CLIENT
    )


class Assertion(SpecModel):
    """A signed statement of who we are (RFC 7523, section 3)."""

    key: SecretReference = Field(description="Where the private key is, as PEM.")
    key_passphrase: SecretReference | None = Field(
        default=None, description="Where the passphrase of the key is, if it has one."
    )
    key_id: Name | None = Field(default=None, description="Names the key to the server (`kid`).")
    algorithm: Algorithm = Field(default="RS256", description="How it is signed.")
    issuer: Name = Field(description="Who says so (`iss`).", examples=["app@example.com"])
    subject: Name | None = Field(
        default=None, description="For whom the token is (`sub`); default: the issuer."
    )
    audience: Name | None = Field(
        default=None, description="To whom it is said (`aud`); default: `tokenUrl`."
    )
    claims: Parameters = Field(
        default={}, description="More of what is said, as text.", examples=[{"scope": "read"}]
    )


class JwtBearerGrant(Grant):
    """A signed statement is exchanged for a token (RFC 7523, section 2.1)."""

    grant: Literal["jwtBearer"] = Field(description="Exchanges a signed statement for a token.")
    assertion: Assertion = Field(description="What is stated, and the key that signs it.")
    client_id: Name | None = Field(
        default=None, description="Who the client is, for servers that want it."
    )
    client_authentication: ClientAuthentication = Field(
        default=PublicClient(method="none"), description=_CLIENT
    )


class PasswordGrant(_ClientId):
    """User name and password (RFC 6749, section 4.3); RFC 9700, section 2.4, forbids it today."""

    grant: Literal["password"] = Field(description="Sends user name and password; legacy.")
    username: Name = Field(description="User name.", examples=["report"])
    password: SecretReference = Field(description="Where the password is.")
    client_authentication: ClientAuthentication = Field(
        default=PublicClient(method="none"), description=_CLIENT
    )


class DeviceCodeGrant(_ClientId):
    """A person agrees once, on another device (RFC 8628)."""

    grant: Literal["deviceCode"] = Field(description="A person agrees on another device.")
    device_url: Url = Field(
        description="Where codes for devices are given out; https, or this machine.",
        examples=["https://login.example.com/oauth2/device"],
        json_schema_extra=MASKED,
    )
    client_authentication: ClientAuthentication = Field(
        default=PublicClient(method="none"), description=_CLIENT
    )


AnyGrant: TypeAlias = (
    ClientCredentialsGrant
    | AuthorizationCodeGrant
    | RefreshTokenGrant
    | JwtBearerGrant
    | PasswordGrant
    | DeviceCodeGrant
)
OAuth2Auth: TypeAlias = Annotated[AnyGrant, Field(discriminator="grant")]
