"""Credentials of SQL connections that are made for one login: statements and tokens, signed now.

Made before anything is contacted, so that a key that cannot be read is found here. Apart from
`sql`, since it needs the specs, and some of the methods libraries, which take a while to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from secrets import token_urlsafe
from typing import Final, TypedDict

from pydantic import TypeAdapter

from reconciler import auth
from reconciler.auth import exchange, libraries
from reconciler.auth.aws_iam import AwsIamAuth
from reconciler.auth.service_account import ServiceAccountAuth
from reconciler.model import JsonObject
from reconciler.redact import Redactor, Secret

_HEADER: Final[TypeAdapter[auth.SqlHeaderAuth]] = TypeAdapter(auth.SqlHeaderAuth)


class Made(TypedDict, total=False):
    """The fields of `sql.describe` that were made; one of them."""

    #: in place of one that the manifest names
    password: Secret
    #: value of the header `Authorization`, for engines that are HTTP APIs
    authorization: Secret


def load(method: str) -> None:
    """Imports what `method` needs.

    Raises:
        ConnectionFailed: DriverMissing; the hint is the command that installs it.
    """
    if not libraries.is_loaded(method):
        libraries.load(method)


def made(
    spec: JsonObject, secrets: Mapping[str, Secret], redactor: Redactor, now: datetime
) -> Made:
    """Returns what a normalised `spec` of one of `MADE_METHODS` logs in with at `now`.

    `redactor` learns what stands in it.

    Raises:
        ConnectionFailed: DriverMissing.
        SecretError: what it is made with cannot be used.
    """
    if spec["auth"]["method"] == "awsIam":
        return {"password": _password(spec, secrets, redactor, now)}
    return {"authorization": _authorization(spec, secrets, redactor, now)}


def _authorization(
    spec: JsonObject, secrets: Mapping[str, Secret], redactor: Redactor, now: datetime
) -> Secret:
    """Returns the value of a header; what is signed for it is good for an hour."""
    method = _HEADER.validate_python(spec["auth"])
    if isinstance(method, ServiceAccountAuth):
        redactor.add(method.account(secrets).private_key.reveal())
    plain = exchange.Request(method="POST", url=f"https://{spec['host']}/")
    sent = next(method.flow(plain, secrets, exchange.Moment(now=now, nonce=token_urlsafe)))
    ((_, value),) = sent.headers
    redactor.add(value.partition(" ")[2])
    return Secret(value)


def _password(
    spec: JsonObject, secrets: Mapping[str, Secret], redactor: Redactor, now: datetime
) -> Secret:
    """Returns a token that names the server its certificate is for, however it is reached."""
    method = AwsIamAuth.model_validate(spec["auth"])
    host = spec["tls"].get("serverName", spec["host"])
    token = method.token(secrets, host=host, port=spec["port"], now=now)
    # all else in it is known to the redactor already, or no secret
    redactor.add(token.reveal().rpartition("=")[2])
    return token
