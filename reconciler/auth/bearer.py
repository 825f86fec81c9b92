"""Bearer tokens in the `Authorization` header (RFC 6750, section 2.1).

One of the methods of `auth.ApiAuth`; pure.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.auth.exchange import Flow, Request, Secrets, header_value, with_header
from reconciler.auth.spec_model import SecretReference, SpecModel, at


class BearerAuth(SpecModel):
    """A token in the `Authorization` header."""

    method: Literal["bearer"] = Field(description="Sends a bearer token (RFC 6750).")
    token: SecretReference = Field(description="Where the token is; without the word `Bearer`.")

    def flow(self, request: Request, secrets: Secrets) -> Flow:
        """Yields `request` with the bearer header.

        Raises:
            SecretError: the token cannot be a header value.
        """
        token = header_value(secrets, at("token"))
        yield with_header(request, "Authorization", f"Bearer {token}")
