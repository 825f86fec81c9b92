"""Waiting for a library or a server, but not for ever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


def in_time(work: Callable[[], _T], seconds: float) -> _T:
    """Returns what `work` returns or raises; it runs in a thread of its own.

    The thread is a daemon: work that never ends keeps nobody from going on, nor the program from
    ending.

    Raises:
        TimeoutError: it is not done after so many seconds.
    """
    answer: Future[_T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- raised again where the answer is taken
            answer.set_exception(error)

    Thread(target=run, name="secret source", daemon=True).start()
    return answer.result(seconds)
