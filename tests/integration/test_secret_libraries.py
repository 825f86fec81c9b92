"""Secrets that a library fetches or opens: keyrings, age files, and AWS Secrets Manager."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pyrage  # type: ignore[import-untyped]
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from reconciler import config
from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject
from reconciler.redact import Redactor
from reconciler.secret_sources import Secrets
from reconciler.settings import AwsAccount, OperatorSecrets, SecretPolicy
from tests.servers.secrets_manager import ACCESS_KEY_ID, REGION, Manager, secrets_manager

CANARY = "TOPSECRET-canary"
ENTRY = {"keyring": {"service": "reconciler", "username": "orders"}}


def secrets(root: Path, environment: dict[str, str] | None = None, **granted: Json) -> Secrets:
    policy = SecretPolicy(root=str(root), operator=OperatorSecrets(**granted))
    return Secrets(policy, environment or {}, Redactor(), clock=config.now)


def refusal(asking: Secrets, reference: JsonObject) -> str:
    with pytest.raises(SecretError) as caught:
        asking.resolve(reference)
    said = f"{caught.value.message} = {caught.value.hint}"
    assert CANARY not in said
    return said


class _Broken(KeyringBackend):
    """A keyring whose errors hold secrets."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError(CANARY)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture
def _chosen_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("_chosen_keyring")
def test_machine_without_a_keyring_is_said(tmp_path: Path) -> None:
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]  # the library's
    said = refusal(secrets(tmp_path), ENTRY)
    assert said.startswith("there is no keyring on this machine")


@pytest.mark.usefixtures("_chosen_keyring")
def test_error_of_a_keyring_is_told_without_its_text(tmp_path: Path) -> None:
    keyring.set_keyring(_Broken())  # type: ignore[no-untyped-call]  # the library's
    assert "cannot be read (RuntimeError)" in refusal(secrets(tmp_path), ENTRY)


@pytest.mark.parametrize(
    ("library", "reference", "extra"),
    [
        ("keyring", ENTRY, "reconciler[keyring]"),
        ("pyrage", {"age": {"file": "a.age"}}, "reconciler[age]"),
        ("botocore.auth", {"aws": {"secretId": "a"}}, "reconciler[aws]"),
    ],
)
def test_missing_library_is_said_with_what_to_install(
    library: str,
    reference: JsonObject,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    key = {"env": "KEY"}
    aws = AwsAccount(region=REGION, access_key_id=key, secret_access_key=key)
    asking = secrets(tmp_path, {"KEY": "k"}, aws=aws, age_identities=("/nowhere",))
    assert f'pip install "{extra}"' in refusal(asking, reference)


@pytest.fixture
def identity(tmp_path: Path) -> str:
    made = str(pyrage.x25519.Identity.generate())
    (tmp_path / "identity").write_text(f"# public key: age1...\n\n{made}\n")
    (tmp_path / "identity").chmod(0o600)
    return made


def seal(folder: Path, identity: str, data: bytes, *, armored: bool = False) -> None:
    recipient = pyrage.x25519.Identity.from_str(identity).to_public()
    (folder / "a.age").write_bytes(pyrage.encrypt(data, [recipient], armored=armored))


AGE = {"age": {"file": "a.age"}}


@pytest.mark.parametrize("armored", [False, True])
def test_age_file_is_opened_by_any_identity(tmp_path: Path, identity: str, armored: bool) -> None:
    seal(tmp_path, identity, f"{CANARY}\n".encode(), armored=armored)
    other = tmp_path / "other"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    asking = secrets(tmp_path, age_identities=(str(other), str(tmp_path / "identity")))
    assert asking.resolve(AGE).reveal() == CANARY


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "is empty"), (b"a\0b", "has a NUL character"), (b"a\xff", "is not UTF-8")],
)
def test_age_file_that_holds_no_secret_is_refused(
    tmp_path: Path, identity: str, data: bytes, says: str
) -> None:
    seal(tmp_path, identity, data)
    asking = secrets(tmp_path, age_identities=(str(tmp_path / "identity"),))
    assert says in refusal(asking, AGE)


@pytest.mark.parametrize("damage", [slice(0, -1), slice(0, 40), slice(1, None)])
def test_damaged_age_file_is_refused(tmp_path: Path, identity: str, damage: slice) -> None:
    seal(tmp_path, identity, CANARY.encode())
    (tmp_path / "a.age").write_bytes((tmp_path / "a.age").read_bytes()[damage])
    asking = secrets(tmp_path, age_identities=(str(tmp_path / "identity"),))
    assert "is not opened by any identity of the operator file, or is damaged" in (
        refusal(asking, AGE)
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("# nothing\n", "hold no identity"),
        (f"AGE-SECRET-KEY-1{CANARY}\n", "holds an identity that is damaged"),
    ],
)
def test_identity_file_without_a_good_identity_is_said(
    tmp_path: Path, identity: str, content: str, says: str
) -> None:
    seal(tmp_path, identity, b"a")
    (tmp_path / "identity").write_text(content)
    asking = secrets(tmp_path, age_identities=(str(tmp_path / "identity"),))
    assert says in refusal(asking, AGE)


@pytest.fixture
def manager() -> Iterator[Manager]:
    document = json.dumps({"password": CANARY, "port": 5432})
    held = {"orders": document, "plain": CANARY, "binary": None}
    with secrets_manager(held, "a-secret-access-key") as running:
        yield running


def in_aws(manager: Manager, root: Path, key: str = "a-secret-access-key") -> Secrets:
    account = AwsAccount(
        region=REGION,
        endpoint=manager.server.url,
        access_key_id={"env": "KEY_ID"},
        secret_access_key={"env": "KEY"},
        session_token={"env": "SESSION"},
    )
    environment = {"KEY_ID": ACCESS_KEY_ID, "KEY": key, "SESSION": "a-session-token"}
    return secrets(root, environment, aws=account)


def test_secret_of_aws_is_read_whole_or_by_key(manager: Manager, tmp_path: Path) -> None:
    asking = in_aws(manager, tmp_path)
    assert asking.resolve({"aws": {"secretId": "plain"}}).reveal() == CANARY
    by_key = {"aws": {"secretId": "orders", "key": "password"}}
    assert asking.resolve(by_key).reveal() == CANARY
    assert manager.server.failed_logins == 0
    sent = manager.server.requests[0].headers
    assert sent["x-amz-security-token"] == "a-session-token"
    assert "x-amz-security-token" in sent["authorization"]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        pytest.param({"secretId": "nowhere"}, "does not exist", id="missing"),
        pytest.param({"secretId": "forbidden"}, "may not be read with this access key", id="403"),
        pytest.param({"secretId": "binary"}, "is no text", id="binary"),
        pytest.param({"secretId": "plain", "key": "a"}, "is no JSON object", id="no object"),
        pytest.param({"secretId": "orders", "key": "a"}, "no text under the key", id="no key"),
        pytest.param({"secretId": "orders", "key": "port"}, "no text under", id="a number"),
    ],
)
def test_refusal_of_aws_says_what_is_wrong(
    argument: JsonObject, says: str, manager: Manager, tmp_path: Path
) -> None:
    assert says in refusal(in_aws(manager, tmp_path), {"aws": argument})


def test_wrong_access_key_is_refused_by_its_signature(manager: Manager, tmp_path: Path) -> None:
    said = refusal(in_aws(manager, tmp_path, "another-key"), {"aws": {"secretId": "plain"}})
    assert said.startswith("AWS refuses the access key or its signature")
    assert (manager.server.logins, manager.server.failed_logins) == (1, 1)


def test_a_session_token_is_signed_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with secrets_manager({"orders": "TOPSECRET"}, "key-4711") as manager:
        aws = AwsAccount(
            region=REGION,
            endpoint=manager.server.url,
            access_key_id={"env": "ID"},
            secret_access_key={"env": "KEY"},
            session_token={"env": "SESSION"},
        )
        environment = {"ID": ACCESS_KEY_ID, "KEY": "key-4711", "SESSION": CANARY}
        asking = secrets(tmp_path, environment, aws=aws)
        assert asking.resolve({"aws": {"secretId": "orders"}}).reveal() == "TOPSECRET"
        (request,) = manager.server.requests
    assert request.headers["x-amz-security-token"] == CANARY
    assert "x-amz-security-token" in request.headers["authorization"]
    assert CANARY not in caplog.text
