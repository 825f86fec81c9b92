"""One request to an API with the authentication of its manifest, sent for checks and programs.

`probes.http` builds the health request and judges what came of it; `connecting` sends the requests
of applications. Both go through `ask`, so that what a check has found holds for a program as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter

from reconciler import auth
from reconciler.auth import exchange, libraries, oauth1, oauth2
from reconciler.auth.spec_model import at
from reconciler.clients import http, http_response, tls, via
from reconciler.clients.hops import Way
from reconciler.clients.stages import Stages
from reconciler.kinds.durations import parse_duration
from reconciler.model import JsonObject, StageName, Target
from reconciler.probes import NEW_TOKEN, TokenRequest, TokenSource, Tools
from reconciler.redact import Secret
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.clients import tls_identity

#: The normalised spec needs no second validation as a whole (a tenth of a probe); its `auth` does,
#: to become the one of the methods that it names.
_AUTH: TypeAdapter[auth.ApiAuth] = TypeAdapter(auth.ApiAuth)
_GRANT: TypeAdapter[oauth2.AnyGrant | oauth1.OAuth1Auth] = TypeAdapter(
    Annotated[oauth1.OAuth1Auth | oauth2.OAuth2Auth, Field(discriminator="method")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request and its authentication may take."""

    total_s: float
    body_bytes: int = http.BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a flow of authentication ended."""

    url: str
    answer: http_response.Answer
    #: `auth.refusal`
    refusal: str
    #: whether the last request was more than the plain one, or nothing was to be added
    is_tried: bool
    #: whether the credential of the manifest was sent, and not only a token that was kept
    is_login: bool = True


def limits_of(spec: JsonObject) -> Limits:
    """Returns what a check of a normalised `spec` may take."""
    health_s, total_s = spec["health"]["timeout"], spec["timeout"]["total"]
    return Limits(total_s=min(parse_duration(health_s), parse_duration(total_s)))


async def ask(  # noqa: PLR0917  # a request, and what it is sent with
    plain: exchange.Request,
    target: Target,
    secrets: Mapping[str, Secret],
    tools: Tools,
    stages: Stages,
    limits: Limits,
) -> Asked:
    """Returns what came of the last request of the authentication flow over `plain`.

    Probes and applications (`connecting`) both send their requests through this function.

    Raises:
        ConnectionFailed: for everything that keeps an answer from coming.
        SecretError: a secret or a file of the manifest cannot be read or sent.
    """
    spec = target.spec
    method = _AUTH.validate_python(spec["auth"])
    if not libraries.is_loaded(method.method):
        # a large one takes seconds: not on the loop, and not at the expense of the deadline
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(tools.threads, libraries.load, method.method)
    if "ssh" in spec:
        await tools.hops.tunnels.load()
    route = _route(target, secrets, tools, limits)
    talk = partial(_talk, method, plain, route, tools=tools, stages=stages)
    if isinstance(method, oauth1.OAuth1Auth) and method.consent is not None:
        assert tools.tokens is not None
        kept = await tools.tokens.consented(_wanted(target, secrets, method, route, stages))
        pair = {at("token"): kept.access, at("tokenSecret"): kept.refresh or Secret("")}
        return await talk({**secrets, **pair})
    if not isinstance(method, oauth2.Grant):
        return await talk(secrets)
    assert tools.tokens is not None
    wanted = _wanted(target, secrets, method, route, stages)
    return await _talk_with_token(talk, wanted, tools.tokens)


async def _talk_with_token(
    talk: Callable[[Mapping[str, Secret]], Awaitable[Asked]],
    wanted: TokenRequest,
    tokens: TokenSource,
) -> Asked:
    """Talks with an access token, and once more with another one where the API refuses it."""
    secrets, stages = wanted.secrets, wanted.stages
    token = await tokens.access(wanted)
    before = len(stages.reached())
    known = {(stage.name, stage.detail) for stage in stages.reached()}
    asked = await talk({**secrets, oauth2.ACCESS_TOKEN: token})
    asked = replace(asked, is_login=(StageName.AUTH, NEW_TOKEN) in known)
    if asked.answer.status != HTTPStatus.UNAUTHORIZED:
        return asked
    # it may have been revoked, or the server may have lost it
    refused = len(stages.reached()) - 1
    try:
        renewed = await tokens.renewed(wanted)
    finally:
        if stages.last is StageName.AUTH:  # another one was asked for: to a reader, all one step
            stages.fold(StageName.AUTH, refused)
    if renewed is None:
        return asked
    stages.fold(StageName.AUTH, before)  # the next request records its own way
    return await talk({**secrets, oauth2.ACCESS_TOKEN: renewed})


def token_request(
    target: Target,
    secrets: Mapping[str, Secret],
    tools: Tools,
    stages: Stages,
    limits: Limits,
) -> TokenRequest:
    """Returns what a token of `target`, whose method is one of OAuth, is asked for with.

    Raises:
        SecretError, ConnectionFailed: a certificate cannot be read or used.
    """
    grant = _GRANT.validate_python(target.spec["auth"])
    return _wanted(target, secrets, grant, _route(target, secrets, tools, limits), stages)


def _wanted(
    target: Target,
    secrets: Mapping[str, Secret],
    grant: oauth2.AnyGrant | oauth1.OAuth1Auth,
    route: http.Route,
    stages: Stages,
) -> TokenRequest:
    return TokenRequest(
        uid=target.uid,
        name=str(target.ref),
        auth=target.spec["auth"],
        grant=grant,
        secrets=secrets,
        # `socket` and `tls.serverName` are the API's, not its token server's
        route=replace(route, server_name="", via=None if "socket" in target.spec else route.via),
        stages=stages,
    )


async def _talk(
    method: auth.ApiAuth,
    plain: exchange.Request,
    route: http.Route,
    secrets: Mapping[str, Secret],
    *,
    tools: Tools,
    stages: Stages,
) -> Asked:
    """Runs the flow of `method` over the `plain` request to its end."""
    moment = exchange.Moment(now=tools.clock(), nonce=token_urlsafe)
    flow = method.flow(plain, secrets, moment)
    request = next(flow)
    before = len(stages.reached())
    while True:
        answer = await http.send(request, route, stages)
        response = exchange.Response(
            status=answer.status, headers=answer.text_headers(), body=answer.body
        )
        try:
            request = flow.send(response)
        except StopIteration:
            return Asked(
                url=request.url,
                answer=answer,
                refusal=auth.refusal(method, response),
                is_tried=request != plain or method.method == "none",
            )
        stages.fold(StageName.AUTH, before)


def _route(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, limits: Limits
) -> http.Route:
    spec = target.spec
    setting = spec["tls"]
    hops = via.describe(spec, secrets, tools.read_public, uid=target.uid, version=target.version)
    return http.Route(
        tls_mode=tls.TlsMode.VERIFY_FULL if setting["verify"] else tls.TlsMode.REQUIRE,
        ca=tools.read_public(setting["ca"]) if "ca" in setting else "",
        identity=_identity(setting, secrets, tools),
        server_name=setting.get("serverName", ""),
        tls_minimum=setting["minimumVersion"],
        connect_s=parse_duration(spec["timeout"]["connect"]),
        deadline=asyncio.get_running_loop().time() + limits.total_s,
        body_bytes=limits.body_bytes,
        network=tools.hops.network,
        via=None if hops.is_direct else Way(hops=tools.hops, via=hops),
    )


def _identity(
    setting: JsonObject, secrets: Mapping[str, Secret], tools: Tools
) -> tls_identity.Identity | None:
    """Returns the client certificate of `setting`, in force now, or None where it names none."""
    if "clientCertificate" not in setting:
        return None
    from reconciler.clients import tls_identity

    beneath = "/tls/clientCertificate"
    own = tls_identity.identity(
        tools.read_public(setting["clientCertificate"]["certificate"]),
        secrets[f"{beneath}/key"],
        secrets.get(f"{beneath}/keyPassphrase"),
    )
    own.check(tools.clock())
    return own
