"""The key of the fingerprints: made with the store, kept in `meta`, wrapped when a key is given.

Whoever copies a state file can try guessed secrets against its fingerprints, unless the key is
wrapped by `RECONCILER_KEY`, which is not in the file. The wrapping uses only HMAC-SHA-256 (RFC
2104), because a cipher would cost a dependency for 32 bytes. Under a fresh random salt

    pad    = HMAC(K, "pad" | salt)
    sealed = key XOR pad
    tag    = HMAC(K, "tag" | lineage | salt | sealed)

HMAC is a pseudo-random function, key and pad are both 32 bytes long, and a salt of 32 random bytes
does not repeat, so this is a one-time pad with encrypt-then-MAC; the labels keep the two uses apart
and the lineage binds the wrapped key to its store. It is sound for exactly one block: never use it
for longer values.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from reconciler.errors import ConfigError

KEY_BYTES = 32
_WRAPPED = "wrapped-v1"


def make_key() -> bytes:
    """Returns a new random key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)


def key_id(key: bytes) -> str:
    """Returns what identifies `key` without revealing it: 16 hex digits of its SHA-256."""
    return hashlib.sha256(b"reconciler key id\0" + key).hexdigest()[:16]


def is_wrapped(kept: str) -> bool:
    """Whether the text kept in `meta` needs `RECONCILER_KEY` to be read."""
    return kept.startswith(_WRAPPED)


def seal(key: bytes, *, lineage: str, keys: Sequence[bytes]) -> str:
    """Returns `key` as it is kept: wrapped with the first of `keys`, or hex where there is none."""
    if not keys:
        return key.hex()
    salt = secrets.token_bytes(KEY_BYTES)
    sealed = _exclusive_or(key, _pad(keys[0], salt))
    tag = _tag(keys[0], lineage, salt, sealed)
    return f"{_WRAPPED}:{salt.hex()}:{sealed.hex()}:{tag.hex()}"


def opens(kept: str, *, lineage: str, keys: Sequence[bytes]) -> bool:
    """Whether `kept` is wrapped, and with one of `keys`."""
    return is_wrapped(kept) and _wrapper(_parts(kept), lineage, keys) is not None


def unseal(kept: str, *, lineage: str, keys: Sequence[bytes]) -> bytes:
    """Returns the key that `seal` kept.

    Raises:
        ConfigError: it is wrapped, and not with one of `keys`.
        ValueError: `kept` is not what `seal` writes.
    """
    if not is_wrapped(kept):
        return _exactly(kept)
    parts = _parts(kept)
    if not keys:
        raise ConfigError(
            "the state store is wrapped by a key", "set RECONCILER_KEY to the key it was made with"
        )
    wrapper = _wrapper(parts, lineage, keys)
    if wrapper is None:
        raise ConfigError(
            "RECONCILER_KEY is not the key of this state store",
            "set it to the key in use; after `secret rotate-key` the old one can go, not before",
        )
    salt, sealed, _ = parts
    return _exclusive_or(sealed, _pad(wrapper, salt))


def _parts(kept: str) -> tuple[bytes, bytes, bytes]:
    """Returns salt, sealed key and tag; raises ValueError where `kept` has not these three."""
    _, salt, sealed, tag = kept.split(":")
    return _exactly(salt), _exactly(sealed), _exactly(tag)


def _wrapper(
    parts: tuple[bytes, bytes, bytes], lineage: str, keys: Sequence[bytes]
) -> bytes | None:
    """Returns that of `keys` by which the key is wrapped."""
    salt, sealed, tag = parts
    for key in keys:
        if hmac.compare_digest(tag, _tag(key, lineage, salt, sealed)):
            return key
    return None


def _exactly(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != KEY_BYTES:
        raise ValueError("not 32 bytes")
    return value


def _pad(wrapper: bytes, salt: bytes) -> bytes:
    return hmac.digest(wrapper, b"reconciler fingerprint key: pad\0" + salt, "sha256")


def _tag(wrapper: bytes, lineage: str, salt: bytes, sealed: bytes) -> bytes:
    text = b"reconciler fingerprint key: tag\0" + lineage.encode() + b"\0" + salt + sealed
    return hmac.digest(wrapper, text, "sha256")


def _exclusive_or(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
