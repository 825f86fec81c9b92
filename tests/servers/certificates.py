"""Throw-away certificates for TLS tests: good, expired, for another name, from nobody."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

import trustme
from cryptography.hazmat.primitives import serialization

#: In the past of every run.
EXPIRED_AT = datetime(2020, 1, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPair:
    """A certificate of a client and its key, in PEM."""

    certificate: str
    key: str

    def encrypted(self, passphrase: str) -> str:
        """Returns the key, to be opened with `passphrase`."""
        key = serialization.load_pem_private_key(self.key.encode(), None)
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        ).decode()


class Authority:
    """A certificate authority of its own."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    @property
    def pem(self) -> str:
        """The authority's certificate, as `tls.ca` would hold it."""
        return self._ca.cert_pem.bytes().decode()

    def server(self, *names: str) -> ClientPair:
        """Returns a certificate of this authority for a server, and its key."""
        issued = self._ca.issue_cert(*names)
        chain = b"".join(block.bytes() for block in issued.cert_chain_pems)
        return ClientPair(certificate=chain.decode(), key=issued.private_key_pem.bytes().decode())

    def server_context(
        self, *names: str, expired: bool = False, not_before: datetime | None = None
    ) -> ssl.SSLContext:
        """Returns the context of a server whose certificate is for `names`."""
        certificate = self._ca.issue_cert(
            *names,
            not_before=datetime(2019, 1, 1, tzinfo=UTC) if expired else not_before,
            not_after=EXPIRED_AT if expired else None,
        )
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(made)
        return made

    def demanding_context(self, clients: Authority, *names: str) -> ssl.SSLContext:
        """Returns the context of a server that lets in those with a certificate of `clients`."""
        made = self.server_context(*names)
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(cadata=clients.pem)
        return made

    def client(
        self,
        common_name: str | None = None,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        key_type: trustme.KeyType = trustme.KeyType.ECDSA,
    ) -> ClientPair:
        """Returns a certificate of this authority for a client, and its key."""
        issued = self._ca.issue_cert(
            "client@example.com",
            common_name=common_name,
            not_before=not_before,
            not_after=not_after,
            key_type=key_type,
        )
        chain = b"".join(block.bytes() for block in issued.cert_chain_pems)
        return ClientPair(certificate=chain.decode(), key=issued.private_key_pem.bytes().decode())
