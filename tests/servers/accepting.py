"""When a server on asyncio may be closed: what `http` and `proxies` share."""

from __future__ import annotations

import asyncio


async def until_accepted() -> None:
    """Returns once every connection that the loop has accepted is in the hands of its server.

    Accepting starts a task, which hands the connection over in the next turn. A server that is
    closed in between refuses it by a failed assertion (`asyncio.Server._attach`), and nobody closes
    the connection. Whoever closes the server does so at once, before the loop turns again.
    """
    known: set[asyncio.Task[object]] = set()
    while (tasks := asyncio.all_tasks()) - known:
        known = tasks
        await asyncio.sleep(0)
