"""User name and password of a SQL server; the driver logs in, so there is no flow.

One of the methods of `auth.SqlAuth`. Which ways of logging in a driver accepts is its own business.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.auth.spec_model import PRINTABLE, SecretReference, SpecModel, whole


class PasswordAuth(SpecModel):
    """A login with user name and password."""

    method: Literal["password"] = Field(description="Logs in with user name and password.")
    username: Annotated[str, Field(pattern=whole(f"{PRINTABLE}+"), max_length=128)] = Field(
        description="Role or user of the server.", examples=["report"]
    )
    password: SecretReference = Field(description="Where the password is.")
