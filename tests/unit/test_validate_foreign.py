"""What people write who come from other systems, and what they are told."""

from __future__ import annotations

import pytest

from reconciler import kinds
from reconciler.diagnostics import foreign
from reconciler.kinds import engines
from tests import checking

API = "apiVersion: reconciler/v1\nkind: ApiConnection\nmetadata: {name: crm}\nspec:\n"
SQL = "apiVersion: reconciler/v1\nkind: SqlConnection\nmetadata: {name: orders}\nspec:\n"
URL = "  baseUrl: https://crm.example.com\n"
SERVER = "  engine: postgresql\n  host: db.internal\n  database: orders\n"

#: Every source that the data platforms we learnt from list, as they write it.
SOURCES = (
    "Access", "Athena", "BigQuery", "Databricks", "Firebird", "MS SQL", "Oracle", "Snowflake",
    "Vertica", "Cassandra", "DB2", "Excel", "HBase", "Hive", "Hive2", "MariaDB", "MLFlow",
    "MongoDB", "MySQL", "Neo4j", "PostgresDart", "ClickHouse", "Postgres", "Redshift", "SQLite",
    "Socrata", "Sparql", "Teradata", "Twitter", "Web", "ODATA", "ODBC", "FTP", "HTTP", "SFTP",
    "Denodo", "Git", "Impala", "Neptune", "PI", "SAP HANA", "Virtuoso",
)  # fmt: skip


def hints(text: str) -> list[str]:
    return [each.hint for each in checking.check(text).diagnostics]


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (f"{SQL}{SERVER}  useSsl: true\n", "write `tls: {mode: verify-full}`"),
        (f"{SQL}{SERVER}  sslmode: require\n", "write `tls: {mode: verify-full}`"),
        (
            f"{SQL}{SERVER}  url: postgresql://u:TOPSECRET@h/d\n",
            "write it as fields: `engine`, `host`, `port`, `database` and `auth`",
        ),
        (f"{SQL}{SERVER}  authenticationMethod: tcpip\n", "write `auth: {method: ...}`"),
        (
            f"{SQL}{SERVER}  auth: {{method: tcpip_ssh}}\n",
            "write `method: password`, and the tunnel under `spec.ssh`",
        ),
        (f"{SQL}{SERVER}  tls: {{mode: true}}\n", "write `mode: verify-full`"),
        (f"{SQL}  engine: mongodb\n  database: d\n", "it is not an SQL database"),
        (f"{API}{URL}  apiKey: TOPSECRET\n", "{method: bearer, token: {env: NAME}}"),
        (f"{API}{URL}  auth: {{method: NO_AUTH}}\n", "write `method: none`"),
        (f"{API}{URL}  auth: {{method: token}}\n", "write `method: bearer`"),
        (
            f"{API}{URL}  auth: {{method: oauth2, grant: implicit}}\n",
            "write `grant: authorizationCode`",
        ),
        (f"{API}{URL}  auth: {{method: basic, login: report}}\n", "write `username: ...`"),
    ],
)
def test_the_words_of_other_systems_lead_to_ours(manifest: str, expected: str) -> None:
    found = hints(manifest)
    assert any(expected in hint for hint in found), found
    assert not any("TOPSECRET" in hint for hint in found)


@pytest.mark.parametrize("source", SOURCES)
def test_each_known_source_is_an_engine_or_says_what_it_is(source: str) -> None:
    path = ("spec", "engine")
    assert engines.named(source) or foreign.value_hint("SqlConnection", path, source)


def test_no_field_of_ours_is_explained_away() -> None:
    for kind, example in (
        ("ApiConnection", {"spec": {"auth": {"method": "basic"}}}),
        ("SqlConnection", {"spec": {"engine": "postgresql", "auth": {"method": "password"}}}),
    ):
        for place in (("spec",), ("spec", "auth")):
            known = kinds.shape(kind).known_fields(place, example)
            assert known
            for name in known:
                assert foreign.field_hint(kind, (*place, name), known) == ""


def test_a_field_elsewhere_and_a_value_that_nobody_writes_have_no_hint() -> None:
    assert foreign.field_hint("SqlConnection", ("metadata", "url"), ()) == ""
    assert foreign.value_hint("SqlConnection", ("spec", "engine"), "zzz") == ""
    assert foreign.value_hint("SqlConnection", ("metadata", "name"), "mongodb") == ""
