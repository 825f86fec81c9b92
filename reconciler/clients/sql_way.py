"""Gives a database driver the end of a way: a ready socket, a port on loopback, or a path.

Above `hops`, which knows no drivers, and below whoever opens a connection (`probes.sql`,
applications). Which driver takes what stands in `sql.DRIVERS`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from reconciler.clients import destination
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.hops import Way
from reconciler.clients.sql import DRIVERS, Reach
from reconciler.clients.stages import Stages


@asynccontextmanager
async def reached(login: Login, way: Way, attempt: Attempt) -> AsyncIterator[Login]:
    """Gives `login`, changed so that its driver reaches the server through `way`.

    The way is open inside the context: for a connection that is kept, so must the context be. TLS
    still verifies `login.host`.

    Raises:
        ConnectionFailed: why and at which hop it was not possible, by `attempt.connect_by` too.
    """
    if way.via.socket and _reach(login) is Reach.PORT_OR_PATH:
        destination.refuse_socket(way.via.socket, way.hops.network)
        yield replace(login, socket=way.via.socket, addresses=(), port=0)
        return
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(attempt.connect_by):
                changed = await _opened(stack, login, way, attempt)
        except TimeoutError:
            raise attempt.timed_out() from None
        yield changed


def _reach(login: Login) -> Reach:
    return DRIVERS[login.driver].reach


async def _opened(stack: AsyncExitStack, login: Login, way: Way, attempt: Attempt) -> Login:
    host, port, stages, by = login.host, login.port, attempt.stages, attempt.connect_by
    if _reach(login) is Reach.SOCKET:
        opening = way.open(host, port, stages=stages, connect_by=by)
        ready = await stack.enter_async_context(opening)
        again = _opener(stack, way, login, attempt.end_by)
        return replace(login, ready=ready, addresses=(), again=again)
    listening = way.listen(host, port, stages=stages, connect_by=by)
    relayed = await stack.enter_async_context(listening)
    return replace(
        login,
        is_relayed=True,
        addresses=("127.0.0.1",),
        port=relayed,
        again=_opener(stack, way, login, by),
    )


def _opener(
    stack: AsyncExitStack, way: Way, login: Login, by: float
) -> Callable[[float], socket.socket]:
    """Returns a function for the driver's thread that opens the way once more.

    Drivers need it for their next connection, or to find out why TLS failed; what it gives is
    closed with `stack` at the latest.
    """
    loop = asyncio.get_running_loop()

    async def open_again() -> socket.socket:
        async with asyncio.timeout_at(by):
            opening = way.open(login.host, login.port, stages=Stages(), connect_by=by)
            return await stack.enter_async_context(opening)

    def connect(wait_s: float) -> socket.socket:
        opening = asyncio.run_coroutine_threadsafe(open_again(), loop)
        loop.call_soon_threadsafe(stack.callback, opening.cancel)
        return opening.result(wait_s)

    return connect
