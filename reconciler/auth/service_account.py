"""The key of a Google service account: a signed statement says who we are; no token is asked for.

One of the methods of `auth.SqlHeaderAuth`; pure. What Google calls a self-signed JWT
(google.aip.dev/auth/4111; "Service account authorization without OAuth" in
developers.google.com/identity/protocols/oauth2/service-account): `iss` and `sub` are the address
of the account, `aud` is the service, `kid` the id of the key; RS256, good for an hour at most. It
spares a server that would have to be asked, and be let through, before every check.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from reconciler.auth import google_key, oauth2_jwt
from reconciler.auth.exchange import Flow, Moment, Request, Secrets, revealed, with_header
from reconciler.auth.spec_model import SecretReference, SpecModel, at
from reconciler.errors import SecretError

#: Whatever the host is called, behind a private endpoint too.
_AUDIENCE: Final = "https://bigquery.googleapis.com/"
#: The longest that Google grants; a statement may run for nearly as long.
_LIFETIME_S: Final = 3600
_FIELDS: Final = ("type", "client_email", "private_key", "private_key_id")


class ServiceAccountAuth(SpecModel):
    """A login with the key of a service account."""

    method: Literal["serviceAccount"] = Field(
        description="Logs in with the key of a Google service account."
    )
    key: SecretReference = Field(description="Where the key file is, the JSON that Google gives.")

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:
        """Yields `request` with a statement signed now.

        Raises:
            SecretError: the key file cannot be read.
        """
        account = self.account(secrets)
        key = oauth2_jwt.SigningKey(
            pem=account.private_key,
            passphrase=None,
            pointer=at("key"),
            algorithm="RS256",
            key_id=account.key_id,
        )
        claims = {
            "iss": account.address,
            "sub": account.address,
            "aud": _AUDIENCE,
            **oauth2_jwt.times(moment, _LIFETIME_S),
        }
        token = oauth2_jwt.compact(claims, key, oauth2_jwt.load(key))
        yield with_header(request, "Authorization", f"Bearer {token}")

    def account(self, secrets: Secrets) -> google_key.GoogleKey:
        """Returns what the key file says.

        Raises:
            SecretError: it is none.
        """
        key = google_key.parse_key(revealed(secrets, at("key")))
        if key is None or not key.can_sign:
            raise SecretError(
                f"the secret at {at('key')} is no key file of a service account",
                f"it is a JSON text with {', '.join(_FIELDS)}",
            )
        return key
