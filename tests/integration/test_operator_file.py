"""The operator file is read from real files, since who could have written it decides what holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler import config, destinations, operator_file
from reconciler.errors import ConfigError
from reconciler.grants import Grant
from reconciler.network import NetworkPolicy
from reconciler.settings import (
    AwsAccount,
    AzureVault,
    GcpAccount,
    OperatorSecrets,
    SecretPolicy,
    VaultLogin,
    VaultServer,
)

_GRANT = """[[grant]]
references = ["env:CRM_*"]
connections = ["sales/*"]
destinations = ["api.example.com"]
"""
SECRET_ID = {"file": "/etc/reconciler/secret-id"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path)) / "operator.toml"


def read(file: Path, text: str, mode: int = 0o644) -> OperatorSecrets:
    file.write_text(text)
    file.chmod(mode)
    return operator_file.read(str(file)).secrets


def refusal(file: Path, text: str, mode: int = 0o644) -> str:
    with pytest.raises(ConfigError) as caught:
        read(file, text, mode)
    return str(caught.value).replace(str(file), "FILE") + f" = {caught.value.hint}"


def test_file_says_everything(file: Path) -> None:
    assert read(
        file,
        """
        [secrets]
        file_roots = ["/srv/secrets", "/srv/../opt/secrets/"]
        [secrets.exec]
        allow = [["/usr/bin/pass", "show"], ["/usr/local/bin/token"]]
        timeout = "30s"
        [secrets.keyring]
        allow = ["apps/*"]
        [secrets.age]
        identities = ["/etc/reconciler/age.key"]
        [secrets.vault]
        address = "https://vault.internal:8200/"
        namespace = "team-a"
        ca = "/etc/ssl/vault.pem"
        timeout = "5s"
        [secrets.vault.auth]
        method = "approle"
        role_id = "r-1"
        secret_id = {file = "/etc/reconciler/secret-id"}
        [secrets.aws]
        region = "eu-central-1"
        endpoint = "http://127.0.0.1:4566"
        access_key_id = {env = "KEY_ID"}
        secret_access_key = {env = "KEY"}
        session_token = {env = "SESSION"}
        [secrets.gcp]
        key = {file = "/etc/reconciler/google.json"}
        endpoint = "https://secretmanager.example.com/"
        timeout = "5s"
        [secrets.azure]
        vault = "https://prod.vault.azure.net/"
        tenant = "example.onmicrosoft.com"
        client_id = "reader"
        certificate = "/etc/reconciler/azure.pem"
        private_key = {file = "/etc/reconciler/azure.key"}
        authority = "https://login.microsoftonline.us"
        resource = "https://vault.usgovcloudapi.net"
        ca = "/etc/ssl/proxy.pem"
        """,
    ) == OperatorSecrets(
        file_roots=("/srv/secrets", "/opt/secrets"),
        exec_allow=(("/usr/bin/pass", "show"), ("/usr/local/bin/token",)),
        exec_timeout_s=30.0,
        keyring_allow=("apps/*",),
        age_identities=("/etc/reconciler/age.key",),
        vault=VaultServer(
            address="https://vault.internal:8200",
            namespace="team-a",
            ca="/etc/ssl/vault.pem",
            timeout_s=5.0,
            login=VaultLogin(method="approle", mount="approle", role="r-1", secret=SECRET_ID),
        ),
        aws=AwsAccount(
            region="eu-central-1",
            endpoint="http://127.0.0.1:4566",
            access_key_id={"env": "KEY_ID"},
            secret_access_key={"env": "KEY"},
            session_token={"env": "SESSION"},
        ),
        gcp=GcpAccount(
            key={"file": "/etc/reconciler/google.json"},
            endpoint="https://secretmanager.example.com",
            timeout_s=5.0,
        ),
        azure=AzureVault(
            address="https://prod.vault.azure.net",
            tenant="example.onmicrosoft.com",
            client_id="reader",
            certificate="/etc/reconciler/azure.pem",
            private_key={"file": "/etc/reconciler/azure.key"},
            authority="https://login.microsoftonline.us",
            resource="https://vault.usgovcloudapi.net",
            ca="/etc/ssl/proxy.pem",
        ),
    )


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(
            'method = "token", token = {env = "T"}',
            VaultLogin(method="token", secret={"env": "T"}),
            id="token",
        ),
        pytest.param(
            'method = "kubernetes", role = "r"',
            VaultLogin(
                method="kubernetes",
                mount="kubernetes",
                role="r",
                secret={"file": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
            ),
            id="service account",
        ),
        pytest.param(
            'method = "kubernetes", role = "r", mount = "k8s/a", token = {file = "/jwt"}',
            VaultLogin(method="kubernetes", mount="k8s/a", role="r", secret={"file": "/jwt"}),
            id="another token and mount",
        ),
    ],
)
def test_logins_to_vault(file: Path, auth: str, expected: VaultLogin) -> None:
    found = read(file, f'[secrets.vault]\naddress = "https://v"\nauth = {{{auth}}}\n').vault
    assert found is not None
    assert found.login == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[net]\n", "FILE:1: `net` is no setting", id="unknown table"),
        pytest.param(
            "[secrets]\n\nenv_allow = []\n",
            "FILE:3: `secrets.env_allow` is no setting = use one of: age, aws, azure, exec, "
            "file_roots, gcp, keyring, vault",
            id="key of the project file",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "https://v"\naddres = "x"\n',
            "FILE:3: `secrets.vault.addres` is no setting",
            id="unknown key",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "https://v"\n',
            "FILE:1: `secrets.vault.auth` is required",
            id="no login",
        ),
        pytest.param(
            '[secrets.gcp]\nkey = "the key itself"\n',
            'FILE:2: `secrets.gcp.key` must be {env = "NAME"} or {file = "/path"}, not',
            id="key of Google itself",
        ),
        pytest.param(
            '[secrets.gcp]\nendpoint = "https://a"\n',
            "FILE:1: `secrets.gcp.key` is required",
            id="no key of Google",
        ),
        pytest.param(
            '[secrets.azure]\nvault = "https://a"\ntenant = "a/b"\nclient_id = "c"\n',
            "FILE:3: `secrets.azure.tenant` must be the id of a tenant",
            id="tenant with a path",
        ),
        *(
            pytest.param(
                f'[secrets.azure]\nvault = "https://a"\ntenant = "b"\nclient_id = "c"\n{proof}\n',
                "FILE:1: `secrets.azure` must have either `client_secret`, or `certificate` and "
                "`private_key`",
                id=f"Azure with {words}",
            )
            for words, proof in (
                ("no credential", ""),
                ("a certificate alone", 'certificate = "/c"'),
                ("a key alone", 'private_key = {env = "K"}'),
                ("two credentials", 'client_secret = {env = "S"}\ncertificate = "/c"'),
            )
        ),
        pytest.param("secrets = 1\n", "FILE:1: `secrets` must be a table", id="no table"),
        pytest.param(
            '[secrets]\nfile_roots = ["srv"]\n',
            "FILE:2: `secrets.file_roots` must be an absolute path",
            id="relative folder",
        ),
        pytest.param(
            '[secrets.exec]\nallow = [["pass", "show"]]\n',
            "FILE:2: `secrets.exec.allow` must be an absolute path",
            id="program that is searched for",
        ),
        pytest.param(
            "[secrets.exec]\nallow = [[]]\n",
            "FILE:2: `secrets.exec.allow` must be a list that is not empty",
            id="any program",
        ),
        pytest.param(
            '[secrets.exec]\ntimeout = "1h"\n',
            "FILE:2: `secrets.exec.timeout` must be at most 10m",
            id="long wait",
        ),
        pytest.param(
            "[secrets.exec]\ntimeout = 5\n",
            "FILE:2: `secrets.exec.timeout` must be a duration with a unit, such as 10s",
            id="wait without a unit",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "http://vault.internal"\nauth = {}\n',
            "FILE:2: `secrets.vault.address` must begin with https",
            id="server without TLS",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "https://u:p@v"\nauth = {}\n',
            "FILE:2: `secrets.vault.address` must be a URL such as",
            id="credential in the address",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "https://[v"\nauth = {}\n',
            "FILE:2: `secrets.vault.address` must be a URL such as",
            id="broken address",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "https://v"\nauth = {method = "ldap"}\n',
            "FILE:3: `secrets.vault.auth.method` must be one of: approle, kubernetes, token",
            id="unknown login",
        ),
        pytest.param(
            '[secrets.vault]\naddress = "https://v"\n[secrets.vault.auth]\nmethod = "token"\n'
            'token = "hvs.secret"\n',
            'FILE:5: `secrets.vault.auth.token` must be {env = "NAME"} or {file = "/path"}, not '
            "the secret itself = ",
            id="secret itself",
        ),
        pytest.param(
            '[secrets.aws]\nregion = ""\naccess_key_id = {env = "A"}\n'
            'secret_access_key = {env = "B"}\n',
            "FILE:2: `secrets.aws.region` must be text, printable and not empty",
            id="empty text",
        ),
        pytest.param(
            _GRANT + _GRANT.replace("env:", "environment:"),
            "FILE:6: `grant.2.references` has `environment:CRM_*`, which is no pattern of"
            " references = write it as `env:CRM_*`; the sources are: env, file, store,",
            id="unknown source in the second grant",
        ),
        pytest.param(
            _GRANT.replace("sales/*", "crm"),
            "FILE:3: `grant.1.connections` has `crm`, which lacks the namespace",
            id="connection without a namespace",
        ),
        pytest.param(
            _GRANT.replace("sales/*", "ApiConection/sales/*"),
            "FILE:3: `grant.1.connections` has `ApiConection/sales/*`, which is no reference",
            id="unknown kind",
        ),
        pytest.param(
            _GRANT.replace("api.example.com", "10.0.0.1/8"),
            "FILE:4: `grant.1.destinations` has `10.0.0.1/8`, which must be a network",
            id="network with bits of a host",
        ),
        pytest.param(
            _GRANT.replace("api.example.com", "b\u00fccher.example"),
            r"FILE:4: `grant.1.destinations` has `b\xfccher.example`, which must be a name",
            id="name outside ASCII",
        ),
        pytest.param(
            "[[grant]]\nreferences = []\n",
            "FILE:1: `grant.1.connections` is required",
            id="grant that lacks something",
        ),
        pytest.param(
            _GRANT.replace('["env:CRM_*"]', "[]"),
            "FILE:2: `grant.1.references` must be a list that is not empty",
            id="grant of nothing",
        ),
        pytest.param(
            "[grant]\n", "FILE:1: `grant` must be written as `[[grant]]`", id="one table of grants"
        ),
        pytest.param(
            '[network]\nprofile = "open"\n',
            "FILE:2: `network.profile` must be one of: trusted, restricted",
            id="unknown profile",
        ),
        pytest.param(
            '[network]\nprofile = "restricted"\nallow = ["db.internal"]\n',
            "FILE:3: `network.allow` has `db.internal`, which is neither a network nor a socket",
            id="name among networks",
        ),
        pytest.param(
            '[network]\nallow = ["10.0.0.0/8"]\n',
            "FILE:2: `network.allow` belongs to the profile `restricted`",
            id="allowing what is allowed",
        ),
        pytest.param("[secrets\n", "FILE:1:9: this is not TOML", id="no TOML"),
    ],
)
def test_mistake_is_told_with_its_line_and_without_its_value(
    file: Path, text: str, says: str
) -> None:
    said = refusal(file, text)
    assert said.startswith(says)
    assert "hvs.secret" not in said


def test_grants_and_network_are_read(file: Path) -> None:
    file.write_text(
        """
        [[grant]]
        references = ["env:CRM_*", "vault:secret/data/crm/*"]
        connections = ["sales/*", "api/hr/orders"]
        destinations = ["api.example.com", "*.internal:5432", "10.0.0.0/8"]
        [network]
        profile = "restricted"
        allow = ["10.1.0.0/16:5432", "/run/docker.sock"]
        deny = ["8.8.8.8"]
        """
    )
    said = operator_file.read(str(file))
    assert said.secrets == OperatorSecrets()
    assert said.grants == (
        Grant(
            number=1,
            references=("env:CRM_*", "vault:secret/data/crm/*"),
            connections=(("*", "sales", "*"), ("ApiConnection", "hr", "orders")),
            destinations=tuple(
                map(destinations.parse, ("api.example.com", "*.internal:5432", "10.0.0.0/8"))
            ),
        ),
    )
    assert said.network == NetworkPolicy(
        is_restricted=True,
        allow=tuple(map(destinations.parse, ("10.1.0.0/16:5432", "/run/docker.sock"))),
        deny=(destinations.parse("8.8.8.8"),),
    )


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o777])
def test_file_that_others_can_write_is_refused(file: Path, mode: int) -> None:
    said = refusal(file, "", mode)
    assert said == "FILE is not trusted: it can be written by others = chmod go-w"


def test_folder_that_others_can_write_is_refused(file: Path) -> None:
    file.parent.chmod(0o777)
    assert "its folder can be written by others" in refusal(file, "")
    file.parent.chmod(0o1777)
    assert read(file, "") == OperatorSecrets()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused(file: Path) -> None:
    file.write_text("")
    os.chown(file, 12345, -1)
    with pytest.raises(ConfigError) as caught:
        operator_file.read(str(file))
    assert "it belongs to another user" in str(caught.value)


@pytest.mark.parametrize("uid", [0, os.getuid()])
def test_file_of_root_and_of_the_user_is_trusted(uid: int) -> None:
    facts = os.stat_result((0o100644, 1, 1, 1, uid, 0, 0, 0, 0, 0))
    operator_file._require_trust("f", "it", facts)
    foreign = os.stat_result((0o100644, 1, 1, 1, uid + 12345, 0, 0, 0, 0, 0))
    with pytest.raises(ConfigError):
        operator_file._require_trust("f", "it", foreign)


def test_link_is_judged_by_what_it_leads_to(file: Path, tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    (open_folder / "real.toml").write_text("")
    open_folder.chmod(0o777)
    file.symlink_to(open_folder / "real.toml")
    with pytest.raises(ConfigError) as caught:
        operator_file.read(str(file))
    assert "its folder can be written by others" in str(caught.value)


def test_named_file_must_be_there(file: Path) -> None:
    for named, says in ((str(file), "does not exist"), ("operator.toml", "absolute path")):
        with pytest.raises(ConfigError) as caught:
            operator_file.locate({operator_file.VARIABLE: named})
        assert says in str(caught.value)


def test_settings_hold_what_it_grants_and_the_project_narrows_it(file: Path) -> None:
    file.write_text('[secrets]\nfile_roots = ["/srv/secrets"]\n')
    project = file.parent / "project"
    project.mkdir()
    (project / "reconciler.toml").write_text('[secrets]\nfile_allow = ["/srv/secrets/app"]\n')
    environment = {operator_file.VARIABLE: str(file), "RECONCILER_ACTOR": "ana"}
    loaded = config.load({}, environment, str(project))
    assert loaded.operator_file == str(file)
    assert loaded.settings.secrets == SecretPolicy(
        root=str(project),
        file_allow=("/srv/secrets/app",),
        operator=OperatorSecrets(file_roots=("/srv/secrets",)),
    )
