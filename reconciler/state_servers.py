"""Where a state store's URL says that its server is, so that it is not contacted as a target.

Beside `config`, which knows the URL; the drivers themselves are not asked, since that takes longer
than most commands. Read only where the operator file restricts the network.
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

from reconciler.network import StateServer

_PORT = 5432


def named(url: str) -> tuple[StateServer, ...]:
    """Returns the servers that a PostgreSQL URL names, in its authority or its query.

    As SQLAlchemy and libpq read them: `host=` of the query may be a name, `name:port`, or the
    folder of a socket.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, unquote(parts.hostname or "")
    except ValueError:
        return ()
    if parts.scheme.split("+")[0] == "sqlite":
        return ()
    query = parse_qs(parts.query)
    ports = [int(text) for text in query.get("port", ()) if text.isascii() and text.isdigit()]
    common = next(iter(ports), port or _PORT)
    named = [each for text in query.get("host", ()) for each in text.split(",")]
    named += [each for text in query.get("hostaddr", ()) for each in text.split(",")]
    return tuple(_state_server(each, common) for each in (host, *named) if each)


def _state_server(host: str, port: int) -> StateServer:
    if host.startswith("/"):
        return StateServer(socket=f"{host.rstrip('/')}/.s.PGSQL.{port}")
    name, colon, own = host.rpartition(":")
    if colon and own.isascii() and own.isdigit() and ":" not in name:
        return StateServer(host=name, port=int(own))
    return StateServer(host=host, port=port)
