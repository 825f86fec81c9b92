"""URLs that parsers disagree about, addresses that are never contacted, endpoints that misbehave."""

from __future__ import annotations

from collections.abc import Sequence

from tests.corpus.cases import API, CANARY, Case, Place, Prepare, api, url
from tests.servers import http_routes
from tests.servers.http import Route, closed_port

_SPEC = "  timeout: {total: 2s}\n  health: {timeout: 1s, failureThreshold: 1}\n"
_AUTH = "  auth: {method: bearer, token: {env: TOKEN}}\n"


def _served(route: Route, rest: str = "") -> Prepare:
    def prepare(place: Place) -> None:
        place.server.routes["/x"] = route
        text = API.replace("https://crm.example.com", f"{place.server.url}/x")
        place.write("manifests/case.yaml", text + _SPEC + rest)

    return prepare


def _health(row: str, what: str, prepare: Prepare, says: str, *, exit: int = 11, **env: str) -> Case:
    return Case(row=row, what=what, prepare=prepare, argv=("apply",), exit=exit, says=says, env=env, records=True)


def _at(address: str) -> Prepare:
    return url(f"{address}\n  timeout: {{total: 1s}}")


def _refused(place: Place) -> None:
    url(f"http://127.0.0.1:{closed_port()}")(place)

def _tls_to_plain(place: Place) -> None:
    text = API.replace("https://crm.example.com", place.server.url.replace("http:", "https:"))
    place.write("manifests/case.yaml", text + _SPEC)

CASES = (
    *(
        Case(row="B113", what=text, prepare=url(text), says="E")
        for text in ("127.0.0.1:80/x", "ftp://h/x", "file:///etc/passwd", "gopher://h/", "'javascript:alert(1)'", "//h/x", "http:h", "http:///x", "''")
    ),
    Case(row="B115", what="key in the query", prepare=url(f"https://h.example/?api_key={CANARY}"), says="E"),
    Case(row="B115", what="login", prepare=url(f"https://u:{CANARY}@h.example/"), says="E"),
    *(
        Case(row="B116", what=f"port {port}", prepare=url(f"https://h.example:{port}/"), says="E")
        for port in ("99999", "0", "abc", "-1", "+80", "8_0", "\u0668\u0660", "000000000000080")
    ),
    *(
        Case(row="B118", what=f"{name} in the URL", prepare=url(f'"https://h.example/{text}"'), says="E")
        for name, text in (("CR LF", r"a\r\nX: y"), ("tab", r"a\tb"), ("space", "a b"), ("DEL", r"\x7f"))
    ),
    Case(row="B119", what="backslash before @", prepare=url(r"https://good.example\@evil.example"), says="E"),
    Case(row="B119", what="fragment with @", prepare=url("https://good.example#@evil"), says="E"),
    Case(row="B119", what="two @", prepare=url("https://a@b@c.example"), says="E"),
    Case(row="B121", what="ideographic dots", prepare=url("http://127\u30020\u30020\u30021/"), says="E"),
    Case(row="B121", what="mixed scripts", prepare=url("http://p\u0430ypal.example/"), says="E"),
    Case(row="B121", what="full-width digits", prepare=url("http://\uff11\uff12\uff17.0.0.1/"), says="E"),
    Case(row="B121", what="percent-encoded host", prepare=url("http://%31%32%37.0.0.1/"), says="E"),
    *(
        _health(row, f"{address}", _at(address), "DestinationDenied")
        for row, address in (
            ("B122", "http://169.254.169.254/latest/meta-data/"),
            ("B124", "http://100.100.100.200/"),
            ("B125", "http://168.63.129.16/"),
            ("B131", "http://0/"),
            ("B131", "http://0.0.0.0/"),
            ("B122", "http://[::ffff:169.254.169.254]/"),
            ("B122", "http://[64:ff9b::a9fe:a9fe]/"),
            ("B122", "http://[fe80::1]/"),
            ("B122", "http://[ff02::1]/"),
            ("B122", "http://2852039166/"),
            ("B122", "http://0xa9.0xfe.0xa9.0xfe/"),
            ("B122", "http://0251.0376.0251.0376/"),
            ("B122", "http://169.254.43518/"),
        )
    ),
    _health("B139", "redirect to another host", _served(http_routes.redirect("http://evil.example/"), _AUTH), "", TOKEN=CANARY),
    _health("B140", "redirect to no place", _served(http_routes.redirect("\\")), ""),
    _health("B142", "secret with a line end", _served(http_routes.answer(200), _AUTH), "", exit=4, TOKEN=f"{CANARY}\n"),
    _health("B143", "secret that is not ASCII", _served(http_routes.answer(200), _AUTH), "", exit=4, TOKEN=f"{CANARY}\u00e9"),
    _health("B145", "nothing listens", _refused, ""),
    _health("B146", "host that does not exist", _at("http://nowhere.invalid/"), ""),
    _health("B148", "body that drips", _served(http_routes.drip(), "").__call__ and _served(http_routes.drip()), ""),
    _health("B148", "body that never comes", _served(http_routes.silence(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")), ""),
    _health("B149", "headers that never end", _served(http_routes.endless_headers()), ""),
    _health("B152", "body cut short", _served(http_routes.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc")), ""),
    _health("B154", "header of 1 MiB", _served(http_routes.raw(b"HTTP/1.1 200 OK\r\nA: " + b"x" * (1 << 20) + b"\r\n\r\n")), ""),
    _health("B154", "10,000 headers", _served(http_routes.raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n")), ""),
    _health("B154", "header of bad bytes", _served(http_routes.raw(b"HTTP/1.1 200 OK\r\nA: \xff\xfe\r\nContent-Length: 0\r\n\r\n")), "", exit=0),
    _health("B155", "echo of the credential", _served(http_routes.echo(400), _AUTH), "", TOKEN=CANARY),
    _health("B157", "no TLS behind https", _tls_to_plain, ""),
    Case(row="B161", what="proxy", prepare=api(f"proxy: 'socks5://u:{CANARY}@h'"), says="E"),
)
