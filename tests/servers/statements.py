"""What peers of SQL engines with an HTTP API share: keys, signed statements, JSON answers.

Apart from the code under test: signatures are verified here from RFC 7515 and RFC 7518.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from reconciler.model import Json, JsonObject
from tests.servers.http import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An RSA key, of which a peer knows the public half."""

    private: rsa.RSAPrivateKey

    def pem(self, passphrase: str = "") -> str:
        """Returns the private key, to be opened with `passphrase` where there is one."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        form = serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(serialization.Encoding.PEM, form, encryption).decode()

    @property
    def fingerprint(self) -> str:
        """What `DESCRIBE USER` of Snowflake shows as RSA_PUBLIC_KEY_FP."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(
            self.private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return f"SHA256:{base64.b64encode(digest.finalize()).decode()}"


@cache
def key_pair(number: int = 0) -> KeyPair:
    """Returns a key; another number is another one."""
    del number
    return KeyPair(private=rsa.generate_private_key(65537, 2048))


def claims(authorization: str, key: KeyPair, **head: str) -> JsonObject | None:
    """Returns what the bearer of `authorization` claims, None unless `key` has signed it.

    `head` is what the head of the statement says beside the algorithm.
    """
    word, _, token = authorization.partition(" ")
    parts = token.split(".")
    if word != "Bearer" or len(parts) != 3:
        return None
    first, second, signature = (_decoded(part) for part in parts)
    signed = token.rpartition(".")[0].encode()
    try:
        key.private.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return None
    said = json.loads(second)
    return said if json.loads(first) == {"alg": "RS256", "typ": "JWT", **head} else None


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def send(client: Client, status: int, data: Json, *headers: tuple[str, str]) -> None:
    """Answers with `data` as JSON."""
    body = json.dumps(data).encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    await client.send("\r\n".join(lines).encode() + body)
