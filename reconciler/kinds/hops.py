"""The way to a server, as the pure stages know it: what its schema cannot say, and how it reads.

Shared by the kinds, since `proxy`, `ssh` and `socket` mean the same in each. Free of pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler import kinds
from reconciler.kinds import addresses
from reconciler.model import JsonObject, Path
from reconciler.values import dataclass

#: Fields that belong to `access_fields` of every kind that has them.
ACCESS_FIELDS: Final = frozenset({"proxy", "ssh", "socket"})

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}
_PROXY_URL: Final = re.compile(
    r"(?P<scheme>http|https|socks5)://"
    r"(?P<host>\[[^\]/?#@]*\]|[^:/?#@\[\]]+)(?::(?P<port>[1-9][0-9]{0,4}))?/?",
    re.IGNORECASE,
)
_LAST_PORT: Final = 65535
_EXAMPLE: Final = "write it as `http://proxy.internal:3128` or `socks5://proxy.internal:1080`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyUrl:
    """The parts of a sound proxy URL."""

    #: `http`, `https` or `socks5`
    scheme: str
    #: lower case, an IPv6 address without brackets
    host: str
    port: int

    @property
    def text(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def split_proxy(url: str) -> ProxyUrl | None:
    """Returns the parts of a proxy URL, or None where it is none."""
    match = _PROXY_URL.fullmatch(url)
    if match is None or int(match["port"] or 1) > _LAST_PORT:
        return None
    scheme = match["scheme"].lower()
    return ProxyUrl(
        scheme=scheme,
        host=match["host"].strip("[]").lower(),
        port=int(match["port"] or _PORTS[scheme]),
    )


def findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with the way to the server; `spec` is valid by the schema."""
    if "socket" in spec:
        yield from _socket_findings(spec)
    if "proxy" in spec:
        yield from _proxy_findings(spec["proxy"])
    if "ssh" in spec:
        yield from _ssh_findings(spec["ssh"], ("ssh",))
        if "jump" in spec["ssh"]:
            yield from _ssh_findings(spec["ssh"]["jump"], ("ssh", "jump"))


def via(spec: JsonObject) -> str:
    """Returns the hops of a normal `spec` in order, `ssh://ops@bastion:22 > socks5://px:1080`.

    Empty where the server is contacted directly. Never holds a password.
    """
    hops = []
    if "ssh" in spec:
        hops += [_ssh_text(spec["ssh"]["jump"])] if "jump" in spec["ssh"] else []
        hops.append(_ssh_text(spec["ssh"]))
    if "proxy" in spec:
        url = split_proxy(spec["proxy"]["url"])
        text = url.text if url else spec["proxy"]["url"]
        username = spec["proxy"].get("auth", {}).get("username", "")
        hops.append(text.replace("://", f"://{username}@") if username else text)
    return " > ".join(hops)


def _ssh_text(hop: JsonObject) -> str:
    host = hop["host"].lower()
    return f"ssh://{hop['username']}@{f'[{host}]' if ':' in host else host}:{hop['port']}"


def _socket_findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    path = spec["socket"]
    for field in ("proxy", "ssh"):
        if field in spec:
            yield kinds.Finding(
                code="E141",
                path=(field,),
                message=f"`{field}` and `socket` exclude each other: a socket is on this machine",
                hint="keep one of them",
            )
    if not path.startswith("/") or path.endswith("/"):
        yield kinds.Finding(
            code="E142",
            path=("socket",),
            message="the socket is not the absolute path of a file",
            hint="write it from the root, such as `/run/postgresql/.s.PGSQL.5432`",
        )
    elif {"..", ".", ".reconciler"} & set(path.split("/")):
        yield kinds.Finding(
            code="E142",
            path=("socket",),
            message="the path of the socket has `.`, `..` or this tool's own folder in it",
            hint="write the plain path of the server's socket",
        )


def _proxy_findings(proxy: JsonObject) -> Iterator[kinds.Finding]:
    path: Path = ("proxy", "url")
    url = split_proxy(proxy["url"])
    if "@" in proxy["url"]:
        yield kinds.Finding(
            code="E140",
            path=path,
            message="the URL of the proxy has user info before its host",
            hint="use `auth: {username: ..., password: {env: NAME}}` beside `url`",
        )
    elif url is None:
        yield kinds.Finding(
            code="E140",
            path=path,
            message="the URL of the proxy is not a scheme, a host and a port",
            hint=_EXAMPLE,
        )
    elif problem := addresses.host_problem(url.host):
        yield kinds.Finding(
            code=problem.code, path=path, message=problem.message, hint=problem.hint
        )
    else:
        yield from _proxy_login_findings(proxy, url)


def _proxy_login_findings(proxy: JsonObject, url: ProxyUrl) -> Iterator[kinds.Finding]:
    if "ca" in proxy and url.scheme != "https":
        yield kinds.Finding(
            code="E141",
            path=("proxy", "ca"),
            message="`ca` is for an `https://` proxy; this one speaks no TLS",
            hint="remove it, or use the proxy's `https://` address",
        )
    if "auth" not in proxy:
        return
    if ":" in proxy["auth"]["username"] and url.scheme != "socks5":  # RFC 7617, section 2
        yield kinds.Finding(
            code="E140",
            path=("proxy", "auth", "username"),
            message="the user name has a `:`, which ends it in HTTP",
            hint="use a user name without it",
        )
    if url.scheme != "https" and not addresses.is_loopback(url.host):
        yield kinds.Finding(
            code="W202",
            path=("proxy", "url"),
            message="the proxy's password is sent unencrypted: everybody on the way can read it",
            hint="use the proxy's `https://` address, if it has one",
        )


def _ssh_findings(hop: JsonObject, at: Path) -> Iterator[kinds.Finding]:
    problem = addresses.host_problem(hop["host"])
    if problem:
        yield kinds.Finding(
            code=problem.code, path=(*at, "host"), message=problem.message, hint=problem.hint
        )
    if ("password" in hop) == ("privateKey" in hop):
        yield kinds.Finding(
            code="E141",
            path=at,
            message="an SSH server is logged in to with `password` or with `privateKey`",
            hint="give exactly one of them",
        )
    if "passphrase" in hop and "privateKey" not in hop:
        yield kinds.Finding(
            code="E141",
            path=(*at, "passphrase"),
            message="`passphrase` opens a `privateKey`, and there is none",
            hint="remove it, or give the key",
        )
