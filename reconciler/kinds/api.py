"""`ApiConnection`, as the pure stages know it: what its schema cannot say, and where it connects.

Free of pydantic; the model is named, not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler import kinds
from reconciler.kinds import addresses, api_auth, api_oauth2, hops, limits
from reconciler.kinds.addresses import Problem
from reconciler.model import Endpoint, Json, JsonObject, Path

#: Headers that carry credentials, whatever their value.
_CREDENTIAL_HEADER: Final = re.compile(
    r"authorization|cookie|token|secret|passw|pwd|credential|jwt|session|signature"
    r"|(?:api|access|auth|app|application|subscription|private)[-_]?key|^(?:x-)?auth$"
)
_CREDENTIAL_VALUE: Final = re.compile(
    r"(?:basic|bearer|digest|negotiate|token)\s+\S", re.IGNORECASE
)
#: Origin-form of a request target (RFC 9112, section 3.2.1), no fragment, no backslash.
REQUEST_PATH: Final = r'(?:/[!"$-\[\]-~]*)?'
#: Characters that a header may hold here: visible ASCII, space and tab (RFC 9110, section 5.5).
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


#: Fields of `auth` that say as whom we connect; the first that is there.
_WHO: Final = ("username", "consumerKey", "clientId")


def checks(spec: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with a `spec` that is valid by the schema; nothing repeats a value."""
    problem = addresses.url_problem(spec["baseUrl"])
    if problem:
        yield _finding(problem, ("baseUrl",))
    yield from api_auth.findings(spec.get("auth", {}))
    yield from _header_findings(spec)
    yield from api_oauth2.checks(spec.get("auth", {}))
    yield from _health_findings(spec.get("health", {}))
    yield from limits.duration_findings(spec)
    yield from _tls_findings(spec)
    yield from hops.findings(spec)
    if problem is None:
        yield from _warnings(spec)


def path_problem(path: str) -> str:
    """Returns why `path` cannot be appended to a base URL, as a predicate, or `""`."""
    if not re.fullmatch(REQUEST_PATH, path):
        return "does not begin with `/`, or has a character that no request can carry"
    name = addresses.secret_parameter(path.partition("?")[2])
    return f"carries a credential in its parameter `{name}`" if name else ""


def header_problem(name: str, value: str) -> str:
    """Returns why a header cannot be written beside a credential, as a predicate, or `""`."""
    lowered = name.lower()
    if _CREDENTIAL_HEADER.search(lowered) or _CREDENTIAL_VALUE.match(value):
        return "carries a credential"
    if api_auth.OWN_HEADER.fullmatch(lowered):
        return "is set by the transport"
    return "" if _HEADER_VALUE.fullmatch(value) else "has a character that none can carry"


def endpoint(spec: JsonObject) -> Endpoint:
    """Returns where, how and as whom a normal `spec` connects."""
    url = addresses.split_url(spec["baseUrl"])
    auth = spec["auth"]
    return Endpoint(
        scheme=url.scheme,
        host=url.host,
        port=url.port,
        text=spec["baseUrl"],
        method=auth["method"],
        username=next((auth[name] for name in _WHO if name in auth), ""),
        socket=spec.get("socket", ""),
        via=hops.via(spec),
        login=api_oauth2.token_server(auth),
    )


def consent(spec: JsonObject) -> JsonObject | None:
    """Returns what a person has to agree to before a normal `spec` can connect, or None."""
    return api_oauth2.consent(spec["auth"])


def _header_findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    secret_names = {name.lower() for name in api_auth.header_names(spec.get("auth", {}))}
    seen: set[str] = set()
    for name, value in spec.get("headers", {}).items():
        path: Path = ("headers", name)
        lowered = name.lower()
        if _CREDENTIAL_HEADER.search(lowered) or _CREDENTIAL_VALUE.match(value):
            yield kinds.Finding(
                code="E304",
                path=path,
                message=f"the header `{name}` carries a credential",
                hint=f"use `auth: {{method: headers, headers: {{{name}: {{env: NAME}}}}}}`",
            )
        elif api_auth.OWN_HEADER.fullmatch(lowered):
            yield kinds.Finding(
                code="E118",
                path=path,
                message=f"the header `{name}` is set by the transport",
                hint="remove it",
            )
        elif lowered in seen or lowered in secret_names:
            yield kinds.Finding(
                code="E118",
                path=path,
                message=f"the header `{name}` is given twice; case makes no difference",
                hint="keep one of them",
            )
        if not _HEADER_VALUE.fullmatch(value):
            yield kinds.Finding(
                code="E118",
                path=path,
                message=f"the header `{name}` has a character in its value that none can carry",
                hint="a value is one line of printable ASCII",
            )
        seen.add(lowered)


def _health_findings(health: JsonObject) -> Iterator[kinds.Finding]:
    name = addresses.secret_parameter(health.get("path", "").partition("?")[2])
    if name:
        yield kinds.Finding(
            code="E305",
            path=("health", "path"),
            message=f"the path carries a credential in its parameter `{name}`",
            hint=f"use `auth: {{method: apiKey, in: query, name: {name}, value: {{env: NAME}}}}`",
        )
    expect = health.get("expect", {})
    for index, item in enumerate(expect.get("status", ())):
        first, _, last = str(item).partition("-")
        if last and first > last:
            yield kinds.Finding(
                code="E107",
                path=("health", "expect", "status", index),
                message=f"the range {item} ends before it begins",
                hint=f"write `{last}-{first}`",
            )
    if "json" in health:
        yield from _body_findings(health)
    if health.get("method") == "HEAD":
        for field in sorted(expect.keys() & {"json", "text"}):
            yield kinds.Finding(
                code="E113",
                path=("health", "expect", field),
                message=f"`{field}` needs a body, and the answer to HEAD has none",
                hint="use `method: GET`",
            )


def _body_findings(health: JsonObject) -> Iterator[kinds.Finding]:
    if health.get("method") != "POST":
        yield kinds.Finding(
            code="E113",
            path=("health", "json"),
            message="`json` is a body, and only POST has one here",
            hint="use `method: POST`, or delete it",
        )
    for path in _credentials(health["json"]):
        yield kinds.Finding(
            code="E304",
            path=("health", "json", *path),
            message=f"the body carries a credential in `{path[-1]}`",
            hint="use `auth`: a body is no secret",
        )


def _credentials(data: Json, path: Path = ()) -> Iterator[Path]:
    """Yields where `data` has text under a name that says that it is a credential."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            # the body of a search has many a `key` that is none
            if isinstance(value, str) and key != "key" and addresses.is_secret_name(str(key)):
                yield (*path, key)
            else:
                yield from _credentials(value, (*path, key))


def _tls_findings(spec: JsonObject) -> Iterator[kinds.Finding]:
    setting = spec.get("tls", {})
    problem = addresses.host_problem(setting["serverName"]) if "serverName" in setting else None
    if problem:
        yield _finding(problem, ("tls", "serverName"))
    if "clientCertificate" in setting and spec["baseUrl"].lower().startswith("http:"):
        yield kinds.Finding(
            code="E113",
            path=("tls", "clientCertificate"),
            message="`clientCertificate` belongs to TLS, and the URL begins with `http:`",
            hint="use `https://`, or remove it",
        )


def _warnings(spec: JsonObject) -> Iterator[kinds.Finding]:
    url = addresses.split_url(spec["baseUrl"])
    if addresses.is_loopback(url.host) or "socket" in spec:
        return
    if url.scheme == "http" and spec.get("auth", {}).get("method", "none") != "none":
        yield kinds.Finding(
            code="W202",
            path=("baseUrl",),
            message="a credential is sent unencrypted: everybody on the way can read it",
            hint="use `https://`",
        )
    if url.scheme == "https" and not spec.get("tls", {}).get("verify", True):
        yield kinds.Finding(
            code="W201",
            path=("tls", "verify"),
            message="the server's certificate is not verified: anybody on the way can pose as it",
            hint="name its certificate authority: `tls: {ca: {file: ...}}`",
        )


def _finding(problem: Problem, path: Path) -> kinds.Finding:
    return kinds.Finding(code=problem.code, path=path, message=problem.message, hint=problem.hint)


KIND: Final = kinds.Kind(
    name="ApiConnection",
    alias="api",
    access_fields=frozenset({"baseUrl", "auth", "headers", "tls"}) | hops.ACCESS_FIELDS,
    model="reconciler.kinds.api_spec:ApiConnection",
    checks=checks,
    endpoint=endpoint,
    consent=consent,
    login_addresses=api_oauth2.LOGIN_ADDRESSES,
)
