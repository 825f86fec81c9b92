"""Which secret references a project allows."""

from __future__ import annotations

import pytest

from reconciler.model import JsonObject
from reconciler.settings import (
    AwsAccount,
    AzureVault,
    GcpAccount,
    OperatorSecrets,
    SecretPolicy,
    VaultLogin,
    VaultServer,
)

POLICY = SecretPolicy(root="/project", credentials_directory="/run/creds")


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"env": "CRM_TOKEN"}, id="variable"),
        pytest.param({"file": "secrets/token"}, id="file in the project"),
        pytest.param({"store": "token"}, id="stored secret"),
        pytest.param({"file": "secrets/../token"}, id="file in the project, the long way"),
        pytest.param({"file": "/run/secrets/token"}, id="secret of a container"),
        pytest.param({"file": "/run/creds/token"}, id="file of a credential of systemd"),
        pytest.param({"keyring": {"service": "reconciler/a", "username": "b"}}, id="own service"),
        pytest.param({"systemdCredential": "token"}, id="credential of systemd"),
    ],
)
def test_reference_is_allowed(reference: JsonObject) -> None:
    assert POLICY.denial(reference) == ""


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"env": "RECONCILER_KEY"}, id="our own key"),
        pytest.param({"env": "PATH"}, id="path"),
        pytest.param({"env": "LD_PRELOAD"}, id="loader"),
        pytest.param({"env": "PYTHONPATH"}, id="interpreter"),
        pytest.param({"file": "/proc/self/environ"}, id="environment as a file"),
        pytest.param({"file": "../key"}, id="file outside the project"),
        pytest.param({"file": "/project-other/key"}, id="folder whose name begins alike"),
        pytest.param({"file": "/etc/ssl/private/key.pem"}, id="public folder for a secret"),
        pytest.param({"nowhere": "kv/orders"}, id="source that does not exist"),
        pytest.param({"age": {"file": "../key.age"}}, id="encrypted file outside the project"),
        pytest.param({"keyring": {"service": "mail", "username": "a"}}, id="service of the user"),
    ],
)
def test_reference_is_denied(reference: JsonObject) -> None:
    assert POLICY.denial(reference)


def test_public_material_may_come_from_the_systems_folders() -> None:
    assert POLICY.denial({"file": "/etc/ssl/ca.pem"}, public=True) == ""


def test_project_may_narrow_the_variables() -> None:
    narrow = SecretPolicy(root="/project", env_allow=("APP_*",))
    assert narrow.denial({"env": "APP_TOKEN"}) == ""
    assert narrow.denial({"env": "CRM_TOKEN"}) == (
        "the environment variable CRM_TOKEN is outside `secrets.env_allow`"
    )


def test_project_may_narrow_the_folders_but_not_those_of_public_material() -> None:
    narrow = SecretPolicy(root="/project", file_allow=("secrets",))
    assert narrow.denial({"file": "secrets/token"}) == ""
    assert narrow.denial({"file": "other/token"})
    assert narrow.denial({"file": "other/ca.pem"}, public=True) == ""


VAULT = {"vault": {"path": "apps/orders", "field": "password"}}
AWS = {"aws": {"secretId": "orders"}}
GCP = {"gcp": {"project": "prod", "secret": "orders"}}
AZURE = {"azure": {"secret": "orders"}}
AGE = {"age": {"file": "orders.age"}}
EXEC = {"exec": ["/bin/pass", "show", "orders"]}
GRANTED = OperatorSecrets(
    file_roots=("/srv/secrets",),
    exec_allow=(("/bin/other",), ("/bin/pass", "show")),
    keyring_allow=("apps/*",),
    age_identities=("/etc/age",),
    vault=VaultServer(
        address="https://vault", login=VaultLogin(method="token", secret={"env": "T"})
    ),
    aws=AwsAccount(region="r", access_key_id={"env": "A"}, secret_access_key={"env": "B"}),
    gcp=GcpAccount(key={"file": "/k"}),
    azure=AzureVault(address="https://v", tenant="t", client_id="c", client_secret={"env": "S"}),
)


@pytest.mark.parametrize(
    "reference", [VAULT, AWS, GCP, AZURE, AGE, EXEC], ids=lambda given: next(iter(given))
)
def test_operator_file_grants_and_its_absence_is_judged_when_a_secret_is_read(
    reference: JsonObject,
) -> None:
    with_grant = SecretPolicy(root="/project", operator=GRANTED)
    with_none = SecretPolicy(root="/project", operator=OperatorSecrets())
    assert with_grant.denial(reference) == with_grant.ungranted(reference) == ""
    assert with_none.denial(reference) == with_none.ungranted(reference) != ""
    assert POLICY.denial(reference) == ""
    assert POLICY.ungranted(reference) == with_none.ungranted(reference)


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["/bin/pass"], id="less than is allowed"),
        pytest.param(["/bin/pass", "rm", "orders"], id="another command"),
        pytest.param(["/bin/passport", "show"], id="program whose name begins alike"),
        pytest.param(["/bin/pass", "show", "--clip", "orders"], id="option that is added"),
    ],
)
def test_command_line_must_begin_as_allowed_and_adds_no_option(argv: list[str]) -> None:
    assert SecretPolicy(root="/project", operator=GRANTED).denial({"exec": argv})


def test_operator_file_widens_folders_and_services() -> None:
    policy = SecretPolicy(root="/project", operator=GRANTED)
    assert policy.denial({"file": "/srv/secrets/token"}) == ""
    assert policy.denial({"file": "/srv/other/token"})
    assert policy.denial({"keyring": {"service": "apps/crm", "username": "a"}}) == ""


def test_project_may_narrow_what_the_operator_file_widened() -> None:
    policy = SecretPolicy(root="/project", operator=GRANTED, file_allow=("secrets",))
    assert policy.denial({"file": "/srv/secrets/token"})
