"""Pairs of manifests and rows as the pipeline makes them: in normal form, with real digests."""

from __future__ import annotations

from dataclasses import replace

from reconciler import kinds, validate
from reconciler.model import (
    DeletionPolicy,
    Json,
    Location,
    Recorded,
    Ref,
    Resource,
    Source,
    canonical,
)
from tests import factories

API_SPEC: dict[str, Json] = {"baseUrl": "https://api.example.com/v2"}
SQL_SPEC: dict[str, Json] = {
    "engine": "postgresql",
    "host": "db-7.internal",
    "database": "orders",
    "auth": {"method": "password", "username": "report", "password": {"env": "ORDERS"}},
}


def want(
    name: str = "orders",
    *,
    kind: str = "SqlConnection",
    namespace: str = "hr",
    path: str = "manifests/orders.yaml",
    metadata: dict[str, Json] | None = None,
    **spec: Json,
) -> Resource:
    """Returns what validating a manifest with these fields gives; `spec` adds to a sample."""
    sample = SQL_SPEC if kind == "SqlConnection" else API_SPEC
    written = {
        "metadata": {"name": name, "namespace": namespace, **(metadata or {})},
        "spec": {**sample, **spec},
    }
    manifest = kinds.shape(kind).normalise(written)
    text = canonical(manifest)
    return Resource(
        ref=Ref(kind=kind, namespace=namespace, name=name),
        manifest=manifest,
        text=text,
        digest=validate.digest(text),
        access_digest=validate.access_digest(kind, manifest["spec"]),
        location=Location(path=path, line=1, column=1),
    )


def have(resource: Resource, number: int = 1, **changes: Json) -> Recorded:
    """Returns the row that applying `resource` leaves, with uid `number`."""
    row = factories.make_recorded(
        uid=factories.make_uid(number),
        ref=resource.ref,
        text=canonical(resource.manifest),
        digest=resource.digest,
        access_digest=resource.access_digest,
        source=Source(path=resource.location.path, line=resource.location.line),
        deletion_policy=DeletionPolicy(resource.spec["deletionPolicy"]),
    )
    return replace(row, **changes)
