"""OAuth 1.0 signatures against published examples."""

from __future__ import annotations

import base64
import hmac
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from pydantic import TypeAdapter

from reconciler.auth import ApiAuth
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.model import Reason, StageName
from reconciler.redact import Secret

AUTH: TypeAdapter[Any] = TypeAdapter(ApiAuth)
#: The client and the token of RFC 5849, section 1.2.
PRINTER = {
    "method": "oauth1",
    "consumerKey": "dpf43f3p2l4k3l03",
    "consumerSecret": {"env": "A"},
    "token": {"env": "B"},
    "tokenSecret": {"env": "C"},
    "realm": "Photos",
}
PRINTER_SECRETS = {
    "consumerSecret": "kd94hf93k423kf44",
    "token": "nnch734d00sl2jdk",
    "tokenSecret": "pfkkdhi9sl3r4s00",
}
PHOTO = Request(
    method="GET", url="http://photos.example.net/photos?file=vacation.jpg&size=original"
)
TWITTER = {
    "consumerSecret": "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    "token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    "tokenSecret": "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
}


def signed(
    spec: dict[str, Any] = PRINTER,
    secrets: dict[str, str] = PRINTER_SECRETS,
    request: Request = PHOTO,
    *,
    at: int = 137131202,
    nonce: str = "chapoH",
) -> dict[str, str]:
    """Returns the fields of the Authorization header that is sent, decoded."""
    flow = AUTH.validate_python(spec).flow(
        request,
        {f"/auth/{name}": Secret(value) for name, value in secrets.items()},
        Moment(now=datetime.fromtimestamp(at, UTC), nonce=lambda: nonce),
    )
    sent: Request = next(flow)
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))
    scheme, _, rest = dict(sent.headers)["Authorization"].partition(" ")
    assert scheme == "OAuth"
    fields = (field.partition("=") for field in rest.split(", "))
    return {name: unquote(value.strip('"')) for name, _, value in fields}


def test_the_header_has_every_field() -> None:
    fields = signed()
    assert fields.pop("oauth_signature")
    assert fields == {
        "realm": "Photos",
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_nonce": "chapoH",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131202",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_version": "1.0",
    }


def test_the_example_of_twitter() -> None:
    # X developer documentation, "Creating a signature": parameters in the query and in the body
    request = Request(
        method="POST",
        url="https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=b"status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21",
    )
    fields = signed(
        {**PRINTER, "consumerKey": "xvz1evFS4wEEPTGEFPHBog"},
        TWITTER,
        request,
        at=1318622958,
        nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
    )
    assert fields["oauth_signature"] == "hCtSmYh+iHYCEqBWrE7C7hYmtUk="


def test_a_signature_with_sha256_is_over_the_same_text() -> None:
    base = (
        "GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file%3Dvacation.jpg"
        "%26oauth_consumer_key%3Ddpf43f3p2l4k3l03%26oauth_nonce%3DchapoH"
        "%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D137131202"
        "%26oauth_token%3Dnnch734d00sl2jdk%26oauth_version%3D1.0%26size%3Doriginal"
    )
    made = hmac.new(b"kd94hf93k423kf44&pfkkdhi9sl3r4s00", base.encode(), "sha256").digest()
    fields = signed({**PRINTER, "signatureMethod": "HMAC-SHA256"})
    assert fields["oauth_signature"] == base64.b64encode(made).decode()


def test_a_signature_in_plain_text_is_both_secrets() -> None:
    fields = signed({**PRINTER, "signatureMethod": "PLAINTEXT"})
    assert fields["oauth_signature"] == "kd94hf93k423kf44&pfkkdhi9sl3r4s00"


def test_a_client_without_a_token_signs_for_itself() -> None:
    spec = {name: PRINTER[name] for name in ("method", "consumerKey", "consumerSecret")}
    fields = signed({**spec, "signatureMethod": "PLAINTEXT"})
    assert fields["oauth_signature"] == "kd94hf93k423kf44&"
    assert "oauth_token" not in fields
    assert "realm" not in fields


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> str:
    secrecy: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        secrecy = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secrecy
    ).decode()


RSA = {**{k: v for k, v in PRINTER.items() if k != "consumerSecret"}, "privateKey": {"env": "K"}}
RSA["signatureMethod"] = "RSA-SHA1"
del RSA["tokenSecret"]


def test_an_rsa_signature_is_one_of_the_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    fields = signed(RSA, {"privateKey": pem(key), "token": "nnch734d00sl2jdk"})
    base = (
        "GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file%3Dvacation.jpg"
        "%26oauth_consumer_key%3Ddpf43f3p2l4k3l03%26oauth_nonce%3DchapoH"
        "%26oauth_signature_method%3DRSA-SHA1%26oauth_timestamp%3D137131202"
        "%26oauth_token%3Dnnch734d00sl2jdk%26oauth_version%3D1.0%26size%3Doriginal"
    )
    signature = base64.b64decode(fields["oauth_signature"])
    key.public_key().verify(signature, base.encode(), padding.PKCS1v15(), hashes.SHA1())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("hunter2", id="no key"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), id="another kind of key"),
        pytest.param(pem(rsa.generate_private_key(65537, 2048), b"x"), id="passphrase"),
    ],
)
def test_a_key_that_is_none_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(SecretError) as refusal:
        signed(RSA, {"privateKey": text, "token": "t"})
    assert refusal.value.message == "the secret at /auth/privateKey is no RSA private key"
    assert refusal.value.__suppress_context__


def test_a_token_with_a_percent_sign_is_signed_as_it_is() -> None:
    secrets = {**PRINTER_SECRETS, "token": "a%2Fb"}
    assert signed(secrets=secrets)["oauth_token"] == "a%2Fb"
    assert (
        signed(secrets=secrets)["oauth_signature"]
        != signed(secrets={**secrets, "token": "a/b"})["oauth_signature"]
    )


def test_a_missing_library_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "authlib.oauth1.rfc5849.signature", None)
    with pytest.raises(ConnectionFailed) as failed:
        signed()
    assert (failed.value.reason, failed.value.stage) == (Reason.DRIVER_MISSING, StageName.AUTH)
    assert failed.value.hint == 'install it: `pip install "reconciler[oauth]"`'
