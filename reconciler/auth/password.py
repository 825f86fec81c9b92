"""User name and password of a SQL server; the driver logs in, so there is no flow.

One of the methods of `auth.SqlAuth`. Which ways of logging in a driver accepts is its own business.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from reconciler.auth.spec_model import PRINTABLE, SecretReference, SpecModel, whole

Username: TypeAlias = Annotated[
    str,
    Field(
        pattern=whole(f"{PRINTABLE}+"),
        max_length=128,
        description="Role or user of the server.",
        examples=["report"],
    ),
]


class PasswordAuth(SpecModel):
    """A login with user name and password."""

    method: Literal["password"] = Field(description="Logs in with user name and password.")
    username: Username
    password: SecretReference = Field(description="Where the password is.")
