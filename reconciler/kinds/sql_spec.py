"""`SqlConnection` as Pydantic models: the one truth from which its JSON Schema is generated.

Imported by the generator and by what connects; `validate` reads the generated schema instead. A
spec is one of two shapes, a server or a file, chosen by `engine`; which engine has which shape, and
its default port, come from the table in `engines`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, WithJsonSchema, model_validator

from reconciler.auth import SqlAuth
from reconciler.auth.client_certificate import ClientCertificate
from reconciler.auth.none import NoneAuth
from reconciler.auth.spec_model import (
    INTEGRAL,
    MASKED,
    PRINTABLE,
    PublicReference,
    SpecModel,
    whole,
)
from reconciler.kinds import engines
from reconciler.kinds.engine_traits import Engine
from reconciler.kinds.fields import Count, Duration, Health, Port
from reconciler.kinds.hops_spec import SOCKET, Proxy, SocketPath, Ssh
from reconciler.kinds.metadata_spec import Intent, Metadata
from reconciler.model import JsonObject

if TYPE_CHECKING:
    ServerEngine: TypeAlias = str
    FileEngine: TypeAlias = str
else:  # a type checker cannot see through the table, Pydantic can
    ServerEngine = Literal[engines.SERVER_ENGINES]
    FileEngine = Literal[engines.FILE_ENGINES]

_ENGINE = "Kind of database; it decides which other fields there are."


class SqlTimeout(SpecModel):
    """Time limits of connections that applications open."""

    connect: Duration = Field(default="5s", description="Until the login is done.")
    query: Duration = Field(default="30s", description="Until a query has ended.")


class SqlTls(SpecModel):
    """How the server proves who it is, and how we do."""

    mode: Literal["verify-full", "verify-ca", "require", "disable"] = Field(
        default="verify-full",
        description=(
            "`verify-full` checks the certificate and its name, `verify-ca` the certificate alone,"
            " `require` encrypts only, `disable` does not even that."
        ),
    )
    ca: PublicReference | None = Field(
        default=None, description="Certificate authorities to trust instead of the system's."
    )
    client_certificate: ClientCertificate | None = Field(
        default=None, description="Shown to a server that asks who we are, beside the login."
    )
    server_name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description="Name that the certificate must bear, instead of `host`.",
        examples=["db.internal"],
    )
    minimum_version: Literal["1.2", "1.3"] | None = Field(
        default=None, description="Oldest version of TLS that is spoken: 1.2 when left out."
    )


class Pool(SpecModel):
    """Connections that an application keeps open."""

    size: Count = Field(default=5, description="Connections kept open.")
    max_overflow: Annotated[int, Field(ge=0, le=100), INTEGRAL] = Field(
        default=10, description="Connections opened beyond these under load."
    )


class SqlHealth(Health):
    """How a database is checked."""

    # see `_engine_rules`
    query: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None,
        description=(
            "One SELECT, VALUES, SHOW or WITH without `;`, run read-only, one row fetched."
            " Default: one that every database of the engine answers."
        ),
    )


class _SqlSpec(Intent):
    """What servers and files have in common."""

    timeout: SqlTimeout = Field(default=SqlTimeout(), description="Time limits.")
    pool: Pool = Field(default=Pool(), description="Connections kept open.")
    health: SqlHealth = Field(default=SqlHealth(), description="How the connection is checked.")


def _default_port(data: dict[str, Any]) -> int:
    return engines.ENGINES[data["engine"]].default_port or 0


def _engine_rules(names: tuple[str, ...]) -> dict[str, Any]:
    """Returns what depends on the engine, in the words of JSON Schema."""
    return {
        "allOf": [
            {
                "if": {"properties": {"engine": {"const": name}}, "required": ["engine"]},
                "then": {"properties": _properties(engines.ENGINES[name])},
            }
            for name in names
        ]
    }


def _properties(row: Engine) -> dict[str, Any]:
    health = {"health": {"properties": {"query": {"default": row.query}}}}
    if row.is_file:
        return health
    return {"port": {"default": row.default_port}, "options": _options(row), **health}


def _options(row: Engine) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            option.name: {"title": _title(option.name), **option.schema} for option in row.options
        },
        "additionalProperties": False,
    }


def _title(name: str) -> str:
    return re.sub("(?=[A-Z])", " ", name).capitalize()


class ServerSpec(_SqlSpec, json_schema_extra=_engine_rules(engines.SERVER_ENGINES)):
    """A database on a server."""

    engine: ServerEngine = Field(description=_ENGINE)
    host: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description="Name or address of the server; left out only beside `socket`.",
        examples=["db-7.internal"],
        # somebody will paste a URL with a password in it; so for `database`
        json_schema_extra=MASKED,
    )
    port: Port = Field(default_factory=_default_port, description="Default: the engine's own.")
    database: Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=128)] = Field(
        description="Name of the database.", examples=["orders"], json_schema_extra=MASKED
    )
    auth: SqlAuth = Field(
        default=NoneAuth(method="none"), description="How the connection authenticates."
    )
    tls: SqlTls = Field(default=SqlTls(), description="How both sides prove who they are.")
    proxy: Proxy | None = Field(default=None, description="The proxy on the way to the server.")
    ssh: Ssh | None = Field(default=None, description="The SSH tunnel on the way to the server.")
    socket: SocketPath | None = Field(
        default=None,
        description=f"{SOCKET} Stands in place of `host` and `port`.",
        examples=["/run/postgresql/.s.PGSQL.5432"],
    )
    # see `_engine_rules`
    options: Annotated[dict[str, JsonValue], WithJsonSchema({})] | None = Field(
        default=None, description="Settings of the driver, of a short list for each engine."
    )

    @model_validator(mode="after")
    def has_known_options(self) -> ServerSpec:
        """Returns itself; an option that the engine has not, or of another type, is refused."""
        known = {option.name: option for option in engines.ENGINES[self.engine].options}
        for name, given in (self.options or {}).items():
            if name not in known or not known[name].accepts(given):
                raise ValueError("an option is unknown or has a wrong value")
        return self


class FileSpec(_SqlSpec, json_schema_extra=_engine_rules(engines.FILE_ENGINES)):
    """A database in a file."""

    engine: FileEngine = Field(description=_ENGINE)
    database: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="Path of the file, relative to the project root.",
        examples=["data/orders.sqlite"],
        json_schema_extra=MASKED,
    )


SqlSpec: TypeAlias = Annotated[ServerSpec | FileSpec, Field(discriminator="engine")]

_SPEC: TypeAdapter[ServerSpec | FileSpec] = TypeAdapter(SqlSpec)


def parse_spec(spec: JsonObject) -> ServerSpec | FileSpec:
    """Returns a valid `spec` as typed values.

    Raises:
        pydantic.ValidationError: it is not valid.
    """
    return _SPEC.validate_python(spec)


class SqlConnection(SpecModel):
    """A SQL database: where it is, who we are there, and how it is checked."""

    api_version: Literal["reconciler/v1"] = Field(description="Version of this format.")
    kind: Literal["SqlConnection"] = Field(description="What is connected.")
    metadata: Metadata = Field(description="Who the connection is.")
    spec: SqlSpec = Field(description="What the connection is.")
