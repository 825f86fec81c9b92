"""Secrets in Vault, from a peer that speaks its API: logins, namespaces, versions, and refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import config
from reconciler.errors import SecretError
from reconciler.model import JsonObject
from reconciler.redact import Redactor
from reconciler.secret_sources import Secrets
from reconciler.settings import OperatorSecrets, SecretPolicy, VaultLogin, VaultServer
from tests.servers import http_routes
from tests.servers.certificates import Authority
from tests.servers.http import Route, http_server, silent_server
from tests.servers.vault import KUBERNETES_ROLE, ROLE_ID, Vault, vault

PASSWORD = "TOPSECRET-in-vault"
CONTENT: Mapping[str, Sequence[JsonObject]] = {
    "secret/apps/orders": [{"password": "older"}, {"password": PASSWORD, "port": 5432}]
}
ORDERS = {"path": "apps/orders", "field": "password"}
BY_TOKEN = VaultLogin(method="token", secret={"env": "VAULT"})


def secrets(server: VaultServer, redactor: Redactor | None = None, **environment: str) -> Secrets:
    policy = SecretPolicy(root="/project", operator=OperatorSecrets(vault=server))
    return Secrets(policy, environment, redactor or Redactor(), clock=config.now)


def read(peer: Vault, argument: JsonObject = ORDERS, /, **changes: Any) -> str:
    server = replace(VaultServer(address=peer.server.url, login=BY_TOKEN), **changes)
    return secrets(server, VAULT=peer.token).resolve({"vault": argument}).reveal()


def refusal(peer: Vault, argument: JsonObject = ORDERS, /, token: str = "") -> SecretError:
    server = VaultServer(address=peer.server.url, login=BY_TOKEN)
    asking = secrets(server, VAULT=token or peer.token)
    with pytest.raises(SecretError) as caught:
        asking.resolve({"vault": argument})
    assert (token or peer.token) not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def test_newest_version_is_read_unless_one_is_named() -> None:
    with vault(CONTENT) as peer:
        assert read(peer) == PASSWORD
        assert read(peer, {**ORDERS, "version": 1}) == "older"
        assert peer.reads() == [
            "/v1/secret/data/apps/orders",
            "/v1/secret/data/apps/orders?version=1",
        ]


def test_mount_of_several_parts() -> None:
    with vault({"kv/team/orders": [{"a b": "x"}]}) as peer:
        assert read(peer, {"mount": "kv/team", "path": "orders", "field": "a b"}) == "x"


@pytest.mark.parametrize("method", ["approle", "kubernetes"])
def test_login_is_made_once_and_its_token_is_redacted(method: str, tmp_path: Path) -> None:
    with vault({**CONTENT, "secret/crm": [{"token": "x"}]}) as peer:
        role, credential = {
            "approle": (ROLE_ID, peer.secret_id),
            "kubernetes": (KUBERNETES_ROLE, peer.jwt),
        }[method]
        (tmp_path / "credential").write_text(f"{credential}\n")
        login = VaultLogin(
            method=method, mount=method, role=role, secret={"file": f"{tmp_path}/credential"}
        )
        redactor = Redactor()
        asking = secrets(VaultServer(address=peer.server.url, login=login), redactor)
        assert asking.resolve({"vault": ORDERS}).reveal() == PASSWORD
        assert asking.resolve({"vault": {"path": "crm", "field": "token"}}).reveal() == "x"
        assert peer.server.logins == 1
        assert redactor.redact(f"{peer.issued[0]} {credential}") == "*** ***"


@pytest.mark.parametrize("method", ["approle", "kubernetes"])
def test_refused_login_is_tried_once_for_all(method: str) -> None:
    login = VaultLogin(method=method, mount=method, role="r", secret={"env": "WRONG"})
    with vault(CONTENT) as peer:
        asking = secrets(VaultServer(address=peer.server.url, login=login), WRONG="wrong-secret")
        for path in ("apps/orders", "apps/crm"):
            with pytest.raises(SecretError) as caught:
                asking.resolve({"vault": {"path": path, "field": "password"}})
            assert caught.value.message == f"Vault refuses the {method} login"
            assert "wrong-secret" not in caught.value.hint
        assert (peer.server.logins, peer.reads()) == (1, [])


def test_namespace_is_sent_with_every_request() -> None:
    with vault(CONTENT, namespace="team-a") as peer:
        assert read(peer, namespace="team-a") == PASSWORD
        assert "does not exist" in refusal(peer).message


def _deleted(peer: Vault) -> None:
    peer.secrets["secret/apps/orders"].append(None)


def _forbidden(peer: Vault) -> None:
    peer.forbidden.add("secret/data/apps/orders")


def _sealed(peer: Vault) -> None:
    peer.is_sealed = True


def _nothing(_: Vault) -> None:
    """Leaves everything as it is."""


@pytest.mark.parametrize(
    ("prepare", "argument", "says"),
    [
        pytest.param(_deleted, ORDERS, "or this version of it was deleted", id="deleted"),
        pytest.param(_nothing, {**ORDERS, "version": 9}, "does not exist", id="no such version"),
        pytest.param(_nothing, {**ORDERS, "path": "a"}, "does not exist", id="no such path"),
        pytest.param(_nothing, {**ORDERS, "field": "a"}, "has no field a", id="no such field"),
        pytest.param(_nothing, {**ORDERS, "field": "port"}, "is no text", id="a number"),
        pytest.param(_forbidden, ORDERS, "Vault does not allow to read", id="forbidden"),
        pytest.param(_sealed, ORDERS, "Vault is sealed or in maintenance", id="sealed"),
    ],
)
def test_refusal_says_what_is_wrong(
    prepare: Callable[[Vault], None], argument: JsonObject, says: str
) -> None:
    with vault(CONTENT) as peer:
        prepare(peer)
        assert says in refusal(peer, argument).message


def test_wrong_token_is_refused_and_not_shown() -> None:
    with vault(CONTENT) as peer:
        error = refusal(peer, token="hvs.wrong-one")
        assert "Vault does not allow to read secret/data/apps/orders" in error.message


def test_token_with_a_line_break_is_not_sent() -> None:
    with vault(CONTENT) as peer:
        assert "no header can carry" in refusal(peer, token="hvs.a\nX-Evil: b").message
        assert peer.server.requests == []


@pytest.mark.parametrize(
    ("route", "says"),
    [
        pytest.param(http_routes.redirect("https://evil.example.com/"), "redirects", id="redirect"),
        pytest.param(http_routes.answer(200, b"<html>"), "version 2", id="no JSON"),
        pytest.param(http_routes.answer(200, b"[" * 100_000), "version 2", id="nested"),
        pytest.param(http_routes.answer(200, b'{"data": {"a": 1}}'), "version 2", id="version 1"),
        pytest.param(http_routes.answer(200, b" " * 2_000_000), "too long", id="endless"),
        pytest.param(http_routes.answer(500, b"boom"), "answers 500", id="broken"),
        pytest.param(http_routes.raw(b"SSH-2.0\r\n"), "cannot be asked", id="no HTTP"),
    ],
)
def test_answer_that_is_none_of_vaults_is_said(route: Route, says: str) -> None:
    with http_server({"/v1/secret/data/apps/orders": route}) as server:
        asking = secrets(VaultServer(address=server.url, login=BY_TOKEN), VAULT="hvs.token")
        with pytest.raises(SecretError) as caught:
            asking.resolve({"vault": ORDERS})
        assert says in caught.value.message
        assert len(server.requests) == 1


def test_server_that_says_nothing_is_waited_for_until_the_deadline() -> None:
    with silent_server() as port:
        server = VaultServer(address=f"http://127.0.0.1:{port}", login=BY_TOKEN, timeout_s=0.2)
        with pytest.raises(SecretError) as caught:
            secrets(server, VAULT="hvs.token").resolve({"vault": ORDERS})
    assert "in time" in caught.value.message


def test_metadata_service_is_never_asked() -> None:
    server = VaultServer(address="http://169.254.169.254", login=BY_TOKEN, timeout_s=5)
    with pytest.raises(SecretError) as caught:
        secrets(server, VAULT="hvs.token").resolve({"vault": ORDERS})
    assert "is a cloud metadata service, which is never contacted" in caught.value.message


def test_own_authority_is_trusted_and_another_is_not(tmp_path: Path) -> None:
    ours, other = Authority(), Authority()
    for name, authority in (("ours", ours), ("other", other)):
        (tmp_path / name).write_text(authority.pem)
    with vault(CONTENT, context=ours.server_context("localhost"), name="localhost") as peer:
        assert read(peer, ca=str(tmp_path / "ours")) == PASSWORD
        with pytest.raises(SecretError) as caught:
            read(peer, ca=str(tmp_path / "other"))
    assert "Vault cannot be asked: the authority of the server's certificate" in (
        caught.value.message
    )
    assert "the operator file" in caught.value.hint


def test_many_secrets_are_read_at_once_and_each_once() -> None:
    content = {f"secret/{number}": [{"password": f"p-{number}"}] for number in range(30)}
    references = [{"vault": {"path": str(at), "field": "password"}} for at in range(30)]
    with vault(content) as peer:
        asking = secrets(VaultServer(address=peer.server.url, login=BY_TOKEN), VAULT=peer.token)
        asking.fetch([*references, *references, {"env": "VAULT"}])
        assert all(map(asking.is_at_hand, references))
        found = [asking.resolve(reference).reveal() for reference in references]
        assert found == [f"p-{number}" for number in range(30)]
        assert len(peer.reads()) == 30


def test_credential_of_the_operator_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    with vault(CONTENT) as peer:
        file = tmp_path / "token"
        file.write_text(peer.token)
        file.chmod(0o644)
        login = VaultLogin(method="token", secret={"file": str(file)})
        asking = secrets(VaultServer(address=peer.server.url, login=login))
        asking.resolve({"vault": ORDERS})
        (warning,) = asking.warnings
    assert warning == f"the file {file} is readable by everybody on this machine: chmod 600"
