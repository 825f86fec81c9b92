"""User name and password that a SQL server hands on to a directory (LDAP, PAM, Active Directory).

One of the methods of `auth.SqlAuth`. It is the server that asks the directory, and for that it
needs the password as it is. So this differs from `password` in two things: TLS must be verified,
else the manifest is an error, and the driver answers no other question than the one for the
password itself (PostgreSQL manual, "LDAP Authentication"; MariaDB, "PAM Authentication Plugin";
MySQL, "Client-Side Cleartext Pluggable Authentication").
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.auth.password import Username
from reconciler.auth.spec_model import SecretReference, SpecModel


class LdapAuth(SpecModel):
    """A login with the user name and password of a directory."""

    method: Literal["ldap"] = Field(
        description="Logs in with a directory's password, which the server passes on."
    )
    username: Username
    password: SecretReference = Field(description="Where the password is.")
