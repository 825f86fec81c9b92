"""Bearer tokens (RFC 6750, section 2.1), and tokens that an API wants under another name.

One of the methods of `auth.ApiAuth`; pure.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.auth.exchange import Flow, Moment, Request, Secrets, header_value, with_header
from reconciler.auth.spec_model import TOKEN, FieldName, SecretReference, SpecModel, at, whole


class BearerAuth(SpecModel):
    """A token in a header, behind a word that says what it is."""

    method: Literal["bearer"] = Field(description="Sends a bearer token (RFC 6750).")
    token: SecretReference = Field(description="Where the token is; without the prefix.")
    header: FieldName = Field(default="Authorization", description="Header that carries it.")
    # an authentication scheme (RFC 9110, section 11.1), or several words of it
    prefix: Annotated[str, Field(pattern=whole(rf"(?:{TOKEN}(?: {TOKEN})*)?"), max_length=64)] = (
        Field(
            default="Bearer",
            description="Stands before the token, with a space between; may be empty.",
            examples=["Token"],
        )
    )

    def flow(self, request: Request, secrets: Secrets, _moment: Moment) -> Flow:
        """Yields `request` with the token in its header.

        Raises:
            SecretError: the token cannot be a header value.
        """
        token = header_value(secrets, at("token"))
        value = f"{self.prefix} {token}" if self.prefix else token
        yield with_header(request, self.header, value)
