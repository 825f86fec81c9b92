"""AWS Signature Version 4 in the `Authorization` header.

One of the methods of `auth.ApiAuth`; pure. botocore's signer makes the signature, by its public
steps and not by `add_auth`, which reads the clock and writes what it signs, session token and all,
into the debug log. Source of the rules: AWS, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from importlib import import_module
from typing import Annotated, Final, Literal, NoReturn, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from reconciler.auth import libraries
from reconciler.auth.exchange import (
    Flow,
    Moment,
    Request,
    Response,
    Secrets,
    header_value,
    headers_named,
    target,
    with_header,
)
from reconciler.auth.spec_model import SecretReference, SpecModel, at, whole

_NAME: Final = whole("[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
Region: TypeAlias = Annotated[
    str,
    Field(pattern=_NAME, description="Region of the service.", examples=["eu-central-1"]),
]
ALGORITHM: Final = "AWS4-HMAC-SHA256"
#: What an error answer names as its code: a header, XML or JSON.
_CODE: Final = re.compile(
    rb'(?:<Code>|"(?:__type|code|Code)"\s*:\s*"(?:[^"#]{0,200}#)?)([A-Za-z]{1,64})'
)
_DENIED: Final = frozenset({400, 401, 403})
_WRONG_KEY: Final = "AWS does not know the access key"
_WRONG_SIGNATURE: Final = (
    "AWS refuses the signature: the secret, the region or the service is wrong"
)
_EXPIRED: Final = "the session token has expired"
_CLOCK: Final = "AWS refuses the time of the request: this machine's clock is wrong"
#: Code of an error -> what it means. AWS says with 400 and 403 what others say with 401
#: (AWS, "Common error types"; Amazon S3, "Error responses").
_REFUSALS: Final = {
    "InvalidAccessKeyId": _WRONG_KEY,
    "InvalidClientTokenId": _WRONG_KEY,
    "UnrecognizedClientException": _WRONG_KEY,
    "NotAuthorized": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_SIGNATURE,
    "InvalidSignatureException": _WRONG_SIGNATURE,
    "IncompleteSignature": _WRONG_SIGNATURE,
    "IncompleteSignatureException": _WRONG_SIGNATURE,
    "AuthorizationHeaderMalformed": _WRONG_SIGNATURE,
    "InvalidToken": "AWS does not know the session token",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
}


class AwsSigV4Auth(SpecModel):
    """Signs each request with the keys of an AWS account."""

    method: Literal["awsSigV4"] = Field(
        description="Signs each request as AWS wants it (Signature Version 4)."
    )
    region: Region
    service: Annotated[str, Field(pattern=_NAME)] = Field(
        description="Name of the service in signatures.", examples=["execute-api", "s3"]
    )
    access_key_id: SecretReference = Field(
        description="Where the access key ID is; it changes together with its secret."
    )
    secret_access_key: SecretReference = Field(description="Where the secret access key is.")
    session_token: SecretReference | None = Field(
        default=None, description="Where the session token of temporary keys is."
    )

    def flow(self, request: Request, secrets: Secrets, moment: Moment) -> Flow:
        """Yields `request` with date, session token and signature in its headers.

        Host, Content-Type and all `X-Amz-` headers are signed, and a hash of the body.

        Raises:
            SecretError: a key was not resolved, or no header can carry it.
            ConnectionFailed: DriverMissing, without botocore.
        """
        library = libraries.load("awsSigV4")
        timestamp = stamp(moment.now)
        request = with_header(request, "X-Amz-Date", timestamp)
        if self.session_token is not None:
            token = header_value(secrets, at("sessionToken"))
            request = with_header(request, "X-Amz-Security-Token", token)
        keys = Keys.of(secrets)
        is_s3 = self.service == "s3"
        made = library.S3SigV4Auth if is_s3 else library.SigV4Auth
        signer: Signer = made(keys, self.service, self.region)
        if is_s3:
            hashed = hashlib.sha256(request.body).hexdigest()
            request = with_header(request, "X-Amz-Content-SHA256", hashed)
        yield signed(request, signer, timestamp)


def stamp(now: datetime) -> str:
    """Returns `now`, which is UTC, as signatures have it."""
    return f"{now:%Y%m%dT%H%M%SZ}"


class Keys:
    """What botocore's signer reads of its credentials; the session token is in the request already.

    Shows and pickles nothing of them.
    """

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, *, access_key: str, secret_key: str) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = None

    @classmethod
    def of(cls, secrets: Secrets) -> Keys:
        """Returns the keys among the secrets of a connection.

        Raises:
            SecretError: one was not resolved, or no header can carry it.
        """
        return cls(
            access_key=header_value(secrets, at("accessKeyId")),
            secret_key=header_value(secrets, at("secretAccessKey")),
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled or copied")


class Signer(Protocol):
    """The public steps of botocore's `SigV4Auth`, over its own request."""

    def headers_to_sign(self, request: object) -> object: ...
    def signed_headers(self, headers_to_sign: object) -> str: ...
    def canonical_query_string(self, request: object) -> str: ...
    def canonical_request(self, request: object) -> str: ...
    def string_to_sign(self, request: object, canonical_request: str) -> str: ...
    def scope(self, request: object) -> str: ...
    def signature(self, string_to_sign: str, request: object) -> str: ...


def signed(request: Request, signer: Signer, timestamp: str) -> Request:
    """Returns `request`, whose `X-Amz-Date` is `timestamp`, with its signature in a header.

    Host, Content-Type and all `X-Amz-` headers are signed, and a hash of the body.
    """
    awsrequest = import_module("botocore.awsrequest")  # which the signer has imported
    parts = urlsplit(request.url)
    path, _, query = target(request.url).partition("?")
    asked = awsrequest.AWSRequest(
        method=request.method,
        url=f"{parts.scheme}://{parts.netloc}{path}",
        # as pairs, since the signer takes the query of a URL to be encoded in AWS's own way
        params=parse_qsl(query, keep_blank_values=True),
        headers={name: value for name, value in request.headers if _is_signed(name.lower())},
        data=request.body,
    )
    asked.context["timestamp"] = timestamp
    text = signer.string_to_sign(asked, signer.canonical_request(asked))
    names = signer.signed_headers(signer.headers_to_sign(asked))
    credential = (
        f"{ALGORITHM} Credential={signer.scope(asked)}, "
        f"SignedHeaders={names}, Signature={signer.signature(text, asked)}"
    )
    return with_header(request, "Authorization", credential)


def _is_signed(name: str) -> bool:
    return name == "content-type" or name.startswith("x-amz-")


def refusal(response: Response) -> str:
    """Returns why AWS refuses the keys, in our words, or `""` where it does not."""
    if response.status not in _DENIED:
        return ""
    named = [value.partition(":")[0] for value in headers_named(response, "x-amzn-errortype")]
    match = _CODE.search(response.body)
    if match:
        named.append(match[1].decode("ascii"))
    return next((_REFUSALS[name] for name in named if name in _REFUSALS), "")
