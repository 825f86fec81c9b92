"""What the schema cannot say of OAuth, and what the plan asks of it.

Beside `api`, whose checks call it; free of pydantic. The addresses of a login are judged more
strictly than a base URL, since client secrets and codes go there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from reconciler import kinds
from reconciler.kinds import addresses
from reconciler.model import JsonObject, Path

#: Grants that a person has to agree to once.
CONSENT_GRANTS: Final = frozenset({"authorizationCode", "deviceCode"})
#: Where credentials of the manifest go.
LOGIN_ADDRESSES: Final = frozenset({"tokenUrl", "deviceUrl", "authorizationUrl", "revocationUrl"})
#: What a consent was given for: with another one of these, it has to be given again.
_CONSENTED: Final = (
    "grant", "tokenUrl", "authorizationUrl", "deviceUrl", "clientId", "scopes", "audience",
    "resource",
)  # fmt: skip
#: Addresses among the fields, and where a query of theirs belongs.
_ADDRESSES: Final = {
    "tokenUrl": "parameters",
    "requestTokenUrl": "",
    "accessTokenUrl": "",
    "deviceUrl": "parameters",
    "revocationUrl": "",
    "authorizationUrl": "authorizationParameters",
    "redirectUrl": "",
    "issuer": "",
}
#: Fields of the requests that the grants write themselves.
_OWN: Final = frozenset(
    {
        "grant_type", "client_id", "scope", "audience", "resource", "redirect_uri",
        "response_type", "response_mode", "state", "code_challenge", "code_challenge_method",
        "username", "client_assertion_type", "iss", "sub", "aud", "iat", "exp", "jti",
    }
)  # fmt: skip
_CREDENTIALS: Final = frozenset(
    {"code", "code_verifier", "assertion", "client_assertion", "device_code"}
)


def consent(auth: JsonObject) -> JsonObject | None:
    """Returns what a person has to agree to for a normal `auth`, or None where nobody has to."""
    if auth["method"] == "oauth1" and "consent" in auth:
        own = {name: auth.get(name) for name in ("consumerKey", "signatureMethod")}
        return {**own, **{f"consent.{name}": url for name, url in auth["consent"].items()}}
    if auth["method"] != "oauth2" or auth.get("grant") not in CONSENT_GRANTS:
        return None
    return {name: auth.get(name) for name in _CONSENTED}


def token_server(auth: JsonObject) -> str:
    """Returns scheme, host and port of the token server, or `""` where `auth` has none."""
    if auth["method"] != "oauth2":
        return ""
    url = addresses.split_url(auth["tokenUrl"])
    return f"{url.scheme}://{url.host}:{url.port}"


def checks(auth: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with the `auth` of an API; nothing repeats a value."""
    if auth.get("method") == "oauth1":
        yield from _address_findings(auth.get("consent", {}), ("auth", "consent"))
    if auth.get("method") != "oauth2":
        return
    yield from _address_findings(auth, ("auth",))
    for path in (("parameters",), ("authorizationParameters",), ("assertion", "claims")):
        parent = auth.get(path[0], {})
        yield from _parameter_findings(path, parent if len(path) == 1 else parent.get(path[1], {}))
    client = auth.get("clientAuthentication", {"method": "none"})
    if client["method"] != "none" and "clientId" not in auth:
        yield kinds.Finding(
            code="E103",
            path=("auth",),
            message="`spec.auth.clientId` is missing: `clientAuthentication` proves who that is",
            hint="write `clientId: ...`",
        )
    if auth["grant"] == "password":
        yield kinds.Finding(
            code="W211",
            path=("auth", "grant"),
            message="the grant `password` gives the password of a person to this program",
            hint="use `clientCredentials`, or `authorizationCode` where a person must agree",
        )


def _address_findings(auth: JsonObject, at: Path) -> Iterator[kinds.Finding]:
    for name, parameters in _ADDRESSES.items():
        text = auth.get(name)
        if text is None:
            continue
        path: Path = (*at, name)
        problem = addresses.url_problem(text)
        if problem is not None:
            if problem.code == "E116" and "query" in problem.message and parameters:
                problem = replace(problem, hint=f"write it into `{parameters}`")
            elif problem.code == "E116":
                problem = replace(problem, hint="leave it out")
            yield kinds.Finding(
                code=problem.code,
                path=path,
                message=problem.message.replace("the URL", f"`{name}`", 1),
                hint=problem.hint,
            )
        elif name == "redirectUrl":
            yield from _redirect_findings(text, path)
        elif name != "issuer":
            yield from _encryption_findings(text, path)
    resource = auth.get("resource", "")
    parameter = addresses.secret_parameter(resource.partition("?")[2])
    if parameter or "@" in (resource.partition("://")[2].partition("/")[0]):
        yield kinds.Finding(
            code="E305" if parameter else "E116",
            path=("auth", "resource"),
            message="`resource` carries a credential",
            hint="a resource names an API and no account",
        )


def _encryption_findings(text: str, path: Path) -> Iterator[kinds.Finding]:
    url = addresses.split_url(text)
    if url.scheme == "http" and not addresses.is_loopback(url.host):
        yield kinds.Finding(
            code="E131",
            path=path,
            message=f"`{path[-1]}` begins with `http:`: credentials and tokens would cross the "
            "network readable by everybody on the way",
            hint="use `https://`; `http://` is for addresses of this machine",
        )


def _redirect_findings(text: str, path: Path) -> Iterator[kinds.Finding]:
    url = addresses.split_url(text)
    has_port = urlsplit(text).port is not None
    if url.scheme != "http" or not addresses.is_loopback(url.host) or not has_port:
        yield kinds.Finding(
            code="E132",
            path=path,
            message="`redirectUrl` is not on this machine: `authorize` could not listen there",
            hint="register and write one like `http://127.0.0.1:8765/callback`",
        )


def _parameter_findings(path: tuple[str, ...], given: JsonObject) -> Iterator[kinds.Finding]:
    for name in given:
        lowered = name.lower()
        if lowered in _CREDENTIALS or addresses.secret_parameter(f"{lowered}="):
            yield kinds.Finding(
                code="E133",
                path=("auth", *path, name),
                message=f"the parameter `{name}` carries a credential",
                hint="a credential has a field of its own, which holds a reference",
            )
        elif lowered in _OWN and not (path[-1] == "claims" and lowered in ("scope", "resource")):
            yield kinds.Finding(
                code="E133",
                path=("auth", *path, name),
                message=f"the parameter `{name}` is written by the grant",
                hint="remove it; `scopes`, `audience` and `resource` are fields of `auth`",
            )
