"""Checks one API: builds the health request, sends it once, and turns whatever happens into words.

Stage 5 runs it through `health`; `clients.http` does the talking, `http_judgement` the judging.
Every end but a cancellation is an `Observation`.
"""

from __future__ import annotations

import asyncio
import time
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
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.kinds.durations import parse_duration
from reconciler.model import (
    JsonObject,
    Observation,
    Reason,
    Stage,
    StageName,
    Target,
    canonical,
)
from reconciler.probes import (
    NEW_TOKEN,
    TokenRequest,
    TokenSource,
    Tools,
    http_judgement,
    outcome,
)
from reconciler.redact import Secret
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.clients import tls_identity

#: Reasons that a server gives only to somebody it let in.
_AFTER_AUTHENTICATION = frozenset(
    {Reason.OK, Reason.PERMISSION_DENIED, Reason.ASSERTION_FAILED, Reason.BODY_TOO_LARGE}
)


#: The normalised spec needs no second validation as a whole (a tenth of a probe); its `auth` does,
#: to become the one of the methods that it names.
_AUTH: TypeAdapter[auth.ApiAuth] = TypeAdapter(auth.ApiAuth)
_GRANT: TypeAdapter[oauth2.AnyGrant | oauth1.OAuth1Auth] = TypeAdapter(
    Annotated[oauth1.OAuth1Auth | oauth2.OAuth2Auth, Field(discriminator="method")]
)


async def probe(
    target: Target,
    secrets: Mapping[str, Secret],
    tools: Tools,
    *,
    reached: tuple[Stage, ...],
) -> Observation:
    """Returns what one health request to `target` found; see `probes.Probe`.

    The credential is sent at most once per request of its flow, and to no address but the checked
    one. The deadline is the smaller of `health.timeout` and `timeout.total`.
    """
    stages = Stages(reached)
    began = time.monotonic()
    verdict, is_login = await _examine(target, secrets, tools, stages)
    latency_s = time.monotonic() - began
    return Observation(
        uid=target.uid,
        generation=target.generation,
        outcome=outcome(verdict.reason),
        reason=verdict.reason,
        message=tools.redactor.clean(verdict.message),
        hint=tools.redactor.clean(verdict.hint),
        stages=_close(stages.reached(), verdict, target.spec["auth"]["method"]),
        latency_s=latency_s,
        observed_at=tools.clock(),
        is_login=is_login,
    )


async def _examine(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> tuple[http_judgement.Verdict, bool]:
    """Returns what was found, and `Observation.is_login`."""
    spec = target.spec
    expect = spec["health"]["expect"]
    try:
        asked = await ask(_request(spec), target, secrets, tools, stages, limits_of(spec))
    except ConnectionFailed as failure:
        found = http_judgement.Verdict(
            reason=failure.reason, stage=failure.stage, message=failure.message, hint=failure.hint
        )
        return found, True
    except SecretError as failure:
        found = http_judgement.Verdict(
            reason=Reason.SECRET_UNRESOLVED,
            stage=StageName.SECRET,
            message=failure.message,
            hint=failure.hint,
        )
        return found, True
    verdict = http_judgement.judge(
        asked.answer,
        http_judgement.Expectation(
            status=expect["status"], json=expect["json"], text=expect.get("text", "")
        ),
        request_url=asked.url,
        is_anonymous=spec["auth"]["method"] == "none",
        refusal=asked.refusal,
    )
    if verdict.reason is Reason.OK and not asked.is_tried:
        verdict = http_judgement.UNTRIED
    return verdict, asked.is_login


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


def _request(spec: JsonObject) -> exchange.Request:
    health = spec["health"]
    url, path = spec["baseUrl"], health["path"]
    headers = tuple(spec["headers"].items())
    body = canonical(health["json"]).encode() if "json" in health else b""
    if body and not any(name.lower() == "content-type" for name, _ in headers):
        headers = (*headers, ("Content-Type", "application/json"))
    return exchange.Request(
        method=health["method"],
        # plain joining keeps the base path, which `urljoin` would replace
        url=url.rstrip("/") + path if path else url,
        headers=headers,
        body=body,
    )


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


def _close(
    reached: tuple[Stage, ...], verdict: http_judgement.Verdict, method: str
) -> tuple[Stage, ...]:
    """Returns the stages as they are to be shown: the last one is where the probe ended.

    HTTP authenticates inside the request, so `auth` has no time but that of the requests that came
    before it, to a server that has to be asked first: it is the request itself where the server
    refused the credential, and what came before it where it did not.
    """
    last = reached[-1] if reached else None
    if last is None or last.name is not StageName.QUERY:
        is_there = last is not None and last.name is verdict.stage
        return reached if is_there else (*reached, Stage(name=verdict.stage, seconds=0.0))
    asked = sum(stage.seconds for stage in reached if stage.name is StageName.AUTH)
    others = tuple(stage for stage in reached[:-1] if stage.name is not StageName.AUTH)
    match verdict.stage:
        case StageName.AUTH:
            return (*others, replace(last, name=StageName.AUTH, seconds=asked + last.seconds))
        case StageName.TLS:
            return others  # TLS 1.3 refuses a client after its first request
        case StageName.QUERY if method != "none" and verdict.reason in _AFTER_AUTHENTICATION:
            detail = f"{method}, not refused"
        case StageName.QUERY if asked:
            detail = ""
        case StageName.QUERY:
            return reached
        case _:
            return (*reached, Stage(name=verdict.stage, seconds=0.0))
    return (*others, Stage(name=StageName.AUTH, seconds=asked, detail=detail), last)
