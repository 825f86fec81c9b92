"""What a case of the corpus is, and the few manifests that most of them spoil."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus.zygote import Ended
from tests.servers.http import Server

#: Stands in for a secret wherever a case plants one; never printed.
CANARY = "cnry-Zx9vQ7tLw2-Kd5"

API = """\
apiVersion: reconciler/v1
kind: ApiConnection
metadata: {name: crm}
spec:
  baseUrl: https://crm.example.com
"""
SQL = """\
apiVersion: reconciler/v1
kind: SqlConnection
metadata: {name: orders}
spec:
  engine: postgresql
  host: db.example.com
  database: orders
"""
#: Where most cases put their manifest.
FILE = "manifests/case.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case is played: a project folder, next to it a folder outside, and an endpoint."""

    folder: Path
    outside: Path
    server: Server
    #: runs the command in `folder`
    run: Callable[..., Ended]
    #: ends the peers of a case
    running: ExitStack

    def command(self, *argv: str, **settings: Mapping[str, str]) -> None:
        """Runs the command to get a state to begin with; it must succeed."""
        ended = self.run(*argv, **settings)
        assert ended.code == 0, ended.text

    def write(self, path: str, content: str | bytes) -> Path:
        """Writes a file under the project folder and returns its path."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file


Prepare = Callable[[Place], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One bad input and what the user must see."""

    #: row of the list of bad inputs
    row: str
    #: which of the row's inputs, in words
    what: str
    prepare: Prepare
    argv: Sequence[str] = ("validate",)
    exit: int = 3
    #: what standard output and standard error, taken together, must contain
    says: str
    env: Mapping[str, str] = field(default_factory=dict)
    #: text of the operator file, or empty; OUTSIDE in it is the folder beside the project
    operator: str = ""
    #: Python that runs in the process before the command does
    prelude: str = ""
    #: whether the state may change; the rest of the project never may
    may_record: bool = False

    def environment(self, place: Place) -> Mapping[str, str]:
        """Returns the environment of the run, the operator file in it where there is one."""
        if not self.operator:
            return self.env
        file = place.outside / "operator.toml"
        file.write_text(self.operator.replace("OUTSIDE", str(place.outside)))
        file.chmod(0o600)
        return {**self.env, "RECONCILER_OPERATOR_CONFIG": str(file)}

    @property
    def is_inert(self) -> bool:
        """Whether the command is one that a pull request from a stranger runs."""
        return self.argv[0] in ("validate", "plan") and "--secrets" not in self.argv

    @property
    def id(self) -> str:
        return f"{self.row} {self.what}"


def manifest(content: str | bytes, path: str = FILE) -> Prepare:
    """Returns what puts one manifest into the project."""

    def prepare(place: Place) -> None:
        place.write(path, content)

    return prepare


def api(line: str) -> Prepare:
    """Returns what puts an API with one more line of its spec into the project."""
    return manifest(f"{API}  {line}\n")


def sql(line: str, *, without: str = "") -> Prepare:
    """Returns what puts a database with one more line of its spec into the project."""
    kept = [text for text in SQL.splitlines() if not without or without not in text]
    return manifest("\n".join(kept) + f"\n  {line}\n")


def labelled(labels: str) -> Prepare:
    """Returns what puts an API with `labels`, as YAML writes them, into the project."""
    return manifest(API.replace("{name: crm}", f"{{name: crm, labels: {{{labels}}}}}"))


def named(name: str) -> Prepare:
    """Returns what puts an API with the name `name`, as YAML writes it, into the project."""
    return manifest(API.replace("{name: crm}", f"{{name: {name}}}"))


def url(text: str) -> Prepare:
    """Returns what puts an API with the base URL `text`, as YAML writes it, into the project."""
    return manifest(API.replace("https://crm.example.com", text))
