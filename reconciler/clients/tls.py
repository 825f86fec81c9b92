"""TLS settings as shared contexts, and what a failed handshake means to a user.

One `ssl.SSLContext` serves every connection of the same setting, because building one reads the
machine's certificate authorities (tens of milliseconds). Contexts are built by hand and not with
`ssl.create_default_context`: that one obeys `SSLKEYLOGFILE`, and its authorities `SSL_CERT_FILE`,
so that whoever sets a variable could read the traffic or add an authority. Errors go through a
table because OpenSSL's texts change between versions and quote what the peer sent.
"""

from __future__ import annotations

import re
import ssl
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

if TYPE_CHECKING:
    from reconciler.clients.tls_identity import Identity


class TlsMode(StrEnum):
    """How far the server's certificate is checked; the words are libpq's `sslmode`."""

    #: chain and host name; `tls.verify: true` of an API
    VERIFY_FULL = "verify-full"
    #: chain only
    VERIFY_CA = "verify-ca"
    #: encrypted, but to whomever answers; `tls.verify: false` of an API
    REQUIRE = "require"


_CA_HINT = "trust its authority: `tls: {ca: {file: path/to/ca.pem}}`"
#: What servers have and proxies have not.
SERVER_NAME_HINT = "; if it is the right server, expect its name: `tls: {serverName: NAME}`"
_NAME_HINT = (
    f"use a host name that the certificate lists, or have it issued for this one{SERVER_NAME_HINT}"
)
_OLD_HINT = "have the server offer TLS 1.2 or newer, or what `tls.minimumVersion` says"

#: What a failed check of the certificate means, by OpenSSL's X509_V_ERR code (x509_vfy.h).
_VERIFY_ERRORS = {
    9: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server's certificate is not valid yet",
        hint="compare the clocks of this machine and of the certificate's issuer",
    ),
    10: Meaning(
        reason=Reason.CERTIFICATE_EXPIRED,
        message="the server's certificate, or one that it depends on, has expired",
        hint="renew the certificate on the server",
    ),
    18: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server's certificate is self-signed and not trusted",
        hint=_CA_HINT,
    ),
    19: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the authority of the server's certificate is not trusted",
        hint=_CA_HINT,
    ),
    20: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the authority of the server's certificate is unknown",
        hint=_CA_HINT,
    ),
    21: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server sends no certificate of its authority, and it is unknown",
        hint=_CA_HINT,
    ),
    23: Meaning(reason=Reason.TLS_FAILURE, message="the server's certificate is revoked"),
    26: Meaning(
        reason=Reason.TLS_FAILURE, message="the server's certificate is not made for servers"
    ),
    62: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server's certificate is for another host name",
        hint=_NAME_HINT,
    ),
    64: Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server's certificate is for another address",
        hint=_NAME_HINT,
    ),
    66: Meaning(reason=Reason.TLS_FAILURE, message="the server's certificate has too weak a key"),
    67: Meaning(
        reason=Reason.TLS_FAILURE, message="the authority's certificate has too weak a key"
    ),
    68: Meaning(
        reason=Reason.TLS_FAILURE, message="the server's certificate is signed with a weak hash"
    ),
}
_NO_TLS = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server does not speak TLS on this port",
    hint="check the port; a server without TLS is `http://` in baseUrl",
)
_OLD_TLS = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server offers no TLS version that is new enough",
    hint=_OLD_HINT,
)
_CLIENT_HINT = "name one: `tls: {clientCertificate: {certificate: {file: ...}, key: {file: ...}}}`"
_WANTS_CLIENT = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server demands a client certificate",
    hint=_CLIENT_HINT,
)
_REFUSES_CLIENT = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server does not accept the client certificate",
    hint="ask whoever runs the server which certificates it accepts",
)
_CUT = Meaning(
    reason=Reason.TLS_FAILURE, message="the server closed the connection during the TLS handshake"
)
_NO_CIPHER = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server accepts none of our TLS ciphers or signatures",
    hint=_OLD_HINT,
)
#: What other failures of a handshake mean, by OpenSSL's reason name (sslerr.h).
_HANDSHAKE_ERRORS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "WRONG_SSL_VERSION": _OLD_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _WANTS_CLIENT,
    "SSLV3_ALERT_BAD_CERTIFICATE": Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server does not accept the client certificate, or wants one and got none",
        hint=_CLIENT_HINT,
    ),
    "TLSV1_ALERT_UNKNOWN_CA": Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server does not trust the authority of the client certificate",
        hint="have one issued by an authority that the server trusts",
    ),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": Meaning(
        reason=Reason.CERTIFICATE_EXPIRED,
        message="the server says that the client certificate has expired",
        hint="put a new one where `tls.clientCertificate` points to",
    ),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": Meaning(
        reason=Reason.TLS_FAILURE,
        message="the server says that the client certificate is revoked",
        hint="put a new one where `tls.clientCertificate` points to",
    ),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _REFUSES_CLIENT,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _REFUSES_CLIENT,
    "TLSV1_ALERT_ACCESS_DENIED": _REFUSES_CLIENT,
    "TLSV1_ALERT_DECRYPT_ERROR": _REFUSES_CLIENT,
    "UNEXPECTED_EOF_WHILE_READING": _CUT,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": Meaning(
        reason=Reason.TLS_FAILURE,
        message=_NO_CIPHER.message,
        # what TLS 1.2 says for both
        hint=f"{_OLD_HINT}; if it wants a client certificate, {_CLIENT_HINT}",
    ),
    "NO_SHARED_CIPHER": _NO_CIPHER,
    "DH_KEY_TOO_SMALL": _NO_CIPHER,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": _NO_CIPHER,
    "TLSV1_UNRECOGNIZED_NAME": Meaning(
        reason=Reason.TLS_FAILURE, message="the server knows no such host name", hint=_NAME_HINT
    ),
}
_REASON_NAME = re.compile(r"[A-Z0-9_]{1,60}")

#: X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h); the ssl module has no name for it.
_NO_CHECK_TIME = 0x200000


#: `tls.minimumVersion` -> the oldest version that is spoken.
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@lru_cache(maxsize=256)
def context(
    mode: TlsMode,
    ca: str = "",
    *,
    own: Identity | None = None,
    minimum: str = "1.2",
    maximum: str = "",
    ignore_expiry: bool = False,
) -> ssl.SSLContext:
    """Returns the shared context for `mode`; `ca`, PEM text, replaces the machine's authorities.

    `own` is shown to a server that asks who we are. `minimum` is a key of `VERSIONS`; TLS 1.2 is
    the oldest (RFC 8996). `maximum` is for protocols that cannot carry a newer one. `ignore_expiry`
    is for reading *when* a certificate expired, after a handshake failed for it; nothing may be
    sent over such a connection.

    Raises:
        ConnectionFailed: TlsFailure, when `ca` holds no certificate, or as `tls_identity.install`.
        SecretError: the key of `own` cannot be read.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = VERSIONS[minimum]
    if maximum:
        made.maximum_version = VERSIONS[maximum]
    made.check_hostname = mode is TlsMode.VERIFY_FULL
    made.verify_mode = ssl.CERT_NONE if mode is TlsMode.REQUIRE else ssl.CERT_REQUIRED
    if mode is not TlsMode.REQUIRE:
        _trust(made, ca)
    if own is not None:
        from reconciler.clients import tls_identity

        tls_identity.install(made, own)
    if ignore_expiry:
        made.verify_flags |= _NO_CHECK_TIME
    return made


def failure(error: ssl.SSLError) -> ConnectionFailed:
    """Returns what a failed handshake means, never with OpenSSL's own text."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        fallback = Meaning(
            reason=Reason.TLS_FAILURE,
            message=f"the server's certificate is not accepted (X509 error {code})",
            hint=_CA_HINT,
        )
        meaning = _VERIFY_ERRORS.get(code, fallback)
    else:
        name = error.reason or ""
        shown = f" ({name})" if _REASON_NAME.fullmatch(name) else ""
        fallback = Meaning(reason=Reason.TLS_FAILURE, message=f"the TLS handshake failed{shown}")
        meaning = _HANDSHAKE_ERRORS.get(name, fallback)
    return meaning.at(StageName.TLS)


def cut() -> ConnectionFailed:
    """Returns what it means that the connection ended before the handshake did."""
    return _CUT.at(StageName.TLS)


def _trust(made: ssl.SSLContext, ca: str) -> None:
    if not ca:
        cafile, capath = _system_authorities()
        made.load_verify_locations(cafile=cafile, capath=capath)
        return
    # The file may hold an intermediate or the server's own certificate: whatever the user puts
    # there is what they trust, as in Python 3.13's defaults.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    blocks = ca.encode("ascii", "ignore").decode("ascii")  # comments between them may be anything
    try:
        made.load_verify_locations(cadata=blocks)
    except (ssl.SSLError, ValueError):  # ValueError: nothing is left
        raise ConnectionFailed(
            Reason.TLS_FAILURE,
            StageName.TLS,
            "the file of `tls.ca` holds no PEM certificate",
            "it must hold a block that begins with `-----BEGIN CERTIFICATE-----`",
        ) from None


def _system_authorities() -> tuple[str | None, str | None]:
    """Returns the file and the folder of the machine's authorities, or certifi's file.

    The paths compiled into OpenSSL are used, not those from the environment. A machine may have
    neither (python.org's macOS builds, slim containers); certifi comes with httpx.
    """
    compiled = ssl.get_default_verify_paths()
    cafile, capath = Path(compiled.openssl_cafile), Path(compiled.openssl_capath)
    if cafile.is_file():
        return str(cafile), str(capath) if capath.is_dir() else None
    if capath.is_dir() and next(capath.iterdir(), None) is not None:
        return None, str(capath)
    import certifi

    return certifi.where(), None
