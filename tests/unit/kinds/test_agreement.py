"""One truth, three readers: Pydantic, jsonschema and jsonschema-rs give the same verdict."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, ValidationError

from reconciler import kinds, schema
from reconciler.model import Json, JsonObject, canonical
from tests import strategies

property_based = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)


@cache
def _model(kind: str) -> type[BaseModel]:
    module, attribute = kinds.kind(kind).model.split(":")
    model: type[BaseModel] = getattr(import_module(module), attribute)
    return model


@cache
def _validators(kind: str) -> tuple[Json, ...]:
    twin = schema.draft7(kinds.schema(kind))
    return (
        jsonschema_rs.Draft202012Validator(kinds.schema(kind)),
        jsonschema.Draft202012Validator(kinds.schema(kind)),
        jsonschema.Draft7Validator(twin),
        jsonschema_rs.Draft7Validator(twin),
    )


def _verdicts(manifest: JsonObject) -> set[bool]:
    kind = manifest["kind"]
    verdicts = {bool(validator.is_valid(manifest)) for validator in _validators(kind)}
    try:
        _model(kind).model_validate(manifest)
    except ValidationError:
        return {*verdicts, False}
    return {*verdicts, True}


def _api(**changes: Json) -> dict[str, Json]:
    spec = {"baseUrl": "https://api.example.com"}
    return {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {"name": "crm"} | changes.pop("metadata", {}),
        "spec": spec | changes,
    }


def _sql(**changes: Json) -> dict[str, Json]:
    spec = {"engine": "postgresql", "host": "db", "database": "orders"}
    return {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": "orders"},
        "spec": spec | changes,
    }


@given(strategies.manifests)
@property_based
def test_a_manifest_built_from_the_rules_is_valid_for_every_reader(
    manifest: strategies.Manifest,
) -> None:
    assert _verdicts(manifest) == {True}


@given(strategies.mutated_manifests())
@settings(property_based, max_examples=400)
def test_a_mistake_is_one_for_every_reader_or_for_none(manifest: strategies.Manifest) -> None:
    assert len(_verdicts(manifest)) == 1


@given(strategies.manifests)
@property_based
def test_the_normal_form_is_valid_and_its_own_normal_form(manifest: strategies.Manifest) -> None:
    shape = kinds.shape(manifest["kind"])
    before = canonical(manifest)
    normal = shape.normalise(manifest)
    assert shape.normalise(normal) == normal
    assert _verdicts(normal) == {True}
    assert canonical(manifest) == before


@given(strategies.manifests)
@property_based
def test_the_normal_form_holds_what_the_model_reads(manifest: strategies.Manifest) -> None:
    kind = manifest["kind"]
    model = _model(kind)
    normal = kinds.shape(kind).normalise(manifest)
    read = model.model_validate(normal).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert _without_null(read) == _without_null(normal)
    filled = model.model_validate(manifest).model_dump(mode="json", by_alias=True)
    assert set(filled["spec"]) >= set(normal["spec"])


def _without_null(data: Json) -> Json:
    """Returns `data` without nulls: expected JSON values may be null, which a dump leaves out."""
    if isinstance(data, dict):
        return {key: _without_null(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_null(item) for item in data]
    return data


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(_api(metadata={"name": "abc\n"}), id="name-with-newline"),
        pytest.param(_api(metadata={"name": "con"}), id="device-name"),
        pytest.param(_api(metadata={"name": "conn_x"}), id="uid-prefix"),
        pytest.param(_api(metadata={"name": "Orders"}), id="upper-case"),
        pytest.param(_api(metadata={"name": "a" * 64}), id="name-of-64"),
        pytest.param(_api(metadata={"name": "\u043erders"}), id="cyrillic-letter"),
        pytest.param(_api(metadata={"version": 1.1}), id="version-as-number"),
        pytest.param(_api(metadata={"version": "1.\u0661.0"}), id="version-with-arabic-digit"),
        pytest.param(_api(metadata={"labels": {"a": 1}}), id="label-as-number"),
        pytest.param(_api(metadata={"tags": ["a", "a"]}), id="repeated-tag"),
        pytest.param(_api(metadata={"displayName": None}), id="null"),
        pytest.param(_api(timeout={"total": 30}), id="bare-number-as-duration"),
        pytest.param(_api(timeout={"total": "\u0663s"}), id="arabic-digit-in-duration"),
        pytest.param(_api(timeout={"total": "1.5ms"}), id="fraction-of-a-millisecond"),
        pytest.param(_api(tls={"verify": 1}), id="one-as-true"),
        pytest.param(_api(auth={}), id="auth-without-method"),
        pytest.param(_api(auth={"method": "none", "token": {"env": "A"}}), id="field-of-another"),
        pytest.param(_api(auth={"method": "bearer", "token": "hunter2"}), id="literal-secret"),
        pytest.param(
            _api(auth={"method": "bearer", "token": {"env": "A", "file": "b"}}), id="two-sources"
        ),
        pytest.param(_api(auth={"method": "bearer", "token": {}}), id="no-source"),
        pytest.param(
            _api(auth={"method": "headers", "headers": {"X Key": {"env": "A"}}}), id="bad-header"
        ),
        pytest.param(_api(health={"expect": {"status": ["2xx"]}}), id="status-class"),
        pytest.param(_api(health={"expect": {"status": []}}), id="no-status"),
        pytest.param(_api(health={"expect": {"json": {"status": "ok"}}}), id="no-pointer"),
        pytest.param(_api(health={"path": "ping"}), id="path-without-slash"),
        pytest.param(_sql(port="5432"), id="port-as-text"),
        pytest.param(_sql(port=5432.5), id="port-with-fraction"),
        pytest.param(_sql(port=0), id="port-zero"),
        pytest.param(_sql(port=True), id="port-as-truth"),
        pytest.param(_sql(engine="sqlite"), id="host-of-a-file"),
        pytest.param(_sql(engine="sqlite+pysqlite"), id="engine-with-driver"),
        pytest.param(_sql(tls={"mode": "prefer"}), id="tls-prefer"),
        pytest.param(_sql(options={"local_infile": True}), id="driver-options"),
        pytest.param(_sql(status={"phase": "ACTIVE"}), id="status-block"),
    ],
)
def test_every_reader_refuses(manifest: JsonObject) -> None:
    assert _verdicts(manifest) == {False}


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(_sql(port=5432.0), id="integral-float"),
        pytest.param(_sql(database="host=evil user=x"), id="conninfo-as-a-name"),
        pytest.param(_api(metadata={"name": "console"}), id="begins-like-a-device"),
        pytest.param(_api(health={"expect": {"json": {"": None}}}), id="null-expected"),
        pytest.param(_api(health={"expect": {"status": [204, "200-299"]}}), id="code-and-range"),
    ],
)
def test_every_reader_accepts(manifest: JsonObject) -> None:
    assert _verdicts(manifest) == {True}


def test_a_refusal_by_the_model_never_holds_the_secret() -> None:
    with pytest.raises(ValidationError) as refusal:
        _model("ApiConnection").model_validate(_api(auth={"method": "bearer", "token": "hunter2"}))
    assert "hunter2" not in str(refusal.value)
