"""The life of one store as a machine: what people, checks and the world may do, in any order.

The machine drives the real stages and compares the store after every step with what must hold of
it; a history that breaks a promise is shrunk to the shortest one that does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler import holds
from reconciler.errors import Held, InvalidManifests, ProtectedRow
from reconciler.model import Action, DeletionPolicy, HoldKind, Phase, Recorded
from reconciler.report import data
from reconciler.settings import LOGIN_BUDGET
from reconciler.stores import Verdict
from tests.reliability import manifest_sets, outcomes, stages
from tests.reliability.manifest_sets import Edit, Manifest
from tests.reliability.stages import FAILED, LOGIN_FAILED, OK, UNCLEAR, Contents, World

#: Seconds by which the wall clock moves between two steps.
LEAPS = (-3600.0, 0.0, 1.0, 86_400.0, 10 * 365 * 86_400.0)
_FINDINGS = st.sampled_from([OK, FAILED, LOGIN_FAILED, UNCLEAR])


class Life(RuleBasedStateMachine):
    """One store from its making on; `wanted` is what was applied last."""

    def __init__(self, url: str, tally: Counter[str]) -> None:
        super().__init__()
        self.world = World.open(url, dict.fromkeys(manifest_sets.VARIABLES, "first-secret"))
        self.tally = tally
        self.wanted: list[Manifest] = []
        self.options = stages.options()
        self.seen = self.world.contents()
        self.uids: set[str] = set()
        self.bad_logins: Counter[str] = Counter()
        #: passes that have read their rows and not yet recorded what they found
        self.passes: list[tuple[Recorded, ...]] = []

    def teardown(self) -> None:
        assert self.world.store.check() == ()
        self.world.store.close()
        self.tally["runs"] += 1

    # What people do with files.

    @initialize(wanted=manifest_sets.sets)
    def apply_first(self, wanted: tuple[Manifest, ...]) -> None:
        self._apply(wanted, prune=False, with_secrets=True)

    @rule(wanted=manifest_sets.sets, prune=st.booleans(), with_secrets=st.booleans())
    def apply(self, wanted: tuple[Manifest, ...], prune: bool, with_secrets: bool) -> None:
        self._apply(wanted, prune=prune, with_secrets=with_secrets)

    @precondition(lambda self: self.wanted)
    @rule(pick=st.data(), edit=st.sampled_from(manifest_sets.EDITS))
    def edit_and_apply(self, pick: st.DataObject, edit: Edit) -> None:
        edited = deepcopy(self.wanted)
        edit(pick.draw(st.sampled_from(edited)), pick.draw)
        if len({manifest["metadata"]["name"] for manifest in edited}) == len(edited):
            self._apply(tuple(edited), prune=False, with_secrets=True)

    @precondition(lambda self: len(self.wanted) > 1)
    @rule(pick=st.data())
    def swap_and_apply(self, pick: st.DataObject) -> None:
        edited = deepcopy(self.wanted)
        one, other = pick.draw(st.permutations(edited))[:2]
        names = one["metadata"]["name"], other["metadata"]["name"]
        for manifest, (name, previous) in ((one, names[::-1]), (other, names)):
            manifest["metadata"] |= {"name": name, "previousNames": [previous]}
        self._apply(tuple(edited), prune=False, with_secrets=True)

    @precondition(lambda self: len(self.wanted) > 1)
    @rule(pick=st.data(), prune=st.booleans())
    def remove_and_apply(self, pick: st.DataObject, prune: bool) -> None:
        kept = pick.draw(st.permutations(self.wanted))[1:]
        self._apply(tuple(kept), prune=prune, with_secrets=True)

    def _apply(self, wanted: tuple[Manifest, ...], *, prune: bool, with_secrets: bool) -> None:
        files, options = stages.files_of(wanted), stages.options(prune=prune)
        resources = stages.read(files).resources
        before = self.seen
        try:
            applied = self.world.apply(files, options, with_secrets=with_secrets)
        except (InvalidManifests, ProtectedRow) as refusal:
            outcomes.require_reason(refusal, before)
            assert self.world.contents() == before
            self.tally["refused applies"] += 1
            return
        after = self.world.contents()
        outcomes.require_wanted(resources, before, after, prune=prune)
        if any(result.action is Action.RESUME for result in applied.changes.results):
            self.bad_logins.clear()
        self.wanted, self.options = list(wanted), options
        again = self.world.apply(files, options, with_secrets=with_secrets)
        assert (again.changes.results, self.world.contents()) == ((), after)
        self.tally["applies"] += 1

    @rule(wanted=manifest_sets.sets, order=st.randoms(use_true_random=False))
    def read_in_another_order(self, wanted: tuple[Manifest, ...], order: Any) -> None:
        files = stages.files_of(wanted)
        shuffled = list(files.items())
        order.shuffle(shuffled)
        effects: list[object] = []
        for given in (files, dict(shuffled)):
            try:
                effects.append(self.world.effects(given, stages.options(prune=True)))
            except InvalidManifests as refusal:
                effects.append([found.code for found in refusal.diagnostics])
        assert effects[0] == effects[1]

    @precondition(lambda self: self.seen.live)
    @rule()
    def export_and_apply(self) -> None:
        live = tuple(self.seen.live.values())
        files = {row.source.path: data.manifest_yaml(row) for row in live}
        if len(files) < len(live):
            return  # a connection of each kind lies in one file
        if not any(row.hold and row.hold.kind is HoldKind.ROLLBACK for row in live):
            assert self.world.plan(files, stages.options()).changes == ()
        self.world.apply(files, stages.options(), with_secrets=False)
        assert outcomes.digests(self.world.contents()) == outcomes.digests(self.seen)
        self.wanted = []  # what was wanted before may end holds that the export has ended
        self.tally["exports"] += 1

    # What people order.

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def suspend(self, pick: st.DataObject) -> None:
        self.world.carry_out(self._one(pick), holds.suspend)

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def resume(self, pick: st.DataObject) -> None:
        row = self._one(pick)
        is_intended = row.manifest["spec"]["state"] == "active"
        try:
            self.world.carry_out(row, holds.resume)
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
            self.world.carry_out(row, holds.archive)
        except ProtectedRow:
            assert is_protected
        else:
            assert not is_protected
            assert str(row.ref) not in self.world.contents().live

    @precondition(lambda self: self.seen.live)
    @rule(pick=st.data())
    def roll_back(self, pick: st.DataObject) -> None:
        row = self._one(pick)
        number = pick.draw(st.integers(1, row.revision))
        digest = self.world.roll_back(row, number)
        assert self.world.contents().by_uid[row.uid].digest == digest

    # What checks find.

    @rule(pick=st.data(), times=st.integers(1, 6))
    def check(self, pick: st.DataObject, times: int) -> None:
        usual = pick.draw(_FINDINGS)
        for _ in range(times):
            self._check(lambda: pick.draw(st.sampled_from([usual, usual, OK, FAILED])))

    def _check(self, find: Callable[[], stages.Finding]) -> None:
        rows = self.world.probed()
        findings: dict[str, stages.Finding | None] = {row.uid: find() for row in rows}
        reserved = self.world.reserve(rows)
        for uid, (key, verdict) in reserved.items():
            if verdict is Verdict.GRANTED:
                assert self.bad_logins[key] < LOGIN_BUDGET
            else:
                findings[uid] = None
            self._count(key, findings[uid])
        keys = {uid: key for uid, (key, _) in reserved.items()}
        results = self.world.record(rows, findings, keys)
        assert [result.row for result in results] == list(self.world.store.find(list(findings)))
        self.tally["checks"] += len(rows)

    def _count(self, key: str, finding: stages.Finding | None) -> None:
        if finding == LOGIN_FAILED:
            self.bad_logins[key] += 1
        elif finding == OK:
            self.bad_logins[key] = 0

    @precondition(lambda self: self.seen.live)
    @rule()
    def begin_pass(self) -> None:
        self.passes.append(self.world.probed())

    @precondition(lambda self: self.passes)
    @rule(finding=_FINDINGS)
    def end_pass(self, finding: stages.Finding) -> None:
        rows = self.passes.pop(0)
        before = self.seen.by_uid
        self.world.record(rows, {row.uid: finding for row in rows})
        after = self.world.contents().by_uid
        for row in rows:
            now = before.get(row.uid)
            if now and not (now.generation == row.generation and now.status.is_probed):
                assert after[row.uid].status == now.status
                self.tally["late results"] += 1

    # What the world does.

    @rule(
        name=st.sampled_from(manifest_sets.VARIABLES),
        value=st.sampled_from(["", "first-secret", "another"]),
    )
    def rotate(self, name: str, value: str) -> None:
        self.world.environment[name] = value

    @rule(seconds=st.sampled_from(LEAPS))
    def leap(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    def _one(self, pick: st.DataObject) -> Recorded:
        live = self.seen.live
        return live[pick.draw(st.sampled_from(sorted(live)))]

    # What holds after every step.

    @invariant()
    def promises_hold(self) -> None:
        before, after = self.seen, self.world.contents()
        self.seen = after
        self._require_growth(before, after)
        statuses = {row.uid: outcomes.timeless(row.status) for row in after.rows}
        assert {uid: outcomes.timeless(each) for uid, each in after.rebuilt.items()} == statuses
        if self.wanted:
            files = stages.files_of(self.wanted)
            assert self.world.plan(files, self.options).changes == ()
        self.tally["steps"] += 1

    def _require_growth(self, before: Contents, after: Contents) -> None:
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
