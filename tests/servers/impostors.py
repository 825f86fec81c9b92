"""Servers with a good certificate that only pretend to be an engine behind an API.

Such an engine is sent a token as it is, so that nobody talks to one over unverified TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from reconciler.model import Json, JsonObject
from tests.servers.certificates import Authority
from tests.servers.http import Route, Server, http_server
from tests.servers.sql_peers import HOST, Conversation, Peer, sql_peer


@cache
def _authority() -> Authority:
    return Authority()


def impostor_spec(engine: str, port: int, auth: JsonObject, **changes: Json) -> JsonObject:
    """Returns a spec for an impostor on loopback, whose certificate it trusts."""
    return {
        "engine": engine,
        "host": HOST,
        "port": port,
        "database": "orders",
        "auth": auth,
        "tls": {"mode": "verify-full", "ca": {"file": _authority().pem}},
        **changes,
    }


@contextmanager
def http_impostor(routes: Mapping[str, Route]) -> Iterator[Server]:
    """Serves `routes` over TLS for the length of the block."""
    with http_server(routes, context=_authority().server_context(HOST)) as server:
        yield server


@contextmanager
def impostor(script: Callable[[Conversation], None]) -> Iterator[Peer]:
    """Runs `script` behind the TLS handshake of each client, for the length of the block."""
    context = _authority().server_context(HOST)

    def secured(client: Conversation) -> None:
        client.start_tls(context)
        script(client)

    with sql_peer(secured) as peer:
        yield peer
