"""What `reconciler.toml`, the environment and the flags may say, as frozen values.

Pure: `config.py` reads, this module only holds, checks and answers. A project file can come with
a pull request, so everything under `[secrets]` narrows what is allowed by default and nothing
widens it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from posixpath import normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.model import JsonObject

#: Environment variables that a manifest can never name: they steer this program or its loader.
DENIED_ENVIRONMENT = ("RECONCILER_*", "PATH", "HOME", "LD_*", "DYLD_*", "PYTHON*")
#: The same as one expression: ten thousand manifests ask.
_DENIED_NAME = re.compile("|".join(map(translate, DENIED_ENVIRONMENT)))
#: Folders outside the project from which secret files may be read.
SECRET_FOLDERS = ("/run/secrets",)
#: Folders from which public material, such as certificate authorities, may be read as well.
PUBLIC_FOLDERS = ("/etc/ssl", "/etc/ssh", "/etc/pki", "/usr/share/ca-certificates")
#: At most this many logins may fail with one credential before it is no longer sent.
LOGIN_BUDGET = 5
#: No login attempt lasts longer: the longest `health.timeout`, and the wait for its turn.
LONGEST_LOGIN_S = 660.0


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

    def denial(self, reference: JsonObject, *, public: bool = False) -> str:
        """Returns why `reference` is not allowed, as half a sentence, or `""`.

        `public` is for material that is no secret, such as `tls.ca`. A file is judged by its path
        as written; whoever opens it must also refuse links that leave the folder.
        """
        match reference:
            case {"env": str(name)}:
                return self._env_denial(name)
            case {"store": str()}:
                return ""
            case {"file": str(path)}:
                return self._file_denial(path, public=public)
            case _:
                return "no such secret source exists"

    def _env_denial(self, name: str) -> str:
        if _DENIED_NAME.match(name):
            return f"the environment variable {name} is never given to a connection"
        if not any(fnmatchcase(name, allowed) for allowed in self.env_allow):
            return f"the environment variable {name} is outside `secrets.env_allow`"
        return ""

    def _file_denial(self, path: str, *, public: bool) -> str:
        absolute = self.absolute(path)
        if any(_is_under(absolute, folder) for folder in self.folders(public=public)):
            return ""
        return "the file is outside the project root and the folders for secrets"

    def folders(self, *, public: bool = False) -> tuple[str, ...]:
        """Returns the absolute folders that files may be read from."""
        if self.file_allow and not public:
            return tuple(self.absolute(folder) for folder in self.file_allow)
        given = (self.credentials_directory,) if self.credentials_directory else ()
        return (self.root, *SECRET_FOLDERS, *given, *(PUBLIC_FOLDERS if public else ()))

    def absolute(self, path: str) -> str:
        """Returns `path` against the project root, with `.` and `..` folded."""
        return normpath(path if path.startswith("/") else f"{self.root}/{path}")


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
    #: SQLAlchemy URL of the state store
    state_url: str
    #: whether `state_url` is the default under the root
    is_default_state: bool
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


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
