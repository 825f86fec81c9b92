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

    @model_validator(mode="after")
    def has_one_source(self) -> SecretReference:
        """Returns itself; none and several sources are refused."""
        given = [value for value in (self.env, self.file, self.store) if value is not None]
        if len(given) != 1:
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
