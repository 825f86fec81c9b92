"""Jobs of a pass that wait for a free place, and those in flight; never more than the limits allow.

Below `health`, which decides what is probed and asks for logins. Separate because it knows neither
secrets nor the store: it starts what is ready, hosts in turn, and hands over what has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic

from reconciler import probes
from reconciler.model import Observation, Outcome, Reason, Stage, Target
from reconciler.redact import Secret
from reconciler.settings import HealthSettings
from reconciler.stores import LoginRequest
from reconciler.values import dataclass

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
    #: of the login that was reserved
    deadline_at: datetime | None = None


class Queue:
    """Jobs that wait for a free place, and the tasks in flight."""

    def __init__(self, limits: HealthSettings) -> None:
        self._limits = limits
        self._waiting: dict[str, deque[Job]] = defaultdict(deque)
        self._size = 0
        self._running: dict[asyncio.Task[None], Job] = {}
        self._per_host: Counter[str] = Counter()
        #: None only wakes up who waits for results
        self._done: asyncio.Queue[Checked | None] = asyncio.Queue()

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
        observation = await _probe(job, tools)
        login = job.login
        checked = Checked(
            target=job.target,
            observation=observation,
            credential_key=login.credential_key if login else "",
            deadline_at=login.deadline_at if login else None,
        )
        self._done.put_nowait(checked)

    async def finished(self, patience_s: float | None, *, is_expecting: bool) -> list[Checked]:
        """Returns results that are there; with none, waits for one, at most `patience_s`.

        With `is_expecting`, also where nothing is in flight: then `wake` ends the wait.
        """
        if self._done.empty() and (self._running or is_expecting) and patience_s != 0:
            try:
                async with asyncio.timeout(patience_s):
                    first = await self._done.get()
            except TimeoutError:
                return []
            await asyncio.sleep(0)  # lets the finished task give back its place
            return [*([first] if first else []), *self._drain()]
        return self._drain()

    def wake(self) -> None:
        """Ends the wait of `finished`."""
        self._done.put_nowait(None)

    def _drain(self) -> list[Checked]:
        drained = (self._done.get_nowait() for _ in range(self._done.qsize()))
        return [checked for checked in drained if checked]

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
