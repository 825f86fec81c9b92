"""5. A bounded pass over connections: who is probed when, and never more than the limits allow.

`run` is an async iterator over batches of results. It holds the three limits that make a pass safe:
probes in flight at once, probes in flight to one host, and the login budget, which is reserved
*before* a credential is sent. What a result means for a connection is decided elsewhere (`status`),
and nothing is written here: whoever iterates stores each batch before it asks for the next one, so
a killed pass loses at most one batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import assert_never

from reconciler import fingerprint, kinds, probes
from reconciler.errors import SecretError
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

#: Results that are handed over together; one transaction each.
BATCH = 100
#: Results wait at most this long for their batch to fill.
BATCH_WAIT_S = 0.25
#: A reserved login may wait this long for its turn, on top of the probe's own deadline.
QUEUE_ALLOWANCE_S = 60.0

_log = logging.getLogger("reconciler.health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A target with its secrets, ready to be probed."""

    target: Target
    #: by JSON pointer inside `spec`
    secrets: Mapping[str, Secret]
    #: the secret stage, where there were secrets to resolve
    reached: tuple[Stage, ...]
    #: the login attempt that was reserved, or None where no credential is sent
    login: LoginRequest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of one target; `observation` is None where the login budget was used up."""

    target: Target
    observation: Observation | None
    credential_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a pass needs from outside: secrets, and a place to reserve logins."""

    #: secrets of a target by pointer; raises SecretError
    resolve: Callable[[Target], Mapping[str, Secret]]
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
    tokens: probes.TokenSource | None,
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
            tokens=tokens,
        )


async def run(
    targets: Sequence[Target], desk: Desk, tools: probes.Tools, limits: HealthSettings
) -> AsyncGenerator[tuple[Checked, ...], None]:
    """Probes every target once and yields the results in batches, as they come.

    A target whose credential is in use up to the login budget waits until other results of that
    credential are stored, but not for ever; one whose row has moved meanwhile is left out. Closing
    the iterator cancels what is in flight and gives back what was reserved but not sent.
    """
    queue = _Queue(limits)
    waiting = deque(targets)
    deferred: deque[Target] = deque()
    ready: list[Checked] = []
    flushed_at = idle_since = monotonic()
    try:
        while waiting or deferred or ready or queue.is_busy:
            while waiting and queue.has_appetite:
                chunk = [waiting.popleft() for _ in range(min(len(waiting), limits.concurrency))]
                admitted = await _admit(chunk, desk, tools)
                ready += admitted.checked
                deferred.extend(admitted.deferred)
                queue.add(admitted.jobs)
            queue.start(tools)
            ready += await queue.finished(_patience(ready, flushed_at))
            is_over = not (waiting or queue.is_busy)
            if ready and (is_over or len(ready) >= BATCH or _patience(ready, flushed_at) == 0):
                yield tuple(ready)
                ready, flushed_at = [], monotonic()
            if queue.is_busy or ready:
                idle_since = monotonic()
            elif deferred and monotonic() - idle_since >= limits.login_wait_s:
                ready += [_not_its_turn(target, tools) for target in deferred]
                deferred.clear()
            if deferred and not ready and not (waiting and queue.has_appetite):
                waiting, deferred = deque([*deferred, *waiting]), deque()
                if not queue.is_busy:
                    await asyncio.sleep(BATCH_WAIT_S)  # other processes hold the rest of a budget
    finally:
        unused = await queue.abandon()
        if unused:
            desk.release(unused)


def _patience(ready: list[Checked], flushed_at: float) -> float | None:
    """Returns how long the results at hand may still wait for others; None if there are none."""
    return max(0.0, flushed_at + BATCH_WAIT_S - monotonic()) if ready else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted:
    """What became of a chunk of targets at the desk."""

    jobs: list[Job]
    #: ended without a probe: no secret, or no login left
    checked: list[Checked]
    deferred: list[Target]


async def _admit(chunk: Sequence[Target], desk: Desk, tools: probes.Tools) -> _Admitted:
    """Resolves the secrets of a chunk and reserves its logins in one transaction."""
    admitted = _Admitted(jobs=[], checked=[], deferred=[])
    asking: list[Job] = []
    for target in chunk:
        started = monotonic()
        try:
            secrets = desk.resolve(target)
        except SecretError as error:
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
                admitted.checked.append(Checked(target=job.target, observation=None))
            case Verdict.STALE:
                pass
            case _:
                assert_never(verdict)
    return admitted


def _job(
    target: Target, secrets: Mapping[str, Secret], seconds: float, desk: Desk, tools: probes.Tools
) -> Job:
    if not secrets:
        return Job(target=target, secrets={}, reached=(), login=None)
    deadline_s = timeout_s(target.spec) + QUEUE_ALLOWANCE_S
    login = LoginRequest(
        uid=target.uid,
        credential_key=fingerprint.of_credential(target.endpoint, secrets, desk.fingerprint_key),
        version=target.version,
        deadline_at=tools.clock() + timedelta(seconds=deadline_s),
    )
    stage = Stage(name=StageName.SECRET, seconds=seconds)
    return Job(target=target, secrets=secrets, reached=(stage,), login=login)


class _Queue:
    """Jobs that wait for a free place, and the tasks in flight."""

    def __init__(self, limits: HealthSettings) -> None:
        self._limits = limits
        self._waiting: dict[str, deque[Job]] = defaultdict(deque)
        self._size = 0
        self._running: dict[asyncio.Task[None], Job] = {}
        self._per_host: Counter[str] = Counter()
        self._done: asyncio.Queue[Checked] = asyncio.Queue()

    @property
    def is_busy(self) -> bool:
        return bool(self._size or self._running or not self._done.empty())

    @property
    def has_appetite(self) -> bool:
        """Whether so few jobs wait that the next chunk is due."""
        return self._size < self._limits.concurrency

    def add(self, jobs: Sequence[Job]) -> None:
        """Lines up jobs behind those to the same host."""
        for job in jobs:
            self._waiting[job.target.endpoint.host].append(job)
        self._size += len(jobs)

    def start(self, tools: probes.Tools) -> None:
        """Starts as many jobs as the limits allow, hosts in turn."""
        for host in list(self._waiting):
            limit = self._limits.per_host if host else self._limits.concurrency
            line = self._waiting[host]
            while line and self._per_host[host] < limit:
                if len(self._running) >= self._limits.concurrency:
                    return
                self._start(line.popleft(), tools)
            if not line:
                del self._waiting[host]

    def _start(self, job: Job, tools: probes.Tools) -> None:
        host = job.target.endpoint.host
        self._size -= 1
        self._per_host[host] += 1
        task = asyncio.create_task(self._run(job, tools))
        self._running[task] = job
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        host = self._running.pop(task).target.endpoint.host
        self._per_host[host] -= 1

    async def _run(self, job: Job, tools: probes.Tools) -> None:
        key = job.login.credential_key if job.login else ""
        observation = await _probe(job, tools)
        checked = Checked(target=job.target, observation=observation, credential_key=key)
        self._done.put_nowait(checked)

    async def finished(self, patience_s: float | None) -> list[Checked]:
        """Returns results that are there; with none, waits for one, at most `patience_s`."""
        if self._done.empty() and self._running and patience_s != 0:
            try:
                async with asyncio.timeout(patience_s):
                    first = await self._done.get()
            except TimeoutError:
                return []
            await asyncio.sleep(0)  # lets the finished task give back its place
            return [first, *self._drain()]
        return self._drain()

    def _drain(self) -> list[Checked]:
        return [self._done.get_nowait() for _ in range(self._done.qsize())]

    async def abandon(self) -> list[LoginRequest]:
        """Cancels what runs, waits for its end, and returns the logins that were never used.

        What was in flight keeps its reservation: nobody knows whether the server has counted it.
        """
        unused = [job.login for line in self._waiting.values() for job in line if job.login]
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return unused


async def _probe(job: Job, tools: probes.Tools) -> Observation:
    target = job.target
    started = monotonic()
    try:
        probe = probes.probe(target.ref.kind)
        started = monotonic()
        return await probe(target, job.secrets, tools, reached=job.reached)
    # One probe that breaks on what an endpoint sends must not end the pass for all the others.
    except Exception as error:  # noqa: BLE001
        _log.exception("the probe of %s crashed", target.ref)
        return Observation(
            uid=target.uid,
            generation=target.generation,
            outcome=Outcome.INCONCLUSIVE,
            reason=Reason.PROBE_CRASHED,
            message=f"the probe itself failed ({type(error).__name__}); this is a bug in the tool",
            stages=job.reached,
            latency_s=monotonic() - started,
            observed_at=tools.clock(),
        )


def _not_its_turn(target: Target, tools: probes.Tools) -> Checked:
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
    return Checked(target=target, observation=observation)


def _unresolved(target: Target, error: SecretError, seconds: float, tools: probes.Tools) -> Checked:
    observation = Observation(
        uid=target.uid,
        generation=target.generation,
        outcome=Outcome.INCONCLUSIVE,
        reason=Reason.SECRET_UNRESOLVED,
        message=tools.redactor.clean(error.message),
        hint=error.hint,
        stages=(Stage(name=StageName.SECRET, seconds=seconds),),
        latency_s=seconds,
        observed_at=tools.clock(),
    )
    return Checked(target=target, observation=observation)
