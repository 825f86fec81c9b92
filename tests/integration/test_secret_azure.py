"""Secrets in Azure Key Vault, from a peer that verifies applications, tokens and versions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trustme import KeyType

from reconciler import config
from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject
from reconciler.redact import Redactor
from reconciler.secret_sources import Secrets
from reconciler.settings import AzureVault, OperatorSecrets, SecretPolicy
from tests.servers import http_routes
from tests.servers.certificates import EXPIRED_AT, Authority, ClientPair
from tests.servers.http import Route, http_server, silent_server
from tests.servers.key_vault import Azure, Version, key_vault

PASSWORD = "TOPSECRET-in-azure"
#: Longer than two deadlines, shorter than the one that holds where none is given.
PATIENCE_S = 8.0
OLDER, NEWEST = "0" * 31 + "1", "4387e9f3d6e14c459867679a90fd0f79"
ORDERS = {"secret": "orders"}
DOCUMENT = json.dumps({"password": PASSWORD, "port": 5432})


@pytest.fixture
def azure() -> Iterator[Azure]:
    with key_vault(
        {
            "orders": {OLDER: Version(value="older"), NEWEST: Version(value=PASSWORD)},
            "crm": {NEWEST: Version(value=DOCUMENT)},
            "past": {NEWEST: Version(value=PASSWORD, exp=int(EXPIRED_AT.timestamp()))},
            "future": {NEWEST: Version(value=PASSWORD, exp=4_000_000_000)},
            "disabled": {OLDER: Version(value="a"), NEWEST: Version(value="b", is_enabled=False)},
            "nothing": {NEWEST: Version(value="")},
        }
    ) as running:
        yield running


def secrets(
    azure: Azure,
    *,
    redactor: Redactor | None = None,
    password: str = "",
    clock: Callable[[], datetime] = config.now,
    **changes: Any,
) -> Secrets:
    vault = AzureVault(
        address=azure.server.url,
        tenant=azure.tenant,
        client_id=azure.client_id,
        client_secret={"env": "SECRET"},
        authority=azure.server.url,
    )
    policy = SecretPolicy(
        root="/project", operator=OperatorSecrets(azure=replace(vault, **changes))
    )
    environment = {"SECRET": password or azure.client_secret}
    return Secrets(policy, environment, redactor or Redactor(), clock=clock)


def rsa_pair(not_before: datetime | None = None, not_after: datetime | None = None) -> ClientPair:
    return Authority().client(key_type=KeyType.RSA, not_before=not_before, not_after=not_after)


def by_certificate(
    azure: Azure, folder: Path, pair: ClientPair, *, key: str = "", **changes: Any
) -> Secrets:
    (folder / "application.pem").write_text(pair.certificate)
    (folder / "application.key").write_text(key or pair.key)
    (folder / "application.key").chmod(0o600)
    return secrets(
        azure,
        client_secret=None,
        certificate=str(folder / "application.pem"),
        private_key={"file": str(folder / "application.key")},
        **changes,
    )


def read(asking: Secrets, argument: JsonObject = ORDERS) -> str:
    return asking.resolve({"azure": argument}).reveal()


def refusal(asking: Secrets, argument: JsonObject = ORDERS) -> SecretError:
    with pytest.raises(SecretError) as caught:
        asking.resolve({"azure": argument})
    said = f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"
    assert PASSWORD not in said
    assert "<script>" not in said
    return caught.value


def test_newest_version_is_read_unless_one_is_named(azure: Azure) -> None:
    asking = secrets(azure)
    assert read(asking) == PASSWORD
    assert read(asking, {**ORDERS, "version": OLDER}) == "older"
    assert read(asking, {"secret": "Orders", "version": NEWEST}) == PASSWORD
    assert azure.reads() == [
        "/secrets/orders/?api-version=7.4",
        f"/secrets/orders/{OLDER}?api-version=7.4",
        f"/secrets/Orders/{NEWEST}?api-version=7.4",
    ]


def test_part_of_a_secret_is_read_by_its_key(azure: Azure) -> None:
    asking = secrets(azure)
    assert read(asking, {"secret": "crm", "key": "password"}) == PASSWORD
    assert "no text under the key" in refusal(asking, {"secret": "crm", "key": "port"}).message
    assert "is no JSON object" in refusal(asking, {**ORDERS, "key": "a"}).message


def test_one_token_is_got_for_all_and_is_redacted(azure: Azure) -> None:
    redactor = Redactor()
    asking = secrets(azure, redactor=redactor)
    asking.fetch([{"azure": {**ORDERS, "version": at}} for at in (OLDER, NEWEST)] * 3)
    assert (azure.server.logins, azure.server.failed_logins) == (1, 0)
    assert len(azure.reads()) == 2
    (token,) = azure.issued
    said = f"a {token} b {azure.client_secret} c {PASSWORD}"
    assert redactor.redact(said) == "a *** b *** c ***"


def test_token_that_ends_soon_is_replaced(azure: Azure) -> None:
    azure.lifetime_s = 30
    asking = secrets(azure)
    assert [read(asking, {**ORDERS, "version": at}) for at in (OLDER, NEWEST)] == [
        "older",
        PASSWORD,
    ]
    assert azure.server.logins == 2


def test_application_proves_itself_by_its_certificate(azure: Azure, tmp_path: Path) -> None:
    pair = rsa_pair()
    azure.register(pair.certificate)
    assert read(by_certificate(azure, tmp_path, pair)) == PASSWORD
    assert (azure.server.logins, azure.server.failed_logins) == (1, 0)


_UNKNOWN_CERTIFICATE = "Microsoft Entra does not know the certificate, or its key is another"


def test_certificate_that_is_not_registered_is_refused(azure: Azure, tmp_path: Path) -> None:
    azure.register(rsa_pair().certificate)
    asking = by_certificate(azure, tmp_path, rsa_pair())
    assert refusal(asking).message == _UNKNOWN_CERTIFICATE


def test_key_of_another_certificate_is_refused(azure: Azure, tmp_path: Path) -> None:
    pair, other = rsa_pair(), rsa_pair()
    azure.register(pair.certificate)
    asking = by_certificate(azure, tmp_path, pair, key=other.key)
    assert refusal(asking).message == _UNKNOWN_CERTIFICATE


def test_expired_certificate_is_said_and_nothing_is_sent(azure: Azure, tmp_path: Path) -> None:
    pair = rsa_pair(not_before=EXPIRED_AT - timedelta(days=90), not_after=EXPIRED_AT)
    azure.register(pair.certificate)
    error = refusal(by_certificate(azure, tmp_path, pair))
    assert error.message == (
        "the certificate in `secrets.azure.certificate` of the operator file expired at "
        "2020-01-31T00:00:00Z"
    )
    assert azure.server.requests == []


@pytest.mark.parametrize("days", [-1, 1])
def test_wrong_clock_is_hinted_at(days: int, azure: Azure, tmp_path: Path) -> None:
    pair = rsa_pair()
    azure.register(pair.certificate)
    asking = by_certificate(
        azure, tmp_path, pair, clock=lambda: config.now() + timedelta(days=days)
    )
    assert refusal(asking).hint == "check the clock of this machine"


def test_file_that_is_no_certificate_or_no_key_is_said(azure: Azure, tmp_path: Path) -> None:
    pair = rsa_pair()
    no_certificate = replace(pair, certificate=pair.key)
    assert "is no certificate" in refusal(by_certificate(azure, tmp_path, no_certificate)).message
    for key in (pair.certificate, Authority().client().key, pair.encrypted("passphrase")):
        error = refusal(by_certificate(azure, tmp_path, pair, key=key))
        assert "is no RSA key that can be read" in error.message
    assert azure.server.requests == []


def _expired(azure: Azure) -> None:
    azure.has_expired = True


def _nothing(_: Azure) -> None:
    """Leaves everything as it is."""


@pytest.mark.parametrize(
    ("prepare", "changes", "says"),
    [
        pytest.param(_nothing, {"password": "Q~wrong"}, "refuses the client secret", id="secret"),
        pytest.param(_expired, {}, "says that the client secret has expired", id="expired secret"),
        pytest.param(_nothing, {"tenant": str(uuid.uuid4())}, "knows no such tenant", id="tenant"),
        pytest.param(
            _nothing, {"client_id": "another"}, "knows no such application in", id="application"
        ),
        pytest.param(
            _nothing, {"resource": "https://vault.azure.cn"}, "knows no such resource", id="cloud"
        ),
    ],
)
def test_refused_login_is_tried_once_for_all(
    prepare: Callable[[Azure], None], changes: dict[str, Any], says: str, azure: Azure
) -> None:
    prepare(azure)
    asking = secrets(azure, **changes)
    for argument in (ORDERS, {"secret": "crm"}):
        error = refusal(asking, argument)
        assert error.message.startswith(f"Microsoft Entra {says}")
        assert changes.get("password", azure.client_secret) not in error.message
    assert (azure.server.logins, azure.reads()) == (1, [])


def test_vault_of_another_tenant_is_said_and_its_challenge_is_not_followed(azure: Azure) -> None:
    ours = str(uuid.uuid4())
    azure.applications[ours] = {azure.client_id}
    error = refusal(secrets(azure, tenant=ours))
    assert error.message.endswith("the vault belongs to another tenant")
    assert [request.path for request in azure.server.requests] == [
        f"/{ours}/oauth2/v2.0/token",
        "/secrets/orders/",
    ]


def test_vault_that_wants_tokens_for_something_else_is_said(azure: Azure) -> None:
    azure.resource = "https://vault.example"
    error = refusal(secrets(azure, resource="https://vault.example"))
    assert error.message.endswith("the vault takes tokens for another resource")


def test_token_that_the_vault_refuses_without_a_reason_is_said(azure: Azure) -> None:
    azure.lifetime_s = -1
    assert refusal(secrets(azure)).message.endswith("the vault refuses the access token")


def _forbidden(reason: str) -> Callable[[Azure], None]:
    def prepare(azure: Azure) -> None:
        azure.forbidden = reason

    return prepare


@pytest.mark.parametrize(
    ("prepare", "argument", "says"),
    [
        pytest.param(_nothing, {"secret": "a"}, "does not exist", id="no such secret"),
        pytest.param(_nothing, {**ORDERS, "version": "a" * 32}, "does not exist", id="no version"),
        pytest.param(_nothing, {"secret": "disabled"}, "is disabled", id="disabled"),
        pytest.param(_nothing, {"secret": "nothing"}, "is empty", id="empty"),
        pytest.param(_forbidden("ForbiddenByRbac"), ORDERS, "may not be read by", id="role"),
        pytest.param(_forbidden("AccessDenied"), ORDERS, "may not be read by", id="policy"),
        pytest.param(_forbidden("ForbiddenByFirewall"), ORDERS, "the firewall", id="firewall"),
        pytest.param(_forbidden("ForbiddenByConnection"), ORDERS, "private link", id="link"),
    ],
)
def test_refusal_says_what_is_wrong(
    prepare: Callable[[Azure], None], argument: JsonObject, says: str, azure: Azure
) -> None:
    prepare(azure)
    error = refusal(secrets(azure), argument)
    assert says in error.message
    assert error.message.startswith(f"the secret {argument['secret']} of the Azure vault")


def test_version_before_a_disabled_one_can_be_read(azure: Azure) -> None:
    assert read(secrets(azure), {"secret": "disabled", "version": OLDER}) == "a"


def test_secret_past_its_time_is_warned_of(azure: Azure) -> None:
    asking = secrets(azure)
    assert [read(asking, {"secret": name}) for name in ("past", "future")] == [PASSWORD] * 2
    assert asking.warnings == (
        "the secret past of the Azure vault expired at 2020-01-31T00:00:00Z",
    )


def _other_secret(answer: dict[str, Json]) -> None:
    answer["id"] = f"https://prod.vault.azure.net/secrets/orders2/{NEWEST}"


def _other_version(answer: dict[str, Json]) -> None:
    answer["id"] = f"https://prod.vault.azure.net/secrets/orders/{OLDER}"


def _number(answer: dict[str, Json]) -> None:
    answer["value"] = 1


@pytest.mark.parametrize("spoil", [_other_secret, _other_version, _number, dict.clear])
def test_answer_that_is_not_what_was_asked_for_is_refused(
    spoil: Callable[[dict[str, Json]], None], azure: Azure
) -> None:
    azure.spoil = spoil
    error = refusal(secrets(azure), {**ORDERS, "version": NEWEST})
    assert error.message.endswith("is not what the vault answers with")


@pytest.mark.parametrize(
    ("route", "says"),
    [
        pytest.param(http_routes.redirect("https://evil.example/"), "answers 302", id="redirect"),
        pytest.param(http_routes.answer(200, b"<html>"), "is not what the vault", id="no JSON"),
        pytest.param(http_routes.answer(200, b"[" * 100_000), "is not what the", id="nested"),
        pytest.param(http_routes.answer(200, b" " * 2_000_000), "too long", id="endless"),
        pytest.param(http_routes.answer(429), "refuses more requests", id="too many"),
        pytest.param(http_routes.answer(500, b"boom"), "answers 500", id="broken"),
        pytest.param(http_routes.echo(401), "refuses the access token", id="echo"),
        pytest.param(http_routes.raw(b"SSH-2.0\r\n"), "cannot be asked", id="no HTTP"),
    ],
)
def test_answer_that_is_none_of_a_vault_is_said(route: Route, says: str, azure: Azure) -> None:
    with http_server({"/secrets/orders/": route}) as server:
        assert says in refusal(secrets(azure, address=server.url)).message
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("route", "says"),
    [
        pytest.param(http_routes.redirect("https://evil.example/"), "302: it redirects", id="302"),
        pytest.param(http_routes.answer(200, b"<html>"), "its answer has no", id="no JSON"),
        pytest.param(http_routes.answer(400, b'{"error_codes": ["a"]}'), "400: ", id="no number"),
        pytest.param(http_routes.answer(503), "503: it has an error of its own", id="503"),
    ],
)
def test_answer_that_is_none_of_entra_is_said(route: Route, says: str, azure: Azure) -> None:
    with http_server({f"/{azure.tenant}/oauth2/v2.0/token": route}) as server:
        error = refusal(secrets(azure, authority=server.url))
        assert f"Microsoft Entra gives no access token: {says}" in error.message
    assert azure.server.requests == []


def test_servers_that_say_nothing_are_waited_for_until_the_deadline(azure: Azure) -> None:
    started = time.monotonic()
    with silent_server() as port:
        url = f"http://127.0.0.1:{port}"
        error = refusal(secrets(azure, address=url, timeout_s=0.3))
        assert "Azure Key Vault cannot be asked" in error.message
        error = refusal(secrets(azure, authority=url, timeout_s=0.3))
        assert "Microsoft Entra cannot be asked" in error.message
    assert time.monotonic() - started < PATIENCE_S


def test_metadata_server_is_never_asked(azure: Azure) -> None:
    error = refusal(secrets(azure, address="http://169.254.169.254", timeout_s=5))
    assert "is a cloud metadata service, which is never contacted" in error.message


def test_own_authority_is_trusted_and_another_is_not(tmp_path: Path) -> None:
    ours, other = Authority(), Authority()
    for name, authority in (("ours", ours), ("other", other)):
        (tmp_path / name).write_text(authority.pem)
    context = ours.server_context("localhost")
    held = {"orders": {NEWEST: Version(value=PASSWORD)}}
    with key_vault(held, context=context, name="localhost") as azure:
        assert read(secrets(azure, ca=str(tmp_path / "ours"))) == PASSWORD
        error = refusal(secrets(azure, ca=str(tmp_path / "other")))
    assert "the authority of the server's certificate" in error.message
