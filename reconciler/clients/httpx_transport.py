"""The transport that puts our own HTTP under an `httpx.AsyncClient`.

Beside `http.py` and apart from it because importing httpx costs more than a small health pass:
probes do not need it, applications that use a stored connection do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from reconciler.auth import exchange
from reconciler.clients import http, tls
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.network import NetworkPolicy

if TYPE_CHECKING:
    from reconciler.clients import tls_identity


class Transport(httpx.AsyncBaseTransport):
    """Sends each request of a client through `http.send`, on a connection of its own.

    Time-outs are the transport's: `connect_s` up to the handshake, `total_s` for all of it. httpx's
    own bound single reads and are not obeyed. Responses carry `extensions["stages"]`.
    """

    def __init__(
        self,
        *,
        network: NetworkPolicy,
        tls_mode: tls.TlsMode = tls.TlsMode.VERIFY_FULL,
        ca: str = "",
        identity: tls_identity.Identity | None = None,
        server_name: str = "",
        tls_minimum: str = "1.2",
        connect_s: float = 5.0,
        total_s: float = 30.0,
        body_bytes: int = http.BODY_BYTES,
    ) -> None:
        self._network = network
        self._tls_mode = tls_mode
        self._ca = ca
        self._identity = identity
        self._server_name = server_name
        self._tls_minimum = tls_minimum
        self._connect_s = connect_s
        self._total_s = total_s
        self._body_bytes = body_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns the whole response.

        Raises:
            ConnectionFailed: as `http.send`; BodyTooLarge when the body exceeds the cap;
                ProtocolError when it is compressed, which nobody asked for: a small body could
                become a huge one.
        """
        url = request.url
        stages = Stages()
        answer = await http.send(
            exchange.Request(
                method=request.method,
                url=f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}",
                headers=tuple(
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in request.headers.raw
                ),
                body=await request.aread(),
            ),
            http.Route(
                network=self._network,
                tls_mode=self._tls_mode,
                ca=self._ca,
                identity=self._identity,
                server_name=self._server_name,
                tls_minimum=self._tls_minimum,
                connect_s=self._connect_s,
                deadline=asyncio.get_running_loop().time() + self._total_s,
                body_bytes=self._body_bytes,
            ),
            stages,
        )
        if answer.is_cut:
            raise ConnectionFailed(
                Reason.BODY_TOO_LARGE,
                StageName.QUERY,
                f"the body is larger than {self._body_bytes} bytes",
            )
        if answer.is_compressed:
            raise ConnectionFailed(
                Reason.PROTOCOL_ERROR,
                StageName.QUERY,
                "the server compresses the body, which was not asked for",
            )
        return httpx.Response(
            answer.status,
            headers=list(answer.headers),
            content=answer.body,
            extensions={"stages": stages.reached()},
        )
