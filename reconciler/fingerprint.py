"""Keyed hashes: they show that a secret changed and whose login budget it shares, and nothing else.

HMAC-SHA256 with the store's random key (RFC 2104): without the key a fingerprint cannot be tried
against a list of passwords. Pure floor.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from reconciler.model import Endpoint, Fingerprint
from reconciler.redact import Secret


def of_secret(secret: Secret, key: bytes) -> str:
    """Returns the fingerprint of a secret, 64 hexadecimal digits; equal secrets have equal ones."""
    return _keyed(key, "secret", secret.reveal())


def of_secrets(
    secrets: Mapping[str, Secret], *, key: bytes, key_id: str
) -> tuple[Fingerprint, ...]:
    """Returns the fingerprints of a connection's secrets, sorted by pointer."""
    return tuple(
        Fingerprint(pointer=pointer, key_id=key_id, value=of_secret(secrets[pointer], key))
        for pointer in sorted(secrets)
    )


def of_credential(endpoint: Endpoint, secrets: Mapping[str, Secret], key: bytes) -> str:
    """Returns the key under which failed logins with this credential are counted.

    The same account at the same destination with the same secret has the same key, whichever
    connection, process or manifest uses it.
    """
    values = sorted(of_secret(secret, key) for secret in secrets.values())
    return _keyed(
        key, "credential", endpoint.method, endpoint.username, endpoint.login_destination, *values
    )


def of_grant(text: str, secrets: Mapping[str, Secret], key: bytes) -> str:
    """Returns the keyed hash of what a token was given for: settings as text, and secrets."""
    values = [part for place in sorted(secrets) for part in (place, of_secret(secrets[place], key))]
    return _keyed(key, "grant", text, *values)


def changed(before: tuple[Fingerprint, ...], after: tuple[Fingerprint, ...]) -> tuple[str, ...]:
    """Returns the pointers whose secret is known to have changed: both known, same key, unequal."""
    known = {fingerprint.pointer: fingerprint for fingerprint in before}
    return tuple(
        new.pointer
        for new in after
        if (old := known.get(new.pointer)) and old.key_id == new.key_id and old.value != new.value
    )


def _keyed(key: bytes, *parts: str) -> str:
    message = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
