"""One truth, three readers: Pydantic, jsonschema and jsonschema-rs give the same verdict."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reconciler.model import Json, JsonObject
from tests.verdicts import model, verdicts


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
    assert verdicts(manifest) == {False}


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
    assert verdicts(manifest) == {True}


def test_a_refusal_by_the_model_never_holds_the_secret() -> None:
    with pytest.raises(ValidationError) as refusal:
        model("ApiConnection").model_validate(_api(auth={"method": "bearer", "token": "hunter2"}))
    assert "hunter2" not in str(refusal.value)
