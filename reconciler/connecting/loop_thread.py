"""An event loop in a thread of its own, for whoever is not async and needs what is.

A proxy, a tunnel and our HTTP live on an event loop; an `httpx.Client` and an `sqlalchemy.Engine`
are called from any thread. One such loop belongs to one connection and ends with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines; `close` ends those that still run, and the thread."""

    def __init__(self, name: str) -> None:
        self._is_ready = threading.Event()
        # a daemon: a program that forgets to close it can end all the same
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Returns what `coroutine` returns, from any thread but the loop's own."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt of the caller; else it has ended
            raise

    def close(self) -> None:
        """Returns when nothing runs there any more; may be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:  # leaving it cancels what is left and ends its threads
            self._loop = runner.get_loop()
            runner.run(self._wait())

    async def _wait(self) -> None:
        self._end = asyncio.Event()
        self._is_ready.set()
        await self._end.wait()
