"""Our transport under a plain `httpx.AsyncClient`."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from reconciler.auth import exchange
from reconciler.clients import http
from reconciler.clients.http_response import Answer
from reconciler.clients.httpx_transport import Transport
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, Stage
from reconciler.network import NetworkPolicy
from tests.servers import http_routes
from tests.servers.certificates import Authority
from tests.servers.http import closed_port, http_server

TRUSTED = NetworkPolicy()


def transport(ca: str = "", total_s: float = 30.0, body_bytes: int = 1000) -> Transport:
    """Returns one that sends as it is told, with no more authentication than the request has."""

    async def send(request: exchange.Request) -> tuple[Answer, tuple[Stage, ...]]:
        stages = Stages()
        deadline = asyncio.get_running_loop().time() + total_s
        route = http.Route(
            network=TRUSTED, ca=ca, connect_s=5.0, deadline=deadline, body_bytes=body_bytes
        )
        return await http.send(request, route, stages), stages.reached()

    return Transport(send)


def get(url: str, through: Transport | None = None) -> httpx.Response:
    async def fetch() -> httpx.Response:
        async with httpx.AsyncClient(transport=through or transport()) as client:
            return await client.get(url, headers={"X-Own": "1"})

    return asyncio.run(fetch())


def test_a_plain_client_gets_answers_through_it() -> None:
    with http_server({"/ping": http_routes.json_body({"status": "ok"})}) as server:
        response = get(server.url + "/ping?a=b")
        (request,) = server.requests
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert (request.target, request.headers["x-own"]) == ("/ping?a=b", "1")


def test_a_body_is_sent_with_its_length() -> None:
    async def post(url: str) -> None:
        async with httpx.AsyncClient(transport=transport()) as client:
            await client.post(url, json={"name": "crm"})

    with http_server({"/": http_routes.answer(201)}) as server:
        asyncio.run(post(server.url))
        (request,) = server.requests
    assert (request.method, request.body) == ("POST", b'{"name":"crm"}')


def test_responses_carry_their_stages() -> None:
    with http_server({"/": http_routes.answer(200)}) as server:
        stages = get(server.url).extensions["stages"]
    assert [stage.name for stage in stages] == ["dns", "tcp", "query"]


def test_tls_settings_are_the_transports() -> None:
    authority = Authority()
    context = authority.server_context("localhost")
    with http_server({"/": http_routes.answer(200)}, context=context, name="localhost") as server:
        assert get(server.url, transport(ca=authority.pem)).status_code == 200


def test_a_failure_is_seen_as_it_is() -> None:
    with pytest.raises(ConnectionFailed) as raised:
        get(f"http://127.0.0.1:{closed_port()}")
    assert raised.value.reason is Reason.CONNECT_REFUSED


def test_a_deadline_ends_it() -> None:
    with (
        http_server({"/": http_routes.drip()}) as server,
        pytest.raises(ConnectionFailed) as raised,
    ):
        get(server.url, transport(total_s=0.3))
    assert raised.value.reason is Reason.READ_TIMEOUT


def test_a_body_over_the_cap_is_refused() -> None:
    with (
        http_server({"/": http_routes.endless_chunks()}) as server,
        pytest.raises(ConnectionFailed) as raised,
    ):
        get(server.url, transport(body_bytes=1000))
    assert (raised.value.reason, raised.value.message) == (
        Reason.BODY_TOO_LARGE,
        "the body is larger than 1000 bytes",
    )


def test_a_compressed_body_is_not_unpacked() -> None:
    bomb = http_routes.answer(200, b"\x1f\x8b", headers=[("Content-Encoding", "gzip")])
    with http_server({"/": bomb}) as server, pytest.raises(ConnectionFailed) as raised:
        get(server.url)
    assert raised.value.reason is Reason.PROTOCOL_ERROR
