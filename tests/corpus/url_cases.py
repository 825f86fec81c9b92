"""URLs that parsers disagree about, addresses never contacted, endpoints that misbehave."""

from __future__ import annotations

from tests.corpus.cases import API, CANARY, Case, Place, Prepare, api, url
from tests.servers import http_routes
from tests.servers.http import Route, closed_port

_HEALTH = "  timeout: {total: 2s}\n  health: {timeout: 1s}\n"
_AUTH = "  auth: {method: bearer, token: {env: TOKEN}}\n"
_NO_SCHEME = "E115]: the URL does not begin with `https://` or `http://`"
_NO_NUMBER = "E115]: the port of the URL is not a number from 1 to 65535"
_USER_INFO = "E116]: the URL has user info before its host"


def _served(route: Route, *, auth: str = _AUTH) -> Prepare:
    """Returns what makes an API whose health request is answered by `route`."""

    def prepare(place: Place) -> None:
        place.server.routes["/x"] = route
        text = API.replace("https://crm.example.com", f"{place.server.url}/x")
        place.write("manifests/case.yaml", text + _HEALTH + auth)

    return prepare


def _closed(place: Place) -> None:
    url(f"http://127.0.0.1:{closed_port()}\n{_HEALTH}")(place)


def _checked(
    row: str, what: str, prepare: Prepare, says: str, *, code: int = 11, token: str = CANARY
) -> Case:
    return Case(
        row=row,
        what=what,
        prepare=prepare,
        argv=("apply",),
        exit=code,
        says=says,
        env={"TOKEN": token},
        may_record=True,
    )


CASES = (
    *(
        Case(row="B113", what=text, prepare=url(text), says=_NO_SCHEME)
        for text in (
            *("127.0.0.1:80/x", "ftp://h/x", "file:///etc/passwd", "gopher://h/"),
            *("'javascript:alert(1)'", "//h/x", "http:h"),
        )
    ),
    Case(row="B113", what="no host", prepare=url("http:///x"), says="E117]: the host is empty"),
    Case(
        row="B115",
        what="key in the query",
        prepare=url(f"https://h.example/?api_key={CANARY}"),
        says="E305]: the URL carries a credential in its parameter `api_key`",
    ),
    Case(
        row="B115",
        what="login before the host",
        prepare=url(f"https://u:{CANARY}@h.example/"),
        says=_USER_INFO,
    ),
    *(
        Case(
            row="B116",
            what=f"port {port}",
            prepare=url(f"https://h.example:{port}/"),
            says=_NO_NUMBER,
        )
        for port in ("99999", "0", "abc", "-1", "+80", "8_0", "\u0668\u0660", "00080")
    ),
    *(
        Case(
            row="B118",
            what=f"{name} in the URL",
            prepare=url(f'"https://h.example/a{character}b"'),
            says=says,
        )
        for name, character, says in (
            ("CR LF", r"\r\n", "E004]: the text holds the character U+000D"),
            ("NUL", r"\0", "E004]: the text holds the character U+0000"),
            ("tab", r"\t", r"E115]: the URL has a `\t` at position 20"),
            ("space", " ", "E115]: the URL has a `space` at position 20"),
        )
    ),
    *(
        Case(row="B119", what=text, prepare=url(text), says=says)
        for text, says in (
            (r"https://good.example\@evil.example", _USER_INFO),
            ("https://a@b@c.example", _USER_INFO),
            ("https://good.example#@evil", "E115]: the URL has a fragment"),
        )
    ),
    *(
        Case(row="B121", what=what, prepare=url(f"http://{host}/"), says=f"E117]: the host {says}")
        for what, host, says in (
            ("ideographic dots", "127\u30020\u30020\u30021", "has a full stop of another script"),
            ("mixed scripts", "p\u0430ypal.example", "has a character outside ASCII; its ASCII"),
            ("full-width digits", "\uff11\uff12\uff17.0.0.1", "has a character outside ASCII"),
            ("percent signs", "%31%32%37.0.0.1", "is neither a name nor an address"),
        )
    ),
    *(
        _checked(
            row,
            f"address {host}",
            url(f"http://{host}/\n{_HEALTH}{_AUTH}"),
            f"{shown} is a",
        )
        for row, host, shown in (
            ("B122", "169.254.169.254", "169.254.169.254"),
            ("B122", "2852039166", "169.254.169.254"),
            ("B122", "0xa9.0376.43518", "169.254.169.254"),
            ("B122", "[::ffff:169.254.169.254]", "::ffff:169.254.169.254"),
            ("B122", "[64:ff9b::a9fe:a9fe]", "64:ff9b::a9fe:a9fe"),
            ("B124", "100.100.100.200", "100.100.100.200"),
            ("B125", "168.63.129.16", "168.63.129.16"),
            ("B131", "0", "0.0.0.0"),
        )
    ),
    *(
        Case(
            row=row,
            what=f"restricted {host}",
            prepare=url(f"http://{host}/\n{_HEALTH}{_AUTH}"),
            argv=("apply",),
            operator='[network]\nprofile = "restricted"\n',
            exit=11,
            says=f"{shown} is a loopback address",
            env={"TOKEN": CANARY},
            may_record=True,
        )
        for row, host, shown in (
            ("B127", "2130706433", "127.0.0.1"),
            ("B128", "0x7f.1", "127.0.0.1"),
            ("B130", "127.1", "127.0.0.1"),
            ("B133", "[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
            ("B134", "[64:ff9b::7f00:1]", "64:ff9b::7f00:1"),
        )
    ),
    _checked(
        "B139",
        "redirect to another host",
        _served(http_routes.redirect(f"http://evil.example/?{CANARY}")),
        "302 Found: ",
    ),
    _checked(
        "B142",
        "secret with a line end",
        _served(http_routes.answer(200)),
        "the secret at /auth/token has a control character",
        code=4,
        token=f"{CANARY}\n",
    ),
    _checked(
        "B143",
        "secret that no header can carry",
        _served(http_routes.answer(200)),
        "the secret at /auth/token has a character outside Latin-1",
        code=4,
        token=f"{CANARY}\u20ac",
    ),
    _checked("B145", "closed port", _closed, "the server refuses connections on this port"),
    _checked(
        "B146",
        "host that does not exist",
        url(f"http://nowhere.invalid/\n{_HEALTH}"),
        "DnsFailure",
    ),
    _checked("B148", "body that drips", _served(http_routes.drip()), "ReadTimeout"),
    _checked(
        "B149",
        "headers that never end",
        _served(http_routes.endless_headers()),
        "the head of the answer is too long",
    ),
    _checked(
        "B152",
        "body cut short",
        _served(http_routes.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc")),
        "the server closed the connection in the middle of its answer",
    ),
    _checked(
        "B154",
        "10,000 headers",
        _served(http_routes.raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n")),
        "the answer has too many headers",
    ),
    _checked(
        "B154",
        "header of bad bytes",
        _served(http_routes.raw(b"HTTP/1.1 200 OK\r\nA: \xff\xfe\r\nContent-Length: 0\r\n\r\n")),
        "200 OK",
        code=0,
    ),
    _checked(
        "B155",
        "echo of the credential",
        _served(http_routes.echo(500)),
        "500 Internal Server Error",
    ),
    Case(
        row="B161",
        what="proxy",
        prepare=api(f"proxy: {{url: 'socks5://u:{CANARY}@h'}}"),
        says="E140]: the URL of the proxy has user info before its host",
    ),
    *(
        Case(
            row="B161",
            what=f"proxy of the scheme {scheme}",
            prepare=api(f"proxy: {{url: '{scheme}://h.example:1080'}}"),
            says="E140]: the URL of the proxy is not a scheme, a host and a port",
        )
        for scheme in ("socks9", "socks4", "ftp", "file")
    ),
    Case(
        row="B160",
        what="proxies and logins in the environment",
        prepare=_served(http_routes.answer(200)),
        argv=("apply",),
        exit=0,
        says="200 OK",
        env={
            **dict.fromkeys(
                ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:1"
            ),
            "NETRC": "/nowhere",
            "TOKEN": CANARY,
        },
        may_record=True,
    ),
    _checked(
        "B154",
        "header of 1 MiB",
        _served(http_routes.raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * (1 << 20) + b"\r\n\r\n")),
        "the head of the answer is too long",
    ),
)
