"""What every spec is made of: the closed model, text patterns, and references to secrets and files.

On the floor of `auth` because it is the lowest one that has specs; `kinds` builds on it. Written so
that Pydantic and the JSON Schema generated from it accept exactly the same documents: no coercion,
no unknown field, no null.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from reconciler.model import DURATION_PATTERN, Json, Path, pointer

#: Marks the definition of a reference to a secret in the JSON Schema.
SECRET: Final = "x-secret"
#: Marks the definition of a reference to public material in the JSON Schema.
PUBLIC: Final = "x-public"
#: `show` or `mask`: whether an excerpt shows the value. Fields are shown, entries of maps masked,
#: unless this says otherwise.
EXCERPT: Final = "x-excerpt"
MASKED: Final[dict[str, Any]] = {EXCERPT: "mask"}

#: One character that is no C0 control and no DEL.
PRINTABLE: Final = r"[^\x00-\x1f\x7f]"


def whole(pattern: str) -> str:
    r"""Returns `pattern` anchored at both ends in every dialect that reads our schemas.

    Python's `$` also matches before a final newline, so that `abc\n` would pass there and fail in
    ECMA-262 and Rust; the look-ahead closes that gap. Patterns spell digits `[0-9]`, since `\d`
    takes every script's digits in Python.
    """
    return rf"^(?:{pattern})$(?!\n)"


class SpecModel(BaseModel):
    """A part of a manifest: closed, frozen, strictly typed, without null, in camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
        frozen=True,
        # an error's text must never repeat what somebody wrote into a secret field
        hide_input_in_errors=True,
        # the default engine knows no look-ahead, which `whole` needs
        regex_engine="python-re",
        strict=True,
    )

    @model_validator(mode="before")
    @classmethod
    def refuse_null(cls, data: Json) -> Json:
        """Returns `data`; a field set to null is refused, since leaving it out says the same."""
        if isinstance(data, dict) and any(value is None for value in data.values()):
            raise ValueError("null is not a value of any field")
        return data


def _integral(value: Json) -> Json:
    """Returns 5432.0 as 5432: JSON has one type of number (JSON Schema Validation, 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Stands last in the annotation of every integer, behind its bounds.
INTEGRAL: Final = BeforeValidator(_integral)

#: Marks a duration in the JSON Schema.
Duration: TypeAlias = Annotated[
    str,
    Field(
        pattern=whole(DURATION_PATTERN),
        examples=["500ms", "30s", "5m"],
        json_schema_extra={"x-duration": True},
    ),
]

EnvName: TypeAlias = Annotated[str, Field(pattern=whole("[A-Za-z_][A-Za-z0-9_]*"), max_length=128)]
#: As `kinds.names.UNRESERVED_PATTERN`, which stands above this floor.
StoredName: TypeAlias = Annotated[
    str, Field(pattern=whole("[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"))
]
FilePath: TypeAlias = Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=1000)]


#: One word of a command line, or a name that another system gives.
Text: TypeAlias = Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=1000)]
#: Part of a path of another system, which goes into a URL: no `.`, `..`, `?`, `#`, `%` or empty.
_SEGMENT: Final = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.@=+~-]+"
Segments: TypeAlias = Annotated[
    str, Field(pattern=whole(f"{_SEGMENT}(?:/{_SEGMENT})*"), max_length=500)
]


class VaultSecret(SpecModel):
    """A field of a secret in a Vault or OpenBao server; the operator file names the server."""

    mount: Segments = Field(default="secret", description="Where the KV v2 engine is mounted.")
    path: Segments = Field(
        description="Path below the mount, without `data/`.", examples=["apps/orders"]
    )
    field: Text = Field(description="Key in the secret.", examples=["password"])
    version: Annotated[int, Field(ge=1), INTEGRAL] | None = Field(
        default=None, description="Version of the secret; the newest where it is left out."
    )


class KeyringEntry(SpecModel):
    """An entry of the user's keyring."""

    service: Text = Field(description="Name of the service.", examples=["reconciler"])
    username: Text = Field(description="User name of the entry.", examples=["orders"])


class AgeFile(SpecModel):
    """A file encrypted with age; the operator file names the identities that open it."""

    file: FilePath = Field(
        description="Path of a file, relative to the project root.",
        examples=["secrets/orders.age"],
    )


class AwsSecret(SpecModel):
    """A secret of AWS Secrets Manager; the operator file names region and account."""

    secret_id: Annotated[str, Field(pattern=whole("[A-Za-z0-9/_+=.@:!-]+"), max_length=2048)] = (
        Field(description="Name or ARN of the secret.", examples=["prod/orders"])
    )
    key: Text | None = Field(
        default=None,
        description="Key in a secret that is a JSON object; all of it where it is left out.",
        examples=["password"],
    )


class GcpSecret(SpecModel):
    """A secret of Google Secret Manager; the operator file names the account that reads it."""

    project: Annotated[str, Field(pattern=whole("(?:[a-z0-9.-]+:)?[a-z0-9-]+"), max_length=100)] = (
        Field(description="Id or number of the project.", examples=["prod-data"])
    )
    secret: Annotated[str, Field(pattern=whole("[A-Za-z0-9_-]+"), max_length=255)] = Field(
        description="Name of the secret.", examples=["orders-password"]
    )
    version: Annotated[int, Field(ge=1), INTEGRAL] | None = Field(
        default=None, description="Version of the secret; the newest where it is left out."
    )
    key: Text | None = Field(
        default=None,
        description="Key in a secret that is a JSON object; all of it where it is left out.",
        examples=["password"],
    )


class AzureSecret(SpecModel):
    """A secret of Azure Key Vault; the operator file names the vault and who reads it."""

    secret: Annotated[str, Field(pattern=whole("[A-Za-z0-9-]+"), max_length=127)] = Field(
        description="Name of the secret.", examples=["orders-password"]
    )
    version: Annotated[str, Field(pattern=whole("[0-9a-fA-F]{32}"))] | None = Field(
        default=None,
        description="Version of the secret; the newest where it is left out.",
        examples=["4387e9f3d6e14c459867679a90fd0f79"],
    )
    key: Text | None = Field(
        default=None,
        description="Key in a secret that is a JSON object; all of it where it is left out.",
        examples=["password"],
    )


class SecretReference(SpecModel):
    """Where a secret is; exactly one source. The secret itself is never written in a manifest."""

    model_config = ConfigDict(
        json_schema_extra={SECRET: True, "minProperties": 1, "maxProperties": 1}
    )

    env: EnvName | None = Field(
        default=None, description="Name of an environment variable.", examples=["ORDERS_PASSWORD"]
    )
    file: FilePath | None = Field(
        default=None,
        description="Path of a file, relative to the project root.",
        examples=["/run/secrets/orders-password"],
    )
    store: StoredName | None = Field(
        default=None,
        description="Name of a secret that `reconciler secret set` stored.",
        examples=["orders-password"],
    )
    systemd_credential: Annotated[str, Field(pattern=whole(_SEGMENT), max_length=255)] | None = (
        Field(
            default=None,
            description="Name of a credential that systemd gives the service.",
            examples=["orders-password"],
        )
    )
    vault: VaultSecret | None = Field(
        default=None,
        description="Field of a secret in Vault.",
        examples=[{"path": "apps/orders", "field": "password"}],
    )
    exec: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=32)] | None = (
        Field(
            default=None,
            description="A program and its arguments; it prints the secret. No shell.",
            examples=[["/usr/bin/pass", "show", "orders"]],
        )
    )
    keyring: KeyringEntry | None = Field(
        default=None,
        description="Entry of the user's keyring.",
        examples=[{"service": "reconciler", "username": "orders"}],
    )
    age: AgeFile | None = Field(
        default=None, description="Encrypted file.", examples=[{"file": "secrets/orders.age"}]
    )
    aws: AwsSecret | None = Field(
        default=None,
        description="Secret of AWS Secrets Manager.",
        examples=[{"secretId": "prod/orders", "key": "password"}],
    )
    gcp: GcpSecret | None = Field(
        default=None,
        description="Secret of Google Secret Manager.",
        examples=[{"project": "prod-data", "secret": "orders-password"}],
    )
    azure: AzureSecret | None = Field(
        default=None,
        description="Secret of Azure Key Vault.",
        examples=[{"secret": "orders-password"}],
    )

    @model_validator(mode="after")
    def has_one_source(self) -> SecretReference:
        """Returns itself; none and several sources are refused."""
        if len(self.model_fields_set) != 1:
            raise ValueError("a reference has exactly one source")
        return self


class PublicReference(SpecModel):
    """Where material is that is no secret, such as a certificate authority."""

    model_config = ConfigDict(json_schema_extra={PUBLIC: True})

    file: FilePath = Field(
        description="Path of a file, relative to the project root.",
        examples=["/etc/ssl/db-ca.pem"],
    )


#: A name of a header or parameter: a token (RFC 9110, section 5.6.2).
TOKEN: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
FieldName: TypeAlias = Annotated[str, Field(pattern=whole(TOKEN), max_length=128)]


def at(*path: str) -> str:
    """Returns the JSON pointer inside `spec` of a field of `auth`: the key of its secret."""
    inside: Path = ("auth", *path)
    return pointer(inside)
