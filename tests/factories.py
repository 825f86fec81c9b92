"""Values for tests: `make_<value>(**changes)` gives a whole value with some fields changed.

A test names only what it is about. Every default is literal, so that an expectation can be written
out; digests belong to the text they stand beside.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack

from reconciler.model import (
    Action,
    DeletionPolicy,
    Event,
    Fingerprint,
    GitFacts,
    Hold,
    HoldKind,
    Json,
    JsonObject,
    Location,
    Observation,
    Outcome,
    Phase,
    Reason,
    Recorded,
    Ref,
    Resource,
    Revision,
    Run,
    Source,
    Stage,
    StageName,
    Status,
    SuspendedBy,
    canonical,
)

#: The moment at which tests happen.
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID = "conn_abcdefghijklmno"
RUN_ID = "run_abcdefghijklmno"
#: `Resource.manifest` of the default resource, in normal form.
MANIFEST: JsonObject = {
    "metadata": {"name": "orders", "namespace": "hr"},
    "spec": {
        "engine": "postgresql",
        "host": "db-7.internal",
        "port": 5432,
        "database": "orders",
        "auth": {"method": "password", "username": "report", "password": {"env": "ORDERS"}},
        "state": "active",
    },
}


def later(seconds: float) -> datetime:
    """Returns the moment `seconds` after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def make_uid(number: int) -> str:
    """Returns a uid that sorts by `number`."""
    return f"conn_{number:015d}"


def digest_of(text: str) -> str:
    """Returns the SHA-256 of `text` in hex, as digests of manifests are written."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_manifest(name: str = "orders", namespace: str = "hr", **spec: Json) -> JsonObject:
    """Returns `MANIFEST` under another name, with fields of its spec replaced."""
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["metadata"] |= {"name": name, "namespace": namespace}
    manifest["spec"] |= spec
    result: JsonObject = manifest
    return result


def make_ref(name: str = "orders", namespace: str = "hr", kind: str = "SqlConnection") -> Ref:
    return Ref(kind=kind, namespace=namespace, name=name)


class StatusChanges(TypedDict, total=False):
    phase: Phase
    suspended_by: SuspendedBy | None
    reason: Reason
    message: str
    consecutive_failures: int
    consecutive_successes: int
    last_error: str
    since_at: datetime
    checked_at: datetime | None
    succeeded_at: datetime | None
    last_outcome: Outcome | None
    latency_s: float | None


def make_status(**changes: Unpack[StatusChanges]) -> Status:
    return replace(
        Status(phase=Phase.PENDING, reason=Reason.APPLIED, since_at=NOW),
        **changes,
    )


class HoldChanges(TypedDict, total=False):
    kind: HoldKind
    actor: str
    reason: str
    at: datetime
    digest: str


def make_hold(**changes: Unpack[HoldChanges]) -> Hold:
    return replace(
        Hold(
            kind=HoldKind.SUSPEND,
            actor="alice",
            reason="maintenance",
            at=NOW,
            digest=digest_of(canonical(MANIFEST)),
        ),
        **changes,
    )


class ResourceChanges(TypedDict, total=False):
    ref: Ref
    manifest: JsonObject
    text: str
    digest: str
    access_digest: str
    location: Location


def make_resource(**changes: Unpack[ResourceChanges]) -> Resource:
    """Returns a resource; a changed manifest brings its own digest, a changed ref its own name."""
    ref = changes.get("ref", make_ref())
    manifest = changes.get("manifest", make_manifest(ref.name, ref.namespace))
    text = canonical(manifest)
    resource = Resource(
        ref=ref,
        manifest=manifest,
        text=text,
        digest=digest_of(text),
        access_digest=digest_of("access"),
        location=Location(path="manifests/orders.yaml", line=1, column=1),
    )
    return replace(resource, **changes)


class RecordedChanges(TypedDict, total=False):
    uid: str
    ref: Ref
    text: str
    digest: str
    access_digest: str
    generation: int
    revision: int
    version: int
    source: Source
    stack: str
    deletion_policy: DeletionPolicy
    status: Status
    hold: Hold | None
    fingerprints: tuple[Fingerprint, ...]
    created_at: datetime
    updated_at: datetime


def make_recorded(**changes: Unpack[RecordedChanges]) -> Recorded:
    """Returns a row; a changed text brings its own digest, a changed ref its own text."""
    ref = changes.get("ref", make_ref())
    text = changes.get("text", canonical(make_manifest(ref.name, ref.namespace)))
    recorded = Recorded(
        uid=UID,
        ref=ref,
        text=text,
        digest=digest_of(text),
        access_digest=digest_of("access"),
        generation=1,
        revision=1,
        version=1,
        source=Source(path="manifests/orders.yaml", line=1),
        stack="default",
        deletion_policy=DeletionPolicy.ARCHIVE,
        status=make_status(),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(recorded, **changes)


def make_fingerprint(
    pointer: str = "/auth/password", value: str = "5f1c", key_id: str = "key-1"
) -> Fingerprint:
    return Fingerprint(pointer=pointer, key_id=key_id, value=value)


class RevisionChanges(TypedDict, total=False):
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


def make_revision(**changes: Unpack[RevisionChanges]) -> Revision:
    text = changes.get("text", canonical(MANIFEST))
    revision = Revision(
        uid=UID,
        number=1,
        ref=make_ref(),
        text=text,
        digest=digest_of(text),
        action=Action.CREATE,
        actor="alice",
        run_id=RUN_ID,
        source=Source(path="manifests/orders.yaml", line=1),
        git=make_git(),
        at=NOW,
    )
    return replace(revision, **changes)


def make_git(commit: str = "9c1e2ab" + "0" * 33, *, dirty: bool = False) -> GitFacts:
    return GitFacts(commit=commit, author="Alice <alice@example.com>", dirty=dirty)


class EventChanges(TypedDict, total=False):
    id: int
    at: datetime
    uid: str
    ref: Ref
    type: str
    reason: str
    message: str
    actor: str
    run_id: str
    source: Phase | None
    target: Phase | None
    status: Status | None


def make_event(**changes: Unpack[EventChanges]) -> Event:
    event = Event(
        at=NOW,
        uid=UID,
        ref=make_ref(),
        type="created",
        reason="Applied",
        actor="alice",
        run_id=RUN_ID,
        target=Phase.PENDING,
        status=make_status(),
    )
    return replace(event, **changes)


class RunChanges(TypedDict, total=False):
    id: str
    at: datetime
    command: str
    actor: str
    stack: str
    plan_digest: str
    git: GitFacts | None
    counts: dict[str, int]


def make_run(**changes: Unpack[RunChanges]) -> Run:
    run = Run(
        id=RUN_ID,
        at=NOW,
        command="apply",
        actor="alice",
        stack="default",
        plan_digest=digest_of("plan"),
        git=make_git(),
        counts={"create": 1},
    )
    return replace(run, **changes)


class ObservationChanges(TypedDict, total=False):
    uid: str
    generation: int
    outcome: Outcome
    reason: Reason
    message: str
    hint: str
    stages: tuple[Stage, ...]
    latency_s: float
    observed_at: datetime


def make_observation(**changes: Unpack[ObservationChanges]) -> Observation:
    observation = Observation(
        uid=UID,
        generation=1,
        outcome=Outcome.OK,
        reason=Reason.OK,
        message="",
        stages=(
            Stage(name=StageName.SECRET, seconds=0.001),
            Stage(name=StageName.TCP, seconds=0.002, detail="127.0.0.1:5432"),
            Stage(name=StageName.QUERY, seconds=0.004),
        ),
        latency_s=0.007,
        observed_at=NOW,
    )
    return replace(observation, **changes)
