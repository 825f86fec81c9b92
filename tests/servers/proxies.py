"""Real proxies on loopback for tests: HTTP CONNECT and SOCKS5, with and without a password.

    with proxy_server("socks5", logins={"report": "secret"}) as proxy:
        ...  proxy.port, proxy.targets, proxy.logins, proxy.failed_logins

Written on asyncio streams from RFC 9110 (section 9.3.6), RFC 1928 and RFC 1929, apart from the code
under test. `hosts` is the name service of the far end: it maps names to addresses, so that a name
that this machine does not know is resolved there and nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol, TypeAlias


class Listening(Protocol):
    """A server that listens, asyncio's or asyncssh's."""

    def close(self) -> None: ...


#: Turns of the loop until an accepted connection is in the hands of its stream.
_TURNS_TO_ACCEPT = 4
#: What clients get to end their connections before those are cut.
_LAST_WORDS_S = 1.0

#: Starts a server and tells its port.
Make: TypeAlias = Callable[[], Awaitable[tuple[Listening, int]]]


@dataclass(slots=True, kw_only=True)
class ProxyServer:
    """A running proxy and what it saw."""

    port: int = 0
    #: user name -> password; empty lets everybody in
    logins_known: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    #: status or reply with which every connection is refused, 0 for none
    refusal: int = 0
    #: "host:port" as it was asked for, in order
    targets: list[str] = field(default_factory=list)
    logins: int = 0
    failed_logins: int = 0
    connections: int = 0
    #: bytes of the first answer are sent one by one
    drips: bool = False

    def url(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.port}"

    def lets_in(self, username: str, password: str) -> bool:
        """Counts a login and says whether it is good."""
        self.logins += 1
        is_good = self.logins_known.get(username) == password
        self.failed_logins += not is_good
        return is_good

    def address(self, host: str) -> str:
        return self.hosts.get(host, host)


@contextmanager
def serving(make: Make) -> Iterator[int]:
    """Runs an asyncio server in a thread of its own and gives its port."""
    started, ports = threading.Event(), list[int]()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server, port = await make()
        ports.append(port)
        started.set()
        await stop.wait()
        # a server that is closed drops what it has just accepted without closing it
        for listening in getattr(server, "sockets", ()):  # asyncssh hands on asyncio's
            loop.remove_reader(listening)
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            # clients that are gone end theirs; one that is cut short may leave its connection open
            _, waiting = await asyncio.wait(tasks, timeout=_LAST_WORDS_S)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for _ in range(_TURNS_TO_ACCEPT):
            await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def proxy_server(
    scheme: str,
    *,
    logins: Mapping[str, str] | None = None,
    hosts: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    refusal: int = 0,
    drips: bool = False,
) -> Iterator[ProxyServer]:
    """Runs a proxy on a free loopback port; `scheme` is `http`, `https` or `socks5`."""
    proxy = ProxyServer(logins_known=logins or {}, hosts=hosts or {}, refusal=refusal, drips=drips)
    speak = _socks5 if scheme == "socks5" else _http

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await speak(proxy, reader, writer)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def make() -> tuple[Listening, int]:
        server = await asyncio.start_server(welcome, "127.0.0.1", 0, ssl=context)
        return server, server.sockets[0].getsockname()[1]

    with serving(make) as port:
        proxy.port = port
        yield proxy


async def _say(proxy: ProxyServer, writer: asyncio.StreamWriter, data: bytes) -> None:
    for piece in (bytes((each,)) for each in data) if proxy.drips else (data,):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


async def _http(
    proxy: ProxyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if method != "CONNECT":
        return await _say(proxy, writer, b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
    if proxy.logins_known:
        given = headers.get("proxy-authorization", "").removeprefix("Basic ")
        username, _, password = base64.b64decode(given).decode().partition(":")
        if not proxy.lets_in(username, password):
            answer = b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n'
            return await _say(proxy, writer, answer)
    proxy.targets.append(target)
    if proxy.refusal:
        return await _say(proxy, writer, f"HTTP/1.1 {proxy.refusal} No\r\n\r\n".encode())
    host, _, port = target.rpartition(":")
    try:
        far = await asyncio.open_connection(proxy.address(host.strip("[]")), int(port))
    except OSError:
        return await _say(proxy, writer, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
    await _say(proxy, writer, b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
    return await _join((reader, writer), far)


async def _socks5(
    proxy: ProxyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    version, count = await reader.readexactly(2)
    assert version == 5
    methods = await reader.readexactly(count)
    wanted = 2 if proxy.logins_known else 0
    if wanted not in methods:
        return await _say(proxy, writer, b"\x05\xff")
    await _say(proxy, writer, bytes((5, wanted)))
    if wanted:
        _, length = await reader.readexactly(2)
        username = (await reader.readexactly(length)).decode()
        (length,) = await reader.readexactly(1)
        password = (await reader.readexactly(length)).decode()
        is_good = proxy.lets_in(username, password)
        await _say(proxy, writer, bytes((1, not is_good)))
        if not is_good:
            return None
    host = await _socks5_host(reader)
    port = int.from_bytes(await reader.readexactly(2))
    proxy.targets.append(f"{host}:{port}")
    if proxy.refusal:
        return await _say(proxy, writer, bytes((5, proxy.refusal, 0, 1)) + bytes(6))
    try:
        far = await asyncio.open_connection(proxy.address(host), port)
    except OSError:
        return await _say(proxy, writer, b"\x05\x05\0\x01" + bytes(6))
    await _say(proxy, writer, b"\x05\0\0\x03\x05proxy\0\0")
    return await _join((reader, writer), far)


async def _socks5_host(reader: asyncio.StreamReader) -> str:
    _, command, _, kind = await reader.readexactly(4)
    assert command == 1
    if kind == 3:
        (length,) = await reader.readexactly(1)
        return (await reader.readexactly(length)).decode()
    return str(ip_address(await reader.readexactly({1: 4, 4: 16}[kind])))


async def _join(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    try:
        await asyncio.gather(copy(near[0], far[1]), copy(far[0], near[1]))
    finally:
        far[1].close()
