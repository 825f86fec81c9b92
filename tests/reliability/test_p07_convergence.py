"""P7 and P27: whatever happened before, an apply converges, and the events tell all of it.

A machine drives the real stages: sets of manifests are applied, commands order, checks find this or
that, secrets rotate, the clock jumps, results come late. After every step the store is compared
with what must hold of it, so that a run that fails is shrunk to the shortest story that does.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconciler import holds
from reconciler.errors import Held, InvalidManifests, ProtectedRow
from reconciler.model import (
    Action,
    DeletionPolicy,
    HoldKind,
    JsonObject,
    Outcome,
    Phase,
    Recorded,
    Resource,
    Status,
)
from reconciler.report import data
from reconciler.settings import LOGIN_BUDGET
from reconciler.stores import Verdict
from tests.reliability import bench
from tests.reliability.bench import FAILED, LOGIN_FAILED, OK, UNCLEAR, Bench, Contents

NAMES = ("a", "b", "c", "d")
VARIABLES = ("ONE", "TWO")
#: Seconds by which the wall clock moves between two steps.
LEAPS = (-3600.0, 0.0, 1.0, 86_400.0, 10 * 365 * 86_400.0)
_FINDINGS = st.sampled_from([OK, FAILED, LOGIN_FAILED, UNCLEAR])


def _sql(draw: st.DrawFn) -> dict[str, Any]:
    password = {"env": draw(st.sampled_from(VARIABLES))}
    return {
        "engine": "postgresql",
        "host": draw(st.sampled_from(["db-1.internal", "db-2.internal"])),
        "database": "orders",
        "auth": {"method": "password", "username": "report", "password": password},
        "pool": {"size": draw(st.integers(1, 2))},
    }


def _api(draw: st.DrawFn) -> dict[str, Any]:
    return {"baseUrl": draw(st.sampled_from(["https://a.example.com", "https://b.example.com"]))}


@st.composite
def manifest_sets(draw: st.DrawFn) -> tuple[JsonObject, ...]:
    """Up to four connections of two kinds; some rename others, some are suspended or archived."""
    manifests = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        kind, fill = draw(st.sampled_from([("SqlConnection", _sql), ("ApiConnection", _api)]))
        others = [other for other in NAMES if other != name]
        previous = draw(st.lists(st.sampled_from(others), unique=True, max_size=1))
        metadata = {"name": name, "labels": {"note": draw(st.sampled_from(["x", "y"]))}}
        health = {
            "failureThreshold": draw(st.integers(1, 2)),
            "successThreshold": draw(st.integers(1, 2)),
            "suspendAfter": draw(st.integers(2, 6)),
        }
        manifests.append(
            {
                "apiVersion": "reconciler/v1",
                "kind": kind,
                "metadata": metadata | ({"previousNames": previous} if previous else {}),
                "spec": {
                    **fill(draw),
                    "state": draw(st.sampled_from(["active"] * 4 + ["suspended", "archived"])),
                    "deletionPolicy": draw(st.sampled_from(["archive", "delete", "protect"])),
                    "health": health,
                },
            }
        )
    return tuple(manifests)


class Life(RuleBasedStateMachine):
    """One store from its making on; `wanted` is what was applied last."""

    url = "sqlite://"

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench.open(self.url, dict.fromkeys(VARIABLES, "first-secret"))
        self.wanted: Mapping[str, str] = {}
        self.options = bench.options()
        self.seen = self.bench.contents()
        self.uids: set[str] = set()
        self.bad_logins: Counter[str] = Counter()
        #: passes that have read their rows and not yet recorded what they found
        self.passes: list[tuple[Recorded, ...]] = []

    def teardown(self) -> None:
        self.bench.store.close()

    # What people and the world do.

    @rule(manifests=manifest_sets(), prune=st.booleans(), with_secrets=st.booleans())
    def apply(self, manifests: tuple[JsonObject, ...], prune: bool, with_secrets: bool) -> None:
        files, options = bench.files_of(manifests), bench.options(prune=prune)
        before = self.bench.contents()
        try:
            applied = self.bench.apply(files, options, with_secrets=with_secrets)
        except (InvalidManifests, ProtectedRow) as refusal:
            _require_reason(refusal, before, bench.read(files).resources)
            assert self.bench.contents() == before
            return
        after = self.bench.contents()
        _require_wanted(bench.read(files).resources, before, after, prune=prune)
        if any(result.action is Action.RESUME for result in applied.changes.results):
            self.bad_logins.clear()
        self.wanted, self.options = files, options
        again = self.bench.apply(files, options, with_secrets=with_secrets)
        assert (again.changes.results, self.bench.contents()) == ((), after)

    @rule(manifests=manifest_sets(), order=st.randoms(use_true_random=False))
    def read_in_another_order(self, manifests: tuple[JsonObject, ...], order: Any) -> None:
        files = bench.files_of(manifests)
        shuffled = list(files.items())
        order.shuffle(shuffled)
        effects = []
        for given in (files, dict(shuffled)):
            try:
                effects.append(self.bench.effects(given, bench.options(prune=True)))
            except InvalidManifests as refusal:
                effects.append(sorted(str(d.location) for d in refusal.diagnostics))
        assert effects[0] == effects[1]

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def export_and_apply(self, pick: st.DataObject) -> None:
        live = self.seen.live
        manifests = [data.manifest_yaml(row) for row in live.values()]
        files = {row.source.path: text for row, text in zip(live.values(), manifests, strict=True)}
        if len(files) < len(live):
            return  # two kinds of one name lie in one file
        options = bench.options()
        if not any(row.hold and row.hold.kind is HoldKind.ROLLBACK for row in live.values()):
            assert self.bench.plan(files, options).changes == ()
        self.bench.apply(files, options, with_secrets=False)
        after = self.bench.contents()
        assert _digests(after) == _digests(self.seen)
        self.wanted, self.options = files, options

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def suspend(self, pick: st.DataObject) -> None:
        self.bench.carry_out(self._one(pick), holds.suspend)

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def resume(self, pick: st.DataObject) -> None:
        row = self._one(pick)
        is_intended = row.manifest["spec"]["state"] == "active"
        try:
            self.bench.carry_out(row, holds.resume)
        except Held:
            assert not is_intended
        else:
            assert is_intended
            self.bad_logins.clear()

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def archive(self, pick: st.DataObject) -> None:
        row = self._one(pick)
        is_protected = row.deletion_policy is DeletionPolicy.PROTECT
        try:
            self.bench.carry_out(row, holds.archive)
        except ProtectedRow:
            assert is_protected
        else:
            assert not is_protected
            assert str(row.ref) not in self.bench.contents().live

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def roll_back(self, pick: st.DataObject) -> None:
        row = self._one(pick)
        number = pick.draw(st.integers(1, row.revision))
        digest = self.bench.roll_back(row, number)
        assert self.bench.contents().by_uid[row.uid].digest == digest

    @rule(pick=st.data())
    def check(self, pick: st.DataObject) -> None:
        rows = self.bench.probed()
        findings: dict[str, bench.Finding | None] = {
            row.uid: pick.draw(_FINDINGS, label=str(row.ref)) for row in rows
        }
        reserved = self.bench.reserve(rows)
        for uid, (key, verdict) in reserved.items():
            if verdict is Verdict.GRANTED:
                assert self.bad_logins[key] < LOGIN_BUDGET
            else:
                findings[uid] = None
            self._count(key, findings[uid])
        keys = {uid: key for uid, (key, _) in reserved.items()}
        results = self.bench.record(rows, findings, keys)
        assert [result.row for result in results] == list(self.bench.store.find(list(findings)))

    def _count(self, key: str, finding: bench.Finding | None) -> None:
        if finding == LOGIN_FAILED:
            self.bad_logins[key] += 1
        elif finding == OK:
            self.bad_logins[key] = 0

    @rule()
    def begin_pass(self) -> None:
        self.passes.append(self.bench.probed())

    @precondition(lambda self: self.passes)
    @rule(finding=_FINDINGS)
    def end_pass(self, finding: bench.Finding) -> None:
        rows = self.passes.pop(0)
        before = self.bench.contents().by_uid
        self.bench.record(rows, {row.uid: finding for row in rows})
        after = self.bench.contents().by_uid
        for row in rows:
            now = before.get(row.uid)
            if now and not (now.generation == row.generation and now.status.is_probed):
                assert after[row.uid].status == now.status

    @rule(name=st.sampled_from(VARIABLES), value=st.sampled_from(["", "first-secret", "another"]))
    def rotate(self, name: str, value: str) -> None:
        self.bench.environment[name] = value

    @rule(seconds=st.sampled_from(LEAPS))
    def leap(self, seconds: float) -> None:
        self.bench.pass_time(seconds)

    def _one(self, pick: st.DataObject) -> Recorded:
        live = self.seen.live
        return live[pick.draw(st.sampled_from(sorted(live)))]

    # What holds after every step.

    @invariant()
    def nothing_is_left_to_do(self) -> None:
        assert self.bench.plan(self.wanted, self.options).changes == () if self.wanted else True

    @invariant()
    def history_only_grows(self) -> None:
        before, after = self.seen, self.bench.contents()
        assert after.events[: len(before.events)] == before.events
        assert after.runs[len(after.runs) - len(before.runs) :] == before.runs
        for uid, row in after.by_uid.items():
            old = before.by_uid.get(uid)
            if old is None:
                assert uid not in self.uids, "a uid names one connection for ever"
                continue
            assert old.generation <= row.generation
            assert old.revision <= row.revision
            assert old.version <= row.version
            if old.status.phase is Phase.ARCHIVED:
                assert row.status == old.status
        self.uids |= after.by_uid.keys()
        self.seen = after

    @invariant()
    def events_alone_tell_every_status(self) -> None:
        contents = self.bench.contents()
        statuses = {row.uid: _timeless(row.status) for row in contents.rows}
        assert {uid: _timeless(each) for uid, each in contents.rebuilt.items()} == statuses

    @invariant()
    def store_finds_nothing_wrong_with_itself(self) -> None:
        assert self.bench.store.check() == ()


def _timeless(status: Status) -> Status:
    """Returns `status` without what a check that finds the same as before writes no event for."""
    return replace(status, checked_at=None, succeeded_at=None, latency_s=None)


def _digests(contents: Contents) -> dict[str, tuple[str, str]]:
    return {name: (row.uid, row.digest) for name, row in contents.live.items()}


def _require_reason(
    refusal: InvalidManifests | ProtectedRow, before: Contents, resources: tuple[Resource, ...]
) -> None:
    """Checks that a refused set was one to refuse."""
    match refusal:
        case InvalidManifests(diagnostics=diagnostics):
            assert {found.code for found in diagnostics} <= {"E003", "E202", "E203", "E204", "E205"}
        case ProtectedRow():
            policies = {row.deletion_policy for row in before.live.values()}
            assert DeletionPolicy.PROTECT in policies


def _require_wanted(
    resources: tuple[Resource, ...], before: Contents, after: Contents, *, prune: bool
) -> None:
    """Checks that the live rows are what was wanted, and those that nobody was asked to touch."""
    live = after.live
    wanted = {str(resource.ref): resource for resource in resources}
    for name, resource in wanted.items():
        row = live.get(name)
        if resource.spec["state"] == "archived":
            assert row is None
        elif row is None:
            assert resource.digest in _held(before, name)
        elif row.hold and row.hold.kind is HoldKind.ROLLBACK:
            assert row.hold.digest == resource.digest
        else:
            assert row.digest == resource.digest
    for name, row in live.items():
        if name not in wanted:
            assert not prune
            assert (row.uid, row.digest) == (before.live[name].uid, before.live[name].digest)
    for name, row in before.live.items():
        now = after.by_uid.get(row.uid)
        if now is None or not now.status.is_live or str(now.ref) == name:
            continue
        previous = wanted[str(now.ref)].metadata["previousNames"]
        assert row.ref.name in previous, "only a rename takes a row over"


def _held(contents: Contents, name: str) -> set[str]:
    """Returns the digests of the manifests that `archive` was ordered against."""
    return {
        row.hold.digest
        for row in contents.rows
        if row.hold and not row.status.is_live and str(row.ref) == name
    }


class LifeInAFile(Life):
    """The same on a store in a file, which is closed and opened again on the way."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="life-")
        self.url = f"sqlite:///{Path(self.folder.name)}/state/state.db"
        super().__init__()

    @rule()
    def reopen(self) -> None:
        self.bench.store.close()
        self.bench.store = Bench.open(self.url).store

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
TestLifeInAFile = LifeInAFile.TestCase
TestLifeInAFile.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
