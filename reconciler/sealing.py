"""Encrypts what the state may hold only encrypted: stored secrets, and tokens. No state, no I/O.

Envelopes: every value is encrypted under a random key of its own, and only that key of 32 bytes
under the master key. So a rotation of the master key wraps short keys anew and sees no value, a
data key encrypts one message in its life, and the master key far fewer than the 2^32 that random
nonces allow (NIST SP 800-38D, section 8.3). Both steps are AES-256-GCM with a random nonce of 96
bits; what is bound to them as additional data is everything that stands beside the text, so that
nothing of a row can be changed, and no text be moved to another row or another store.

    sealed-v1 : base64url(nonce, wrapped data key, tag) : base64url(nonce, padded value, tag)

Values are padded to whole blocks of 64 bytes: the length of a password is half of a guess. A floor
of its own because tokens and stored secrets share it; `cryptography` is imported at first use.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reconciler.errors import ConfigError, SecretError
from reconciler.model import canonical
from reconciler.redact import Secret, escape

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
#: What to do where no key is given, or not the right one.
NO_KEY_HINT = "`reconciler secret keygen` makes one; give it in RECONCILER_KEY or a file"
_FORMAT = "sealed-v1"
_NONCE_BYTES = 12
_BLOCK_BYTES = 64
_END = b"\x80"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a sealed value belongs to; it opens under exactly the same."""

    #: of the store
    lineage: str
    #: `secret` or `token`
    space: str
    #: of the secret, or the uid of the token's connection
    name: str
    #: of the row; rises with every change
    version: int
    updated_at: datetime
    expires_at: datetime | None = None
    field: str = "value"

    def __str__(self) -> str:
        return f"the stored {self.space} `{escape(self.name)}`"


class Sealer:
    """Seals with the first of its keys and opens with all of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Takes master keys of 32 bytes each; without any, nothing can be sealed or opened."""
        self._keys = {key_id(key): key for key in keys}
        self._first = next(iter(self._keys), "")

    @property
    def key_id(self) -> str:
        """Returns the id of the key that seals; empty where there is none."""
        return self._first

    @property
    def key_ids(self) -> frozenset[str]:
        """Returns the ids of the keys that open."""
        return frozenset(self._keys)

    def seal(self, plaintext: Secret, *, context: Context) -> tuple[str, str]:
        """Returns the id of the key and the text to keep.

        Raises:
            ConfigError: there is no key.
        """
        key = self._sealing_key()
        data_key = secrets.token_bytes(KEY_BYTES)
        value = _encrypt(data_key, _pad(plaintext.reveal().encode()), _value_data(context))
        wrapped = _encrypt(_wrapping_key(key), data_key, _key_data(context, self._first))
        return self._first, ":".join((_FORMAT, _text(wrapped), _text(value)))

    def open(self, key_id: str, ciphertext: str, *, context: Context) -> Secret:
        """Returns what was sealed.

        Raises:
            SecretError: the key is not there, or anything differs from what was sealed.
        """
        data_key, value = self._unwrap(key_id, ciphertext, context)
        try:
            return Secret(_unpad(_decrypt(data_key, value, _value_data(context))).decode())
        except ValueError:
            raise _damaged(context) from None

    def rewrap(
        self, key_id: str, ciphertext: str, *, context: Context, version: int
    ) -> tuple[str, str]:
        """Returns the same value sealed with the first key, for `version` of its row.

        The value itself is not decrypted.

        Raises:
            ConfigError: there is no key.
            SecretError: the key it is sealed with is not there, or something was changed.
        """
        key = self._sealing_key()
        data_key, value = self._unwrap(key_id, ciphertext, context)
        data = _key_data(replace(context, version=version), self._first)
        wrapped = _encrypt(_wrapping_key(key), data_key, data)
        return self._first, ":".join((_FORMAT, _text(wrapped), _text(value)))

    def _sealing_key(self) -> bytes:
        if not self._first:
            raise ConfigError("there is no key to encrypt with", NO_KEY_HINT)
        return self._keys[self._first]

    def _unwrap(self, key_id: str, ciphertext: str, context: Context) -> tuple[bytes, bytes]:
        """Returns the data key, and the value that is encrypted with it."""
        key = self._keys.get(key_id)
        if key is None:
            raise SecretError(
                f"{context} is sealed with the key {escape(key_id)[:16]}, which is not given",
                "add that key to RECONCILER_KEY, behind the one in use",
            )
        try:
            wrapped, value = _parts(ciphertext)
            data = _key_data(context, key_id)
            return _decrypt(_wrapping_key(key), _bytes(wrapped), data), _bytes(value)
        except ValueError:
            raise _damaged(context) from None


def key_id(key: bytes) -> str:
    """Returns what identifies a master key without revealing it: 16 hexadecimal digits."""
    return hmac.digest(key, b"reconciler sealing: key id\0", hashlib.sha256).hex()[:16]


def _damaged(context: Context) -> SecretError:
    return SecretError(
        f"{context} cannot be opened: it was changed, or belongs to another row or another store",
        "set it again, or restore a backup",
    )


def _wrapping_key(key: bytes) -> bytes:
    """Returns the key that wraps: the master key itself has other uses (`fingerprint_key.py`)."""
    return hmac.digest(key, b"reconciler sealing: wrapping key\0", hashlib.sha256)


def _value_data(context: Context) -> bytes:
    """Returns what the value is bound to; a rotation leaves all of it as it is."""
    until = context.expires_at and _moment(context.expires_at)
    place = [context.lineage, context.space, context.name, context.field]
    return canonical([_FORMAT, "value", *place, _moment(context.updated_at), until]).encode()


def _key_data(context: Context, key_id: str) -> bytes:
    """Returns what the data key is bound to: the same, the master key, and the row's version."""
    bound = _value_data(context).decode()
    return canonical([_FORMAT, "key", bound, key_id, context.version]).encode()


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _encrypt(key: bytes, plaintext: bytes, data: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, plaintext, data)


def _decrypt(key: bytes, sealed: bytes, data: bytes) -> bytes:
    """Returns the plaintext; raises ValueError where anything is not as it was."""
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], data)
    except InvalidTag:
        raise ValueError("the tag is wrong") from None


def _pad(value: bytes) -> bytes:
    ended = value + _END
    return ended + bytes(-len(ended) % _BLOCK_BYTES)


def _unpad(padded: bytes) -> bytes:
    ended = padded.rstrip(b"\0")
    if not ended.endswith(_END):
        raise ValueError("not padded")
    return ended.removesuffix(_END)


def _parts(ciphertext: str) -> tuple[str, str]:
    """Returns the wrapped key and the value; raises ValueError where it is of another format."""
    form, wrapped, value = ciphertext.split(":")
    if form != _FORMAT:
        raise ValueError("of another format")
    return wrapped, value


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Returns what `_text` wrote; anything else that means the same bytes is refused."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64") from None
    if _text(data) != text:
        raise ValueError("written in another way")
    return data
