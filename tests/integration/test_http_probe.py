"""Every reason and every stage of an HTTP probe, against real servers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from reconciler.errors import SecretError
from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from reconciler.probes import http
from reconciler.redact import Redactor
from tests.servers import http_routes
from tests.servers.http import Route, black_hole, closed_port, http_server, silent_server
from tests.servers.http_targets import (
    NOW,
    RESOLVED,
    make_target,
    make_tools,
    names_of,
    run_probe,
)

CANARY = "TOPSECRET+canary/9"
BEARER: JsonObject = {"method": "bearer", "token": {"env": "TOKEN"}}
SECRETS = {"/auth/token": CANARY}
#: Long enough for a busy machine, short enough for a test that waits for it.
SHORT = {"timeout": "300ms"}


def probe_route(route: Route, **spec: Json) -> Observation:
    with http_server({"/": route}) as server:
        return run_probe(make_target(server.url, **spec))


def test_a_good_answer_is_ok() -> None:
    with http_server({"/v2/ping": http_routes.answer(204)}) as server:
        found = run_probe(make_target(server.url + "/v2", health={"path": "/ping"}))
    assert (found.uid, found.generation, found.observed_at) == ("conn_000000000000001", 3, NOW)
    assert (found.outcome, found.reason, found.message, found.hint) == (
        Outcome.OK,
        Reason.OK,
        "204 No Content",
        "",
    )
    assert names_of(found) == ["secret", "dns", "tcp", "query"]


def test_latency_is_what_the_stages_took() -> None:
    found = probe_route(http_routes.answer(200))
    assert found.latency_s >= sum(stage.seconds for stage in found.stages) > 0


def test_the_request_has_the_headers_of_the_spec_and_no_others() -> None:
    with http_server({"/ping": http_routes.answer(200)}) as server:
        run_probe(
            make_target(
                server.url, headers={"Accept": "application/json"}, health={"path": "/ping"}
            )
        )
        (request,) = server.requests
    assert (request.method, request.target) == ("GET", "/ping")
    assert sorted(request.headers) == [
        "accept",
        "accept-encoding",
        "connection",
        "host",
        "user-agent",
    ]
    assert request.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("status", "outcome", "reason", "last"),
    [
        (302, Outcome.FAILED, Reason.REDIRECT_REFUSED, "query"),
        (401, Outcome.FAILED, Reason.AUTH_FAILED, "auth"),
        (403, Outcome.FAILED, Reason.PERMISSION_DENIED, "query"),
        (404, Outcome.FAILED, Reason.ASSERTION_FAILED, "query"),
        (407, Outcome.FAILED, Reason.AUTH_FAILED, "auth"),
        (429, Outcome.INCONCLUSIVE, Reason.RATE_LIMITED, "query"),
        (503, Outcome.FAILED, Reason.SERVER_ERROR, "query"),
    ],
)
def test_statuses_become_reasons(status: int, outcome: Outcome, reason: Reason, last: str) -> None:
    found = probe_route(http_routes.answer(status))
    assert (found.outcome, found.reason, names_of(found)[-1]) == (outcome, reason, last)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_each_method_is_sent(method: str) -> None:
    with http_server({"/": http_routes.answer(200)}) as server:
        found = run_probe(make_target(server.url, health={"method": method}))
        (request,) = server.requests
    assert (found.reason, request.method) == (Reason.OK, method)


def test_the_body_of_a_post_is_sent_as_json() -> None:
    asked = {"query": "{ viewer { id } }", "first": 1}
    with http_server({"/graphql": http_routes.json_body({"data": {}})}) as server:
        health = {"method": "POST", "path": "/graphql", "json": asked}
        found = run_probe(make_target(server.url, health=health))
        (request,) = server.requests
    assert found.reason is Reason.OK
    assert json.loads(request.body) == asked
    assert request.headers["content-type"] == "application/json"


def test_the_content_type_of_the_manifest_is_kept() -> None:
    with http_server({"/": http_routes.answer(200)}) as server:
        found = run_probe(
            make_target(
                server.url,
                health={"method": "POST", "json": {"a": 1}},
                headers={"content-type": "application/vnd.api+json"},
            )
        )
        (request,) = server.requests
    assert found.reason is Reason.OK
    assert request.headers["content-type"] == "application/vnd.api+json"


def test_expectations_on_the_body_are_checked() -> None:
    expect = {"json": {"/status": "ok"}, "text": "db"}
    good = probe_route(http_routes.json_body({"status": "ok", "db": 1}), health={"expect": expect})
    bad = probe_route(http_routes.json_body({"status": CANARY, "db": 1}), health={"expect": expect})
    assert (good.reason, bad.reason, bad.message) == (
        Reason.OK,
        Reason.ASSERTION_FAILED,
        "200 OK: `/status` in the body is not what `health.expect.json` says",
    )


# --- authentication ---

BASIC: JsonObject = {"method": "basic", "username": "report", "password": {"env": "PASSWORD"}}


def api_key(place: str) -> JsonObject:
    return {"method": "apiKey", "in": place, "name": "X-Key", "value": {"env": "KEY"}}


@pytest.mark.parametrize(
    ("auth", "secrets", "check"),
    [
        pytest.param(BEARER, SECRETS, http_routes.bearer(CANARY), id="bearer"),
        pytest.param(
            BASIC, {"/auth/password": CANARY}, http_routes.basic("report", CANARY), id="basic"
        ),
        pytest.param(
            api_key("header"),
            {"/auth/value": CANARY},
            http_routes.api_key("header", "X-Key", CANARY),
            id="header",
        ),
        pytest.param(
            api_key("query"),
            {"/auth/value": CANARY},
            http_routes.api_key("query", "X-Key", CANARY),
            id="query",
        ),
        pytest.param(
            api_key("cookie"),
            {"/auth/value": CANARY},
            http_routes.api_key("cookie", "X-Key", CANARY),
            id="cookie",
        ),
        pytest.param(
            {"method": "headers", "headers": {"X-Key": {"env": "KEY"}}},
            {"/auth/headers/X-Key": CANARY},
            http_routes.api_key("header", "X-Key", CANARY),
            id="headers",
        ),
    ],
)
def test_a_right_credential_is_sent_once_and_taken(
    auth: JsonObject, secrets: dict[str, str], check: Route
) -> None:
    with http_server({"/": http_routes.login(check, http_routes.answer(200))}) as server:
        found = run_probe(make_target(server.url, auth=auth), secrets)
        logins = (server.logins, server.failed_logins)
    assert (found.reason, logins) == (Reason.OK, (1, 0))
    assert names_of(found) == ["secret", "dns", "tcp", "auth", "query"]


def test_a_wrong_credential_is_sent_once_and_ends_at_auth() -> None:
    check = http_routes.bearer("another")
    with http_server({"/": http_routes.login(check, http_routes.answer(200))}) as server:
        found = run_probe(make_target(server.url, auth=BEARER), SECRETS)
        logins = (server.logins, server.failed_logins)
    assert (found.outcome, found.reason, found.message, logins) == (
        Outcome.FAILED,
        Reason.AUTH_FAILED,
        "401 Unauthorized: the credential is refused",
        (1, 1),
    )
    assert names_of(found) == ["secret", "dns", "tcp", "auth"]


def test_a_credential_does_not_follow_a_redirect() -> None:
    with http_server({}) as other:
        redirect = http_routes.redirect(other.url + "/")
        with http_server({"/": redirect}) as server:
            found = run_probe(make_target(server.url, auth=BEARER), SECRETS)
        seen = other.connections
    assert (found.reason, seen) == (Reason.REDIRECT_REFUSED, 0)


@pytest.mark.parametrize("value", [f"{CANARY}\n", f"{CANARY}\r\nX-Admin: 1", f"{CANARY}ā"])
def test_a_secret_that_no_header_carries_is_inconclusive_and_not_sent(value: str) -> None:
    with http_server({"/": http_routes.answer(200)}) as server:
        found = run_probe(make_target(server.url, auth=BEARER), {"/auth/token": value})
        seen = server.connections
    assert (found.outcome, found.reason, seen) == (
        Outcome.INCONCLUSIVE,
        Reason.SECRET_UNRESOLVED,
        0,
    )
    assert names_of(found) == ["secret"]
    assert CANARY not in repr(found)


def test_an_authority_that_cannot_be_read_is_inconclusive() -> None:
    def read_public(reference: JsonObject) -> str:
        raise SecretError(f"the file {reference['file']} does not exist")

    target = make_target("https://127.0.0.1:1", tls={"ca": {"file": "ca.pem"}})
    found = run_probe(target, tools=make_tools(read_public=read_public))
    assert (found.reason, found.message, names_of(found)) == (
        Reason.SECRET_UNRESOLVED,
        "the file ca.pem does not exist",
        ["secret"],
    )


# --- no answer, and answers that are none ---


def test_a_closed_port_refuses() -> None:
    found = run_probe(make_target(f"http://127.0.0.1:{closed_port()}"))
    assert (found.reason, names_of(found)) == (Reason.CONNECT_REFUSED, ["secret", "dns", "tcp"])


def test_an_unknown_host_is_a_dns_failure() -> None:
    found = run_probe(make_target("http://no-such-host.invalid"))
    assert (found.outcome, found.reason, names_of(found)) == (
        Outcome.FAILED,
        Reason.DNS_FAILURE,
        ["secret", "dns"],
    )


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "0xa9fea9fe", "0"])
def test_a_denied_destination_is_inconclusive(host: str) -> None:
    found = run_probe(make_target(f"http://{host}/latest", auth=BEARER), SECRETS)
    assert (found.outcome, found.reason, names_of(found)) == (
        Outcome.INCONCLUSIVE,
        Reason.DESTINATION_DENIED,
        ["secret", "dns"],
    )


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: tuple[str, ...]) -> list[str]:
    """Makes the resolver give these answers in turn; returns the names it is asked for."""
    asked: list[str] = []
    remaining = iter(answers)

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in next(remaining)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server({"/": http_routes.answer(200)}, name="api.example") as server:
        asked = resolve_to(monkeypatch, ("127.0.0.1",), ("169.254.169.254",))
        found = run_probe(make_target(server.url))
        (request,) = server.requests
    assert (found.reason, asked) == (Reason.OK, ["api.example"])
    assert request.headers["host"] == f"api.example:{server.port}"


def test_one_denied_address_of_a_name_gets_the_others_no_packet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http_server({"/": http_routes.answer(200)}, name="api.example") as server:
        resolve_to(monkeypatch, ("127.0.0.1", "169.254.169.254"))
        found = run_probe(make_target(server.url))
        seen = server.connections
    assert (found.reason, seen) == (Reason.DESTINATION_DENIED, 0)


def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server({"/": http_routes.answer(200)}, name="api.example") as server:
        resolve_to(monkeypatch, ("::1", "127.0.0.1"))
        found = run_probe(make_target(server.url))
    assert (found.reason, found.stages[2].detail) == (Reason.OK, "127.0.0.1")


def test_a_resolver_that_stalls_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> None:
        is_over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "library text")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        found = run_probe(make_target("http://api.example", health=SHORT))
    finally:
        is_over.set()
    assert (found.reason, found.message, names_of(found)) == (
        Reason.DNS_FAILURE,
        "the host name is not resolved in time",
        ["secret", "dns"],
    )


def test_a_port_that_never_accepts_is_a_connect_timeout() -> None:
    with black_hole() as port:
        found = run_probe(make_target(f"http://127.0.0.1:{port}", health=SHORT))
    assert (found.reason, names_of(found)) == (Reason.CONNECT_TIMEOUT, ["secret", "dns", "tcp"])


def test_the_connect_timeout_ends_before_the_deadline() -> None:
    with black_hole() as port:
        found = run_probe(make_target(f"http://127.0.0.1:{port}", timeout={"connect": "200ms"}))
    assert (found.reason, found.latency_s < 5) == (Reason.CONNECT_TIMEOUT, True)


def test_a_server_that_says_nothing_is_a_read_timeout() -> None:
    with silent_server() as port:
        found = run_probe(make_target(f"http://127.0.0.1:{port}", health=SHORT))
    assert (found.reason, names_of(found)[-1]) == (Reason.READ_TIMEOUT, "query")


def test_the_total_timeout_of_the_connection_is_a_deadline_too() -> None:
    with silent_server() as port:
        found = run_probe(make_target(f"http://127.0.0.1:{port}", timeout={"total": "300ms"}))
    assert (found.reason, found.latency_s < 5) == (Reason.READ_TIMEOUT, True)


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(http_routes.drip(), id="drip"),
        pytest.param(http_routes.silence(b"HTTP/1.1 200 OK\r\n"), id="half a head"),
        pytest.param(
            http_routes.endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause_s=0.02), id="drip head"
        ),
        pytest.param(
            http_routes.silence(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"), id="half a body"
        ),
    ],
)
def test_a_slow_answer_ends_at_the_deadline(route: Route) -> None:
    found = probe_route(route, health=SHORT)
    assert (found.reason, found.latency_s < 5) == (Reason.READ_TIMEOUT, True)


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(http_routes.raw(b""), id="nothing"),
        pytest.param(http_routes.raw(b"\xff\xfe\x00\r\n\r\n"), id="noise"),
        pytest.param(http_routes.endless_headers(), id="endless headers"),
        pytest.param(
            http_routes.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"), id="cut body"
        ),
        pytest.param(
            http_routes.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20), id="header of 1 MiB"
        ),
        pytest.param(
            http_routes.raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000 + b"\r\n"),
            id="10 000 headers",
        ),
    ],
)
def test_a_broken_answer_is_a_protocol_error(route: Route) -> None:
    found = probe_route(route)
    assert (found.outcome, found.reason, names_of(found)[-1]) == (
        Outcome.FAILED,
        Reason.PROTOCOL_ERROR,
        "query",
    )


ENDLESS_BODIES = [
    pytest.param(http_routes.endless_chunks(), id="endless chunks"),
    pytest.param(
        http_routes.endless(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 9999),
        id="10 GiB",
    ),
]


@pytest.mark.parametrize("route", ENDLESS_BODIES)
def test_an_endless_body_is_fine_where_only_the_status_counts(route: Route) -> None:
    assert probe_route(route).reason is Reason.OK


@pytest.mark.parametrize("route", ENDLESS_BODIES)
def test_an_endless_body_is_too_large_where_it_counts(route: Route) -> None:
    found = probe_route(route, health={"expect": {"text": "ready"}})
    assert found.reason is Reason.BODY_TOO_LARGE


# --- secrets and hostile text ---


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
def test_an_answer_that_echoes_the_credential_leaves_no_trace(status: int) -> None:
    with http_server({"/": http_routes.echo(status)}) as server:
        target = make_target(
            server.url, auth=BASIC, health={"expect": {"json": {"/authorization": "x"}}}
        )
        found = run_probe(target, {"/auth/password": CANARY})
        (request,) = server.requests
    encoded = base64.b64encode(f"report:{CANARY}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {encoded}"
    shown = repr(found)
    assert CANARY not in shown
    assert encoded not in shown


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(http_routes.redirect(f"https://x.example/?t={CANARY}"), id="location"),
        pytest.param(http_routes.raw(CANARY.encode()), id="noise"),
        pytest.param(
            http_routes.raw(f"HTTP/1.1 500 {CANARY}\r\nContent-Length: 0\r\n\r\n".encode()),
            id="reason phrase",
        ),
        pytest.param(http_routes.answer(200, CANARY.encode()), id="body"),
    ],
)
def test_whatever_the_server_says_is_not_repeated(route: Route) -> None:
    found = probe_route(route, health={"expect": {"text": "ready"}})
    assert found.outcome is Outcome.FAILED
    assert CANARY not in repr(found)


def test_a_query_key_is_in_no_failure() -> None:
    target = make_target(f"http://127.0.0.1:{closed_port()}", auth=api_key("query"))
    assert CANARY not in repr(run_probe(target, {"/auth/value": CANARY}))


def test_control_characters_of_a_reason_phrase_are_not_stored() -> None:
    found = probe_route(
        http_routes.raw(b"HTTP/1.1 500 \x1b]8;;evil\x07\r\nContent-Length: 0\r\n\r\n")
    )
    assert found.message.isprintable()


def test_a_message_is_redacted() -> None:
    redactor = Redactor()
    redactor.add("ca-of-the-moon")

    def read_public(_: JsonObject) -> str:
        raise SecretError("the file ca-of-the-moon does not exist")

    target = make_target("https://127.0.0.1:1", tls={"ca": {"file": "x"}})
    found = run_probe(target, tools=make_tools(redactor, read_public))
    assert found.message == "the file *** does not exist"


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    assert probe_route(http_routes.answer(200)).reason is Reason.OK


# --- what is left behind ---


def sockets_to(port: int) -> int:
    """Returns how many sockets of this process are connected to `port`."""
    count = 0
    for entry in Path("/dev/fd").iterdir():
        descriptor = int(entry.name)
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as copy:
                    count += copy.getpeername()[1:2] == (port,)
        except OSError:  # not connected, or the listing's own descriptor, which is closed by now
            continue
    return count


def test_a_cancelled_probe_closes_its_connection_and_raises() -> None:
    async def scenario() -> int:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()
            writer.close()
            gone.set()

        async with await asyncio.start_server(stall, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            target = make_target(f"http://127.0.0.1:{port}")
            probing = asyncio.create_task(http.probe(target, {}, make_tools(), reached=RESOLVED))
            await asked.wait()
            probing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probing
            await gone.wait()
            return sockets_to(port)

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(http_routes.answer(200), id="answer"),
        pytest.param(http_routes.endless_chunks(), id="endless"),
        pytest.param(http_routes.raw(b"noise"), id="noise"),
        pytest.param(http_routes.drip(), id="drip"),
    ],
)
def test_no_socket_and_no_task_is_left(route: Route) -> None:
    async def probe_once(url: str, port: int) -> tuple[int, int]:
        await http.probe(make_target(url, health=SHORT), {}, make_tools(), reached=RESOLVED)
        return sockets_to(port), len(asyncio.all_tasks())

    with http_server({"/": route}) as server:
        assert asyncio.run(probe_once(server.url, server.port)) == (0, 1)


def test_many_probes_at_once_keep_their_answers_apart() -> None:
    routes = {f"/{n}": http_routes.json_body({"n": n}) for n in range(50)}

    async def probe_all(url: str) -> list[Observation]:
        tools = make_tools()
        targets = [
            make_target(url, health={"path": path, "expect": {"json": {"/n": n}}})
            for n, path in enumerate(routes)
        ]
        return await asyncio.gather(
            *(http.probe(target, {}, tools, reached=RESOLVED) for target in targets)
        )

    with http_server(routes) as server:
        found = asyncio.run(probe_all(server.url))
    assert [observation.reason for observation in found] == [Reason.OK] * 50
