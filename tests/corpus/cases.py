"""What a case of the corpus is, and the few manifests that most of them spoil."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
    #: runs the command to get a state to begin with; raises when it fails
    command: Callable[..., None]

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
    #: regular expression that standard output or standard error must contain
    says: str
    #: what they must not contain, beside secrets and tracebacks
    never_says: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    #: whether the state may change; the rest of the project never may
    records: bool = False

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


def named(name: str) -> Prepare:
    """Returns what puts an API with the name `name`, as YAML writes it, into the project."""
    return manifest(API.replace("{name: crm}", f"{{name: {name}}}"))


def url(text: str) -> Prepare:
    """Returns what puts an API with the base URL `text`, as YAML writes it, into the project."""
    return manifest(API.replace("https://crm.example.com", text))
