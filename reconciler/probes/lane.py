"""Runs many short blocking calls in few threads: the next one starts where the last one ended.

Beside `probes.sql`, for databases in files. Reading one takes less time than waking a thread for
it, and many threads that all want the interpreter cost more than they do. So calls queue up for one
thread, and others join only when nothing moves: a file on a network disk that hangs holds up its
own call and nobody else's. One timer looks after the deadlines of all.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from reconciler.errors import ConnectionFailed

#: How often somebody looks whether calls end, and end in time.
_WATCH_S = 0.02
#: Results are handed over together, but none waits longer while its thread goes on.
_HAND_OVER_S = 0.001
#: A call that does not end after it was cut is waited for so long, then left.
_GRACE_S = 1.0


@dataclass(slots=True, kw_only=True, eq=False)
class _Job:
    call: Callable[[], None]
    #: on the clock of `time.monotonic`
    end_by: float
    cut: Callable[[], None]
    future: asyncio.Future[None]
    failure: BaseException | None = None


class Lane:
    """Calls of one event loop; its methods run there, but for three that say so."""

    __slots__ = ("_ended", "_finished", "_is_announced", "_open", "_seen_ended", "_waiting",
                 "_watching", "_workers")  # fmt: skip

    def __init__(self) -> None:
        #: in the order in which they are to be made
        self._waiting: deque[_Job] = deque()
        #: made, their results on the way to the loop
        self._finished: deque[_Job] = deque()
        #: neither ended nor given up
        self._open: set[_Job] = set()
        self._is_announced = False
        self._workers = 0
        self._ended = self._seen_ended = 0
        self._watching: asyncio.TimerHandle | None = None

    def run(
        self,
        call: Callable[[], None],
        threads: Executor,
        *,
        end_by: float,
        cut: Callable[[], None],
    ) -> asyncio.Future[None]:
        """Returns the future of `call`, which is made in one of `threads` as soon as it may be.

        From `end_by` on, `cut` is called until the call ends. One that does not is given up: its
        future raises TimeoutError. A call that was given up or cancelled before is not made.
        """
        loop = asyncio.get_running_loop()
        job = _Job(call=call, end_by=end_by, cut=cut, future=loop.create_future())
        self._waiting.append(job)
        self._open.add(job)
        if not self._workers:
            self._add_worker(loop, threads)
        if self._watching is None:
            self._watching = loop.call_later(_WATCH_S, self._watch, loop, threads)
        return job.future

    def _add_worker(self, loop: asyncio.AbstractEventLoop, threads: Executor) -> None:
        self._workers += 1
        current: list[_Job] = []
        worker = threads.submit(self._work, loop, current)
        worker.add_done_callback(partial(self._leave, loop, threads, current))

    def _watch(self, loop: asyncio.AbstractEventLoop, threads: Executor) -> None:
        self._watching = None
        now = time.monotonic()
        for job in [job for job in self._open if now >= job.end_by or job.future.done()]:
            if job.future.done() or now >= job.end_by + _GRACE_S:
                self._end(job, TimeoutError())
            else:
                job.cut()
        if self._waiting and self._ended == self._seen_ended:
            self._add_worker(loop, threads)
        self._seen_ended = self._ended
        if self._open:
            self._watching = loop.call_later(_WATCH_S, self._watch, loop, threads)

    def _work(self, loop: asyncio.AbstractEventLoop, current: list[_Job]) -> None:
        """Makes calls until none waits; runs in a thread, and an unknown exception ends it."""
        announced_at = time.monotonic()
        while self._waiting:
            try:
                job = self._waiting.popleft()
            except IndexError:  # another worker took the last one
                return
            if job.future.done():
                continue
            current[:] = [job]
            try:
                job.call()
            except ConnectionFailed as failure:
                job.failure = failure
            self._finished.append(job)
            now = time.monotonic()
            if now - announced_at >= _HAND_OVER_S:
                announced_at = now
                self._announce(loop)

    def _leave(
        self,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        current: list[_Job],
        worker: Future[None],
    ) -> None:
        """Says how a worker ended; runs in its thread."""
        crash = None if worker.cancelled() else worker.exception()
        if crash is not None:
            current[0].failure = crash
            self._finished.append(current[0])
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(self._dismiss, loop, threads)

    def _dismiss(self, loop: asyncio.AbstractEventLoop, threads: Executor) -> None:
        self._workers -= 1
        self._settle()
        if self._waiting and not self._workers:  # came after the worker's last look
            self._add_worker(loop, threads)

    def _announce(self, loop: asyncio.AbstractEventLoop) -> None:
        """Says that results are there; runs in a thread."""
        if not self._is_announced:
            self._is_announced = True
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._is_announced = False  # first: what ends from here on is announced anew
        while self._finished:
            job = self._finished.popleft()
            self._end(job, job.failure)

    def _end(self, job: _Job, failure: BaseException | None) -> None:
        self._ended += 1
        self._open.discard(job)
        if job.future.done():
            return
        if failure is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(failure)
