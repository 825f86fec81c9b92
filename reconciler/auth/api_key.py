"""An API key under a name of the API's choice (OpenAPI 3.1, Security Scheme Object, `apiKey`).

One of the methods of `auth.ApiAuth`; pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, assert_never
from urllib.parse import quote

from pydantic import Field

from reconciler.auth.exchange import (
    Flow,
    Moment,
    Request,
    Secrets,
    cookie_value,
    header_value,
    revealed,
    with_header,
)
from reconciler.auth.spec_model import FieldName, SecretReference, SpecModel, at


class ApiKeyAuth(SpecModel):
    """A key in a header, in the query of the URL, or in a cookie."""

    method: Literal["apiKey"] = Field(description="Sends a key in a header, the query or a cookie.")
    place: Literal["header", "query", "cookie"] = Field(
        default="header", alias="in", title="In", description="Where the key goes."
    )
    name: FieldName = Field(
        description="Name of the header, query parameter or cookie.", examples=["X-Api-Key"]
    )
    value: SecretReference = Field(description="Where the key is.")

    def flow(self, request: Request, secrets: Secrets, _moment: Moment) -> Flow:
        """Yields `request` with the key in its place, url-encoded in the query.

        Raises:
            SecretError: the key cannot be sent there.
        """
        pointer = at("value")
        match self.place:
            case "header":
                yield with_header(request, self.name, header_value(secrets, pointer))
            case "query":
                joint = "&" if "?" in request.url else "?"
                key = f"{quote(self.name, safe='')}={quote(revealed(secrets, pointer), safe='')}"
                yield replace(request, url=f"{request.url}{joint}{key}")
            case "cookie":
                pair = f"{self.name}={cookie_value(secrets, pointer)}"
                yield with_header(request, "Cookie", pair)
            case _:
                assert_never(self.place)
