"""Tokens for databases of AWS, against those that AWS's own library makes at the same time."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import auth as botocore_auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from reconciler.auth.aws_iam import AwsIamAuth
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.model import Reason, StageName
from reconciler.redact import Secret

NOW = datetime(2026, 11, 22, 8, 5, 3, tzinfo=UTC)
ID, KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "orders.cx1.eu-central-1.rds.amazonaws.com"
SESSION = "IQoJb3Jp/Z2luX2Vj+EJ=="


def make(**changes: object) -> AwsIamAuth:
    spec = {
        "method": "awsIam",
        "username": "report",
        "region": "eu-central-1",
        "accessKeyId": {"env": "A"},
        "secretAccessKey": {"env": "B"},
    }
    return AwsIamAuth.model_validate({**spec, **changes})


def token(
    method: AwsIamAuth,
    given: Mapping[str, str] | None = None,
    *,
    host: str = HOST,
    now: datetime = NOW,
) -> str:
    keys = {"accessKeyId": ID, "secretAccessKey": KEY, "sessionToken": SESSION}
    values = {**keys, **(given or {})}
    secrets = {f"/auth/{name}": Secret(value) for name, value in values.items() if value}
    return method.token(secrets, host=host, port=5432, now=now).reveal()


def parts(text: str) -> tuple[str, list[str]]:
    """Returns the place and the parameters; AWS takes them in any order."""
    place, _, query = text.partition("?")
    return place, sorted(query.split("&"))


def made_by_botocore(
    username: str, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[str]]:
    monkeypatch.setattr(botocore_auth, "get_current_datetime", lambda: NOW)
    request = AWSRequest(
        method="GET",
        url=f"https://{HOST}:5432/",
        params={"Action": "connect", "DBUser": username},
    )
    keys = Credentials(ID, KEY, session)
    signer = botocore_auth.SigV4QueryAuth(keys, "rds-db", "eu-central-1", expires=900)
    signer.add_auth(request)
    url: str = request.url
    return parts(url.removeprefix("https://"))


@pytest.mark.parametrize("username", ["report", "Jane Doe+1/ł&=%?"])
@pytest.mark.parametrize("session", [None, SESSION], ids=["keys", "temporary keys"])
def test_a_token_is_the_one_that_aws_s_library_makes(
    username: str, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = {"sessionToken": {"env": "C"}} if session else {}
    made = token(make(username=username, **more))
    assert parts(made) == made_by_botocore(username, session, monkeypatch)


def test_a_token_whole() -> None:
    assert token(make()) == (
        f"{HOST}:5432/?Action=connect&DBUser=report&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={ID}%2F20261122%2Feu-central-1%2Frds-db%2Faws4_request"
        "&X-Amz-Date=20261122T080503Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=778e64dec2a0dd2a9e075ec41edd42152fc65cbb29c1b66d6cb0d80294229d9a"
    )


def test_a_host_is_written_as_aws_writes_it() -> None:
    assert token(make(), host=f"{HOST.upper()}.") == token(make())


def test_an_address_is_no_reason_to_crash() -> None:
    assert token(make(), host="2001:db8::7").startswith("[2001:db8::7]:5432/?Action=connect&")


def test_a_token_is_of_its_time() -> None:
    later = NOW.replace(second=4)
    assert token(make(), now=later).count("20261122T080504Z") == 1
    assert token(make(), now=later)[-64:] != token(make())[-64:]


@pytest.mark.parametrize("name", ["accessKeyId", "secretAccessKey", "sessionToken"])
@pytest.mark.parametrize("value", ["", "two\nlines"])
def test_a_key_that_is_missing_or_no_key_is_named(name: str, value: str) -> None:
    with pytest.raises(SecretError, match=f"the secret at /auth/{name} ") as failed:
        token(make(sessionToken={"env": "C"}), {name: value})
    assert "two" not in str(failed.value)


def test_what_is_signed_is_logged_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        token(make(sessionToken={"env": "C"}))
    assert caplog.text == ""


def test_a_missing_library_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(ConnectionFailed) as failed:
        token(make())
    assert (failed.value.reason, failed.value.stage) == (Reason.DRIVER_MISSING, StageName.AUTH)
    assert failed.value.hint == 'install it: `pip install "reconciler[aws]"`'
