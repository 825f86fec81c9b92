"""Targets and tools for probing a test server: whole values with some fields changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from reconciler import kinds
from reconciler.model import Endpoint, Json, JsonObject, Observation, Ref, Stage, StageName, Target
from reconciler.probes import Tools, http
from reconciler.redact import Redactor, Secret

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
#: The stage that a health pass has done before it calls a probe.
RESOLVED = (Stage(name=StageName.SECRET, seconds=0.0),)


def make_target(base_url: str, **spec: Json) -> Target:
    """Returns a target with the defaults of the schema; `spec` holds top-level fields."""
    manifest = {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {"name": "crm"},
        "spec": {"baseUrl": base_url, **spec},
    }
    normalised = kinds.shape("ApiConnection").normalise(manifest)["spec"]
    return Target(
        uid="conn_000000000000001",
        ref=Ref(kind="ApiConnection", namespace="default", name="crm"),
        generation=3,
        version=7,
        spec=normalised,
        endpoint=Endpoint(
            scheme="http",
            host="127.0.0.1",
            port=None,
            text=base_url,
            method=normalised["auth"]["method"],
        ),
    )


def make_tools(
    redactor: Redactor | None = None,
    read_public: Callable[[JsonObject], str] = lambda _: "",
) -> Tools:
    return Tools(
        redactor=redactor or Redactor(),
        threads=ThreadPoolExecutor(1),
        clock=lambda: NOW,
        read_public=read_public,
        root="/",
        tokens=None,
    )


def run_probe(
    target: Target, secrets: Mapping[str, str] | None = None, tools: Tools | None = None
) -> Observation:
    """Returns what one probe of `target` found; the redactor knows `secrets`, as in a pass."""
    tools = tools or make_tools()
    resolved = {}
    for pointer, value in (secrets or {}).items():
        tools.redactor.add(value)
        resolved[pointer] = Secret(value)
    return asyncio.run(http.probe(target, resolved, tools, reached=RESOLVED))


def names_of(observation: Observation) -> list[str]:
    """Returns the names of the stages that were reached."""
    return [stage.name.value for stage in observation.stages]
