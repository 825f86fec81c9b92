"""What is said to a proxy before it opens a connection: HTTP CONNECT and SOCKS5.

Handshakes are generators without I/O: each yields bytes to send, or how much it needs to read, and
`hops` moves the bytes. Written here because libraries read the answer to CONNECT in one piece, so
that an answer in two fails, and what a server says first is lost behind it.

Plain `http://` servers are reached by CONNECT, too, and not by sending the proxy the whole URL: a
proxy could then answer from its cache or with a page of its own, and a health check would take that
for the server; and the proxy's password would stand in one head with the server's.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from ipaddress import ip_address
from typing import Final, TypeAlias

from reconciler.clients.meaning import Meaning
from reconciler.clients.via import Proxy
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.values import dataclass

#: A head of an answer to CONNECT is at most this long.
LONGEST_HEAD: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Bytes for the proxy."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Asks for exactly so many bytes, or for a head up to and with its empty line."""

    size: int = 0
    is_head: bool = False


Step: TypeAlias = Send | Read
#: Receives the bytes of each `Read`, and `b""` for each `Send`.
Handshake: TypeAlias = Generator[Step, bytes, None]

LOGIN_REFUSED: Final = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the proxy refuses the user name or the password",
    hint="check `proxy.auth.username` and the secret of `proxy.auth.password`",
)
_LOGIN_WANTED: Final = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the proxy wants a user name and a password, and the manifest gives none",
    hint="give one: `proxy: {auth: {username: NAME, password: {env: NAME}}}`",
)
_NO_COMMON_LOGIN: Final = Meaning(
    reason=Reason.PROXY_FAILURE,
    message="the proxy takes neither a password nor no login at all",
    hint="have it accept a user name and a password (RFC 1929)",
)
_NOT_ALLOWED: Final = Meaning(
    reason=Reason.PROXY_FAILURE,
    message="the proxy does not allow a connection to this server",
    hint="have its rules allow CONNECT to this host and port",
)
_NOT_UNDERSTOOD: Final = Meaning(
    reason=Reason.PROXY_FAILURE,
    message="the proxy's answer is not understood",
    hint="check that `proxy.url` has the scheme and the port of the proxy",
)
_REFUSED: Final = Meaning(
    reason=Reason.CONNECT_REFUSED,
    message="the proxy says that the server refuses connections on this port",
    hint="check the port, and that the service runs",
)
_UNREACHABLE: Final = Meaning(
    reason=Reason.CONNECT_REFUSED,
    message="the proxy says that it cannot reach the server",
    hint="check host and port, and that the proxy can resolve and reach the host",
)
_LATE: Final = Meaning(
    reason=Reason.CONNECT_TIMEOUT,
    message="the proxy says that the server does not answer",
    hint="check host and port, and that a firewall behind the proxy lets the connection through",
)
#: Status of the answer to CONNECT -> meaning and stage (RFC 9110, section 15). What the proxy says
#: about the server is a failure of `tcp`, which the proxy does for us.
_STATUSES: Final = {
    403: (_NOT_ALLOWED, StageName.PROXY),
    405: (_NOT_ALLOWED, StageName.PROXY),
    502: (_UNREACHABLE, StageName.TCP),
    504: (_LATE, StageName.TCP),
}
#: Reply -> meaning and stage (RFC 1928, section 6).
_REPLIES: Final = {
    2: (_NOT_ALLOWED, StageName.PROXY),
    3: (_UNREACHABLE, StageName.TCP),
    4: (_UNREACHABLE, StageName.TCP),
    5: (_REFUSED, StageName.TCP),
    6: (_LATE, StageName.TCP),
}
_NO_LOGIN, _PASSWORD, _NONE_OF_THEM = 0, 2, 255  # RFC 1928, section 3
_IPV4, _NAME, _IPV6 = 1, 3, 4  # RFC 1928, section 5


def handshake(proxy: Proxy, host: str, port: int) -> Handshake:
    """Returns the handshake that has `proxy` open a connection to `host`.

    It raises ConnectionFailed where the proxy will not: AuthFailed or ProxyFailure at stage
    `proxy`, or what the proxy says of the server at stage `tcp`.
    """
    if proxy.scheme == "socks5":
        return _socks5(proxy, host, port)
    return _connect(proxy, host, port)


def cut() -> ConnectionFailed:
    """Returns what it means that the connection ended before the handshake did."""
    return Meaning(
        reason=Reason.PROXY_FAILURE,
        message="the proxy closed the connection before it was done",
        hint="check that `proxy.url` has the scheme and the port of the proxy",
    ).at(StageName.PROXY)


def _connect(proxy: Proxy, host: str, port: int) -> Handshake:
    """HTTP CONNECT (RFC 9110, section 9.3.6) with Basic credentials (RFC 7617)."""
    authority = f"{f'[{host}]' if ':' in host else host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.password is not None:
        pair = f"{proxy.username}:{proxy.password.reveal()}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
    yield Send(data="\r\n".join((*lines, "", "")).encode("ascii"))
    head = yield Read(is_head=True)
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    digits = rest[:3]
    if version[:7] != b"HTTP/1." or not (len(digits) == len(b"200") and digits.isdigit()):
        raise _NOT_UNDERSTOOD.at(StageName.PROXY)
    status = int(digits)
    if status // 100 == 2:  # noqa: PLR2004  # the class of statuses that mean success
        return
    if status == 407:  # noqa: PLR2004  # Proxy Authentication Required
        wanted = LOGIN_REFUSED if proxy.password is not None else _LOGIN_WANTED
        raise wanted.at(StageName.PROXY)
    fallback = Meaning(
        reason=Reason.PROXY_FAILURE,
        message=f"the proxy refuses to open the connection (HTTP {status})",
        hint="look at the proxy's log",
    )
    meaning, stage = _STATUSES.get(status, (fallback, StageName.PROXY))
    raise meaning.at(stage)


def _socks5(proxy: Proxy, host: str, port: int) -> Handshake:
    """SOCKS5 (RFC 1928) with user name and password (RFC 1929)."""
    # Only what is meant to be used is offered, so that a login is never left out unnoticed.
    offered = _NO_LOGIN if proxy.password is None else _PASSWORD
    yield Send(data=bytes((5, 1, offered)))
    version, chosen = yield Read(size=2)
    if version != 5:  # noqa: PLR2004  # SOCKS version
        raise _NOT_UNDERSTOOD.at(StageName.PROXY)
    if chosen != offered:
        wanted = _LOGIN_WANTED if proxy.password is None else _NO_COMMON_LOGIN
        raise (wanted if chosen == _NONE_OF_THEM else _NOT_UNDERSTOOD).at(StageName.PROXY)
    if proxy.password is not None:
        yield from _socks5_login(proxy)
    yield Send(data=b"\x05\x01\x00" + _socks5_address(host) + port.to_bytes(2))
    version, reply, _, kind = yield Read(size=4)
    if version != 5:  # noqa: PLR2004
        raise _NOT_UNDERSTOOD.at(StageName.PROXY)
    if reply != 0:
        fallback = Meaning(
            reason=Reason.PROXY_FAILURE,
            message=f"the proxy refuses to open the connection (SOCKS reply {reply})",
            hint="look at the proxy's log",
        )
        meaning, stage = _REPLIES.get(reply, (fallback, StageName.PROXY))
        raise meaning.at(stage)
    if kind == _NAME:
        (length,) = yield Read(size=1)
    else:
        length = {_IPV4: 4, _IPV6: 16}.get(kind, 0)
    if not length:
        raise _NOT_UNDERSTOOD.at(StageName.PROXY)
    yield Read(size=length + 2)  # the proxy's own address, of no use to us


def _socks5_login(proxy: Proxy) -> Handshake:
    assert proxy.password is not None
    username, password = proxy.username.encode(), proxy.password.reveal().encode()
    if not 0 < len(password) < 256:  # noqa: PLR2004  # one byte holds the length
        raise Meaning(
            reason=Reason.SECRET_UNRESOLVED,
            message="the secret of `proxy.auth.password` is empty or longer than SOCKS5 allows",
            hint="use a password of 1 to 255 bytes (RFC 1929)",
        ).at(StageName.PROXY)
    sized = bytes((len(username),)) + username + bytes((len(password),)) + password
    yield Send(data=b"\x01" + sized)
    _, status = yield Read(size=2)
    if status != 0:
        raise LOGIN_REFUSED.at(StageName.PROXY)


def _socks5_address(host: str) -> bytes:
    try:
        packed = ip_address(host).packed
    except ValueError:
        name = host.encode("ascii")
        return bytes((_NAME, len(name))) + name
    return bytes((_IPV4 if len(packed) == 4 else _IPV6,)) + packed  # noqa: PLR2004  # bytes of IPv4
