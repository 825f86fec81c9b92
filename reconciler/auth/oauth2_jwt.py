"""Signed statements (JWT, RFC 7519; JWS compact form, RFC 7515): who a client or a subject is.

Below `oauth2_requests`, for `privateKeyJwt` and the grant `jwtBearer`, and below `key_pair`. Pure
but for the randomness that a signature may need; the moment comes in. Own code, since it is two
calls of `cryptography`, which is imported when something is signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from reconciler.auth.exchange import Moment
from reconciler.errors import SecretError
from reconciler.redact import Secret
from reconciler.values import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

#: So long a statement is good; it is used at once.
LIFETIME_S: Final = 300
#: Bytes of each of the two numbers of an ES256 signature (RFC 7518, section 3.4).
_P256_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key and how it signs; `pointer` is what a message calls it."""

    pem: Secret
    passphrase: Secret | None
    pointer: str
    algorithm: str
    #: `kid`, or empty
    key_id: str = ""
    #: `x5t#S256`, SHA-256 of the key's certificate (RFC 7515, section 4.1.8), or empty
    thumbprint: bytes = b""


def statement(claims: Mapping[str, str], key: SigningKey, moment: Moment) -> str:
    """Returns `claims` signed, good from now on for `LIFETIME_S` (RFC 7523, section 3).

    Raises:
        SecretError: the key cannot be read, or is none for the algorithm; names its pointer.
    """
    issued = int(moment.now.timestamp())
    body = {**claims, "iat": issued, "exp": issued + LIFETIME_S, "jti": moment.nonce()}
    return compact(body, key, load(key))


def compact(body: Mapping[str, object], key: SigningKey, loaded: PrivateKeyTypes) -> str:
    """Returns `body` signed with `key`, which `load` has read.

    Raises:
        SecretError: the key is none for its algorithm; names its pointer.
    """
    header = {"alg": key.algorithm, "typ": "JWT"}
    header |= {"kid": key.key_id} if key.key_id else {}
    header |= {"x5t#S256": _encoded(key.thumbprint)} if key.thumbprint else {}
    signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(body).encode())}"
    return f"{signed}.{_encoded(_sign(signed.encode(), key, loaded))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign(data: bytes, key: SigningKey, loaded: PrivateKeyTypes) -> bytes:
    from cryptography.exceptions import InvalidSignature

    sign = _SIGNERS[key.algorithm]
    try:
        signature = sign(loaded, data)
    except (InvalidSignature, ValueError):
        raise SecretError(
            f"the private key at {key.pointer} cannot sign: it is damaged or too short",
            "store the key anew",
        ) from None
    if signature is None:
        raise SecretError(
            f"the private key at {key.pointer} is none for {key.algorithm}",
            "name the algorithm of the key: `algorithm: RS256`, PS256, ES256 or EdDSA",
        )
    return signature


def load(key: SigningKey) -> PrivateKeyTypes:
    """Returns the private key behind `key`.

    The numbers of an RSA key are not tried here: that takes a hundred times what signing does. What
    it signs is tried with its public half instead.

    Raises:
        SecretError: it cannot be read; names its pointer.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    passphrase = key.passphrase.reveal().encode() if key.passphrase else None
    try:
        return load_pem_private_key(
            key.pem.reveal().encode(), passphrase, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # the library's words may quote the key
        check = "check `keyPassphrase`; the key" if passphrase else "it"
        raise SecretError(
            f"the secret at {key.pointer} is no private key that can be read",
            f"{check} is a PEM text; one with a passphrase needs `keyPassphrase`, others have none",
        ) from None


def _rsa_pkcs1(key: PrivateKeyTypes, data: bytes) -> bytes | None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if not isinstance(key, rsa.RSAPrivateKey):
        return None
    return _tried(key, data, padding.PKCS1v15(), hashes.SHA256())


def _rsa_pss(key: PrivateKeyTypes, data: bytes) -> bytes | None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if not isinstance(key, rsa.RSAPrivateKey):
        return None
    # the salt is as long as the hash (RFC 7518, section 3.5)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return _tried(key, data, pss, hashes.SHA256())


def _tried(
    key: RSAPrivateKey, data: bytes, form: AsymmetricPadding, algorithm: HashAlgorithm
) -> bytes:
    """Returns the signature; raises InvalidSignature where the key's own public half refuses it."""
    signature = key.sign(data, form, algorithm)
    key.public_key().verify(signature, data, form, algorithm)
    return signature


def _ecdsa(key: PrivateKeyTypes, data: bytes) -> bytes | None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    first, second = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return first.to_bytes(_P256_BYTES, "big") + second.to_bytes(_P256_BYTES, "big")


def _ed25519(key: PrivateKeyTypes, data: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return key.sign(data) if isinstance(key, ed25519.Ed25519PrivateKey) else None


#: Algorithm (RFC 7518, section 3.1; RFC 8037, section 3.1) -> how a key of its kind signs.
_SIGNERS: Final[Mapping[str, Callable[[PrivateKeyTypes, bytes], bytes | None]]] = {
    "RS256": _rsa_pkcs1,
    "PS256": _rsa_pss,
    "ES256": _ecdsa,
    "EdDSA": _ed25519,
}
