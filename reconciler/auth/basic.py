"""HTTP Basic authentication (RFC 7617), in UTF-8.

One of the methods of `auth.ApiAuth`; pure.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import Field

from reconciler.auth.exchange import Flow, Moment, Request, Secrets, revealed, with_header
from reconciler.auth.spec_model import SecretReference, SpecModel, at, whole


class BasicAuth(SpecModel):
    """User name and password in the `Authorization` header."""

    method: Literal["basic"] = Field(description="Sends user name and password (RFC 7617).")
    # a colon would end the user name, and controls are forbidden (RFC 7617, section 2)
    username: Annotated[str, Field(pattern=whole(r"[^:\x00-\x1f\x7f]+"), max_length=256)] = Field(
        description="User name; it cannot have a colon.", examples=["report"]
    )
    password: SecretReference = Field(description="Where the password is.")

    def flow(self, request: Request, secrets: Secrets, _moment: Moment) -> Flow:
        """Yields `request` with the Basic header.

        Raises:
            SecretError: the password was not resolved.
        """
        pair = f"{self.username}:{revealed(secrets, at('password'))}"
        credential = base64.b64encode(pair.encode()).decode()
        yield with_header(request, "Authorization", f"Basic {credential}")
