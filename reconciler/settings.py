"""What `reconciler.toml`, the environment and the flags may say, as frozen values.

Pure: `config.py` reads, this module only holds, checks and answers. A project file can come with
a pull request, so everything under its `[secrets]` narrows what is allowed by default. What widens
it stands in the operator file (`OperatorSecrets`), which no pull request reaches.
"""

from __future__ import annotations

import re
from dataclasses import field
from fnmatch import fnmatchcase, translate
from typing import TYPE_CHECKING, NoReturn

from reconciler import paths
from reconciler.grants import Grants
from reconciler.network import NetworkPolicy, StateReach
from reconciler.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import JsonObject

#: Environment variables that a manifest can never name: they steer this program or its loader.
DENIED_ENVIRONMENT = ("RECONCILER_*", "PATH", "HOME", "LD_*", "DYLD_*", "PYTHON*")
#: The same as one expression: ten thousand manifests ask.
_DENIED_NAME = re.compile("|".join(map(translate, DENIED_ENVIRONMENT)))
#: Folders outside the project from which secret files may be read.
SECRET_FOLDERS = ("/run/secrets",)
#: Services of the keyring that may be named without the operator's consent, as globs.
KEYRING_SERVICES = ("reconciler", "reconciler/*")
#: Folders from which public material, such as certificate authorities, may be read as well.
PUBLIC_FOLDERS = ("/etc/ssl", "/etc/ssh", "/etc/pki", "/usr/share/ca-certificates")
#: At most this many logins may fail with one credential before it is no longer sent.
LOGIN_BUDGET = 5
#: No login attempt lasts longer: the longest `health.timeout`, and the wait for its turn.
LONGEST_LOGIN_S = 660.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultLogin:
    """How to log in to Vault; `secret` is a reference that the operator wrote."""

    #: `token`, `approle` or `kubernetes`
    method: str
    #: path of the login method, without `auth/`
    mount: str = ""
    #: role id of an AppRole, name of a Kubernetes role, or empty
    role: str = field(default="", repr=False)
    #: the token, the secret id, or the service account's token
    secret: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultServer:
    """A Vault or OpenBao server."""

    #: `https://host:port`
    address: str
    namespace: str = ""
    #: path of a file with the authorities to trust, or empty
    ca: str = ""
    #: for one secret, its login included
    timeout_s: float = 10.0
    login: VaultLogin


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccount:
    """Access to AWS Secrets Manager; the secret parts are references that the operator wrote."""

    region: str
    #: in place of the region's own, or empty
    endpoint: str = ""
    #: path of a file with the authorities to trust, or empty
    ca: str = ""
    timeout_s: float = 10.0
    access_key_id: JsonObject
    secret_access_key: JsonObject
    session_token: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpAccount:
    """Access to Google Secret Manager; the key is a reference that the operator wrote."""

    #: in place of Google's own, or empty
    endpoint: str = ""
    #: path of a file with the authorities to trust, or empty
    ca: str = ""
    #: for one secret, the token included
    timeout_s: float = 10.0
    #: the JSON key of a service account
    key: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureVault:
    """A vault of Azure Key Vault, and the application that reads it.

    The application proves who it is by a secret, or by a certificate with its private key; these
    are references that the operator wrote.
    """

    #: `https://NAME.vault.azure.net`
    address: str
    #: id or domain of the tenant
    tenant: str
    client_id: str
    client_secret: JsonObject | None = None
    #: path of a PEM file, or empty
    certificate: str = ""
    private_key: JsonObject | None = None
    #: who gives tokens, and for what, in place of those of the public cloud, or empty
    authority: str = ""
    resource: str = ""
    #: path of a file with the authorities to trust, or empty
    ca: str = ""
    #: for one secret, the token included
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSecrets:
    """What the operator file grants beyond the default."""

    #: absolute folders from which secret files may be read as well
    file_roots: tuple[str, ...] = ()
    #: beginnings of command lines that may be run, each with an absolute path first
    exec_allow: tuple[tuple[str, ...], ...] = ()
    #: how long a program may take
    exec_timeout_s: float = 10.0
    #: services of the keyring that may be named, as globs
    keyring_allow: tuple[str, ...] = ()
    #: absolute paths of files with age identities
    age_identities: tuple[str, ...] = ()
    vault: VaultServer | None = None
    aws: AwsAccount | None = None
    gcp: GcpAccount | None = None
    azure: AzureVault | None = None


#: Source that asks a server -> what the operator file must name in the table of its name; the field
#: of `OperatorSecrets` has that name as well.
_ACCOUNTS = {"vault": "server", "aws": "account", "gcp": "account", "azure": "vault"}
#: Sources whose references nobody but the operator file judges.
_BY_GRANT = frozenset({"systemdCredential", "exec", *_ACCOUNTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPolicy:
    """Which secret references manifests may use."""

    #: absolute path of the project root
    root: str
    #: `$CREDENTIALS_DIRECTORY`, or empty
    credentials_directory: str = ""
    #: environment names allowed, as globs; narrows the default
    env_allow: tuple[str, ...] = ("*",)
    #: folders allowed, relative to the root; narrows the default; empty means the default
    file_allow: tuple[str, ...] = ()
    #: what the operator file grants; None where there is no such file
    operator: OperatorSecrets | None = None

    def denial(self, reference: JsonObject, *, public: bool = False) -> str:
        """Returns why `reference` is not allowed, as half a sentence, or `""`.

        `public` is for material that is no secret, such as `tls.ca`. A file is judged by its path
        as written; whoever opens it must also refuse links that leave the folder. Where there is no
        operator file, what only that can grant is not judged: manifests are also validated on
        machines on which they are never applied. `ungranted` says it when the secret is read.
        """
        match reference:
            case {"env": str(name)}:
                return self._env_denial(name)
            case {"store": str()}:
                return ""
            case {"file": str(path)} | {"age": {"file": str(path)}}:
                return self._file_denial(path, public=public) or self._operator_denial(reference)
            case {"keyring": {"service": str(service)}}:
                return self._keyring_denial(service)
            case _ if next(iter(reference), "") in _BY_GRANT:
                return self._operator_denial(reference)
            case _:
                return "no such secret source exists"

    def ungranted(self, reference: JsonObject) -> str:
        """Returns which grant of the operator file `reference` lacks, as half a sentence, or `""`.

        It lacks all of them where there is no operator file.
        """
        given = self.operator or OperatorSecrets()
        source = next(iter(reference), "")
        match reference:
            case _ if source in _ACCOUNTS and getattr(given, source) is None:
                return f"the operator file names no {_ACCOUNTS[source]} in `[secrets.{source}]`"
            case {"age": _} if not given.age_identities:
                return "the operator file names no identity in `secrets.age.identities`"
            case {"exec": [*argv]} if not any(
                _begins(argv, allowed) for allowed in given.exec_allow
            ):
                return "the operator file does not allow this command in `secrets.exec.allow`"
            case _:
                return ""

    def _operator_denial(self, reference: JsonObject) -> str:
        return self.ungranted(reference) if self.operator else ""

    def _env_denial(self, name: str) -> str:
        if _DENIED_NAME.match(name):
            return f"the environment variable {name} is never given to a connection"
        if not any(fnmatchcase(name, allowed) for allowed in self.env_allow):
            return f"the environment variable {name} is outside `secrets.env_allow`"
        return ""

    def _file_denial(self, path: str, *, public: bool) -> str:
        absolute = self.absolute(path)
        if any(paths.is_beneath(absolute, folder) for folder in self.folders(public=public)):
            return ""
        return "the file is outside the project root and the folders for secrets"

    def _keyring_denial(self, service: str) -> str:
        granted = self.operator.keyring_allow if self.operator else ()
        if any(fnmatchcase(service, allowed) for allowed in (*KEYRING_SERVICES, *granted)):
            return ""
        return "the service is none of those that connections may read"

    def folders(self, *, public: bool = False) -> tuple[str, ...]:
        """Returns the absolute folders that files may be read from."""
        if self.file_allow and not public:
            return tuple(self.absolute(folder) for folder in self.file_allow)
        given = (self.credentials_directory,) if self.credentials_directory else ()
        granted = self.operator.file_roots if self.operator else ()
        return (
            *(self.root, *SECRET_FOLDERS, *given, *granted),
            *(PUBLIC_FOLDERS if public else ()),
        )

    def absolute(self, path: str) -> str:
        """Returns `path` against the project root, with `.` and `..` folded."""
        return paths.folded(path, self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """Limits of a health pass."""

    #: probes in flight at once
    concurrency: int = 50
    #: probes in flight at once to one host
    per_host: int = 4
    #: failed logins per credential; may be lowered, never raised
    login_budget: int = LOGIN_BUDGET
    #: how long a pass with nothing else to do waits for logins that other processes have begun
    login_wait_s: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that steers a command, read once at the top."""

    #: absolute path; every relative path is relative to it
    root: str
    #: SQLAlchemy URL of the state store; it may hold a password
    state_url: str = field(repr=False)
    #: whether `state_url` is the default under the root
    is_default_state: bool
    #: how far `state_url` is believed
    state_reach: StateReach = StateReach()
    stack: str = "default"
    actor: str = "unknown"
    #: whether a CI service runs this
    is_ci: bool = False
    #: orphans that may go in one apply; None means max(10, 20 % of the stack)
    prune_limit: int | None = None
    lock_timeout_s: float = 30.0
    #: of 32 bytes each; the first encrypts what the state holds, all open; empty where none is set
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    secrets: SecretPolicy
    #: how long before a stored secret expires its readers are warned
    expiry_warning_s: float = 14 * 86400.0
    health: HealthSettings = HealthSettings()
    #: which secret goes where, by the operator file
    grants: Grants = Grants()
    #: which addresses are contacted, by the operator file
    network: NetworkPolicy = NetworkPolicy()

    def __reduce__(self) -> NoReturn:
        raise TypeError("settings hold a key and are not pickled or copied")


def _begins(argv: Sequence[str], allowed: Sequence[str]) -> bool:
    """Whether a command line begins with what is allowed, and adds no option to it.

    An option that a manifest adds could make an allowed program do something else altogether.
    """
    added = argv[len(allowed) :]
    return tuple(argv[: len(allowed)]) == tuple(allowed) and not any(
        word.startswith("-") for word in added
    )
