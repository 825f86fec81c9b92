"""Secrets in Google Secret Manager, from a peer that verifies keys, tokens and versions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler import config
from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject
from reconciler.redact import Redactor
from reconciler.secret_sources import Secrets
from reconciler.secret_sources.gcp import _crc32c
from reconciler.settings import GcpAccount, OperatorSecrets, SecretPolicy
from tests.servers import http_routes
from tests.servers.certificates import Authority
from tests.servers.http import Route, http_server, silent_server
from tests.servers.secret_manager import Google, checksum, secret_manager

PASSWORD = "TOPSECRET-in-google"
#: Longer than two deadlines, shorter than the one that holds where none is given.
PATIENCE_S = 8.0
ORDERS = {"project": "prod-data", "secret": "orders"}


@pytest.fixture
def google() -> Iterator[Google]:
    document = json.dumps({"password": PASSWORD, "port": 5432})
    with secret_manager(
        {
            "prod-data/orders": ["older", PASSWORD],
            "prod-data/crm": [document],
            "prod-data/bytes": [b"a\xff"],
            "prod-data/nothing": [""],
        }
    ) as running:
        yield running


def secrets(
    google: Google,
    *,
    redactor: Redactor | None = None,
    key: str = "",
    clock: Callable[[], datetime] = config.now,
    **changes: Any,
) -> Secrets:
    account = GcpAccount(endpoint=google.server.url, key={"env": "KEY"})
    policy = SecretPolicy(
        root="/project", operator=OperatorSecrets(gcp=replace(account, **changes))
    )
    environment = {"KEY": key or google.key_text}
    return Secrets(policy, environment, redactor or Redactor(), clock=clock)


def read(asking: Secrets, argument: JsonObject = ORDERS) -> str:
    return asking.resolve({"gcp": argument}).reveal()


def refusal(asking: Secrets, argument: JsonObject = ORDERS) -> SecretError:
    with pytest.raises(SecretError) as caught:
        asking.resolve({"gcp": argument})
    said = f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"
    assert PASSWORD not in said
    assert "PRIVATE KEY" not in said
    return caught.value


def test_newest_version_is_read_unless_one_is_named(google: Google) -> None:
    asking = secrets(google)
    assert read(asking) == PASSWORD
    assert read(asking, {**ORDERS, "version": 1}) == "older"
    assert read(asking, {**ORDERS, "version": 2.0}) == PASSWORD
    path = "/v1/projects/prod-data/secrets/orders/versions"
    assert google.reads() == [f"{path}/latest:access", f"{path}/1:access", f"{path}/2:access"]


def test_part_of_a_secret_is_read_by_its_key(google: Google) -> None:
    crm = {"project": "prod-data", "secret": "crm"}
    asking = secrets(google)
    assert read(asking, {**crm, "key": "password"}) == PASSWORD
    assert "no text under the key" in refusal(asking, {**crm, "key": "port"}).message
    assert "is no JSON object" in refusal(asking, {**ORDERS, "key": "a"}).message


def test_one_token_is_got_for_all_and_is_redacted(google: Google) -> None:
    redactor = Redactor()
    asking = secrets(google, redactor=redactor)
    asking.fetch([{"gcp": {**ORDERS, "version": at}} for at in (1, 2)] * 3)
    assert (google.server.logins, google.server.failed_logins) == (1, 0)
    assert len(google.reads()) == 2
    (token,) = google.issued
    key = google.key["private_key"]
    assert redactor.redact(f"a {token} b {key} c {PASSWORD}") == "a *** b *** c ***"


def test_token_that_ends_soon_is_replaced(google: Google) -> None:
    google.lifetime_s = 30
    asking = secrets(google)
    assert [read(asking, {**ORDERS, "version": at}) for at in (1, 2)] == ["older", PASSWORD]
    assert google.server.logins == 2


def _disabled(google: Google) -> None:
    google.disabled.add("prod-data/orders/2")


def _forbidden(google: Google) -> None:
    google.forbidden.add("prod-data/orders")


def _ended(google: Google) -> None:
    google.lifetime_s = -1


def _nothing(_: Google) -> None:
    """Leaves everything as it is."""


@pytest.mark.parametrize(
    ("prepare", "argument", "says"),
    [
        pytest.param(_nothing, {**ORDERS, "secret": "a"}, "does not exist", id="no such secret"),
        pytest.param(_nothing, {**ORDERS, "project": "a"}, "does not exist", id="no such project"),
        pytest.param(_nothing, {**ORDERS, "version": 9}, "does not exist", id="no such version"),
        pytest.param(_disabled, ORDERS, "is disabled or destroyed", id="disabled"),
        pytest.param(_forbidden, ORDERS, "may not be read by the service account", id="denied"),
        pytest.param(_ended, ORDERS, "Google refuses the access token", id="token that ended"),
        pytest.param(_nothing, {**ORDERS, "secret": "bytes"}, "is not UTF-8", id="no text"),
        pytest.param(_nothing, {**ORDERS, "secret": "nothing"}, "is empty", id="empty"),
    ],
)
def test_refusal_says_what_is_wrong(
    prepare: Callable[[Google], None], argument: JsonObject, says: str, google: Google
) -> None:
    prepare(google)
    error = refusal(secrets(google), argument)
    assert says in error.message
    assert error.message.startswith(f"the secret {argument['secret']} of the Google project")


def _other_data(answer: dict[str, Json]) -> None:
    answer["payload"]["data"] = "b3RoZXI="


def _no_base64(answer: dict[str, Json]) -> None:
    answer["payload"]["data"] = "%%%"


def _no_checksum(answer: dict[str, Json]) -> None:
    del answer["payload"]["dataCrc32c"]


def _broken_checksum(answer: dict[str, Json]) -> None:
    answer["payload"] |= {"dataCrc32c": None}


def _other_secret(answer: dict[str, Json]) -> None:
    answer["name"] = "projects/1/secrets/orders2/versions/2"


def _other_version(answer: dict[str, Json]) -> None:
    answer["name"] = "projects/1/secrets/orders/versions/1"


@pytest.mark.parametrize(
    "spoil",
    [_other_data, _no_base64, _no_checksum, _broken_checksum, _other_secret, _other_version],
)
def test_answer_that_is_not_what_was_asked_for_is_refused(
    spoil: Callable[[dict[str, Json]], None], google: Google
) -> None:
    google.spoil = spoil
    error = refusal(secrets(google), {**ORDERS, "version": 2})
    assert error.message.endswith("name, data and checksum do not fit")


def _other_key(google: Google) -> str:
    with secret_manager({}) as another:
        return json.dumps({**google.key, "private_key": another.key["private_key"]})


def _elliptic(google: Google) -> str:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps({**google.key, "private_key": pem.decode()})


def _with(**changes: str) -> Callable[[Google], str]:
    return lambda google: json.dumps({**google.key, **changes})


_REFUSED = "Google refuses the key of the service account"


@pytest.mark.parametrize(
    ("key", "says", "logins"),
    [
        pytest.param(_other_key, _REFUSED, 1, id="another key"),
        pytest.param(_with(private_key_id="gone"), _REFUSED, 1, id="deleted key"),
        pytest.param(_with(client_email="a@b"), _REFUSED, 1, id="another account"),
        pytest.param(_elliptic, "holds no private key that can sign", 0, id="no RSA key"),
        pytest.param(_with(private_key="x"), "holds no private key that can", 0, id="no PEM"),
        pytest.param(_with(type="authorized_user"), "is no key of a service account", 0, id="user"),
        pytest.param(lambda _: "no JSON", "is no key of a service account", 0, id="no JSON"),
        pytest.param(_with(client_email=""), "lacks one of: client_email", 0, id="no account"),
        *(
            pytest.param(_with(token_uri=url), "`token_uri` that is no https URL", 0, id=url)
            for url in (
                *("http://tokens.example", "https://u:p@tokens.example", "ftp://127.0.0.1/"),
                *("https://[", "https://a b", "token"),
            )
        ),
    ],
)
def test_key_that_gets_no_token_is_tried_once_at_most(
    key: Callable[[Google], str], says: str, logins: int, google: Google
) -> None:
    asking = secrets(google, key=key(google))
    for argument in (ORDERS, {**ORDERS, "version": 1}):
        assert says in refusal(asking, argument).message
    assert (google.server.logins, google.reads()) == (logins, [])


@pytest.mark.parametrize("days", [-1, 1])
def test_wrong_clock_is_hinted_at(days: int, google: Google) -> None:
    asking = secrets(google, clock=lambda: config.now() + timedelta(days=days))
    assert "the clock of this machine" in refusal(asking).hint


@pytest.mark.parametrize(
    ("route", "says"),
    [
        pytest.param(http_routes.redirect("https://evil.example/"), "302: it redirects", id="302"),
        pytest.param(http_routes.answer(500, b"boom"), "500: it has an error", id="500"),
        pytest.param(http_routes.answer(200, b"<html>"), "no `access_token`", id="no JSON"),
        pytest.param(
            http_routes.json_body({"access_token": "a\nb", "token_type": "Bearer"}),
            "no header can carry",
            id="line break",
        ),
    ],
)
def test_answer_that_is_none_of_a_token_server_is_said(
    route: Route, says: str, google: Google
) -> None:
    with http_server({"/token": route}) as server:
        key = json.dumps({**google.key, "token_uri": f"{server.url}/token"})
        assert says in refusal(secrets(google, key=key)).message
    assert google.server.requests == []


@pytest.mark.parametrize(
    ("route", "says"),
    [
        pytest.param(http_routes.redirect("https://evil.example/"), "answers 302", id="redirect"),
        pytest.param(http_routes.answer(200, b"<html>"), "do not fit", id="no JSON"),
        pytest.param(http_routes.answer(200, b"[" * 100_000), "do not fit", id="nested"),
        pytest.param(http_routes.answer(200, b" " * 2_000_000), "too long", id="endless"),
        pytest.param(http_routes.answer(500, b"boom"), "answers 500", id="broken"),
        pytest.param(http_routes.raw(b"SSH-2.0\r\n"), "cannot be asked", id="no HTTP"),
    ],
)
def test_answer_that_is_none_of_secret_manager_is_said(
    route: Route, says: str, google: Google
) -> None:
    path = "/v1/projects/prod-data/secrets/orders/versions/latest:access"
    with http_server({path: route}) as server:
        assert says in refusal(secrets(google, endpoint=server.url)).message
        assert len(server.requests) == 1


def test_servers_that_say_nothing_are_waited_for_until_the_deadline(google: Google) -> None:
    started = time.monotonic()
    with silent_server() as port:
        url = f"http://127.0.0.1:{port}"
        asking = secrets(google, endpoint=url, timeout_s=0.3)
        assert "Google Secret Manager cannot be asked" in refusal(asking).message
        key = json.dumps({**google.key, "token_uri": url})
        asking = secrets(google, key=key, timeout_s=0.3)
        assert "Google's token server cannot be asked" in refusal(asking).message
    assert time.monotonic() - started < PATIENCE_S


def test_metadata_server_is_never_asked(google: Google) -> None:
    error = refusal(secrets(google, endpoint="http://169.254.169.254", timeout_s=5))
    assert "is a cloud metadata service, which is never contacted" in error.message


def test_own_authority_is_trusted_and_another_is_not(tmp_path: Path) -> None:
    ours, other = Authority(), Authority()
    for name, authority in (("ours", ours), ("other", other)):
        (tmp_path / name).write_text(authority.pem)
    with secret_manager(
        {"prod-data/orders": [PASSWORD]},
        context=ours.server_context("localhost"),
        name="localhost",
    ) as google:
        assert read(secrets(google, ca=str(tmp_path / "ours"))) == PASSWORD
        error = refusal(secrets(google, ca=str(tmp_path / "other")))
    assert "the authority of the server's certificate" in error.message


@pytest.mark.parametrize("content", [b"", b"123456789", bytes(range(256)) * 3])
def test_checksum_is_that_of_another_way_to_compute_it(content: bytes) -> None:
    assert _crc32c(content) == checksum(content)
    assert _crc32c(b"123456789") == 0xE3069283  # the check value that catalogues of CRCs print
