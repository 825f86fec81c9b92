"""How a connection authenticates: a closed typed union of small pure modules, sans I/O.

Each module holds a Pydantic spec with `method` as discriminator and, where requests carry the
credential, a generator `flow(request, secrets, moment)` over the values of `exchange`: it yields
the request to send and receives the response, so the same code serves every client, and a test
needs no network. To add a method: one module, one line in a union here.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from reconciler.auth import aws_sigv4
from reconciler.auth.access_token import AccessTokenAuth
from reconciler.auth.api_key import ApiKeyAuth
from reconciler.auth.aws_iam import AwsIamAuth
from reconciler.auth.aws_sigv4 import AwsSigV4Auth
from reconciler.auth.basic import BasicAuth
from reconciler.auth.bearer import BearerAuth
from reconciler.auth.client_certificate import ClientCertificateAuth
from reconciler.auth.digest import DigestAuth
from reconciler.auth.exchange import Response
from reconciler.auth.headers import HeadersAuth
from reconciler.auth.key_pair import KeyPairAuth
from reconciler.auth.ldap import LdapAuth
from reconciler.auth.none import NoneAuth
from reconciler.auth.oauth1 import OAuth1Auth
from reconciler.auth.oauth2 import OAuth2Auth
from reconciler.auth.password import PasswordAuth
from reconciler.auth.service_account import ServiceAccountAuth

ApiAuth: TypeAlias = Annotated[
    NoneAuth
    | BasicAuth
    | DigestAuth
    | OAuth1Auth
    | OAuth2Auth
    | AwsSigV4Auth
    | BearerAuth
    | ApiKeyAuth
    | HeadersAuth,
    Field(discriminator="method"),
]
#: Those whose credential every request of an engine's HTTP API carries in a header.
SqlHeaderAuth: TypeAlias = AccessTokenAuth | KeyPairAuth | ServiceAccountAuth
SqlAuth: TypeAlias = Annotated[
    NoneAuth | PasswordAuth | LdapAuth | ClientCertificateAuth | SqlHeaderAuth | AwsIamAuth,
    Field(discriminator="method"),
]


def refusal(auth: ApiAuth, response: Response) -> str:
    """Returns why the server refuses the credential where its status alone does not say, or `""`.

    In our words: what a server writes may repeat what it was sent.
    """
    return aws_sigv4.refusal(response) if isinstance(auth, AwsSigV4Auth) else ""
