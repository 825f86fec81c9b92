"""Fetches secrets that take their time, in a few threads, while a health pass goes on.

A server that keeps secrets, or a program that prints them, may take seconds. The event loop waits
for none of them: a target whose secrets are not at hand is set aside, and comes back when they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

from reconciler.errors import DestinationDenied, SecretError
from reconciler.model import Target
from reconciler.secret_sources import READ_AT_ONCE


class Fetching:
    """Targets whose secrets are being fetched.

    What a thread has fetched is kept by whoever resolves it, an error too: a target that came back
    is treated like all others, and the second resolving answers at once.
    """

    def __init__(
        self,
        resolve: Callable[[Target], object],
        is_at_hand: Callable[[Target], bool],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called in the event loop whenever a target has come back."""
        self._resolve = resolve
        self._is_at_hand = is_at_hand
        self._wake = wake
        self._threads: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._fetched: list[Target] = []
        #: how long a target waited for its secrets, by uid
        self.seconds: dict[str, float] = {}

    @property
    def is_busy(self) -> bool:
        return bool(self._tasks or self._fetched)

    def hold_back(self, targets: Sequence[Target]) -> list[Target]:
        """Returns the targets whose secrets are at hand, and begins to fetch those of the others.

        A target is fetched once, whatever came of it.
        """
        at_hand = []
        for target in targets:
            if target.uid in self.seconds or self._is_at_hand(target):
                at_hand.append(target)
            else:
                self._tasks.add(asyncio.create_task(self._fetch(target)))
        return at_hand

    def taken(self) -> list[Target]:
        """Returns the targets that have come back since it was asked last."""
        fetched, self._fetched = self._fetched, []
        return fetched

    def abandon(self) -> None:
        """Waits for nothing any more; a source that is being asked ends by its own deadline."""
        for task in self._tasks:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _fetch(self, target: Target) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="secrets")
        started, loop = monotonic(), asyncio.get_running_loop()
        try:
            with suppress(
                SecretError, DestinationDenied
            ):  # it is raised again by the second resolving
                await loop.run_in_executor(self._threads, self._resolve, target)
        finally:
            self.seconds[target.uid] = monotonic() - started
            self._fetched.append(target)
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)
            self._wake()
