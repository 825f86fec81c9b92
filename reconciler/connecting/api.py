"""A stored API as an `httpx.Client` or an `httpx.AsyncClient`, asked as checks ask it.

Every request goes through `probes.http_flow.ask`: the way, TLS and authentication of the manifest.
One connection leads to one server: a request to another is refused, since it would take the
credential there. Importing httpx takes a fifth of a second, so it is left until a client is asked
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler._version import __version__
from reconciler.auth import exchange
from reconciler.clients import http_request, http_response
from reconciler.clients.hop_logins import LoginEnd
from reconciler.clients.stages import Stages
from reconciler.connecting import refusing
from reconciler.connecting.access import Access, end_of, leave
from reconciler.connecting.loop_thread import LoopThread
from reconciler.errors import ConfigError, ConnectionFailed
from reconciler.kinds.durations import parse_duration
from reconciler.model import Reason, Stage, StageName
from reconciler.probes import http_flow

if TYPE_CHECKING:
    import httpx

#: Bodies are held in memory as a whole; larger ones are refused.
BODY_BYTES = 16 * 1024 * 1024
_UNAUTHORIZED, _FIRST_ERROR = 401, 400


class Caller:
    """Sends requests of one API on one event loop; `close` there."""

    def __init__(self, access: Access, body_bytes: int = BODY_BYTES) -> None:
        self._access = access
        self._tools = access.tools()
        total_s = parse_duration(access.spec["timeout"]["total"])
        self._limits = http_flow.Limits(total_s=total_s, body_bytes=body_bytes)
        self._home = http_request.parse(access.spec["baseUrl"])
        self.is_closed = False

    async def send(
        self, request: exchange.Request
    ) -> tuple[http_response.Answer, tuple[Stage, ...]]:
        """Returns the answer, its body cut at the limit, and the stages.

        Raises:
            ConnectionFailed: for everything that keeps an answer from coming.
            SecretError: a secret or a file of the manifest cannot be read or sent.
            Held: the connection was suspended or archived meanwhile.
        """
        self._refuse_closed()
        try:
            self._refuse_strangers(request)
            asked, stages = await self._ask(request)
        except ConnectionFailed as failure:
            raise refusing.explained(failure, self._access.ref, self._access.redactor) from None
        self._access.note_use()
        return asked.answer, stages

    async def close(self) -> None:
        """Closes the hops; nothing is sent from now on."""
        self.is_closed = True
        await leave(self._tools)

    async def _ask(self, request: exchange.Request) -> tuple[http_flow.Asked, tuple[Stage, ...]]:
        admission = await self._access.admitted(login_s=self._limits.total_s, is_each_counted=False)
        end, stages = LoginEnd.UNDECIDED, Stages()
        try:
            asked = await http_flow.ask(
                request, admission.target, admission.secrets, self._tools, stages, self._limits
            )
            end = _end_of(asked)
        except ConnectionFailed as failure:
            end = end_of(failure)
            raise
        finally:
            if admission.request is not None or end is LoginEnd.REFUSED:
                await asyncio.shield(asyncio.to_thread(self._access.settle, admission, end))
        return asked, stages.reached()

    def _refuse_closed(self) -> None:
        if self.is_closed:
            raise ConfigError(
                f"the connection to `{self._access.ref}` is closed",
                "use its client inside of the `with` block",
            )

    def _refuse_strangers(self, request: exchange.Request) -> None:
        there, home = http_request.parse(request.url), self._home
        if (there.scheme, there.host.lower(), there.port) != (
            home.scheme,
            home.host.lower(),
            home.port,
        ):
            raise ConnectionFailed(
                Reason.DESTINATION_DENIED,
                StageName.DNS,
                "the request is for another server than the connection's; nothing was sent",
                "give a path: it is appended to `baseUrl`",
            )


class Api:
    """One API for callers that are not async; `close` ends its loop."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._caller = Caller(access)  # first: it may fail, and the thread would be left
        self._loop = LoopThread(f"reconciler {access.ref}")

    @cached_property
    def client(self) -> httpx.Client:
        """The client; made when first asked for."""
        import httpx

        from reconciler.clients import httpx_transport

        transport = httpx_transport.BlockingTransport(self._caller.send, self._loop.run)
        return httpx.Client(transport=transport, **_settings(self._access))

    def ask(
        self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> http_response.Answer:
        """Returns the whole answer to one request, for the command line.

        `path` is appended to `baseUrl` as `health.path` is; `headers` go before the manifest's.

        Raises:
            ConnectionFailed, SecretError, Held: as `Caller.send`; and the body is too large.
        """
        spec = self._access.spec
        given = {name.lower() for name, _ in headers}
        own = [
            (name, value) for name, value in spec["headers"].items() if name.lower() not in given
        ]
        base: str = spec["baseUrl"]
        request = exchange.Request(
            method=method,
            # plain joining keeps the base path, which `urljoin` would replace
            url=base.rstrip("/") + path if path else base,
            headers=(*own, *headers),
            body=body,
        )
        answer, _ = self._loop.run(self._caller.send(request))
        try:
            answer.require_whole()
        except ConnectionFailed as failure:
            raise refusing.explained(failure, self._access.ref, self._access.redactor) from None
        return answer

    def close(self) -> None:
        """Closes the client, its hops and the loop; may be called twice."""
        if "client" in self.__dict__:
            self.client.close()
        if not self._caller.is_closed:
            self._loop.run(self._caller.close())
        self._loop.close()


def async_client(access: Access, caller: Caller) -> httpx.AsyncClient:
    """Returns a client whose requests are sent by `caller`, on its loop."""
    import httpx

    from reconciler.clients import httpx_transport

    transport = httpx_transport.Transport(caller.send)
    return httpx.AsyncClient(transport=transport, **_settings(access))


def _settings(access: Access) -> dict[str, Any]:
    """Returns what both clients are made with: nothing comes from the environment."""
    own = {"User-Agent": f"reconciler/{__version__}"}
    return {
        "base_url": access.spec["baseUrl"],
        "headers": {**own, **access.spec["headers"]},
        "trust_env": False,
        "follow_redirects": False,
    }


def _end_of(asked: http_flow.Asked) -> LoginEnd:
    """Returns what an answer says of the credential, as `http_judgement` counts it."""
    if asked.answer.status == _UNAUTHORIZED or asked.refusal:
        return LoginEnd.REFUSED
    is_good = asked.answer.status < _FIRST_ERROR and asked.is_tried
    if not is_good:
        return LoginEnd.UNDECIDED
    return LoginEnd.ACCEPTED if asked.is_login else LoginEnd.KEPT
