"""A private key whose public half the user has at Snowflake: a signed statement says who we are.

One of the methods of `auth.SqlHeaderAuth`; pure. The claims are those of Snowflake's "SQL API:
Authenticating to the server" (docs.snowflake.com/en/developer-guide/sql-api/authenticating): `iss`
is ACCOUNT.USER.SHA256:FINGERPRINT, `sub` is ACCOUNT.USER, both in capitals; the fingerprint is that
of the public key in DER; it is signed with RS256 and good for an hour at most.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from reconciler.auth import oauth2_jwt
from reconciler.auth.exchange import Flow, Moment, Request, Secrets, with_header
from reconciler.auth.password import Username
from reconciler.auth.spec_model import SecretReference, SpecModel, at, whole
from reconciler.errors import SecretError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

#: The longest that Snowflake grants; a statement may run for nearly as long.
_LIFETIME_S: Final = 3600


class KeyPairAuth(SpecModel):
    """A login with a key pair."""

    method: Literal["keyPair"] = Field(description="Logs in with a key pair (Snowflake).")
    username: Username
    key: SecretReference = Field(description="Where the private key is, in PEM: RSA.")
    key_passphrase: SecretReference | None = Field(
        default=None, description="Where the passphrase of the key is, if it has one."
    )
    account: Annotated[str, Field(pattern=whole("[A-Za-z0-9_-]+"), max_length=128)] | None = Field(
        default=None,
        description="Account identifier without region; default: the first part of `host`.",
        examples=["MYORG-MYACCOUNT"],
    )

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:
        """Yields `request` with a statement signed now.

        Raises:
            SecretError: the key cannot be read, or is no RSA key.
        """
        key = oauth2_jwt.SigningKey(
            pem=secrets[at("key")],
            passphrase=secrets.get(at("keyPassphrase")),
            pointer=at("key"),
            algorithm="RS256",
        )
        loaded = oauth2_jwt.load(key)
        account = self.account or account_of(_host(request.url))
        subject = f"{account}.{self.username}".upper()
        claims = {
            "iss": f"{subject}.{_fingerprint(loaded)}",
            "sub": subject,
            **oauth2_jwt.times(moment, _LIFETIME_S),
        }
        token = oauth2_jwt.compact(claims, key, loaded)
        yield with_header(request, "Authorization", f"Bearer {token}")


def account_of(host: str) -> str:
    """Returns the account of a host such as `xy12345.eu-central-1.snowflakecomputing.com`.

    Without region, and, of the name of a global one, without what stands behind the hyphen: as
    "Account identifiers" of Snowflake's manual and its own example for these statements have it.
    """
    first, _, rest = host.partition(".")
    return first.partition("-")[0] if rest.startswith("global.") else first


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _fingerprint(loaded: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise SecretError(
            f"the private key at {at('key')} is no RSA key",
            "Snowflake takes RSA keys of 2048 bits or more: `openssl genrsa 2048`",
        )
    public = loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode()}"
