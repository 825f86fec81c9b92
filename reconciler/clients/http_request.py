"""A request as bytes: where a URL points, and what is sent there (RFC 9112).

Pure, below `http.py`. Separate because everything that could smuggle a second request or
a second opinion about routing is refused here, before there is a connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from reconciler._version import __version__
from reconciler.auth import exchange
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5
#: Framing and routing are ours alone: a second opinion in these is how requests are smuggled.
_OURS = frozenset(
    {
        "host", "connection", "keep-alive", "proxy-connection", "content-length", "accept-encoding",
        "transfer-encoding", "te", "trailer", "upgrade", "expect",
    }
)  # fmt: skip
_DEFAULTS = (("user-agent", f"reconciler/{__version__}"), ("accept", "*/*"))
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a URL points: what is resolved, connected to, and asked for."""

    scheme: str
    #: for the resolver and the certificate; ASCII, without brackets
    host: str
    port: int
    #: the Host header (RFC 9110, section 7.2)
    authority: str
    #: path and query
    target: str


def parse(url: str) -> Origin:
    """Returns where `url` points.

    Raises:
        ConnectionFailed: ProtocolError, when it is no http(s) URL that can be requested.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:  # UnicodeError is one
        raise _unsendable("the URL is no http or https URL") from None
    if _CONTROL.search(url) or parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        raise _unsendable("the URL is no http or https URL")
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    default = _PORTS[parts.scheme]
    return Origin(
        scheme=parts.scheme,
        host=ascii_host,
        port=default if port is None else port,
        authority=shown if port in (None, default) else f"{shown}:{port}",
        target=exchange.target(url),
    )


def serialise(request: exchange.Request, origin: Origin) -> bytes:
    """Returns the request as it is sent (RFC 9112, sections 2 and 3); `origin` is its parsed URL.

    Its Host, framing and encoding headers are replaced by ours; User-Agent and Accept are kept.

    Raises:
        ConnectionFailed: ProtocolError, when a name or value cannot stand in a head (CR, LF ...).
            The message names the header, never its value.
    """
    if not _TOKEN.fullmatch(request.method):
        raise _unsendable("the method is no HTTP token")
    lines = [f"{request.method} {origin.target} HTTP/1.1", f"Host: {origin.authority}"]
    given = set()
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name):
            raise _unsendable("the name of a header is no HTTP token")
        if not _VALUE.fullmatch(value):
            raise _unsendable(f"the header {name} holds a character that HTTP does not allow")
        lowered = name.lower()
        given.add(lowered)
        if lowered not in _OURS:
            lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in _DEFAULTS if name not in given]
    if request.body or request.method in _WITH_BODY:
        lines.append(f"content-length: {len(request.body)}")
    lines.append("accept-encoding: identity\r\nconnection: close\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + request.body


def _unsendable(what: str) -> ConnectionFailed:
    return ConnectionFailed(
        Reason.PROTOCOL_ERROR, StageName.QUERY, f"the request cannot be sent: {what}"
    )
