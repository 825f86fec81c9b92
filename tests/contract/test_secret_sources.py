"""What holds of every secret source: the value as it is, a clear refusal, and no word of either."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import keyring
import pyrage  # type: ignore[import-untyped]
import pytest
from keyring.backend import KeyringBackend

from reconciler import config
from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject
from reconciler.redact import Redactor
from reconciler.secret_sources import QUICK_SOURCES, SECRET_SOURCES, Secrets, describe
from reconciler.settings import (
    AwsAccount,
    AzureVault,
    GcpAccount,
    OperatorSecrets,
    SecretPolicy,
    VaultLogin,
    VaultServer,
)
from tests.corpus.canary import leaks, make_canary
from tests.servers.key_vault import Version, key_vault
from tests.servers.secret_manager import secret_manager
from tests.servers.secrets_manager import ACCESS_KEY_ID, REGION, secrets_manager
from tests.servers.vault import vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A source that holds one secret."""

    #: names the secret, and one that is not there
    reference: JsonObject
    missing: JsonObject
    #: what a refusal to read the missing one says
    says: str
    policy: SecretPolicy
    environment: dict[str, str] = field(default_factory=dict)
    #: secrets of the source itself
    own: tuple[str, ...] = ()
    #: where a reference is refused, why, and which, if it is another
    refused: SecretPolicy
    why: str
    refused_reference: JsonObject = field(default_factory=dict)

    def secrets(self, redactor: Redactor | None = None) -> Secrets:
        return Secrets(self.policy, self.environment, redactor or Redactor(), clock=config.now)


class Drawer(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library's
        self._entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._entries[service, username] = password


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where a case is built."""

    folder: Path
    value: str
    running: ExitStack
    patch: pytest.MonkeyPatch

    def policy(self, **fields: Json) -> SecretPolicy:
        operator = OperatorSecrets(**fields) if fields else None
        return SecretPolicy(root=str(self.folder), operator=operator)

    def write(self, name: str, content: str | bytes) -> str:
        file = self.folder / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o600)
        return str(file)


def _env(bench: Bench) -> Case:
    return Case(
        reference={"env": "TOKEN"},
        missing={"env": "OTHER"},
        says="the environment variable OTHER is not set",
        policy=bench.policy(),
        environment={"TOKEN": bench.value},
        refused=replace(bench.policy(), env_allow=("CRM_*",)),
        why="the environment variable TOKEN is outside `secrets.env_allow`",
    )


def _file(bench: Bench) -> Case:
    bench.write("token", bench.value)
    return Case(
        reference={"file": "token"},
        missing={"file": "other"},
        says="the file other does not exist",
        policy=bench.policy(),
        refused=replace(bench.policy(), file_allow=("secrets",)),
        why="the file is outside the project root and the folders for secrets",
    )


def _systemd(bench: Bench) -> Case:
    bench.write("token", bench.value)
    policy = replace(bench.policy(), credentials_directory=str(bench.folder))
    return Case(
        reference={"systemdCredential": "token"},
        missing={"systemdCredential": "other"},
        says="the file other does not exist",
        policy=policy,
        refused=bench.policy(),
        why="there are no credentials of systemd here",
    )


def _vault(bench: Bench) -> Case:
    content = {"password": bench.value}
    peer = bench.running.enter_context(vault({"secret/apps/orders": [content]}))
    login = VaultLogin(method="token", secret={"file": bench.write("vault-token", peer.token)})
    return Case(
        reference={"vault": {"path": "apps/orders", "field": "password"}},
        missing={"vault": {"path": "apps/other", "field": "password"}},
        says="the secret apps/other of Vault does not exist",
        policy=bench.policy(vault=VaultServer(address=peer.server.url, login=login)),
        own=(peer.token,),
        refused=bench.policy(),
        why="the operator file names no server",
    )


def _exec(bench: Bench) -> Case:
    program = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read(), end='')"]
    file = bench.write("printed", bench.value + "\n")
    return Case(
        reference={"exec": [*program, file]},
        missing={"exec": [*program, f"{file}-other"]},
        says=f"the program {sys.executable} ends with 1",
        policy=bench.policy(exec_allow=(tuple(program),)),
        refused=bench.policy(exec_allow=((sys.executable, "-m"),)),
        why="the operator file does not allow this command",
    )


def _keyring(bench: Bench) -> Case:
    drawer = Drawer()
    drawer.set_password("reconciler", "orders", bench.value)
    drawer.set_password("mail", "orders", bench.value)
    bench.running.callback(keyring.set_keyring, keyring.get_keyring())
    keyring.set_keyring(drawer)
    return Case(
        reference={"keyring": {"service": "reconciler", "username": "orders"}},
        missing={"keyring": {"service": "reconciler", "username": "other"}},
        says="the entry reconciler other of the keyring does not exist",
        policy=bench.policy(keyring_allow=("apps/*",)),
        refused=bench.policy(keyring_allow=("apps/*",)),
        why="the service is none of those that connections may read",
        refused_reference={"keyring": {"service": "mail", "username": "orders"}},
    )


def _age(bench: Bench) -> Case:
    identity = pyrage.x25519.Identity.generate()
    sealed = pyrage.encrypt(f"{bench.value}\n".encode(), [identity.to_public()])
    bench.write("orders.age", sealed)
    bench.write("other.age", sealed[:-1])
    key = bench.write("identity", f"# made for a test\n{identity}\n")
    return Case(
        reference={"age": {"file": "orders.age"}},
        missing={"age": {"file": "other.age"}},
        says="the file other.age is not opened by any identity of the operator file, or is damaged",
        policy=bench.policy(age_identities=(key,)),
        own=(str(identity),),
        refused=bench.policy(),
        why="the operator file names no identity",
    )


def _aws(bench: Bench) -> Case:
    key = make_canary("/+")
    document = json.dumps({"password": bench.value})
    manager = bench.running.enter_context(secrets_manager({"prod/orders": document}, key))
    account = AwsAccount(
        region=REGION,
        endpoint=manager.server.url,
        access_key_id={"env": "KEY_ID"},
        secret_access_key={"file": bench.write("key", key)},
    )
    return Case(
        reference={"aws": {"secretId": "prod/orders", "key": "password"}},
        missing={"aws": {"secretId": "prod/other", "key": "password"}},
        says="the secret prod/other of AWS does not exist",
        policy=bench.policy(aws=account),
        environment={"KEY_ID": ACCESS_KEY_ID},
        own=(key,),
        refused=bench.policy(),
        why="the operator file names no account",
    )


def _gcp(bench: Bench) -> Case:
    document = json.dumps({"password": bench.value})
    google = bench.running.enter_context(secret_manager({"prod/orders": [document]}))
    account = GcpAccount(
        endpoint=google.server.url, key={"file": bench.write("key.json", google.key_text)}
    )
    return Case(
        reference={"gcp": {"project": "prod", "secret": "orders", "key": "password"}},
        missing={"gcp": {"project": "prod", "secret": "other", "key": "password"}},
        says="the secret other of the Google project prod does not exist",
        policy=bench.policy(gcp=account),
        own=(google.key["private_key"],),
        refused=bench.policy(),
        why="the operator file names no account",
    )


def _azure(bench: Bench) -> Case:
    kept = {"orders": {"0" * 32: Version(value=json.dumps({"password": bench.value}))}}
    azure = bench.running.enter_context(key_vault(kept))
    vault = AzureVault(
        address=azure.server.url,
        tenant=azure.tenant,
        client_id=azure.client_id,
        client_secret={"file": bench.write("client-secret", azure.client_secret)},
        authority=azure.server.url,
    )
    return Case(
        reference={"azure": {"secret": "orders", "key": "password"}},
        missing={"azure": {"secret": "other", "key": "password"}},
        says="the secret other of the Azure vault does not exist",
        policy=bench.policy(azure=vault),
        own=(azure.client_secret,),
        refused=bench.policy(),
        why="the operator file names no vault",
    )


CASES = {
    "env": _env,
    "file": _file,
    "systemdCredential": _systemd,
    "vault": _vault,
    "exec": _exec,
    "keyring": _keyring,
    "age": _age,
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
}


@pytest.fixture
def value() -> str:
    return make_canary()


@pytest.fixture(params=CASES)
def case(
    request: pytest.FixtureRequest, tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Case]:
    with ExitStack() as running:
        bench = Bench(folder=tmp_path, value=value, running=running, patch=monkeypatch)
        yield CASES[request.param](bench)


def test_every_source_has_a_case() -> None:
    assert CASES.keys() == SECRET_SOURCES.keys()


def test_value_comes_as_it_is(case: Case, value: str) -> None:
    assert case.secrets().resolve(case.reference).reveal() == value


def test_what_is_not_there_is_said(case: Case, value: str) -> None:
    with pytest.raises(SecretError) as caught:
        case.secrets().resolve(case.missing)
    assert case.says in caught.value.message
    said = f"{caught.value.message} {caught.value.hint} {describe(case.missing)}".encode()
    hidden = {"value": value, **{f"own {at}": secret for at, secret in enumerate(case.own)}}
    assert leaks(hidden, {"the error": said}) == []


def test_value_and_the_sources_own_secrets_are_redacted(case: Case, value: str) -> None:
    redactor = Redactor()
    case.secrets(redactor).resolve(case.reference)
    for secret in (value, *case.own):
        assert redactor.redact(f"a {secret} b") == "a *** b"


def test_what_nobody_granted_is_refused(case: Case) -> None:
    reference = case.refused_reference or case.reference
    with pytest.raises(SecretError) as caught:
        Secrets(case.refused, case.environment, Redactor(), clock=config.now).resolve(reference)
    assert case.why in caught.value.message


def test_many_threads_get_one_reading(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, together = case.secrets(), threading.Barrier(6)
    source = secrets._source(case.reference)
    readings: list[Json] = []

    def read(argument: Json, *, public: bool) -> str:
        readings.append(argument)
        return source.read(argument, public=public)

    watched = SimpleNamespace(read=read, warnings=())
    monkeypatch.setitem(secrets._sources, next(iter(case.reference)), watched)

    def ask(_: int) -> object:
        together.wait(30)
        return secrets.resolve(case.reference)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ask, range(6)))
    assert all(answer is answers[0] for answer in answers)
    assert len(readings) == 1


def test_slow_source_is_not_at_hand_before_it_was_asked(case: Case) -> None:
    secrets = case.secrets()
    is_quick = next(iter(case.reference)) in QUICK_SOURCES
    assert secrets.is_at_hand(case.reference) is is_quick
    secrets.resolve(case.reference)
    assert secrets.is_at_hand(case.reference)
