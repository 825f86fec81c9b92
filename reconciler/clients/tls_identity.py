"""Who we are to a server that asks: a client certificate and its key, for a TLS context.

Beside `tls.py`, which shares contexts, since only this needs cryptography. Python's ssl reads keys
from files only, so a key passes through one: with a passphrase made for the moment, readable by
nobody else, and gone as soon as it is read.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from functools import lru_cache
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from reconciler.errors import ConnectionFailed, SecretError
from reconciler.model import Reason, StageName
from reconciler.redact import Secret
from reconciler.values import dataclass

#: JSON pointer, inside `spec`, of the block that names the certificate beside a login.
BESIDE = "/tls/clientCertificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A client certificate and its key; two are equal when both are the same."""

    #: PEM text, our own certificate first, then those that lead to its authority
    certificate: str
    #: stands for key and passphrase in comparisons, so that no cache has them among its keys
    digest: str
    key: Secret = field(compare=False)
    passphrase: Secret | None = field(compare=False)
    #: JSON pointer, inside `spec`, of the block that names it; for messages
    at: str = field(default=BESIDE, compare=False)

    @property
    def field(self) -> str:
        """The block as messages call it: `tls.clientCertificate`."""
        return self.at[1:].replace("/", ".")

    def check(self, now: datetime) -> None:
        """Does nothing where the certificate is in force at `now`.

        Raises:
            ConnectionFailed: TlsFailure or CertificateExpired: no server would accept it.
        """
        leaf = _certificates(self)[0]
        if leaf.not_valid_after_utc < now:
            raise ConnectionFailed(
                Reason.CERTIFICATE_EXPIRED,
                StageName.TLS,
                f"the client certificate has expired; it was valid until "
                f"{leaf.not_valid_after_utc.date()}",
                f"put a new one where `{self.field}` points to",
            )
        if leaf.not_valid_before_utc > now:
            raise ConnectionFailed(
                Reason.TLS_FAILURE,
                StageName.TLS,
                f"the client certificate is not valid before {leaf.not_valid_before_utc.date()}",
                "compare the clocks of this machine and of the certificate's issuer",
            )


def identity(
    certificate: str, key: Secret, passphrase: Secret | None, at: str = BESIDE
) -> Identity:
    """Returns the identity of PEM texts, not yet judged; `at` is where `spec` names them."""
    hashed = hashlib.sha256()
    for part in (key, passphrase):
        text = part.reveal().encode() if part else b""
        hashed.update(len(text).to_bytes(8) + text)
    return Identity(
        certificate=certificate,
        digest=hashed.hexdigest(),
        key=key,
        passphrase=passphrase,
        at=at,
    )


def install(context: ssl.SSLContext, own: Identity) -> None:
    """Makes `context` show `own` to servers that ask for a certificate.

    Raises:
        SecretError: the key cannot be read.
        ConnectionFailed: TlsFailure, when there is no certificate, or it is not of this key.
    """
    once = secrets.token_urlsafe()
    blocks, sealed = _sealed(own, once)
    with NamedTemporaryFile() as file:  # mode 0600
        file.write(blocks + sealed)
        file.flush()
        try:
            context.load_cert_chain(file.name, password=once)
        except ssl.SSLError:
            raise ConnectionFailed(
                Reason.TLS_FAILURE,
                StageName.TLS,
                "OpenSSL does not take the client certificate",
                "its key or its signature may be too weak: have a new one issued",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where a certificate and its key lie for a moment, and what opens the key."""

    certificate: str
    key: str
    passphrase: str


@contextmanager
def as_files(own: Identity) -> Iterator[Files]:
    """Yields `own` as files for a library that reads nothing else; they are gone afterwards.

    Raises:
        SecretError: the key cannot be read.
        ConnectionFailed: TlsFailure, when there is no certificate, or it is not of this key.
    """
    once = secrets.token_urlsafe()
    blocks, sealed = _sealed(own, once)
    with NamedTemporaryFile() as certificate, NamedTemporaryFile() as key:  # mode 0600
        for file, content in ((certificate, blocks), (key, sealed)):
            file.write(content)
            file.flush()
        yield Files(certificate=certificate.name, key=key.name, passphrase=once)


def _sealed(own: Identity, once: str) -> tuple[bytes, bytes]:
    """Returns the certificates of `own` and its key, encrypted with the passphrase `once`."""
    chain, key = _certificates(own), _private_key(own)
    if chain[0].public_key() != key.public_key():
        raise ConnectionFailed(
            Reason.TLS_FAILURE,
            StageName.TLS,
            f"the key of `{own.field}` is not the key of its certificate",
            "name both files of one pair; the certificate's own block comes first in its file",
        )
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(once.encode()),
    )
    return b"".join(block.public_bytes(serialization.Encoding.PEM) for block in chain), sealed


def _certificates(own: Identity) -> list[x509.Certificate]:
    try:
        return _parsed(own.certificate)
    except ValueError:
        raise ConnectionFailed(
            Reason.TLS_FAILURE,
            StageName.TLS,
            f"the file of `{own.field}.certificate` holds no PEM certificate",
            "it must hold a block that begins with `-----BEGIN CERTIFICATE-----`",
        ) from None


@lru_cache(maxsize=256)
def _parsed(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())


def _private_key(own: Identity) -> PrivateKeyTypes:
    passphrase = own.passphrase.reveal().encode() if own.passphrase else None
    try:
        return serialization.load_pem_private_key(own.key.reveal().encode(), passphrase)
    except TypeError:  # a passphrase is missing, or there is nothing to be opened with it
        if passphrase is None:
            raise SecretError(
                f"the key at {own.at}/key is encrypted",
                "name its passphrase: `keyPassphrase: {env: NAME}`",
            ) from None
        raise SecretError(
            f"the key at {own.at}/key is not encrypted", "remove `keyPassphrase`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = "has another passphrase, or is" if passphrase else "is"
        check = "check `keyPassphrase`; the key" if passphrase else "it"
        raise SecretError(
            f"the key at {own.at}/key {wrong} no private key in PEM",
            f"{check} is a block that begins with `-----BEGIN ... PRIVATE KEY-----`",
        ) from None
