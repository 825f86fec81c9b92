"""Every value that travels between the stages, in the order of the pipeline.

All are frozen, slotted, keyword-only and made of tuples, so a value can be shown, compared and
handed to another stage without fear that somebody changes it. Nothing here does I/O or knows the
clock. Second floor from the bottom: imports nothing of the package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from reconciler.values import dataclass

#: Raw YAML or JSON data: the one place where `Any` is allowed in a signature.
Json: TypeAlias = Any
JsonObject: TypeAlias = Mapping[str, Any]
#: A path into a document: mapping keys and list indices from the root.
Path: TypeAlias = tuple[str | int, ...]
#: A duration as manifests write it, unanchored, in the subset that ECMA-262, Python and Rust read
#: alike. Three decimals of a second are a millisecond, the finest that is kept.
DURATION_PATTERN: Final = r"(?:0|[1-9][0-9]{0,8})(?:ms|(?:\.[0-9]{1,3})?[smhd])"


def pointer(path: Path) -> str:
    """Returns `path` as a JSON pointer, `""` for the root (RFC 6901, section 3)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def parse_pointer(text: str) -> tuple[str, ...]:
    """Returns the parts of a JSON pointer, list indices as text (RFC 6901, section 4)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


#: Made once: `json.dumps` makes an encoder for each call that asks for more than its defaults.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def canonical(data: Json) -> str:
    """Returns `data` as the one JSON text that digests are taken of: sorted keys, no spaces."""
    return _encode(data)


# --- places and findings ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Location:
    """A place in a file; line and column count from 1, columns in characters."""

    #: relative to the project root where the file lies under it; `-` is standard input
    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class Severity(StrEnum):
    """How bad a finding is; only errors change the exit code."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """One line of a manifest written anew, values masked; the caret starts at `column` (from 1)."""

    text: str
    column: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding about the user's files."""

    severity: Severity
    #: stable, a key of `codes.CODES`
    code: str
    location: Location
    #: JSON pointer of the finding, `""` where it is about the file
    pointer: str
    #: one sentence, lower case, no full stop; never holds a value of a secret field
    message: str
    hint: str = ""
    excerpt: Excerpt | None = None
    #: other places that belong to the finding, each with a few words
    related: tuple[tuple[Location, str], ...] = ()


# --- manifests -> validate --------------------------------------------------------------------

#: Where a node of a document stands: line, column and, for a mapping, key -> (line and column of
#: the key, the value's node), for a sequence its items' nodes, for a scalar None. All from 1.
MarkNode: TypeAlias = tuple[
    int, int, "dict[str, tuple[int, int, MarkNode]] | list[MarkNode] | None"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document: its data, and where every key and value of it stands."""

    #: a mapping with a string `kind`; JSON types only
    data: JsonObject
    #: relative to the project root where the file lies under it; `-` is standard input
    path: str
    marks: MarkNode

    def locate(self, path: Path, *, key: bool = False) -> Location:
        """Returns where the value at `path` stands, or with `key` its key.

        A path that leaves the document gives the deepest node on the way, so that a missing field
        is reported at the mapping that lacks it.
        """
        line, column, inner = self.marks
        for depth, part in enumerate(path):
            is_last = depth == len(path) - 1
            if isinstance(inner, dict) and part in inner:
                key_line, key_column, node = inner[str(part)]
                if is_last and key:
                    return Location(path=self.path, line=key_line, column=key_column)
                line, column, inner = node
            elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
                line, column, inner = inner[part]
            else:
                break
        return Location(path=self.path, line=line, column=column)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ref:
    """The name of a connection: unique over the store among live rows, case-insensitive."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"

    @property
    def key(self) -> str:
        """The form under which two refs clash."""
        return f"{self.kind}/{self.namespace}/{self.name}".casefold()


#: The kind by which events name what is no connection: a secret kept in the store.
SECRET_KIND = "Secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A valid manifest in normal form: what the user wants."""

    ref: Ref
    #: {"metadata": ..., "spec": ...} with every default filled in
    manifest: JsonObject
    #: `canonical(manifest)`
    text: str
    #: SHA-256 of `text`
    digest: str
    #: SHA-256 of what decides where and as whom we connect
    access_digest: str
    location: Location

    @property
    def metadata(self) -> JsonObject:
        metadata: JsonObject = self.manifest["metadata"]
        return metadata

    @property
    def spec(self) -> JsonObject:
        spec: JsonObject = self.manifest["spec"]
        return spec

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.metadata.get("labels", {})
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What remains of a document about which nothing is to be said, wherever it was checked."""

    resource: Resource
    #: where its name stands
    name_at: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A file about which nothing is to be said, and what it holds."""

    path: str
    #: SHA-256 of its bytes
    digest: str
    accepted: tuple[Accepted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReading:
    """What is kept of a file that was read; `fact` is for `recall` to write and to read."""

    path: str
    fact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where, how and as whom a connection connects; the parts that a credential is bound to."""

    #: `https`, `postgresql`, `sqlite` ...
    scheme: str
    #: empty for a database in a file
    host: str
    port: int | None
    #: what a person reads: `postgresql://report@db-7:5432/orders`, never with a password
    text: str
    #: authentication method; `none` sends no credential
    method: str
    username: str = ""
    #: path of the server's socket, or empty
    socket: str = ""
    #: the hops on the way, `ssh://ops@bastion:22 > socks5://px:1080`; empty where there are none
    via: str = ""
    #: where the credential goes instead of there, such as a token server; scheme, host and port
    login: str = ""

    @property
    def server(self) -> str:
        """Scheme, host and port: what a login is counted at, whichever way leads there."""
        port = f":{self.port}" if self.port else ""
        return (
            f"{self.scheme}://{self.socket}"
            if self.socket
            else f"{self.scheme}://{self.host}{port}"
        )

    @property
    def destination(self) -> str:
        """Server and hops: a credential that was given for one goes to no other."""
        return f"{self.server} via {self.via}" if self.via else self.server

    @property
    def shown(self) -> str:
        """Server and hops as a person reads them."""
        return f"{self.text} via {self.via}" if self.via else self.text

    @property
    def login_destination(self) -> str:
        """Where the credential of the manifest itself goes, and failed logins are counted."""
        return self.login or self.server


# --- status -----------------------------------------------------------------------------------


class Phase(StrEnum):
    """Where a connection stands in its life."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    SUSPENDED = "SUSPENDED"
    ARCHIVED = "ARCHIVED"


class SuspendedBy(StrEnum):
    """Who suspended a connection: a person (manifest or command), or the health pass."""

    USER = "user"
    HEALTH = "health"


class Outcome(StrEnum):
    """What a probe says; an inconclusive one counts neither way."""

    OK = "ok"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Reason(StrEnum):
    """Why: the closed list. The first block is what a probe finds, the second what people do."""

    OK = "Ok"
    SLOW_RESPONSE = "SlowResponse"
    ASSERTION_FAILED = "AssertionFailed"
    REDIRECT_REFUSED = "RedirectRefused"
    DNS_FAILURE = "DnsFailure"
    CONNECT_REFUSED = "ConnectRefused"
    CONNECT_TIMEOUT = "ConnectTimeout"
    PROXY_FAILURE = "ProxyFailure"
    TUNNEL_FAILURE = "TunnelFailure"
    TLS_FAILURE = "TlsFailure"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    AUTH_FAILED = "AuthFailed"
    PERMISSION_DENIED = "PermissionDenied"
    RATE_LIMITED = "RateLimited"
    SERVER_ERROR = "ServerError"
    PROTOCOL_ERROR = "ProtocolError"
    BODY_TOO_LARGE = "BodyTooLarge"
    READ_TIMEOUT = "ReadTimeout"
    QUERY_FAILED = "QueryFailed"
    DATABASE_MISSING = "DatabaseMissing"
    DRIVER_MISSING = "DriverMissing"
    SECRET_UNRESOLVED = "SecretUnresolved"
    DESTINATION_DENIED = "DestinationDenied"
    CONSENT_REQUIRED = "ConsentRequired"
    CANCELLED = "Cancelled"
    PROBE_CRASHED = "ProbeCrashed"

    APPLIED = "Applied"
    SPEC_CHANGED = "SpecChanged"
    SECRET_CHANGED = "SecretChanged"
    SUSPENDED_BY_MANIFEST = "SuspendedByManifest"
    SUSPENDED_BY_COMMAND = "SuspendedByCommand"
    RESUMED_BY_MANIFEST = "ResumedByManifest"
    RESUMED_BY_COMMAND = "ResumedByCommand"
    TOO_MANY_FAILURES = "TooManyFailures"
    LOGIN_BUDGET_USED = "LoginBudgetUsed"
    ARCHIVED_BY_MANIFEST = "ArchivedByManifest"
    ARCHIVED_BY_COMMAND = "ArchivedByCommand"
    PRUNED = "Pruned"
    AUTHORIZED = "Authorized"
    REVOKED = "Revoked"


#: A probe that ends with one of these says nothing about the connection itself.
INCONCLUSIVE_REASONS = frozenset(
    {
        Reason.DRIVER_MISSING,
        Reason.SECRET_UNRESOLVED,
        Reason.RATE_LIMITED,
        Reason.DESTINATION_DENIED,
        Reason.CONSENT_REQUIRED,
        Reason.CANCELLED,
        Reason.PROBE_CRASHED,
    }
)


#: People made the connection wait for a check: what the last one said is no longer about it.
AWAITING_CHECK_REASONS = frozenset(
    {
        Reason.APPLIED,
        Reason.SPEC_CHANGED,
        Reason.SECRET_CHANGED,
        Reason.RESUMED_BY_MANIFEST,
        Reason.RESUMED_BY_COMMAND,
    }
)


class StageName(StrEnum):
    """The steps of one probe, in order."""

    SECRET = "secret"
    TUNNEL = "tunnel"
    PROXY = "proxy"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    AUTH = "auth"
    QUERY = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a probe and how long it took."""

    name: StageName
    seconds: float
    #: what was learnt on the way: the address, the TLS version; never foreign text unescaped
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A connection to be probed, its secrets not yet resolved."""

    uid: str
    ref: Ref
    generation: int
    #: row version that was read; a result is recorded only on it. None where none is to be recorded
    #: and the phase does not matter
    version: int | None
    spec: JsonObject
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one probe of one connection found."""

    uid: str
    generation: int
    outcome: Outcome
    reason: Reason
    #: redacted, escaped and cut to 1000 characters
    message: str
    #: a line to write or a thing to try, or empty
    hint: str = ""
    #: every stage that was reached, in order; where `outcome` is not ok, the last one failed
    stages: tuple[Stage, ...] = ()
    latency_s: float
    observed_at: datetime
    #: whether ok means that the credential of the manifest was accepted; with a token from before
    #: it was not even sent. Not stored
    is_login: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a connection stands and why."""

    phase: Phase
    suspended_by: SuspendedBy | None = None
    reason: Reason
    message: str = ""
    consecutive_failures: int = 0
    consecutive_successes: int = 0
    #: the last failure's message; kept until the phase is ACTIVE again
    last_error: str = ""
    #: when the phase last changed
    since_at: datetime
    checked_at: datetime | None = None
    succeeded_at: datetime | None = None
    #: outcome of the last check of any kind
    last_outcome: Outcome | None = None
    latency_s: float | None = None

    @property
    def is_active(self) -> bool:
        return self.phase is Phase.ACTIVE

    @property
    def is_live(self) -> bool:
        return self.phase is not Phase.ARCHIVED

    @property
    def is_probed(self) -> bool:
        """Whether a health pass may connect."""
        return self.phase in (Phase.PENDING, Phase.ACTIVE, Phase.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of phase (or of who suspended)."""

    source: Phase | None
    target: Phase
    reason: Reason
    at: datetime


# --- what the store keeps -----------------------------------------------------------------------


class DeletionPolicy(StrEnum):
    """What happens when the manifest goes away."""

    ARCHIVE = "archive"
    DELETE = "delete"
    PROTECT = "protect"


class HoldKind(StrEnum):
    """Which command set itself above the manifest."""

    SUSPEND = "suspend"
    ARCHIVE = "archive"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A command's standing order on a row, shown by plan and status."""

    kind: HoldKind
    actor: str
    #: why, as the actor wrote it
    reason: str
    at: datetime
    #: `kinds.intent` of the manifest then in force; `archive` and `rollback` end when it differs
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A keyed hash of one secret: shows a rotation, reveals nothing."""

    #: JSON pointer of the reference inside `spec`
    pointer: str
    #: which key it was made with; two are comparable only when equal
    key_id: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a manifest was read; the path is relative to the project root."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One row of the store: what was applied last, and its status."""

    uid: str
    ref: Ref
    #: canonical JSON of {"metadata": ..., "spec": ...}; parsed on demand, most rows never need it
    text: str
    digest: str
    access_digest: str
    #: rises with every change of `spec`
    generation: int
    #: rises with every applied change; what `history` and `rollback` count
    revision: int
    #: rises with every write to the row, health results included; for compare-and-set
    version: int
    source: Source
    stack: str
    deletion_policy: DeletionPolicy
    status: Status
    hold: Hold | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    created_at: datetime
    updated_at: datetime

    @property
    def manifest(self) -> JsonObject:
        manifest: JsonObject = json.loads(self.text)
        return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFacts:
    """The commit that the manifests were read at."""

    commit: str
    author: str
    #: whether any of the manifests differ from the commit
    dirty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One applied change, kept for `history`, `diff --revision` and `rollback`."""

    uid: str
    number: int
    ref: Ref
    text: str
    digest: str
    action: Action
    actor: str
    run_id: str
    source: Source
    git: GitFacts | None
    at: datetime


#: Every type that an event has.
EVENT_TYPES = (
    *("created", "updated", "renamed", "adopted", "suspended", "resumed", "archived", "deleted"),
    *("secret-changed", "authorized", "transition", "result", "dropped"),
    *("secret-set", "secret-removed", "secret-resealed", "key-rotated"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the append-only log, from which every status can be rebuilt."""

    #: given by the store, rising; 0 before it is written
    id: int = 0
    at: datetime
    uid: str
    ref: Ref
    #: one of `EVENT_TYPES`
    type: str
    reason: str
    message: str = ""
    actor: str = ""
    run_id: str = ""
    source: Phase | None = None
    target: Phase | None = None
    #: the whole status after the event, where it changed
    status: Status | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One apply that changed something."""

    id: str
    at: datetime
    command: str
    actor: str
    stack: str
    plan_digest: str
    git: GitFacts | None
    #: how many changes of each action
    counts: Mapping[str, int]


# --- plan -> apply ------------------------------------------------------------------------------


class Action(StrEnum):
    """What a plan will do to one connection."""

    CREATE = "create"
    UPDATE = "update"
    RENAME = "rename"
    ADOPT = "adopt"
    SUSPEND = "suspend"
    RESUME = "resume"
    ARCHIVE = "archive"
    DELETE = "delete"
    NOOP = "noop"


class FieldOp(StrEnum):
    """How one field differs."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class Guard(StrEnum):
    """What can stand in the way of a change."""

    PRUNE_LIMIT = "prune limit"
    PROTECTION = "protection"
    OWNERSHIP = "ownership"
    GRANT = "grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field that differs; `old` and `new` are JSON, None where absent."""

    op: FieldOp
    #: from the manifest's root: `/spec/port`
    pointer: str
    old: Json
    new: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one connection, and why."""

    action: Action
    ref: Ref
    #: None for a create
    uid: str | None = None
    #: one sentence: why this action
    reason: str = ""
    fields: tuple[FieldChange, ...] = ()
    #: the ref before a rename
    previous: Ref | None = None
    #: a kept credential goes to another destination: "old -> new", or empty
    rebind: str = ""
    #: what a person has to agree to again, in a few words, or empty
    consent: str = ""
    #: why apply will not do it, or empty
    blocked_by: str = ""
    #: which guard says so; None where nothing is blocked
    guard: Guard | None = None
    #: a command's standing order that shapes this change
    hold: Hold | None = None
    #: the standing order that this change places, for a rollback
    placed_hold: Hold | None = None
    location: Location | None = None
    resource: Resource | None = None
    recorded: Recorded | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretChange:
    """Secrets of one live connection that differ from what was recorded."""

    uid: str
    ref: Ref
    pointers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan was asked to look at; part of a saved plan."""

    stack: str
    #: files and folders given, relative to the project root; orphans are looked for under these
    roots: tuple[str, ...]
    #: what was given, relative to the project root; what a saved plan reads again
    inputs: tuple[str, ...] = ()
    #: references and globs; empty means all
    names: tuple[str, ...] = ()
    #: label selectors `key=value`; empty means all
    labels: tuple[str, ...] = ()
    prune: bool = False
    prune_limit: int | None = None
    adopt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The difference between what is wanted and what is recorded."""

    lineage: str
    options: PlanOptions
    #: everything that is not a noop, sorted by ref; orphans that will not be pruned are noops
    changes: tuple[Change, ...]
    #: connections that have nothing to do but something to say: holds, orphans without --prune
    notices: tuple[Change, ...]
    #: warnings that need both sides, such as a version that goes down
    warnings: tuple[Diagnostic, ...]
    unchanged: int
    #: SHA-256 over everything that apply will do and the rows it will touch
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeResult:
    """What an apply did to one connection."""

    ref: Ref
    uid: str
    action: Action
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What an apply did; empty when there was nothing to do."""

    run_id: str
    results: tuple[ChangeResult, ...]
