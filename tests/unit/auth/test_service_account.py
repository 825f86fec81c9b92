"""What the key of a service account signs, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.auth.exchange import Moment, Request, Response
from reconciler.auth.service_account import ServiceAccountAuth
from reconciler.errors import SecretError
from reconciler.model import JsonObject
from reconciler.redact import Secret
from tests.servers import statements
from tests.servers.bigquery import ADDRESS, KEY_ID, key_file

AUTH: JsonObject = {"method": "serviceAccount", "key": {"env": "KEY"}}
MOMENT = Moment(now=datetime(2026, 3, 1, 12, tzinfo=UTC), nonce=lambda: "n")


def authorization(key: str) -> str:
    request = Request(method="POST", url="https://bigquery.internal/")
    known = {"/auth/key": Secret(key)}
    flow = ServiceAccountAuth.model_validate(AUTH).flow(request, known, MOMENT)
    ((_, value),) = next(flow).headers
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))
    return value


def test_the_account_signs_for_the_service_whatever_its_host() -> None:
    key = statements.key_pair()
    assert statements.claims(authorization(key_file(key)), key, kid=KEY_ID) == {
        "iss": ADDRESS,
        "sub": ADDRESS,
        "aud": "https://bigquery.googleapis.com/",
        "iat": 1772366400,
        "exp": 1772370000,
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "none", "[]", "{}", "[" * 100_000),
        pytest.param(key_file(statements.key_pair(), type="authorized_user"), id="user"),
        pytest.param(key_file(statements.key_pair(), private_key_id=""), id="no id"),
        pytest.param(key_file(statements.key_pair(), private_key=7), id="no key"),
        pytest.param(key_file(statements.key_pair(), client_email=None), id="no account"),
    ],
)
def test_what_is_no_key_file_is_said(text: str) -> None:
    with pytest.raises(SecretError, match="no key file of a service account"):
        authorization(text)
