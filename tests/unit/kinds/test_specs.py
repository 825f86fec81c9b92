from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from reconciler import kinds
from reconciler.kinds import api_spec, spec_schema, sql_spec


def test_an_api_spec_reads_into_typed_values() -> None:
    spec = api_spec.ApiSpec.model_validate(
        {
            "baseUrl": "https://api.example.com",
            "health": {"expect": {"status": [204, "200-299"], "json": {"/status": "ok"}}},
        }
    )
    assert spec.base_url == "https://api.example.com"
    assert spec.auth.method == "none"
    assert spec.health.expect.status == (204, "200-299")
    assert spec.health.expect.json_values == {"/status": "ok"}


def test_a_sql_spec_reads_into_the_shape_of_its_engine() -> None:
    server = sql_spec.parse_spec({"engine": "mysql", "host": "db", "database": "orders"})
    file = sql_spec.parse_spec({"engine": "sqlite", "database": "orders.sqlite"})
    assert isinstance(server, sql_spec.ServerSpec)
    assert server.port == 3306
    assert isinstance(file, sql_spec.FileSpec)


def test_a_spec_never_changes() -> None:
    spec = sql_spec.parse_spec({"engine": "sqlite", "database": "orders.sqlite"})
    with pytest.raises(ValidationError, match="frozen"):
        spec.database = "other.sqlite"


def test_every_kind_names_its_model() -> None:
    assert {name: kinds.kind(name).model for name in kinds.KINDS} == {
        "ApiConnection": "reconciler.kinds.api_spec:ApiConnection",
        "SqlConnection": "reconciler.kinds.sql_spec:SqlConnection",
    }


def test_a_union_that_a_function_discriminates_has_no_schema() -> None:
    def choose(_: object) -> str:
        return "pool"

    chosen = Annotated[
        Annotated[sql_spec.Pool, Tag("pool")] | Annotated[sql_spec.SqlTls, Tag("tls")],
        Discriminator(choose),
    ]
    adapter: TypeAdapter[object] = TypeAdapter(chosen)
    with pytest.raises(TypeError, match="discriminated by one field"):
        adapter.json_schema(schema_generator=spec_schema.SpecSchema)
