"""Compares our HTTP probe with the least that asyncio can do, on loopback, 50 in flight.

The peer is a bare `asyncio.Protocol` that connects, writes a fixed request and reads to the end: no
parsing, no limits, no deadline, no stages. Both run against the same server in a child process,
alternately, and the median of the pairs' ratios is printed; absolute figures depend on the machine.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from benchmarks.measuring import Goal, Line
from reconciler import kinds
from reconciler.model import Endpoint, Json, Outcome, Ref, Target
from reconciler.probes import Tools, http
from reconciler.redact import Redactor

PROBES = 2000
IN_FLIGHT = 50
PAIRS = 5

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/json\r\n"
    b'Content-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}'
)


class _ServerSide(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(_ANSWER)
            self._transport.close()


class _Bare(asyncio.Protocol):
    def __init__(self) -> None:
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"GET /ping HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.done.set_result(bytes(self._received))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_ServerSide, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def rate(one: Callable[[], Awaitable[None]]) -> float:
    """Returns how many times a second `one` is done, `IN_FLIGHT` at a time."""
    left = iter(range(PROBES))

    async def work() -> None:
        for _ in left:
            await one()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return PROBES / (time.perf_counter() - began)


def target(port: int, **fields: Json) -> Target:
    """Returns the server on `port` as a pass gets it; `fields` are more of its spec."""
    base_url = f"http://127.0.0.1:{port}"
    manifest = {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {"name": "bench"},
        "spec": {"baseUrl": base_url, "health": {"path": "/ping"}, **fields},
    }
    spec = kinds.shape("ApiConnection").normalise(manifest)["spec"]
    return Target(
        uid="conn_000000000000000",
        ref=Ref(kind="ApiConnection", namespace="default", name="bench"),
        generation=1,
        version=1,
        spec=spec,
        endpoint=Endpoint(
            scheme="http",
            host="127.0.0.1",
            port=port,
            text=base_url,
            method=spec["auth"]["method"],
        ),
    )


def our_probe(port: int) -> Callable[[], Awaitable[None]]:
    """Returns a function that probes the server on `port` once, as a pass does."""
    one = target(port)
    tools = Tools(
        redactor=Redactor(),
        threads=ThreadPoolExecutor(1),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        read_public=lambda _: "",
        root="/",
        tokens=None,
    )

    async def probe() -> None:
        observation = await http.probe(one, {}, tools, reached=())
        assert observation.outcome is Outcome.OK, observation

    return probe


async def _compare(port: int) -> list[tuple[float, float]]:
    ours = our_probe(port)

    async def bare() -> None:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(_Bare, "127.0.0.1", port)
        assert (await protocol.done).startswith(b"HTTP/1.1 200")

    await rate(ours), await rate(bare)  # warm
    return [(await rate(ours), await rate(bare)) for _ in range(PAIRS)]


@contextmanager
def server() -> Iterator[int]:
    """Yields the port of a server in a process that is ended after the block."""
    command = [sys.executable, "-m", "benchmarks.http_probe"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def lines() -> Iterator[Line]:
    """Measures our probes per second against those of the bare client."""
    with server() as port:
        pairs = asyncio.run(_compare(port))
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    ours, bare = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    yield Line(
        work="HTTP probes/s, against a bare asyncio.Protocol",
        value=ratio,
        unit="x",
        detail=f"{ours:.0f}/s against {bare:.0f}/s",
        goal=Goal(at_least=0.6, aim=0.8, is_floor=True),
    )


if __name__ == "__main__":
    asyncio.run(_serve())
