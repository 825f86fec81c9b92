"""Compares our HTTP probes with those of prometheus-blackbox-exporter, where that is installed.

It is a Debian package. Its program is started as a private process on a free port of loopback, and
asked as Prometheus asks it, over connections that stay open, 50 requests at a time; it then probes
the server that we probe, over a new connection each time. Asking costs it something that we do not
pay, but it may use every processor, and we use one.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks import http_probe
from benchmarks.measuring import Goal, Line

_PROGRAM = "prometheus-blackbox-exporter"
_WORK = f"HTTP probes/s, against {_PROGRAM}"
_CONFIG = """\
modules:
  http:
    prober: http
    timeout: 5s
    http: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}
"""
#: between two chunks, which may split a line (RFC 9112, section 7.1)
_FRAMING = re.compile(rb"\r\n[0-9a-f]+\r\n")
_STARTS_WITHIN_S = 10.0
_PAIRS = 3


def lines() -> Iterator[Line]:
    """Measures our probes per second against those of the exporter, on the same server."""
    program = shutil.which(_PROGRAM)
    if program is None:
        yield Line(work=_WORK, value=None, unit="x", detail="it is not installed")
        return
    with http_probe.server() as server_port, _exporter(program) as port:
        pairs = asyncio.run(_compare(server_port, port))
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    yield Line(
        work=_WORK,
        value=statistics.median(mine / its for mine, its in pairs),
        unit="x",
        detail=f"{ours:.0f}/s against {theirs:.0f}/s",
        goal=Goal(at_least=1, aim=1, is_floor=True),
    )


@contextmanager
def _exporter(program: str) -> Iterator[int]:
    """Yields the port of an exporter that is ended after the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "blackbox.yml"
        config.write_text(_CONFIG)
        command = [
            program,
            f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with subprocess.Popen(command, stdout=sys.stderr, env={}) as process:
            try:
                _await_start(process, port)
                yield port
            finally:
                process.terminate()


def _await_start(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{_PROGRAM} does not start")


class _Asking(asyncio.Protocol):
    """One connection to the exporter, which answers each request in chunks or with a length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self._received = b""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if _is_whole(self._received):
            self._answer.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_answer") and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the exporter hung up"))

    def close(self) -> None:
        self._transport.close()


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if b"chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, _, rest = head.lower().partition(b"content-length: ")
    return bool(end) and len(body) == int(rest.split(b"\r\n")[0])


@asynccontextmanager
async def _asker(server_port: int, port: int) -> AsyncIterator[Callable[[], asyncio.Future[bytes]]]:
    """Yields a function that has the exporter probe the server once."""
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(_Asking, "127.0.0.1", port)
        for _ in range(http_probe.IN_FLIGHT)
    ]
    idle = [asking for _, asking in pairs]
    target = f"http%3A%2F%2F127.0.0.1%3A{server_port}%2Fping"
    request = f"GET /probe?module=http&target={target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    def ask() -> asyncio.Future[bytes]:
        asking = idle.pop()
        answer = asking.ask(request)
        answer.add_done_callback(lambda _: idle.append(asking))
        return answer

    try:
        yield ask
    finally:
        for _, asking in pairs:
            asking.close()


async def _compare(server_port: int, port: int) -> list[tuple[float, float]]:
    ours = http_probe.our_probe(server_port)
    async with _asker(server_port, port) as ask:

        async def theirs() -> None:
            assert b"\nprobe_success 1\n" in _FRAMING.sub(b"", await ask())

        await http_probe.rate(ours), await http_probe.rate(theirs)  # warm
        return [(await http_probe.rate(ours), await http_probe.rate(theirs)) for _ in range(_PAIRS)]
