"""Sends one HTTP request to a checked address, within one deadline, timing each step.

The only way this program speaks HTTP: probes call `send` directly, and `httpx_transport` puts it
under an `httpx` client. Own code because httpx's transport resolves again when it connects, has
time-outs per read and no deadline, cannot say which step failed, and costs six to eight times as
much. Nothing is taken from the environment (proxies, netrc), and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING

from reconciler.auth import exchange
from reconciler.clients import destination, http_connection, http_request, http_response, tcp, tls
from reconciler.clients.hops import Way
from reconciler.clients.meaning import PROXY_LATE, TUNNEL_LATE, Meaning
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.network import NetworkPolicy
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.clients import tls_identity

#: Bodies are read up to here unless the caller says otherwise.
BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How to get to a server, and what to read from it."""

    tls_mode: tls.TlsMode = tls.TlsMode.VERIFY_FULL
    #: PEM text in place of the machine's authorities, or empty
    ca: str = ""
    #: shown to a server that asks for a client certificate
    identity: tls_identity.Identity | None = None
    #: name that the certificate must bear, in place of the URL's host, or empty
    server_name: str = ""
    #: oldest TLS version, `1.2` or `1.3`
    tls_minimum: str = "1.2"
    #: for name, connection and handshake together
    connect_s: float
    #: loop time at which everything must have ended
    deadline: float
    body_bytes: int = BODY_BYTES
    #: which addresses may be contacted where no hop is
    network: NetworkPolicy
    #: through what; None goes straight to the server
    via: Way | None = None

    def context(self, *, ignore_expiry: bool = False) -> ssl.SSLContext:
        """Returns the shared TLS context of this setting; raises as `tls.context`."""
        return tls.context(
            self.tls_mode,
            self.ca,
            own=self.identity,
            minimum=self.tls_minimum,
            ignore_expiry=ignore_expiry,
        )


_TIMEOUT_HINT = "allow more time if that is normal there: `timeout` and `health.timeout`"
#: What it means that time ran out, by the stage that was under way.
_TIMEOUTS = {
    StageName.TUNNEL: TUNNEL_LATE,
    StageName.PROXY: PROXY_LATE,
    StageName.DNS: Meaning(
        reason=Reason.DNS_FAILURE,
        message="the host name is not resolved in time",
        hint=_TIMEOUT_HINT,
    ),
    StageName.TCP: Meaning(
        reason=Reason.CONNECT_TIMEOUT,
        message="the server does not accept the connection in time",
        hint=_TIMEOUT_HINT,
    ),
    StageName.TLS: Meaning(
        reason=Reason.CONNECT_TIMEOUT,
        message="the server does not finish the TLS handshake in time",
        hint=_TIMEOUT_HINT,
    ),
    StageName.QUERY: Meaning(
        reason=Reason.READ_TIMEOUT,
        message="the server does not finish its answer in time",
        hint=_TIMEOUT_HINT,
    ),
}


async def send(request: exchange.Request, route: Route, stages: Stages) -> http_response.Answer:
    """Returns the answer to `request`, its body cut at `route.body_bytes`; steps go to `stages`.

    The request is sent at most once, on one connection, which is closed before this returns,
    raises or is cancelled.

    Raises:
        ConnectionFailed: for everything that keeps a complete answer from coming.
    """
    origin = http_request.parse(request.url)
    payload = http_request.serialise(request, origin)
    if origin.scheme == "https":
        route.context()  # the first of a setting is slow: not TLS's time
    connect_by = min(route.deadline, asyncio.get_running_loop().time() + route.connect_s)
    try:
        async with asyncio.timeout_at(connect_by) as timer, AsyncExitStack() as way:
            address, connection = await _connect(origin, route, way, connect_by, stages)
            with closing(connection):
                if origin.scheme == "https":
                    await _secure(
                        connection, address, origin, route, connect_by=connect_by, stages=stages
                    )
                timer.reschedule(route.deadline)
                with stages.stage(StageName.QUERY):
                    await connection.send(payload)
                    return await _receive(connection, request.method, route)
    except TimeoutError:
        name = stages.last or StageName.DNS
        raise _TIMEOUTS[name].at(name) from None


async def _connect(
    origin: http_request.Origin,
    route: Route,
    way: AsyncExitStack,
    connect_by: float,
    stages: Stages,
) -> tuple[str, http_connection.Connection]:
    """Returns the address, empty behind hops, and a connection; `way` keeps the hops open."""
    if route.via is not None:
        opening = route.via.open(origin.host, origin.port, stages=stages, connect_by=connect_by)
        return "", http_connection.Connection(await way.enter_async_context(opening))
    with stages.stage(StageName.DNS) as stage:
        addresses = await destination.resolve(origin.host, origin.port, route.network)
        stage.detail = ", ".join(addresses)
    with stages.stage(StageName.TCP) as stage:
        connected, address = await tcp.connect(addresses, origin.port, deadline=connect_by)
        stage.detail = address
    return address, http_connection.Connection(connected)


async def _secure(
    connection: http_connection.Connection,
    address: str,
    origin: http_request.Origin,
    route: Route,
    *,
    connect_by: float,
    stages: Stages,
) -> None:
    with stages.stage(StageName.TLS) as stage:
        name = _server_name(origin, route)
        try:
            session = await connection.secure(route.context(), name)
        except ConnectionFailed as failure:
            if failure.reason is Reason.CERTIFICATE_EXPIRED and address:
                raise await _dated(failure, address, origin, route, connect_by) from None
            raise
        stage.detail = session.describe()


async def _receive(
    connection: http_connection.Connection, method: str, route: Route
) -> http_response.Answer:
    parser = http_response.ResponseParser(is_head=method == "HEAD", body_bytes=route.body_bytes)
    while True:
        data = await connection.receive()
        if not data:
            return parser.end(is_proven=connection.is_end_proven)
        answer = parser.feed(data)
        if answer is not None:
            return answer


async def _dated(
    failure: ConnectionFailed,
    address: str,
    origin: http_request.Origin,
    route: Route,
    connect_by: float,
) -> ConnectionFailed:
    """Returns `failure` with the last day of the server's certificate, where it can be read.

    OpenSSL gives no certificate after a failed handshake, so a second one is made that checks
    everything but the time. Nothing is sent over it, and it may take half of the time that is left.
    """
    context = route.context(ignore_expiry=True)
    now = asyncio.get_running_loop().time()
    deadline = now + (connect_by - now) / 2
    try:
        async with asyncio.timeout_at(deadline):
            connected, _ = await tcp.connect((address,), origin.port, deadline=deadline)
            with closing(http_connection.Connection(connected)) as connection:
                session = await connection.secure(context, _server_name(origin, route))
                until = session.not_after()
    except (ConnectionFailed, TimeoutError):
        return failure
    return ConnectionFailed(
        failure.reason,
        failure.stage,
        f"{failure.message}; its own is valid until {until}",
        failure.hint,
    )


def _server_name(origin: http_request.Origin, route: Route) -> str:
    return (route.server_name or origin.host).removesuffix(
        "."
    )  # SNI has no final dot (RFC 6066, section 3)
