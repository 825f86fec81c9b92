"""What the results of a pass do to the rows: advance each status, store each batch.

Between `health`, which only looks, and `status`, which only decides. A result counts for the
generation that it observed and for no other: the row is compared and set, and where somebody was
faster the row is read again and the result advanced anew, or dropped with an event. What was found
with a secret that has been replaced since is dropped, too: the new one was not tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler import fingerprint, status
from reconciler.errors import RowsMoved
from reconciler.model import Event, Observation, Reason, Recorded, Transition
from reconciler.queueing import Checked
from reconciler.status import Advance, Signal, Thresholds, Verdict
from reconciler.stores import HealthWrite, RowOp, RowWrite, Store, Write
from reconciler.values import dataclass

#: Two processes that probe the same rows meet again at most so often.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthResult:
    """What one target of a pass came to."""

    #: after the result
    row: Recorded
    #: None where the login budget was used up and nothing was sent
    observation: Observation | None
    transition: Transition | None


def record(
    store: Store,
    batch: Sequence[Checked],
    rows: Mapping[str, Recorded],
    thresholds: Mapping[str, Thresholds],
    *,
    now: datetime,
) -> tuple[HealthResult, ...]:
    """Advances and stores a batch of results; returns them in order.

    `rows` and `thresholds` are by uid, as they were when the pass began. A result whose row moved
    under every one of `ATTEMPTS` is left out: of it only the login attempt is settled.
    """
    results: dict[str, HealthResult] = {}
    current = {checked.target.uid: rows[checked.target.uid] for checked in batch}
    pending = list(batch)
    for _ in range(ATTEMPTS):
        steps = [_step(checked, rows, current, thresholds, now) for checked in pending]
        moved = {*_observe(store, steps, now), *_suspend(store, steps)}
        results |= {step.row.uid: step.result for step in steps if step.row.uid not in moved}
        if not moved:
            break
        current |= {row.uid: row for row in store.find(sorted(moved))}
        pending = [replace(c, credential_key="") for c in pending if c.target.uid in moved]
    return tuple(results[c.target.uid] for c in batch if c.target.uid in results)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One result, the row that it met, and where it leads."""

    checked: Checked
    row: Recorded
    advance: Advance

    @property
    def result(self) -> HealthResult:
        return HealthResult(
            row=replace(self.row, status=self.advance.status, version=self.row.version + 1),
            observation=self.checked.observation,
            transition=self.advance.transition,
        )

    @property
    def events(self) -> tuple[Event, ...]:
        if self.advance.verdict is Verdict.DROPPED:
            return (self._event("dropped", "the result came too late to count"),)
        if status.is_same(self.row.status, self.advance.status):
            return ()
        kind = "transition" if self.advance.transition else "result"
        return (self._event(kind, self.advance.status.message),)

    def _event(self, type_: str, message: str) -> Event:
        transition = self.advance.transition
        observation = self.checked.observation
        return Event(
            at=observation.observed_at if observation else self.advance.status.since_at,
            uid=self.row.uid,
            ref=self.row.ref,
            type=type_,
            reason=self.advance.status.reason if type_ != "dropped" else _reason(observation),
            message=message,
            source=transition.source if transition else None,
            target=transition.target if transition else None,
            status=self.advance.status,
        )


def _step(
    checked: Checked,
    seen: Mapping[str, Recorded],
    current: Mapping[str, Recorded],
    thresholds: Mapping[str, Thresholds],
    now: datetime,
) -> _Step:
    uid = checked.target.uid
    row = current[uid]
    if _is_outdated(checked, seen[uid], row):
        advanced = Advance(status=row.status, transition=None, verdict=Verdict.DROPPED)
    else:
        advanced = _advance(checked, row, thresholds, now)
    return _Step(checked=checked, row=row, advance=advanced)


def _is_outdated(checked: Checked, seen: Recorded, row: Recorded) -> bool:
    """Whether a result is about another spec, or another secret, than the row has by now."""
    if row.generation != checked.target.generation:
        return True
    return bool(fingerprint.changed(seen.fingerprints, row.fingerprints))


def _advance(
    checked: Checked, row: Recorded, thresholds: Mapping[str, Thresholds], now: datetime
) -> Advance:
    observation = checked.observation
    if observation is None:
        return status.advance(
            row.status,
            Signal.BUDGET_USED,
            reason=Reason.LOGIN_BUDGET_USED,
            message="the login budget of this credential is used up, so that it is not sent again",
            now=now,
        )
    return status.observe(row.status, observation, thresholds[row.uid])


def _observe(store: Store, steps: Sequence[_Step], now: datetime) -> tuple[str, ...]:
    """Stores the steps that have an observation; returns the uids whose row had moved."""
    writes = [
        HealthWrite(
            observation=step.checked.observation,
            row=step.result.row,
            expected=step.row.version,
            events=step.events,
            credential_key=step.checked.credential_key,
            deadline_at=step.checked.deadline_at,
        )
        for step in steps
        if step.checked.observation
    ]
    return store.record(writes, now=now) if writes else ()


def _suspend(store: Store, steps: Sequence[_Step]) -> tuple[str, ...]:
    """Stores the suspensions for which nothing was sent; returns the uids whose row had moved."""
    exhausted = [step for step in steps if step.checked.observation is None]
    moved = []
    for step in exhausted:
        if step.advance.verdict is not Verdict.TAKEN:
            continue
        row = RowWrite(op=RowOp.UPDATE, row=step.result.row, expected=step.row.version)
        try:
            store.commit(Write(rows=(row,), events=step.events))
        except RowsMoved:
            moved.append(step.row.uid)
    return tuple(moved)


def _reason(observation: Observation | None) -> Reason:
    return observation.reason if observation else Reason.LOGIN_BUDGET_USED
