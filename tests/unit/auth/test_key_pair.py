"""What a key pair signs: the claims of Snowflake, and keys that cannot sign them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import TypeAdapter

from reconciler.auth import SqlHeaderAuth, key_pair
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.errors import SecretError
from reconciler.model import JsonObject
from reconciler.redact import Secret
from tests.servers import statements

AUTH: TypeAdapter[SqlHeaderAuth] = TypeAdapter(SqlHeaderAuth)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = "xy12345.eu-central-1.snowflakecomputing.com"
LOGIN: JsonObject = {"method": "keyPair", "username": "report", "key": {"env": "KEY"}}


def authorization(auth: JsonObject, **secrets: str) -> str:
    request = Request(method="POST", url=f"https://{HOST}/")
    known = {f"/auth/{name}": Secret(value) for name, value in secrets.items()}
    flow = AUTH.validate_python(auth).flow(request, known, Moment(now=NOW, nonce=lambda: "n"))
    ((name, value),) = next(flow).headers
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))
    assert name == "Authorization"
    return value


@pytest.mark.parametrize(
    ("auth", "subject"),
    [
        pytest.param(LOGIN, "XY12345.REPORT", id="account of the host"),
        pytest.param(
            {**LOGIN, "account": "myorg-acct"}, "MYORG-ACCT.REPORT", id="account of the manifest"
        ),
    ],
)
def test_account_and_user_are_signed_in_capitals(auth: JsonObject, subject: str) -> None:
    key = statements.key_pair()
    assert statements.claims(authorization(auth, key=key.pem()), key) == {
        "iss": f"{subject}.{key.fingerprint}",
        "sub": subject,
        "iat": 1772366400,
        "exp": 1772370000,
    }


def test_a_key_with_a_passphrase_signs() -> None:
    key = statements.key_pair()
    auth = {**LOGIN, "keyPassphrase": {"env": "PASS"}}
    signed = authorization(auth, key=key.pem("sesame"), keyPassphrase="sesame")
    assert statements.claims(signed, key) is not None


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        pytest.param(
            ec.generate_private_key(ec.SECP256R1())
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode(),
            "the private key at /auth/key is no RSA key",
            id="another kind of key",
        ),
        pytest.param(
            "none", "the secret at /auth/key is no private key that can be read", id="no key"
        ),
    ],
)
def test_what_cannot_sign_is_said(pem: str, message: str) -> None:
    with pytest.raises(SecretError) as caught:
        authorization(LOGIN, key=pem)
    assert caught.value.message == message


def test_a_damaged_key_signs_nothing_that_is_sent() -> None:
    whole = statements.key_pair().private.private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        p=whole.p,
        q=whole.q,
        d=whole.d + 2,
        dmp1=whole.dmp1 + 2,
        dmq1=whole.dmq1,
        iqmp=whole.iqmp,
        public_numbers=whole.public_numbers,
    )
    pem = (
        damaged.private_key(unsafe_skip_rsa_key_validation=True)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )
    with pytest.raises(SecretError, match="cannot sign: it is damaged or too short"):
        authorization(LOGIN, key=pem)


@pytest.mark.parametrize(
    ("host", "account"),
    [
        (HOST, "xy12345"),
        ("myorg-my-account.snowflakecomputing.com", "myorg-my-account"),
        ("xy12345.eu-central-1.privatelink.snowflakecomputing.com", "xy12345"),
        ("xy12345-a1b2.global.snowflakecomputing.com", "xy12345"),
    ],
)
def test_the_account_is_in_the_name_of_the_host(host: str, account: str) -> None:
    assert key_pair.account_of(host) == account


def test_a_token_is_sent_as_it_is() -> None:
    auth: JsonObject = {"method": "accessToken", "token": {"env": "TOKEN"}}
    assert authorization(auth, token="t.0-k") == "Bearer t.0-k"
    with pytest.raises(SecretError, match="control character"):
        authorization(auth, token="a\nb")
