"""Client certificates of HTTP probes, against a server that demands one."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.clients import tls
from reconciler.model import JsonObject, Observation, Outcome, Reason
from tests.servers.certificates import EXPIRED_AT, Authority, ClientPair
from tests.servers.http_targets import make_target, make_tools, names_of, run_probe
from tests.servers.mutual_tls import MutualServer, mutual_tls_server

KEY, PASSPHRASE = "/tls/clientCertificate/key", "/tls/clientCertificate/keyPassphrase"
CA = {"file": "ca.pem"}
TLS: JsonObject = {
    "ca": CA,
    "clientCertificate": {"certificate": {"file": "client.pem"}, "key": {"file": "client.key"}},
}
REFUSED = ["secret", "dns", "tcp", "tls"]


@pytest.fixture(scope="module")
def servers() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def clients() -> Authority:
    return Authority()


def probe(
    servers: Authority,
    context: ssl.SSLContext,
    pair: ClientPair | None,
    *,
    passphrase: str = "",
    **changes: object,
) -> tuple[Observation, MutualServer]:
    """Returns what a probe found that shows `pair`, and the server that it asked."""
    setting = {**(TLS if pair else {"ca": CA}), **changes}
    secrets = {KEY: pair.key} if pair else {}
    if passphrase and pair:
        secrets[PASSPHRASE] = passphrase
        named = {**TLS["clientCertificate"], "keyPassphrase": {"env": "P"}}
        setting["clientCertificate"] = named
    public = {"ca.pem": servers.pem, "client.pem": pair.certificate if pair else ""}
    tools = make_tools(read_public=lambda reference: public[reference["file"]])
    with mutual_tls_server(context) as server:
        target = make_target(server.url, tls=setting, auth={"method": "none"})
        return run_probe(target, secrets, tools), server


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain key", "encrypted key"])
def test_a_client_certificate_is_accepted(
    servers: Authority, clients: Authority, version: ssl.TLSVersion, is_encrypted: bool
) -> None:
    context = servers.demanding_context(clients, "127.0.0.1")
    context.minimum_version = context.maximum_version = version
    pair = clients.client()
    if is_encrypted:
        pair = replace(pair, key=pair.encrypted("pass+phrase"))
    found, server = probe(servers, context, pair, passphrase="pass+phrase" if is_encrypted else "")
    assert (found.reason, found.message) == (Reason.OK, "200 OK")
    assert server.served == ["(('email', 'client@example.com'),)"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("make_pair", "messages"),
    [
        pytest.param(
            lambda _: None,
            {
                "the server demands a client certificate",
                "the server accepts none of our TLS ciphers or signatures",
            },
            id="none",
        ),
        pytest.param(
            lambda _: Authority().client(),
            {"the server does not trust the authority of the client certificate"},
            id="another authority",
        ),
    ],
)
def test_a_server_refuses_at_tls(
    servers: Authority,
    clients: Authority,
    version: ssl.TLSVersion,
    make_pair: Callable[[Authority], ClientPair | None],
    messages: set[str],
) -> None:
    context = servers.demanding_context(clients, "127.0.0.1")
    context.minimum_version = context.maximum_version = version
    found, server = probe(servers, context, make_pair(clients))
    assert (found.reason, found.outcome) == (Reason.TLS_FAILURE, Outcome.FAILED)
    assert found.message in messages
    assert "clientCertificate" in found.hint or "authority" in found.hint
    assert (names_of(found), server.served) == (REFUSED, [])


def test_a_certificate_that_has_expired_is_not_shown(
    servers: Authority, clients: Authority
) -> None:
    pair = clients.client(not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=EXPIRED_AT)
    found, server = probe(servers, servers.demanding_context(clients, "127.0.0.1"), pair)
    assert (found.reason, found.message) == (
        Reason.CERTIFICATE_EXPIRED,
        "the client certificate has expired; it was valid until 2020-01-31",
    )
    assert (names_of(found), server.names) == (["secret", "tls"], [])


def test_a_certificate_that_is_not_valid_yet_is_not_shown(
    servers: Authority, clients: Authority
) -> None:
    pair = clients.client(not_before=datetime(2099, 1, 1, tzinfo=UTC))
    found, _ = probe(servers, servers.demanding_context(clients, "127.0.0.1"), pair)
    assert (found.reason, found.message) == (
        Reason.TLS_FAILURE,
        "the client certificate is not valid before 2099-01-01",
    )


CANARY = "TOPSECRET+canary/9"


@pytest.mark.parametrize(
    ("change", "passphrase", "reason", "message"),
    [
        pytest.param(
            lambda pair, other: replace(pair, key=other.key),
            "",
            Reason.TLS_FAILURE,
            "the key of `tls.clientCertificate` is not the key of its certificate",
            id="key of another",
        ),
        pytest.param(
            lambda pair, _: replace(pair, certificate=CANARY),
            "",
            Reason.TLS_FAILURE,
            "the file of `tls.clientCertificate.certificate` holds no PEM certificate",
            id="no certificate",
        ),
        pytest.param(
            lambda pair, _: replace(pair, key=CANARY),
            "",
            Reason.SECRET_UNRESOLVED,
            "the key at /tls/clientCertificate/key is no private key in PEM",
            id="no key",
        ),
        pytest.param(
            lambda pair, _: replace(pair, key=pair.encrypted("right-one")),
            CANARY,
            Reason.SECRET_UNRESOLVED,
            "the key at /tls/clientCertificate/key has another passphrase, "
            "or is no private key in PEM",
            id="wrong passphrase",
        ),
        pytest.param(
            lambda pair, _: replace(pair, key=pair.encrypted("right-one")),
            "",
            Reason.SECRET_UNRESOLVED,
            "the key at /tls/clientCertificate/key is encrypted",
            id="no passphrase",
        ),
        pytest.param(
            lambda pair, _: pair,
            CANARY,
            Reason.SECRET_UNRESOLVED,
            "the key at /tls/clientCertificate/key is not encrypted",
            id="needless passphrase",
        ),
    ],
)
def test_material_that_does_not_fit_is_named_and_nothing_is_sent(
    servers: Authority,
    change: Callable[[ClientPair, ClientPair], ClientPair],
    passphrase: str,
    reason: Reason,
    message: str,
) -> None:
    clients = Authority()
    pair = change(clients.client(), clients.client())
    context = servers.demanding_context(clients, "127.0.0.1")
    found, server = probe(servers, context, pair, passphrase=passphrase)
    assert (found.reason, found.message, server.served) == (reason, message, [])
    assert CANARY not in repr(found)


def test_no_key_is_left_in_a_file(
    servers: Authority, clients: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    context = servers.demanding_context(clients, "127.0.0.1")
    found, _ = probe(servers, context, clients.client())
    assert (found.reason, list(tmp_path.iterdir())) == (Reason.OK, [])


def test_contexts_are_shared_between_probes_of_one_certificate(
    servers: Authority, clients: Authority
) -> None:
    tls.context.cache_clear()
    pair = clients.client()
    for shown in (pair, pair, clients.client()):
        probe(servers, servers.demanding_context(clients, "127.0.0.1"), shown)
    assert tls.context.cache_info().currsize == 2


def test_a_context_with_another_key_is_another_context(
    servers: Authority, clients: Authority
) -> None:
    pair, context = clients.client(), servers.demanding_context(clients, "127.0.0.1")
    good, _ = probe(servers, context, pair)
    bad, _ = probe(servers, context, replace(pair, key=clients.client().key))
    assert (good.reason, bad.reason) == (Reason.OK, Reason.TLS_FAILURE)


# --- name and version ---


def test_a_server_is_known_by_the_name_that_is_given(servers: Authority) -> None:
    context = servers.server_context("api.internal")
    found, server = probe(servers, context, None, serverName="api.internal")
    assert (found.reason, server.names) == (Reason.OK, ["api.internal"])


def test_a_server_of_another_name_is_refused(servers: Authority) -> None:
    context = servers.server_context("127.0.0.1")
    found, server = probe(servers, context, None, serverName="api.internal")
    assert (found.reason, found.message, server.served) == (
        Reason.TLS_FAILURE,
        "the server's certificate is for another host name",
        [],
    )


@pytest.mark.parametrize(
    ("spoken", "reason"),
    [(ssl.TLSVersion.TLSv1_3, Reason.OK), (ssl.TLSVersion.TLSv1_2, Reason.TLS_FAILURE)],
)
def test_a_server_must_speak_the_version_that_is_asked_for(
    servers: Authority, spoken: ssl.TLSVersion, reason: Reason
) -> None:
    context = servers.server_context("127.0.0.1")
    context.maximum_version = spoken
    found, _ = probe(servers, context, None, minimumVersion="1.3")
    assert found.reason is reason
    if reason is Reason.TLS_FAILURE:
        assert found.message == "the server offers no TLS version that is new enough"
