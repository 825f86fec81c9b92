"""How a connection authenticates: a closed typed union of small pure modules, sans I/O.

Each module holds a Pydantic spec with `method` as discriminator and, where requests carry the
credential, a generator `flow(request, secrets)` over the `Request` and `Response` of `exchange`: it
yields the request to send and receives the response, so the same code serves every client, and a
test needs no network. To add a method: one module, one line in a union here.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from reconciler.auth.api_key import ApiKeyAuth
from reconciler.auth.basic import BasicAuth
from reconciler.auth.bearer import BearerAuth
from reconciler.auth.headers import HeadersAuth
from reconciler.auth.none import NoneAuth
from reconciler.auth.oauth2 import OAuth2Auth
from reconciler.auth.password import PasswordAuth

ApiAuth: TypeAlias = Annotated[
    NoneAuth | BasicAuth | BearerAuth | ApiKeyAuth | HeadersAuth | OAuth2Auth,
    Field(discriminator="method"),
]
SqlAuth: TypeAlias = Annotated[NoneAuth | PasswordAuth, Field(discriminator="method")]
