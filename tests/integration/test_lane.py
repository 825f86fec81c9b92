"""Short calls share a thread; one that hangs, crashes or is too late is nobody else's business."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.probes.lane import Lane

#: Longer than any test takes.
FOREVER_S = 60.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def start(
    lane: Lane,
    threads: ThreadPoolExecutor,
    call: Callable[[], None],
    *,
    within_s: float = FOREVER_S,
    cut: Callable[[], None] = lambda: None,
) -> asyncio.Future[None]:
    return lane.run(call, threads, end_by=time.monotonic() + within_s, cut=cut)


def play(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(FOREVER_S / 2):
            await scene()

    asyncio.run(within_patience())


def test_calls_are_made_in_turn_by_one_thread(threads: ThreadPoolExecutor) -> None:
    made: list[tuple[int, str]] = []

    async def scene() -> None:
        lane = Lane()

        def call(number: int) -> Callable[[], None]:
            return lambda: made.append((number, threading.current_thread().name))

        await asyncio.gather(*(start(lane, threads, call(number)) for number in range(100)))

    play(scene)
    assert [number for number, _ in made] == list(range(100))
    assert len({name for _, name in made}) == 1


def test_call_that_hangs_holds_up_nobody_else(threads: ThreadPoolExecutor) -> None:
    go_on = threading.Event()

    async def scene() -> None:
        lane = Lane()
        hanging = start(lane, threads, lambda: assert_set(go_on))
        await asyncio.gather(*(start(lane, threads, lambda: None) for _ in range(10)))
        assert not hanging.done()
        go_on.set()
        await hanging

    play(scene)


def test_what_a_call_found_is_raised_to_its_caller(threads: ThreadPoolExecutor) -> None:
    def find() -> None:
        raise ConnectionFailed(Reason.DATABASE_MISSING, StageName.QUERY, "not there", "")

    async def scene() -> None:
        lane = Lane()
        found, fine = start(lane, threads, find), start(lane, threads, lambda: None)
        await fine
        with pytest.raises(ConnectionFailed, match="not there"):
            await found

    play(scene)


def test_crash_of_a_call_is_its_own(threads: ThreadPoolExecutor) -> None:
    def crash() -> None:
        raise IndexError("popped too often")

    async def scene() -> None:
        lane = Lane()
        calls = [start(lane, threads, lambda: None) for _ in range(2)]
        calls.insert(1, start(lane, threads, crash))
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ended] == [type(None), IndexError, type(None)]

    play(scene)


def test_call_is_cut_when_its_time_is_up(threads: ThreadPoolExecutor) -> None:
    is_cut = threading.Event()

    async def scene() -> None:
        await start(Lane(), threads, lambda: assert_set(is_cut), within_s=0.0, cut=is_cut.set)

    play(scene)


def test_call_that_does_not_end_is_given_up(threads: ThreadPoolExecutor) -> None:
    go_on = threading.Event()

    async def scene() -> None:
        with pytest.raises(TimeoutError):
            await start(Lane(), threads, lambda: assert_set(go_on), within_s=0.0)
        go_on.set()

    play(scene)


def test_cancelled_call_is_not_made(threads: ThreadPoolExecutor) -> None:
    go_on, made = threading.Event(), threading.Event()

    async def scene() -> None:
        lane = Lane()
        first = start(lane, threads, lambda: assert_set(go_on))
        start(lane, threads, made.set).cancel()
        go_on.set()
        await first
        await start(lane, threads, lambda: None)

    play(scene)
    assert not made.is_set()


def assert_set(event: threading.Event) -> None:
    assert event.wait(FOREVER_S)
