"""A token of AWS in place of a password, for databases of Amazon RDS and Aurora.

One of the methods of `auth.SqlAuth`; pure. A token is a URL of the service `rds-db`, signed in its
query with Signature Version 4, without its scheme: nobody is asked for it, and nobody requests that
URL. It is good for one user of one server, for a quarter of an hour. So each login makes its own,
of the time that it is given. Source of the rules: Amazon RDS User Guide, "Connecting to your DB
instance using IAM authentication"; AWS, "Authenticating requests: using query parameters".

The keys come from references alone: neither the environment nor `~/.aws` nor a metadata service is
asked. Servers are sent the token as it is, so TLS must be verified (see `kinds.sql_access`).
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Final, Literal

from pydantic import Field

from reconciler.auth import aws_sigv4, libraries
from reconciler.auth.aws_sigv4 import Keys, Region, Signer
from reconciler.auth.exchange import Secrets, header_value
from reconciler.auth.password import Username
from reconciler.auth.spec_model import SecretReference, SpecModel, at
from reconciler.redact import Secret

_SERVICE: Final = "rds-db"
#: Seconds that a token is good for: what AWS's own tools ask for, and the most that it grants.
_EXPIRES_S: Final = 900


class AwsIamAuth(SpecModel):
    """A login at a database of Amazon RDS or Aurora with the keys of an AWS account."""

    method: Literal["awsIam"] = Field(
        description="Logs in with a token of AWS, made anew for each login."
    )
    username: Username
    region: Region
    access_key_id: SecretReference = Field(
        description="Where the access key ID is; it changes together with its secret."
    )
    secret_access_key: SecretReference = Field(description="Where the secret access key is.")
    session_token: SecretReference | None = Field(
        default=None, description="Where the session token of temporary keys is."
    )

    def token(self, secrets: Secrets, *, host: str, port: int, now: datetime) -> Secret:
        """Returns the token for a login at the endpoint `host`, whatever way leads there.

        Its last 64 characters, the signature, are what the keys do not show.

        Raises:
            SecretError: a key was not resolved, or no header can carry it.
            ConnectionFailed: DriverMissing, without botocore.
        """
        library = libraries.load(self.method)
        awsrequest = import_module("botocore.awsrequest")  # which the signer has imported
        signer: Signer = library.SigV4Auth(Keys.of(secrets), _SERVICE, self.region)
        timestamp = aws_sigv4.stamp(now)
        name = f"[{host}]" if ":" in host else host.rstrip(".").lower()
        place = f"{name}:{port}/"
        request = awsrequest.AWSRequest(method="GET", url=f"https://{place}")
        request.context["timestamp"] = timestamp
        request.params = {
            "Action": "connect",
            "DBUser": self.username,
            "X-Amz-Algorithm": aws_sigv4.ALGORITHM,
            "X-Amz-Credential": signer.scope(request),
            "X-Amz-Date": timestamp,
            "X-Amz-Expires": str(_EXPIRES_S),
            "X-Amz-SignedHeaders": "host",
        }
        if self.session_token is not None:
            request.params["X-Amz-Security-Token"] = header_value(secrets, at("sessionToken"))
        text = signer.string_to_sign(request, signer.canonical_request(request))
        query = signer.canonical_query_string(request)
        return Secret(f"{place}?{query}&X-Amz-Signature={signer.signature(text, request)}")
