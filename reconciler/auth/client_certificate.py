"""A client certificate and its key: beside a login in `tls`, or as the login of a SQL server.

The same three fields in both places. As a method of `auth.SqlAuth` the server finds the user by the
certificate (PostgreSQL manual, "Certificate Authentication"; MariaDB, "REQUIRE X509") and no
password is sent; there is no flow, since TLS shows the certificate.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reconciler.auth.password import Username
from reconciler.auth.spec_model import PublicReference, SecretReference, SpecModel


class ClientCertificate(SpecModel):
    """A certificate that says who we are, and its key."""

    certificate: PublicReference = Field(
        description="Where the certificate is, in PEM, with those that lead to its authority."
    )
    key: SecretReference = Field(description="Where its private key is, in PEM.")
    key_passphrase: SecretReference | None = Field(
        default=None, description="Where the passphrase of the key is, if it has one."
    )


class ClientCertificateAuth(ClientCertificate):
    """A login with a certificate instead of a password."""

    method: Literal["clientCertificate"] = Field(description="Logs in with a client certificate.")
    username: Username
