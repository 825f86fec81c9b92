"""TLS of HTTP probes: good and bad certificates, and servers that do not speak it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

import pytest

from reconciler.auth.exchange import Request
from reconciler.clients import http, tls
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import Json, JsonObject, Observation, Reason
from reconciler.network import NetworkPolicy
from tests.servers import http_routes
from tests.servers.certificates import Authority
from tests.servers.http import Client, http_server, silent_server
from tests.servers.http_targets import make_target, make_tools, names_of, run_probe
from tests.servers.mutual_tls import mutual_tls_server

CA: JsonObject = {"ca": {"file": "ca.pem"}}
BEARER: JsonObject = {"method": "bearer", "token": {"env": "TOKEN"}}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def probe_tls(
    authority: Authority, context: ssl.SSLContext, *, name: str = "", **spec: Json
) -> tuple[Observation, int]:
    """Returns what a probe found and how many requests the server got."""
    tools = make_tools(read_public=lambda _: authority.pem)
    with http_server({"/": http_routes.answer(200)}, context=context, name=name) as server:
        target = make_target(server.url, auth=BEARER, **{"tls": CA, **spec})
        found = run_probe(target, {"/auth/token": "TOPSECRET"}, tools)
        return found, len(server.requests)


def test_a_certificate_of_the_given_authority_is_accepted(authority: Authority) -> None:
    found, requests = probe_tls(authority, authority.server_context("127.0.0.1"))
    assert (found.reason, requests, names_of(found)) == (
        Reason.OK,
        1,
        ["secret", "dns", "tcp", "tls", "auth", "query"],
    )


def test_the_tls_stage_tells_version_and_last_day(authority: Authority) -> None:
    found, _ = probe_tls(authority, authority.server_context("127.0.0.1"))
    assert found.stages[3].detail == "TLSv1.3, certificate until 3000-01-01"


def test_the_name_of_the_url_is_checked_and_not_the_address(authority: Authority) -> None:
    found, _ = probe_tls(authority, authority.server_context("localhost"), name="localhost")
    assert found.reason is Reason.OK


@pytest.mark.parametrize(
    ("make_context", "reason", "message", "hint"),
    [
        pytest.param(
            lambda authority: authority.server_context("other.example"),
            Reason.TLS_FAILURE,
            "the server's certificate is for another address",
            "use a host name that the certificate lists, or have it issued for this one;"
            " if it is the right server, expect its name: `tls: {serverName: NAME}`",
            id="wrong name",
        ),
        pytest.param(
            lambda authority: authority.server_context("127.0.0.1", expired=True),
            Reason.CERTIFICATE_EXPIRED,
            "the server's certificate, or one that it depends on, has expired; "
            "its own is valid until 2020-01-31",
            "renew the certificate on the server",
            id="expired",
        ),
        pytest.param(
            lambda _: Authority().server_context("127.0.0.1"),
            Reason.TLS_FAILURE,
            "the authority of the server's certificate is unknown",
            "trust its authority: `tls: {ca: {file: path/to/ca.pem}}`",
            id="unknown authority",
        ),
    ],
)
def test_a_bad_certificate_ends_at_tls_before_anything_is_sent(
    authority: Authority,
    make_context: Callable[[Authority], ssl.SSLContext],
    reason: Reason,
    message: str,
    hint: str,
) -> None:
    found, requests = probe_tls(authority, make_context(authority))
    assert (found.reason, found.message, found.hint, names_of(found)[-1], requests) == (
        reason,
        message,
        hint,
        "tls",
        0,
    )


def test_an_unverified_connection_accepts_any_certificate(authority: Authority) -> None:
    found, _ = probe_tls(
        authority,
        Authority().server_context("other.example", expired=True),
        tls={"verify": False},
    )
    assert (found.reason, found.stages[3].detail) == (Reason.OK, "TLSv1.3")


def test_the_machine_does_not_trust_a_throw_away_authority(authority: Authority) -> None:
    found, requests = probe_tls(
        authority, authority.server_context("127.0.0.1"), tls={"verify": True}
    )
    assert (found.reason, requests) == (Reason.TLS_FAILURE, 0)


def probe_mutual(authority: Authority, context: ssl.SSLContext) -> Observation:
    """Probes a server that says why it fails a handshake."""
    with mutual_tls_server(context) as server:
        tools = make_tools(read_public=lambda _: authority.pem)
        return run_probe(make_target(server.url, tls=CA), {}, tools)


def test_an_old_tls_version_is_refused(authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    found = probe_mutual(authority, context)
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.TLS_FAILURE,
        "the server offers no TLS version that is new enough",
        "tls",
    )


def test_a_server_that_wants_a_client_certificate_is_named(authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem)
    found = probe_mutual(authority, context)
    assert (found.reason, found.message, names_of(found)) == (
        Reason.TLS_FAILURE,
        "the server demands a client certificate",
        ["secret", "dns", "tcp", "tls"],
    )


def test_a_handshake_that_stalls_is_a_connect_timeout() -> None:
    with silent_server() as port:
        found = run_probe(make_target(f"https://127.0.0.1:{port}", health={"timeout": "300ms"}))
    assert (found.reason, names_of(found)) == (
        Reason.CONNECT_TIMEOUT,
        ["secret", "dns", "tcp", "tls"],
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "the server does not speak TLS on this port",
            id="http",
        ),
        pytest.param(
            b"", "the server closed the connection during the TLS handshake", id="nothing"
        ),
        pytest.param(
            b"\x15\x03\x03\x00\x02\x02\x28",
            "the server accepts none of our TLS ciphers or signatures",
            id="alert",
        ),
    ],
)
def test_a_server_without_tls_is_named(answer: bytes, message: str) -> None:
    async def scenario() -> Observation:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10_000)
            writer.write(answer)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            target = make_target(f"https://127.0.0.1:{port}")
            return await asyncio.to_thread(run_probe, target)

    found = asyncio.run(scenario())
    assert (found.reason, found.message, names_of(found)[-1]) == (
        Reason.TLS_FAILURE,
        message,
        "tls",
    )


def test_a_tls_server_asked_without_tls_is_named() -> None:
    found_message = ""
    with http_server({"/": http_routes.raw(b"\x15\x03\x03\x00\x02\x02\x46")}) as server:
        found_message = run_probe(make_target(server.url)).message
    assert found_message == "the server speaks TLS on this port"


def test_a_file_without_a_certificate_ends_at_tls() -> None:
    target = make_target("https://127.0.0.1:1", tls=CA)
    found = run_probe(target, tools=make_tools(read_public=lambda _: "nonsense"))
    assert (found.reason, found.message, names_of(found)) == (
        Reason.TLS_FAILURE,
        "the file of `tls.ca` holds no PEM certificate",
        ["secret", "tls"],
    )


def ask(url: str, ca: str) -> bytes:
    async def send() -> bytes:
        route = http.Route(
            ca=ca,
            connect_s=5,
            deadline=asyncio.get_running_loop().time() + 5,
            network=NetworkPolicy(),
        )
        answer = await http.send(Request(method="GET", url=url), route, Stages())
        return answer.body

    return asyncio.run(send())


def test_a_body_that_ends_with_the_connection_is_whole_after_a_close_notify(
    authority: Authority,
) -> None:
    context = authority.server_context("127.0.0.1")
    with http_server(
        {"/": http_routes.answer(200, b"hi", length=False)}, context=context
    ) as server:
        assert ask(server.url, authority.pem) == b"hi"


def test_a_body_that_somebody_cut_off_is_not_whole(authority: Authority) -> None:
    context = authority.server_context("127.0.0.1")

    async def cut(client: Client) -> None:
        await http_routes.answer(200, b"hi", length=False)(client)
        descriptor = client.writer.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(descriptor)) as connected:
            connected.shutdown(socket.SHUT_RDWR)

    with (
        http_server({"/": cut}, context=context) as server,
        pytest.raises(ConnectionFailed) as error,
    ):
        ask(server.url, authority.pem)
    assert error.value.reason is Reason.PROTOCOL_ERROR


def test_a_large_body_comes_through_many_records(authority: Authority) -> None:
    body = bytes(range(256)) * 250
    context = authority.server_context("127.0.0.1")
    with http_server({"/": http_routes.answer(200, body)}, context=context) as server:
        assert ask(server.url, authority.pem) == body


def test_contexts_are_shared_between_probes(authority: Authority) -> None:
    tls.context.cache_clear()
    context = authority.server_context("127.0.0.1")
    for _ in range(3):
        probe_tls(authority, context)
    assert tls.context.cache_info().currsize == 1
