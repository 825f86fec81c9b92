"""What a path of a test server may do: plain answers, logins, and everything a hostile one does.

Each function returns a `Route`. Those that never end do so only when the client goes away.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from reconciler.model import Json
from tests.servers.http import Client, Received, Route


def answer(
    status: int, body: bytes = b"", *, headers: Sequence[tuple[str, str]] = (), length: bool = True
) -> Route:
    """Answers with `status` and `body`; without `length`, the end of the connection ends it."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return raw(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)


def json_body(data: Json) -> Route:
    """Answers 200 with `data`."""
    return answer(200, json.dumps(data).encode(), headers=[("Content-Type", "application/json")])


def raw(data: bytes) -> Route:
    """Sends exactly `data`, then closes the connection."""

    async def route(client: Client) -> None:
        await client.send(data)

    return route


def redirect(location: str, status: int = 302) -> Route:
    """Redirects to `location`."""
    return answer(status, headers=[("Location", location)])


def echo(status: int) -> Route:
    """Answers `status` with the request's own headers as body and as a header."""

    async def route(client: Client) -> None:
        headers = json.dumps(dict(client.request.headers))
        await answer(status, headers.encode(), headers=[("X-Echo", headers)])(client)

    return route


def silence(first: bytes = b"") -> Route:
    """Sends `first` and nothing more, and keeps the connection."""

    async def route(client: Client) -> None:
        await client.send(first)
        await client.until_gone()

    return route


def endless(first: bytes, repeated: bytes, *, pause_s: float = 0.0) -> Route:
    """Sends `first`, then `repeated` for ever."""

    async def route(client: Client) -> None:
        await client.send(first)
        while True:
            await client.send(repeated)
            await asyncio.sleep(pause_s)

    return route


def drip() -> Route:
    """Sends a body of one byte each 20 ms, for ever: no single read is slow."""
    return endless(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", pause_s=0.02)


def endless_headers() -> Route:
    """Sends headers for ever."""
    return endless(b"HTTP/1.1 200 OK\r\n", b"X-Padding: " + b"x" * 1000 + b"\r\n")


def endless_chunks() -> Route:
    """Sends chunks of a body for ever."""
    return endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    )


def login(check: Route, granted: Route) -> Route:
    """Runs `granted` where `check`, one of the functions below, lets the client through."""

    async def route(client: Client) -> None:
        before = client.server.failed_logins
        await check(client)
        if client.server.failed_logins == before:
            await granted(client)

    return route


def basic(username: str, password: str) -> Route:
    """Counts a login; 401 unless the Basic header is right."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return _check(lambda request: request.headers.get("authorization") == f"Basic {pair}")


def bearer(token: str) -> Route:
    """Counts a login; 401 unless the bearer token is right."""
    return _check(lambda request: request.headers.get("authorization") == f"Bearer {token}")


def api_key(place: Literal["header", "query", "cookie"], name: str, value: str) -> Route:
    """Counts a login; 401 unless the key is right."""

    def found(request: Received) -> str | None:
        match place:
            case "header":
                return request.headers.get(name.lower())
            case "query":
                return parse_qs(urlsplit(request.target).query).get(name, [None])[0]
            case "cookie":
                return request.headers.get("cookie", "").removeprefix(f"{name}=")

    return _check(lambda request: found(request) == value)


def _check(is_right: Callable[[Received], bool]) -> Route:
    async def route(client: Client) -> None:
        client.server.logins += 1
        if not is_right(client.request):
            client.server.failed_logins += 1
            await answer(401, headers=[("WWW-Authenticate", "Bearer")])(client)

    return route
