from __future__ import annotations

import ssl

import pytest

from reconciler.clients import tls
from reconciler.clients.tls import TlsMode
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from tests.servers.certificates import Authority


@pytest.mark.parametrize(
    ("mode", "verify", "checks_name"),
    [
        (TlsMode.VERIFY_FULL, ssl.CERT_REQUIRED, True),
        (TlsMode.VERIFY_CA, ssl.CERT_REQUIRED, False),
        (TlsMode.REQUIRE, ssl.CERT_NONE, False),
    ],
)
def test_each_mode_checks_what_its_name_says(
    mode: TlsMode, verify: ssl.VerifyMode, checks_name: bool
) -> None:
    made = tls.context(mode)
    assert (made.verify_mode, made.check_hostname) == (verify, checks_name)


@pytest.mark.parametrize("mode", list(TlsMode))
def test_versions_before_1_2_are_never_spoken(mode: TlsMode) -> None:
    assert tls.context(mode).minimum_version is ssl.TLSVersion.TLSv1_2


def test_one_setting_has_one_context() -> None:
    pem = Authority().pem
    assert tls.context(TlsMode.VERIFY_FULL, pem) is tls.context(TlsMode.VERIFY_FULL, pem)


def test_a_given_authority_replaces_those_of_the_machine() -> None:
    authorities = tls.context(TlsMode.VERIFY_FULL, Authority().pem).get_ca_certs()
    assert len(authorities) == 1


def test_the_environment_adds_no_key_log_and_no_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", f"{tmp_path}/keys")
    monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path}/none.pem")
    tls.context.cache_clear()
    made = tls.context(TlsMode.VERIFY_FULL)
    assert made.keylog_filename is None


def test_comments_beside_the_certificates_may_be_in_any_script() -> None:
    pem = "# Zertifizierungsstelle für Tests\n" + Authority().pem
    assert len(tls.context(TlsMode.VERIFY_FULL, pem).get_ca_certs()) == 1


@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN CERTIFICATE-----\n", "schlüssel", "ö"])
def test_text_without_a_certificate_is_no_authority(text: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        tls.context(TlsMode.VERIFY_FULL, text)
    assert (raised.value.reason, raised.value.message) == (
        Reason.TLS_FAILURE,
        "the file of `tls.ca` holds no PEM certificate",
    )


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (9, Reason.TLS_FAILURE, "the server's certificate is not valid yet"),
        (
            10,
            Reason.CERTIFICATE_EXPIRED,
            "the server's certificate, or one that it depends on, has expired",
        ),
        (18, Reason.TLS_FAILURE, "the server's certificate is self-signed and not trusted"),
        (68, Reason.TLS_FAILURE, "the server's certificate is signed with a weak hash"),
        (99, Reason.TLS_FAILURE, "the server's certificate is not accepted (X509 error 99)"),
    ],
)
def test_refused_certificates_are_told_apart_by_code(
    code: int, reason: Reason, message: str
) -> None:
    error = ssl.SSLCertVerificationError("library text")
    error.verify_code = code
    failure = tls.failure(error)
    assert (failure.reason, failure.stage, failure.message) == (reason, StageName.TLS, message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("WRONG_VERSION_NUMBER", "the server does not speak TLS on this port"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "the server offers no TLS version that is new enough"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "the server demands a client certificate"),
        ("SOMETHING_NEW", "the TLS handshake failed (SOMETHING_NEW)"),
        ("not a name\x1b[31m", "the TLS handshake failed"),
    ],
)
def test_failed_handshakes_are_told_apart_by_name(name: str, message: str) -> None:
    error = ssl.SSLError(1, "library text")
    error.reason = name
    assert tls.failure(error).message == message
