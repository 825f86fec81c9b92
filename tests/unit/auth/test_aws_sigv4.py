"""AWS signatures against the examples that AWS publishes, and what its errors mean."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from reconciler import auth
from reconciler.auth import ApiAuth
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.redact import Secret

AUTH: TypeAdapter[Any] = TypeAdapter(ApiAuth)
SPEC = {
    "method": "awsSigV4",
    "region": "us-east-1",
    "service": "service",
    "accessKeyId": {"env": "A"},
    "secretAccessKey": {"env": "B"},
}
#: Those of AWS's Signature Version 4 test suite.
SUITE = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
#: Those of "Signature Calculations for the Authorization Header", Amazon S3.
S3 = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
S3_AT = datetime(2013, 5, 24, tzinfo=UTC)


def sign(
    request: Request,
    *,
    keys: tuple[str, str] = SUITE,
    now: datetime = SUITE_AT,
    token: str = "",
    **changes: object,
) -> dict[str, str]:
    """Returns the headers of the one request that is sent."""
    secrets = {"/auth/accessKeyId": Secret(keys[0]), "/auth/secretAccessKey": Secret(keys[1])}
    if token:
        secrets["/auth/sessionToken"] = Secret(token)
        changes["sessionToken"] = {"env": "C"}
    flow = AUTH.validate_python({**SPEC, **changes}).flow(
        request, secrets, Moment(now=now, nonce=str)
    )
    sent: Request = next(flow)
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))
    return dict(sent.headers)


def get(url: str, *headers: tuple[str, str]) -> Request:
    return Request(method="GET", url=url, headers=headers)


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        pytest.param(
            get("https://example.amazonaws.com/"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            id="get-vanilla",
        ),
        pytest.param(
            get("https://example.amazonaws.com/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
        pytest.param(
            get("https://example.amazonaws.com/", ("Accept", "*/*"), ("User-Agent", "x")),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            id="headers that somebody on the way may change",
        ),
        pytest.param(
            Request(method="POST", url="https://example.amazonaws.com/"),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
    ],
)
def test_the_test_suite_of_aws(request_: Request, signature: str) -> None:
    headers = sign(request_)
    assert headers["X-Amz-Date"] == "20150830T123600Z"
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def test_the_example_of_iam() -> None:
    # AWS General Reference, "Examples of the complete Signature Version 4 signing process"
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    form = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
    headers = sign(get(url, form), service="iam")
    assert headers["Authorization"].endswith(
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_examples_of_s3(query: str, signature: str) -> None:
    headers = sign(
        get(f"https://examplebucket.s3.amazonaws.com/{query}"), keys=S3, now=S3_AT, service="s3"
    )
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert headers["X-Amz-Content-SHA256"] == empty
    assert headers["Authorization"].endswith(
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )


def test_a_session_token_is_sent_and_signed() -> None:
    headers = sign(get("https://example.amazonaws.com/"), token="SESSION")
    assert headers["X-Amz-Security-Token"] == "SESSION"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in headers["Authorization"]


def test_what_is_signed_is_logged_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        sign(get("https://example.amazonaws.com/"), token="SESSION")
    assert caplog.text == ""


def test_a_missing_library_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(ConnectionFailed) as failed:
        sign(get("https://example.amazonaws.com/"))
    assert (failed.value.reason, failed.value.stage) == (Reason.DRIVER_MISSING, StageName.AUTH)
    assert failed.value.hint == 'install it: `pip install "reconciler[aws]"`'


XML = b"<Error><Code>SignatureDoesNotMatch</Code><Message>x</Message></Error>"
JSON = b'{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"x"}'
TYPE = (("x-amzn-ErrorType", "ExpiredTokenException:http://internal/"),)


@pytest.mark.parametrize(
    ("response", "refusal"),
    [
        pytest.param(
            Response(status=403, body=XML),
            "AWS refuses the signature: the secret, the region or the service is wrong",
            id="xml",
        ),
        pytest.param(
            Response(status=400, body=JSON), "AWS does not know the access key", id="json"
        ),
        pytest.param(
            Response(status=403, headers=TYPE), "the session token has expired", id="header"
        ),
        pytest.param(Response(status=403, body=b"<Code>AccessDenied</Code>"), "", id="not allowed"),
        pytest.param(Response(status=403), "", id="no code"),
        pytest.param(Response(status=200, body=XML), "", id="good answer"),
    ],
)
def test_errors_of_aws_that_refuse_the_keys(response: Response, refusal: str) -> None:
    assert auth.refusal(AUTH.validate_python(SPEC), response) == refusal


def test_other_methods_leave_it_to_the_status() -> None:
    none = AUTH.validate_python({"method": "none"})
    assert auth.refusal(none, Response(status=403, body=XML)) == ""
