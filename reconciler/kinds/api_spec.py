"""`ApiConnection` as Pydantic models: the one truth from which its JSON Schema is generated.

Imported by the generator and by what connects; `validate` reads the generated schema instead. What
a schema cannot say is in `api.checks`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, JsonValue, WithJsonSchema

from reconciler.auth import ApiAuth
from reconciler.auth.client_certificate import ClientCertificate
from reconciler.auth.none import NoneAuth
from reconciler.auth.spec_model import (
    INTEGRAL,
    MASKED,
    FieldName,
    PublicReference,
    SpecModel,
    whole,
)
from reconciler.kinds import api
from reconciler.kinds.fields import Duration, Health, Items
from reconciler.kinds.hops_spec import SOCKET, Proxy, SocketPath, Ssh
from reconciler.kinds.metadata_spec import Intent, Metadata

_STATUS_RANGE: Final = whole("[1-5][0-9][0-9](?:-[1-5][0-9][0-9])?")
_StatusCode: TypeAlias = Annotated[int, Field(ge=100, le=599), INTEGRAL]
_StatusRange: TypeAlias = Annotated[str, Field(pattern=_STATUS_RANGE)]


#: A status code or a range of them (RFC 9110, section 15). The schema is written by hand, since a
#: union would become an `anyOf`, whose errors nobody can read.
StatusMatch: TypeAlias = Annotated[
    _StatusCode | _StatusRange,
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": _STATUS_RANGE,
            "examples": [204, "200-299"],
        }
    ),
]
#: A JSON pointer (RFC 6901, section 3); the empty one is the whole document.
JsonPointer: TypeAlias = Annotated[
    str, Field(pattern=whole(r"(?:/(?:[^~/\x00-\x1f]|~[01])*)*"), max_length=500)
]
HeaderValue: TypeAlias = Annotated[str, Field(max_length=4000)]
RequestPath: TypeAlias = Annotated[str, Field(pattern=whole(api.REQUEST_PATH), max_length=2000)]


class ApiTimeout(SpecModel):
    """Time limits of requests that applications send."""

    connect: Duration = Field(default="5s", description="Until the connection is open.")
    total: Duration = Field(default="30s", description="Until the whole answer is read.")


class ApiTls(SpecModel):
    """How the server proves who it is, and how we do."""

    verify: bool = Field(default=True, description="Whether the certificate is verified.")
    ca: PublicReference | None = Field(
        default=None, description="Certificate authorities to trust instead of the system's."
    )
    client_certificate: ClientCertificate | None = Field(
        default=None, description="Shown to a server that asks who we are."
    )
    server_name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description="Name that the certificate must bear, instead of the host of `baseUrl`.",
        examples=["api.internal"],
    )
    minimum_version: Literal["1.2", "1.3"] = Field(
        default="1.2", description="Oldest version of TLS that is spoken."
    )


class Expectation(SpecModel):
    """What a good answer looks like; everything given must hold."""

    status: Annotated[Items[StatusMatch], Field(min_length=1, max_length=50)] = Field(
        default=("200-299",), description="Status codes, or ranges of them, that are good."
    )
    json_values: Annotated[dict[JsonPointer, JsonValue], Field(max_length=50)] = Field(
        default={},
        alias="json",
        title="Json",
        description="JSON pointer into the body, and the value that must be there.",
        examples=[{"/status": "ok"}],
    )
    text: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Text that the body must contain.", json_schema_extra=MASKED
    )


class ApiHealth(Health):
    """How an API is checked."""

    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = Field(
        default="GET", description="Method of the request; only POST may have a body."
    )
    body: Annotated[dict[str, JsonValue], Field(min_length=1, max_length=50)] | None = Field(
        default=None,
        alias="json",
        title="Json",
        description="Body of a POST, sent as JSON; never a credential.",
        examples=[{"query": "{ viewer { id } }"}],
        json_schema_extra=MASKED,
    )
    path: RequestPath = Field(
        default="",
        description="Appended to `baseUrl`.",
        examples=["/ping"],
        json_schema_extra=MASKED,
    )
    expect: Expectation = Field(default=Expectation(), description="What a good answer looks like.")


class ApiSpec(Intent):
    """Where an API is, who we are there, and how it is checked."""

    base_url: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="http or https URL without user info, query and fragment.",
        examples=["https://api.example.com/v2"],
        # somebody will paste one with a password or a key in it
        json_schema_extra=MASKED,
    )
    auth: ApiAuth = Field(
        default=NoneAuth(method="none"), description="How the connection authenticates."
    )
    headers: Annotated[dict[FieldName, HeaderValue], Field(max_length=50)] = Field(
        default={},
        description="Sent with every request; never a credential.",
        examples=[{"Accept": "application/json"}],
    )
    timeout: ApiTimeout = Field(default=ApiTimeout(), description="Time limits.")
    tls: ApiTls = Field(default=ApiTls(), description="How both sides prove who they are.")
    proxy: Proxy | None = Field(default=None, description="The proxy on the way to the server.")
    ssh: Ssh | None = Field(default=None, description="The SSH tunnel on the way to the server.")
    socket: SocketPath | None = Field(
        default=None,
        description=f"{SOCKET} `baseUrl` then says only what is asked for.",
        examples=["/run/docker.sock"],
    )
    health: ApiHealth = Field(default=ApiHealth(), description="How the connection is checked.")


class ApiConnection(SpecModel):
    """An HTTP API: where it is, who we are there, and how it is checked."""

    api_version: Literal["reconciler/v1"] = Field(description="Version of this format.")
    kind: Literal["ApiConnection"] = Field(description="What is connected.")
    metadata: Metadata = Field(description="Who the connection is.")
    spec: ApiSpec = Field(description="What the connection is.")
