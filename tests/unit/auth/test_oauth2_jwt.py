"""What the header of a signed statement says of its key."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from reconciler.auth.exchange import Moment
from reconciler.auth.oauth2_jwt import SigningKey, statement
from reconciler.redact import Secret

PEM = (
    ed25519.Ed25519PrivateKey.generate()
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)
MOMENT = Moment(now=datetime(2026, 1, 1, tzinfo=UTC), nonce=lambda: "n")


@pytest.mark.parametrize(
    ("key_id", "thumbprint", "named"),
    [
        pytest.param("", b"", {}, id="by nothing"),
        pytest.param("k-1", b"", {"kid": "k-1"}, id="by its id"),
        pytest.param("", b"\xff\xef", {"x5t#S256": "_-8"}, id="by its certificate"),
    ],
)
def test_header_names_the_key(key_id: str, thumbprint: bytes, named: dict[str, str]) -> None:
    key = SigningKey(
        pem=Secret(PEM),
        passphrase=None,
        pointer="/auth/key",
        algorithm="EdDSA",
        key_id=key_id,
        thumbprint=thumbprint,
    )
    header = statement({"iss": "a"}, key, MOMENT).partition(".")[0]
    decoded = json.loads(base64.urlsafe_b64decode(header + "=="))
    assert decoded == {"alg": "EdDSA", "typ": "JWT", **named}
