"""The catalogue: what every row must be, and what follows from it in the schema."""

from __future__ import annotations

from typing import get_args

import pytest

from reconciler import auth, kinds
from reconciler.kinds import engine_traits, engines
from reconciler.kinds.engine_traits import Engine
from reconciler.model import Json
from tests.verdicts import verdicts

PORTS = {
    "postgresql": 5432,
    "timescaledb": 5432,
    "redshift": 5439,
    "cockroachdb": 26257,
    "yugabytedb": 5433,
    "mysql": 3306,
    "mariadb": 3306,
    "clickhouse": 8443,
    "trino": 443,
    "snowflake": 443,
    "databricks": 443,
    "oracle": 2484,
    "vertica": 5433,
    "firebird": 3050,
    "mssql": 1433,
    "bigquery": 443,
}
ROWS = [pytest.param(row, id=row.name) for row in engines.ROWS]


def manifest(engine: str, options: dict[str, Json]) -> dict[str, Json]:
    return {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": "orders"},
        "spec": {"engine": engine, "host": "db", "database": "orders", "options": options},
    }


def sample(schema: Json) -> str | bool:
    """Returns a value that fits an option's schema."""
    if schema["type"] == "boolean":
        return True
    value: str = schema["enum"][0] if "enum" in schema else schema["examples"][0]
    return value


def test_the_schema_offers_exactly_the_engines_of_the_table() -> None:
    spec = kinds.schema("SqlConnection")["properties"]["spec"]
    assert spec["properties"]["engine"]["enum"] == [row.name for row in engines.ROWS]


def test_every_server_engine_has_its_port_as_default() -> None:
    shape = kinds.shape("SqlConnection")
    spec = {"host": "db", "database": "orders"}
    ports = {
        name: shape.normalise({"spec": {"engine": name, **spec}})["spec"]["port"]
        for name in engines.SERVER_ENGINES
    }
    assert ports == PORTS


def test_an_engine_without_a_port_is_a_file() -> None:
    assert engines.FILE_ENGINES == ("sqlite", "duckdb")


@pytest.mark.parametrize("row", ROWS)
def test_every_name_of_an_engine_means_it(row: Engine) -> None:
    for name in (row.name, row.name.upper(), row.title, *row.aliases):
        assert engines.named(name) == row.name


def test_no_name_means_two_engines() -> None:
    names = [alias for row in engines.ROWS for alias in (row.name, *row.aliases)]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("Postgres", "postgresql"),
        ("django.db.backends.postgresql", "postgresql"),
        ("PostgresDart", "postgresql"),
        ("Click House", "clickhouse"),
        ("MariaDB", "mariadb"),
        ("MS SQL", "mssql"),
        ("SQLServer", "mssql"),
        ("Azure SQL", "mssql"),
        ("mssql+pyodbc", "mssql"),
        ("django.db.backends.sybase", ""),
        ("MongoDB", ""),
    ],
)
def test_names_of_other_systems_are_known(text: str, engine: str) -> None:
    assert engines.named(text) == engine


@pytest.mark.parametrize("row", ROWS)
def test_every_option_is_accepted_with_a_value_of_its_schema(row: Engine) -> None:
    given: dict[str, Json] = {option.name: sample(option.schema) for option in row.options}
    assert row.is_file or verdicts(manifest(row.name, given)) == {True}


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, [], {}, "", "a\n", "\x00", "x" * 200, "a=b'c", "a b\\c"]
)
@pytest.mark.parametrize("row", ROWS)
def test_every_reader_says_the_same_of_a_wrong_value(row: Engine, value: Json) -> None:
    for option in row.options:
        assert verdicts(manifest(row.name, {option.name: value})) == {False}


@pytest.mark.parametrize("row", ROWS)
def test_options_of_other_engines_are_refused(row: Engine) -> None:
    known = {option.name for option in row.options}
    for other in engines.ROWS:
        for option in other.options:
            if option.name not in known and not row.is_file:
                spec = manifest(row.name, {option.name: sample(option.schema)})
                assert verdicts(spec) == {False}


def test_options_reach_the_driver_by_its_own_names() -> None:
    row = engines.ENGINES["postgresql"]
    assert row.parameters({"schema": "sales", "applicationName": "reporting"}) == {
        "options": "-c search_path=sales",
        "application_name": "reporting",
    }
    assert engines.ENGINES["clickhouse"].parameters({"compress": True}) == {"compress": True}


def test_engines_of_amazon_rds_take_its_tokens() -> None:
    takers = [row.name for row in engines.ROWS if "awsIam" in row.methods]
    assert takers == ["postgresql", "mysql", "mariadb"]


@pytest.mark.parametrize("row", ROWS)
def test_every_server_has_a_login_of_the_schema(row: Engine) -> None:
    spec = kinds.schema("SqlConnection")["$defs"]["ServerSpec"]["properties"]
    assert set(row.methods) <= set(spec["auth"]["properties"]["method"]["enum"])
    assert row.is_file == (not row.methods)


def test_methods_of_the_header_are_those_that_add_one() -> None:
    methods = [model.model_fields["method"].annotation for model in get_args(auth.SqlHeaderAuth)]
    assert {get_args(method)[0] for method in methods} == set(engine_traits.HEADER_METHODS)
