"""Several secret headers at once, for APIs that want a pair such as an application id and a key.

One of the methods of `auth.ApiAuth`; pure.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.auth.exchange import Flow, Moment, Request, Secrets, header_value, with_header
from reconciler.auth.spec_model import FieldName, SecretReference, SpecModel, at


class HeadersAuth(SpecModel):
    """Headers whose values are secrets."""

    method: Literal["headers"] = Field(description="Sends headers whose values are secrets.")
    headers: Annotated[dict[FieldName, SecretReference], Field(min_length=1, max_length=20)] = (
        Field(
            description="Name of each header, and where its value is.",
            examples=[{"X-App-Id": {"env": "CRM_APP_ID"}, "X-App-Key": {"env": "CRM_APP_KEY"}}],
        )
    )

    def flow(self, request: Request, secrets: Secrets, _moment: Moment) -> Flow:
        """Yields `request` with every header, in the order of the manifest.

        Raises:
            SecretError: a value cannot be a header value.
        """
        for name in self.headers:
            request = with_header(request, name, header_value(secrets, at("headers", name)))
        yield request
