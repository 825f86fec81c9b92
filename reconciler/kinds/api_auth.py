"""What the schema cannot say of the authentication of an API: fields that need one another.

Beside `api`, whose `checks` yields these; pure, and free of pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler import kinds
from reconciler.model import JsonObject, Path

#: Headers that the transport sets: framing, routing and hop-by-hop (RFC 9110, sections 7.2, 7.6.1;
#: RFC 9112, section 6). A second opinion on them is how requests get smuggled.
OWN_HEADER: Final = re.compile(
    "accept-encoding|connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer"
    "|transfer-encoding|upgrade"
)


def findings(auth: JsonObject) -> Iterator[kinds.Finding]:
    """Yields what is wrong with `auth`, which is valid by the schema."""
    if auth.get("method") == "oauth1":
        yield from _oauth1_findings(auth)
    path: Path = ("auth", "headers") if auth.get("method") == "headers" else ("auth",)
    for name in header_names(auth):
        if OWN_HEADER.fullmatch(name.lower()):
            yield kinds.Finding(
                code="E118",
                path=path,
                message=f"the header `{name}` is set by the transport",
                hint="ask which header the API reads its credential from",
            )


def header_names(auth: JsonObject) -> tuple[str, ...]:
    """Returns the headers, of names that the manifest chooses, that carry the credential."""
    match auth:
        case {"method": "apiKey", "name": name} if auth.get("in", "header") == "header":
            return (name,)
        case {"method": "bearer", "header": name}:
            return (name,)
        case {"method": "headers", "headers": headers}:
            return tuple(headers)
        case _:
            return ()


def _oauth1_findings(auth: JsonObject) -> Iterator[kinds.Finding]:
    is_rsa = auth.get("signatureMethod") == "RSA-SHA1"
    needed, foreign = (
        ("privateKey", "consumerSecret") if is_rsa else ("consumerSecret", "privateKey")
    )
    if foreign in auth:
        belongs = "does not belong" if is_rsa else "belongs"
        yield kinds.Finding(
            code="E113",
            path=("auth", foreign),
            message=f"`{foreign}` {belongs} to signatureMethod `RSA-SHA1`",
            hint="remove it",
        )
    if needed not in auth:
        yield _missing(needed)
    for field in ("token", "tokenSecret"):
        if field in auth and "consent" in auth:
            yield kinds.Finding(
                code="E113",
                path=("auth", field),
                message=f"`{field}` belongs to a connection without `consent`",
                hint="remove one of the two",
            )
    if "tokenSecret" in auth and "token" not in auth:
        yield _missing("token")
    if "token" in auth and "tokenSecret" not in auth and not is_rsa:
        yield _missing("tokenSecret")


def _missing(field: str) -> kinds.Finding:
    return kinds.Finding(
        code="E103",
        path=("auth",),
        message=f"`spec.auth.{field}` is required",
        hint=f"write `{field}: {{env: NAME}}`",
    )
