"""Checks one API: builds the health request, sends it once, and turns whatever happens into words.

Stage 5 runs it through `health`; `http_flow` does the talking, `http_judgement` the judging.
Every end but a cancellation is an `Observation`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from reconciler.auth import exchange
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.model import (
    JsonObject,
    Observation,
    Reason,
    Stage,
    StageName,
    Target,
    canonical,
)
from reconciler.probes import Tools, http_flow, http_judgement, outcome
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
        asked = await http_flow.ask(
            _request(spec), target, secrets, tools, stages, http_flow.limits_of(spec)
        )
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
