"""Throw-away certificates for TLS tests: good, expired, for another name, from nobody."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import trustme

#: In the past of every run.
EXPIRED_AT = datetime(2020, 1, 31, tzinfo=UTC)


class Authority:
    """A certificate authority of its own."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    @property
    def pem(self) -> str:
        """The authority's certificate, as `tls.ca` would hold it."""
        return self._ca.cert_pem.bytes().decode()

    def server_context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Returns the context of a server whose certificate is for `names`."""
        certificate = self._ca.issue_cert(
            *names,
            not_before=datetime(2019, 1, 1, tzinfo=UTC) if expired else None,
            not_after=EXPIRED_AT if expired else None,
        )
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(made)
        return made
