"""5. A bounded pass over connections: who is probed when, and never more than the limits allow.

`run` is an async iterator over batches of results. It holds the three limits that make a pass safe:
probes in flight at once, probes in flight to one host, and the login budget, which is reserved
*before* a credential is sent. What a result means for a connection is decided elsewhere (`status`),
and nothing is written here: whoever iterates stores each batch before it asks for the next one, so
a killed pass loses at most one batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import assert_never

from reconciler import fingerprint, kinds, probes, queueing
from reconciler.clients.hops import Hops
from reconciler.errors import DestinationDenied, SecretError
from reconciler.fetching import Fetching
from reconciler.kinds import durations
from reconciler.model import (
    AWAITING_CHECK_REASONS,
    JsonObject,
    Observation,
    Outcome,
    Reason,
    Recorded,
    Stage,
    StageName,
    Target,
)
from reconciler.redact import Redactor, Secret
from reconciler.settings import HealthSettings, Settings
from reconciler.stores import LoginRequest, Verdict
from reconciler.values import dataclass

#: Results that are handed over together; one transaction each.
BATCH = 100
#: Results wait at most this long for their batch to fill.
BATCH_WAIT_S = 0.25
#: A reserved login may wait this long for its turn, on top of the probe's own deadline.
QUEUE_ALLOWANCE_S = 60.0
#: What it means that a secret was not read.
_UNREAD = {
    SecretError: Reason.SECRET_UNRESOLVED,
    DestinationDenied: Reason.DESTINATION_DENIED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a pass needs from outside: secrets, and a place to reserve logins."""

    #: secrets of a target by pointer; raises SecretError, or DestinationDenied before any is read.
    #: The second time it answers at once
    resolve: Callable[[Target], Mapping[str, Secret]]
    #: whether `resolve` answers at once; else it may wait for a server or a program
    is_at_hand: Callable[[Target], bool]
    #: one transaction; answers in order
    reserve: Callable[[Sequence[LoginRequest]], Sequence[Verdict]]
    #: takes back what was reserved and not used
    release: Callable[[Sequence[LoginRequest]], None]
    fingerprint_key: bytes


def target(row: Recorded, spec: JsonObject) -> Target:
    """Returns `row`, whose spec in normal form is `spec`, as something to be probed."""
    return Target(
        uid=row.uid,
        ref=row.ref,
        generation=row.generation,
        version=row.version,
        spec=spec,
        endpoint=kinds.kind(row.ref.kind).endpoint(spec),
    )


def is_due(row: Recorded, spec: JsonObject, now: datetime) -> bool:
    """Whether the row was not checked since it was made, changed or resumed, or not in time.

    A check that lies further in the future than the interval was made while the clock was wrong:
    it is due as well, or a clock that is set back would silence checks until it catches up. A step
    within the interval makes nothing due.
    """
    checked_at = row.status.checked_at
    if checked_at is None or row.status.reason in AWAITING_CHECK_REASONS:
        return True
    interval_s = durations.parse_duration(spec["health"]["interval"])
    return abs((now - checked_at).total_seconds()) >= interval_s


def timeout_s(spec: JsonObject) -> float:
    """Returns how long one probe of a normalised spec may take, in seconds."""
    return durations.parse_duration(spec["health"]["timeout"])


@contextmanager
def open_tools(
    settings: Settings,
    redactor: Redactor,
    clock: Callable[[], datetime],
    read_public: Callable[[JsonObject], str],
    *,
    tokens: probes.TokenSource | None = None,
    hops: Hops | None = None,
) -> Iterator[probes.Tools]:
    """Yields what the probes of one pass share, the bounded thread pool among it."""
    workers = settings.health.concurrency
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as threads:
        yield probes.Tools(
            redactor=redactor,
            threads=threads,
            clock=clock,
            read_public=read_public,
            root=settings.root,
            hops=hops or Hops(network=settings.network),
            tokens=tokens,
        )


async def run(
    targets: Sequence[Target], desk: Desk, tools: probes.Tools, limits: HealthSettings
) -> AsyncGenerator[tuple[queueing.Checked, ...], None]:
    """Probes every target once and yields the results in batches, as they come.

    A target whose credential is in use up to the login budget waits until other results of that
    credential are stored, but not for ever; one whose row has moved meanwhile is left out. Closing
    the iterator cancels what is in flight and gives back what was reserved but not sent.
    """
    queue = queueing.Queue(limits)
    fetching = Fetching(desk.resolve, desk.is_at_hand, queue.wake)
    waiting = deque(targets)
    deferred: deque[Target] = deque()
    ready: list[queueing.Checked] = []
    flushed_at = idle_since = monotonic()
    try:
        while waiting or deferred or ready or queue.is_busy or fetching.is_busy:
            waiting.extendleft(fetching.taken())
            while waiting and queue.has_appetite:
                chunk = [waiting.popleft() for _ in range(min(len(waiting), limits.concurrency))]
                chunk = fetching.hold_back(chunk)
                admitted = await _admit(chunk, desk, tools, fetching.seconds)
                ready += admitted.checked
                deferred.extend(admitted.deferred)
                queue.add(admitted.jobs)
            queue.start(tools)
            patience_s = _patience(ready, flushed_at)
            ready += await queue.finished(patience_s, is_expecting=fetching.is_busy)
            is_over = not (waiting or queue.is_busy or fetching.is_busy)
            if ready and (is_over or len(ready) >= BATCH or _patience(ready, flushed_at) == 0):
                yield tuple(ready)
                ready, flushed_at = [], monotonic()
            if queue.is_busy or ready or fetching.is_busy:
                idle_since = monotonic()
            elif deferred and monotonic() - idle_since >= limits.login_wait_s:
                ready += [_not_its_turn(target, tools) for target in deferred]
                deferred.clear()
            if deferred and not ready and not (waiting and queue.has_appetite):
                waiting, deferred = deque([*deferred, *waiting]), deque()
                if not (queue.is_busy or fetching.is_busy):
                    await asyncio.sleep(BATCH_WAIT_S)  # other processes hold the rest of a budget
    finally:
        fetching.abandon()
        unused = await queue.abandon()
        await tools.hops.close()
        if unused:
            desk.release(unused)


def _patience(ready: list[queueing.Checked], flushed_at: float) -> float | None:
    """Returns how long the results at hand may still wait for others; None if there are none."""
    return max(0.0, flushed_at + BATCH_WAIT_S - monotonic()) if ready else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted:
    """What became of a chunk of targets at the desk."""

    jobs: list[queueing.Job]
    #: ended without a probe: no secret, or no login left
    checked: list[queueing.Checked]
    deferred: list[Target]


async def _admit(
    chunk: Sequence[Target], desk: Desk, tools: probes.Tools, fetched_s: Mapping[str, float]
) -> _Admitted:
    """Resolves the secrets of a chunk and reserves its logins in one transaction.

    `fetched_s` is how long those took that were fetched before, by uid.
    """
    admitted = _Admitted(jobs=[], checked=[], deferred=[])
    asking: list[queueing.Job] = []
    for target in chunk:
        started = monotonic() - fetched_s.get(target.uid, 0.0)
        try:
            secrets = desk.resolve(target)
        except (SecretError, DestinationDenied) as error:
            admitted.checked.append(_unresolved(target, error, monotonic() - started, tools))
            continue
        job = _job(target, secrets, monotonic() - started, desk, tools)
        (asking if job.login else admitted.jobs).append(job)
    if not asking:
        return admitted
    requests = [job.login for job in asking if job.login]
    verdicts = await asyncio.to_thread(desk.reserve, requests)
    for job, verdict in zip(asking, verdicts, strict=True):
        match verdict:
            case Verdict.GRANTED:
                admitted.jobs.append(job)
            case Verdict.WAIT:
                admitted.deferred.append(job.target)
            case Verdict.EXHAUSTED:
                admitted.checked.append(queueing.Checked(target=job.target, observation=None))
            case Verdict.STALE:
                pass
            case _:
                assert_never(verdict)
    return admitted


def _job(
    target: Target, secrets: Mapping[str, Secret], seconds: float, desk: Desk, tools: probes.Tools
) -> queueing.Job:
    if not secrets:
        return queueing.Job(target=target, secrets={}, reached=(), login=None)
    stage = Stage(name=StageName.SECRET, seconds=seconds)
    if not fingerprint.own_secrets(secrets):  # logins at hops are counted where they are made
        return queueing.Job(target=target, secrets=secrets, reached=(stage,), login=None)
    deadline_s = timeout_s(target.spec) + QUEUE_ALLOWANCE_S
    login = LoginRequest(
        uid=target.uid,
        credential_key=fingerprint.of_credential(target.endpoint, secrets, desk.fingerprint_key),
        version=target.version,
        deadline_at=tools.clock() + timedelta(seconds=deadline_s),
    )
    return queueing.Job(target=target, secrets=secrets, reached=(stage,), login=login)


def _not_its_turn(target: Target, tools: probes.Tools) -> queueing.Checked:
    observation = Observation(
        uid=target.uid,
        generation=target.generation,
        outcome=Outcome.INCONCLUSIVE,
        reason=Reason.CANCELLED,
        message="other checks have sent this credential and did not end in time; it was not sent",
        hint="run it again when they have ended",
        latency_s=0.0,
        observed_at=tools.clock(),
    )
    return queueing.Checked(target=target, observation=observation)


def _unresolved(
    target: Target, error: SecretError | DestinationDenied, seconds: float, tools: probes.Tools
) -> queueing.Checked:
    observation = Observation(
        uid=target.uid,
        generation=target.generation,
        outcome=Outcome.INCONCLUSIVE,
        reason=_UNREAD[type(error)],
        message=tools.redactor.clean(error.message),
        hint=error.hint,
        stages=(Stage(name=StageName.SECRET, seconds=seconds),),
        latency_s=seconds,
        observed_at=tools.clock(),
    )
    return queueing.Checked(target=target, observation=observation)
