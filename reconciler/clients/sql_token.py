"""The credential of a SQL connection as the value of a header, for engines that are HTTP APIs.

Made once for each attempt, from the flow of the method (`auth`), before anything is contacted: a
key that cannot be read is found here. Apart from `sql`, since it needs the specs, which take a
while to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from secrets import token_urlsafe

from pydantic import TypeAdapter

from reconciler import auth
from reconciler.auth import exchange
from reconciler.model import JsonObject
from reconciler.redact import Redactor, Secret

_AUTH: TypeAdapter[auth.SqlHeaderAuth] = TypeAdapter(auth.SqlHeaderAuth)


def authorization(
    spec: JsonObject, secrets: Mapping[str, Secret], redactor: Redactor, now: datetime
) -> Secret:
    """Returns the value of the header `Authorization` for a `spec` of one of these methods.

    `redactor` learns what stands in it. What is signed here is good for an hour.

    Raises:
        SecretError: a secret cannot be read, or cannot be sent.
    """
    method = _AUTH.validate_python(spec["auth"])
    plain = exchange.Request(method="POST", url=f"https://{spec['host']}/")
    sent = next(method.flow(plain, secrets, exchange.Moment(now=now, nonce=token_urlsafe)))
    ((_, value),) = sent.headers
    redactor.add(value.partition(" ")[2])
    return Secret(value)
