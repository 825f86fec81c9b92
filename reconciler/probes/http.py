"""Checks one API: builds the health request, sends it once, and turns whatever happens into words.

Stage 5 runs it through `health`; `clients.http` does the talking, `http_judgement` the judging.
Every end but a cancellation is an `Observation`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from secrets import token_urlsafe

from pydantic import TypeAdapter

from reconciler import auth
from reconciler.auth import exchange, oauth2
from reconciler.clients import http, http_response, tls
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
)
from reconciler.probes import TokenRequest, Tools, http_judgement, outcome
from reconciler.redact import Secret

#: Reasons that a server gives only to somebody it let in.
_AFTER_AUTHENTICATION = frozenset(
    {Reason.OK, Reason.PERMISSION_DENIED, Reason.ASSERTION_FAILED, Reason.BODY_TOO_LARGE}
)


#: The normalised spec needs no second validation as a whole (a tenth of a probe); its `auth` does,
#: to become the one of the methods that it names.
_AUTH: TypeAdapter[auth.ApiAuth] = TypeAdapter(auth.ApiAuth)
_GRANT: TypeAdapter[oauth2.AnyGrant] = TypeAdapter(oauth2.OAuth2Auth)


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
    verdict = await _examine(target, secrets, tools, stages)
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
    )


async def _examine(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> http_judgement.Verdict:
    spec = target.spec
    expect = spec["health"]["expect"]
    try:
        request, answer = await _ask(target, secrets, tools, stages)
    except ConnectionFailed as failure:
        return http_judgement.Verdict(
            reason=failure.reason, stage=failure.stage, message=failure.message, hint=failure.hint
        )
    except SecretError as failure:
        return http_judgement.Verdict(
            reason=Reason.SECRET_UNRESOLVED,
            stage=StageName.SECRET,
            message=failure.message,
            hint=failure.hint,
        )
    return http_judgement.judge(
        answer,
        http_judgement.Expectation(
            status=expect["status"], json=expect["json"], text=expect.get("text", "")
        ),
        request_url=request.url,
        is_anonymous=spec["auth"]["method"] == "none",
    )


async def _ask(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> tuple[exchange.Request, http_response.Answer]:
    """Returns the last request of the authentication flow and the answer to it."""
    spec = target.spec
    route = _route(spec, tools)
    method = _AUTH.validate_python(spec["auth"])
    talk = partial(_talk, method, _request(spec), tools, route, stages)
    if not isinstance(method, oauth2.Grant):
        return await talk(secrets)
    assert tools.tokens is not None
    wanted = token_request(target, secrets, tools, stages)
    token = await tools.tokens.access(wanted)
    request, answer = await talk({**secrets, oauth2.ACCESS_TOKEN: token})
    if answer.status != HTTPStatus.UNAUTHORIZED:
        return request, answer
    # it may have been revoked, or the server may have lost it: another one is tried, once
    renewed = await tools.tokens.renewed(wanted)
    if renewed is None:
        return request, answer
    return await talk({**secrets, oauth2.ACCESS_TOKEN: renewed})


def token_request(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> TokenRequest:
    """Returns what a token of `target`, whose method is `oauth2`, is asked for with.

    Raises:
        SecretError: a certificate authority cannot be read.
    """
    return TokenRequest(
        uid=target.uid,
        name=str(target.ref),
        auth=target.spec["auth"],
        grant=_GRANT.validate_python(target.spec["auth"]),
        secrets=secrets,
        route=_route(target.spec, tools),
        stages=stages,
    )


async def _talk(  # noqa: PLR0917 - whom, what, how
    method: auth.ApiAuth,
    request: exchange.Request,
    tools: Tools,
    route: http.Route,
    stages: Stages,
    secrets: Mapping[str, Secret],
) -> tuple[exchange.Request, http_response.Answer]:
    """Runs the flow of `method` over `request` to its end."""
    moment = exchange.Moment(now=tools.clock(), nonce=token_urlsafe)
    flow = method.flow(request, secrets, moment)
    request = next(flow)
    while True:
        answer = await http.send(request, route, stages)
        try:
            request = flow.send(
                exchange.Response(
                    status=answer.status, headers=answer.text_headers(), body=answer.body
                )
            )
        except StopIteration:
            return request, answer


def _request(spec: JsonObject) -> exchange.Request:
    url, path = spec["baseUrl"], spec["health"]["path"]
    return exchange.Request(
        method=spec["health"]["method"],
        # plain joining keeps the base path, which `urljoin` would replace
        url=url.rstrip("/") + path if path else url,
        headers=tuple(spec["headers"].items()),
    )


def _route(spec: JsonObject, tools: Tools) -> http.Route:
    setting = spec["tls"]
    timeout, health = spec["timeout"], spec["health"]
    total_s = min(parse_duration(health["timeout"]), parse_duration(timeout["total"]))
    return http.Route(
        tls_mode=tls.TlsMode.VERIFY_FULL if setting["verify"] else tls.TlsMode.REQUIRE,
        ca=tools.read_public(setting["ca"]) if "ca" in setting else "",
        connect_s=parse_duration(timeout["connect"]),
        deadline=asyncio.get_running_loop().time() + total_s,
    )


def _close(
    reached: tuple[Stage, ...], verdict: http_judgement.Verdict, method: str
) -> tuple[Stage, ...]:
    """Returns the stages as they are to be shown: the last one is where the probe ended.

    HTTP authenticates inside the request, so `auth` has no time of its own: it is the request
    itself where the server refused the credential, and an instant before it where it did not.
    """
    last = reached[-1] if reached else None
    if last is not None and last.name is StageName.QUERY and verdict.stage is StageName.AUTH:
        return (*reached[:-1], replace(last, name=StageName.AUTH))
    if last is not None and last.name is StageName.QUERY and verdict.stage is StageName.TLS:
        return reached[:-1]  # TLS 1.3 refuses a client after its first request
    if last is None or last.name is not verdict.stage:
        return (*reached, Stage(name=verdict.stage, seconds=0.0))
    if method != "none" and verdict.reason in _AFTER_AUTHENTICATION:
        accepted = Stage(name=StageName.AUTH, seconds=0.0, detail=f"{method}, not refused")
        return (*reached[:-1], accepted, last)
    return reached
