"""Keyed hashes: they show that a secret changed and whose login budget it shares, and nothing else.

HMAC-SHA256 with the store's random key (RFC 2104): without the key a fingerprint cannot be tried
against a list of passwords. Pure floor.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from reconciler.model import Endpoint, Fingerprint
from reconciler.redact import Secret

#: Where in `spec` the credentials of hops stand.
_HOP_SECRETS = ("/proxy/", "/ssh/")


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

    The same account at the same server with the same secret has the same key, whichever
    connection, process or manifest uses it, whichever way leads there, and whatever the server is
    called there: a password of MariaDB is the same for `mysql`, sent by LDAP or by HTTP Digest.
    Secrets of hops are left out: logins there are counted on their own.
    """
    values = sorted(of_secret(secrets[pointer], key) for pointer in own_secrets(secrets))
    _, _, place = endpoint.login_destination.partition("://")
    return _keyed(key, "credential", endpoint.username, place, *values)


def own_secrets(pointers: Iterable[str]) -> tuple[str, ...]:
    """Returns the pointers of secrets that are for the server itself and not for a hop."""
    return tuple(pointer for pointer in pointers if not pointer.startswith(_HOP_SECRETS))


def of_reading(key: bytes, *parts: str) -> str:
    """Returns the keyed hash of what a file was read as; no part may hold NUL.

    Joined and not counted like the others, since ten thousand files wait for it; the word before
    the first NUL keeps the two forms apart, as counted ones begin with a digit.
    """
    return hmac.digest(key, "\0".join(("reading", *parts)).encode(), "sha256").hex()


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
    return hmac.digest(key, message.encode(), "sha256").hex()
