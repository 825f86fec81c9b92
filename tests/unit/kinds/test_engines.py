from __future__ import annotations

from reconciler import kinds
from reconciler.kinds import engines


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
    assert ports == {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


def test_an_engine_without_a_port_is_a_file() -> None:
    assert engines.FILE_ENGINES == ("sqlite", "duckdb")
