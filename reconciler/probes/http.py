"""Checks one API: builds the health request, sends it once, and turns whatever happens into words.

Sixth in the pipeline's reach: `health` runs it, `clients.http` does the talking, `http_judgement`
the judging. Every end but a cancellation is an `Observation`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

from reconciler.auth import exchange
from reconciler.clients import http, http_exchange, tls
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.kinds import api_spec, durations
from reconciler.model import (
    INCONCLUSIVE_REASONS,
    Observation,
    Outcome,
    Reason,
    Stage,
    StageName,
    Target,
)
from reconciler.probes import Tools, http_judgement
from reconciler.redact import Secret

#: Reasons that a server gives only to somebody it let in.
_AFTER_AUTHENTICATION = frozenset(
    {Reason.OK, Reason.PERMISSION_DENIED, Reason.ASSERTION_FAILED, Reason.BODY_TOO_LARGE}
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
    spec = api_spec.ApiSpec.model_validate(target.spec)
    stages = Stages(reached)
    began = time.monotonic()
    verdict = await _examine(spec, secrets, tools, stages)
    latency_s = time.monotonic() - began
    return Observation(
        uid=target.uid,
        generation=target.generation,
        outcome=_outcome(verdict.reason),
        reason=verdict.reason,
        message=tools.redactor.clean(verdict.message),
        hint=tools.redactor.clean(verdict.hint),
        stages=_close(stages.reached(), verdict, spec),
        latency_s=latency_s,
        observed_at=tools.clock(),
    )


async def _examine(
    spec: api_spec.ApiSpec, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> http_judgement.Verdict:
    try:
        request, answer = await _ask(spec, secrets, tools, stages)
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
    return http_judgement.judge(spec, request.url, answer)


async def _ask(
    spec: api_spec.ApiSpec, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> tuple[exchange.Request, http_exchange.Answer]:
    """Returns the last request of the authentication flow and the answer to it."""
    route = _route(spec, tools)
    flow = spec.auth.flow(_request(spec), secrets)
    request = next(flow)
    while True:
        answer = await http.send(request, route, stages)
        try:
            request = flow.send(
                exchange.Response(status=answer.status, headers=answer.text_headers())
            )
        except StopIteration:
            return request, answer


def _request(spec: api_spec.ApiSpec) -> exchange.Request:
    # Plain joining keeps the base path, which `urljoin` would replace.
    url = spec.base_url.rstrip("/") + spec.health.path if spec.health.path else spec.base_url
    return exchange.Request(method=spec.health.method, url=url, headers=tuple(spec.headers.items()))


def _route(spec: api_spec.ApiSpec, tools: Tools) -> http.Route:
    total_s = min(
        durations.parse_duration(spec.health.timeout), durations.parse_duration(spec.timeout.total)
    )
    reference = spec.tls.ca
    return http.Route(
        tls_mode=tls.TlsMode.VERIFY_FULL if spec.tls.verify else tls.TlsMode.REQUIRE,
        ca="" if reference is None else tools.read_public({"file": reference.file}),
        connect_s=durations.parse_duration(spec.timeout.connect),
        deadline=asyncio.get_running_loop().time() + total_s,
    )


def _outcome(reason: Reason) -> Outcome:
    if reason is Reason.OK:
        return Outcome.OK
    return Outcome.INCONCLUSIVE if reason in INCONCLUSIVE_REASONS else Outcome.FAILED


def _close(
    reached: tuple[Stage, ...], verdict: http_judgement.Verdict, spec: api_spec.ApiSpec
) -> tuple[Stage, ...]:
    """Returns the stages as they are to be shown: the last one is where the probe ended.

    HTTP authenticates inside the request, so `auth` has no time of its own: it is the request
    itself where the server refused the credential, and an instant before it where it did not.
    """
    last = reached[-1] if reached else None
    if last is not None and last.name is StageName.QUERY and verdict.stage is StageName.AUTH:
        return (*reached[:-1], replace(last, name=StageName.AUTH))
    if last is None or last.name is not verdict.stage:
        return (*reached, Stage(name=verdict.stage, seconds=0.0))
    if last.name is StageName.QUERY and _is_authenticated(verdict, spec):
        accepted = Stage(
            name=StageName.AUTH, seconds=0.0, detail=f"{spec.auth.method}, not refused"
        )
        return (*reached[:-1], accepted, last)
    return reached


def _is_authenticated(verdict: http_judgement.Verdict, spec: api_spec.ApiSpec) -> bool:
    """Whether the answer shows that the server looked at a credential and took it."""
    return spec.auth.method != "none" and verdict.reason in _AFTER_AUTHENTICATION
