"""A token that a database service has issued, for engines that are reached over an HTTP API.

One of the methods of `auth.SqlHeaderAuth`; pure. Snowflake calls it a programmatic access token,
Databricks a personal access token; both want it as a bearer token (RFC 6750, section 2.1).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.auth.exchange import Flow, Moment, Request, Secrets, header_value, with_header
from reconciler.auth.spec_model import SecretReference, SpecModel, at


class AccessTokenAuth(SpecModel):
    """A login with a token of the service."""

    method: Literal["accessToken"] = Field(description="Sends a token that the service issued.")
    token: SecretReference = Field(description="Where the token is.")

    def flow(self, request: Request, secrets: Secrets, _moment: Moment) -> Flow:
        """Yields `request` with the token.

        Raises:
            SecretError: the token cannot be a header value.
        """
        token = header_value(secrets, at("token"))
        yield with_header(request, "Authorization", f"Bearer {token}")
