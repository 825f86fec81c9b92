"""Which secret references a project allows."""

from __future__ import annotations

import pytest

from reconciler.settings import SecretPolicy

POLICY = SecretPolicy(root="/project", credentials_directory="/run/creds")


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"env": "CRM_TOKEN"}, id="variable"),
        pytest.param({"file": "secrets/token"}, id="file in the project"),
        pytest.param({"store": "token"}, id="stored secret"),
        pytest.param({"file": "secrets/../token"}, id="file in the project, the long way"),
        pytest.param({"file": "/run/secrets/token"}, id="secret of a container"),
        pytest.param({"file": "/run/creds/token"}, id="credential of systemd"),
    ],
)
def test_reference_is_allowed(reference: dict[str, str]) -> None:
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
        pytest.param({"vault": "kv/orders"}, id="source that does not exist"),
    ],
)
def test_reference_is_denied(reference: dict[str, str]) -> None:
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
