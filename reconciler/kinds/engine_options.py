"""What `spec.options` of each engine may hold.

Between `engine_traits` and the table in `engines`. Pure. An option is offered only when it can
neither move the connection to another place, nor weaken TLS or the login, nor make the driver read
or write a file, load code or run a statement of its own (P20).
"""

from __future__ import annotations

from typing import Final

from reconciler.kinds.engine_traits import Option

#: Printable ASCII without quotes and backslashes, which some layer would have to escape.
_WORDS: Final = r"^(?:[A-Za-z0-9 ._:@/+-]{1,63})$(?!\n)"
#: A name that no dialect has to quote.
_IDENTIFIER: Final = r"^(?:[A-Za-z_][A-Za-z0-9_]{0,62})$(?!\n)"


def _name_of_us(parameter: str) -> Option:
    return Option(
        name="applicationName",
        parameter=parameter,
        schema={
            "type": "string",
            "pattern": _WORDS,
            "description": "What the server's lists of sessions call this connection.",
            "examples": ["reporting"],
        },
    )


def _choice(name: str, parameter: str, description: str, *values: str) -> Option:
    return Option(
        name=name,
        parameter=parameter,
        schema={"type": "string", "enum": list(values), "description": description},
    )


def _identifier(name: str, parameter: str, description: str, form: str = "{}") -> Option:
    return Option(
        name=name,
        parameter=parameter,
        form=form,
        schema={
            "type": "string",
            "pattern": _IDENTIFIER,
            "description": description,
            "examples": ["sales"],
        },
    )


_SCHEMA: Final = _identifier(
    "schema", "options", "Schema in which names are looked up.", form="-c search_path={}"
)
#: libpq, "Parameter Key Words"
REDSHIFT_OPTIONS: Final = (_name_of_us("application_name"), _SCHEMA)
POSTGRESQL_OPTIONS: Final = (
    *REDSHIFT_OPTIONS,
    _choice(
        "targetSessionAttrs",
        "target_session_attrs",
        "Which servers are let pass, by what they can do.",
        *("any", "read-write", "read-only", "primary", "standby"),
    ),
    _choice(
        "channelBinding",
        "channel_binding",
        "Whether the login must be bound to the TLS connection (SCRAM-SHA-256-PLUS).",
        *("prefer", "require"),
    ),
)
#: PyMySQL, "Connection Object"
MYSQL_OPTIONS: Final = (
    _name_of_us("program_name"),
    _choice(
        "charset",
        "charset",
        "Encoding of text on the connection.",
        *("utf8mb4", "utf8mb3", "latin1", "ascii"),
    ),
    _identifier("collation", "collation", "How text is compared on the connection."),
)
#: Fields of LOGIN7 (MS-TDS, section 2.2.6.4), under the words of Microsoft's connection strings.
MSSQL_OPTIONS: Final = (
    _name_of_us("application_name"),
    _choice(
        "applicationIntent",
        "intent",
        "What the connection is for; a replica may be open to `ReadOnly` alone.",
        *("ReadWrite", "ReadOnly"),
    ),
)
#: clickhouse-connect, "Client initialization"
CLICKHOUSE_OPTIONS: Final = (
    _name_of_us("client_name"),
    Option(
        name="compress",
        parameter="compress",
        schema={"type": "boolean", "description": "Whether results are compressed on the way."},
    ),
)
#: BigQuery, "Method: jobs.query", body of the request
BIGQUERY_OPTIONS: Final = (
    Option(
        name="location",
        parameter="location",
        schema={
            "type": "string",
            "pattern": r"^(?:[A-Za-z0-9-]{2,32})$(?!\n)",
            "description": "Where queries run: a region, or a multi-region.",
            "examples": ["europe-west3"],
        },
    ),
    _identifier("dataset", "dataset", "Dataset in which names are looked up."),
    Option(
        name="maximumBytesBilled",
        parameter="maximumBytesBilled",
        schema={
            "type": "string",
            "pattern": r"^(?:[1-9][0-9]{0,17})$(?!\n)",
            "description": "A query that would be billed for more bytes fails, and costs nothing.",
            "examples": ["1000000000"],
        },
    ),
)
#: Databricks, "Statement Execution API", body of the POST request
DATABRICKS_OPTIONS: Final = (
    Option(
        name="warehouse",
        parameter="warehouse_id",
        schema={
            "type": "string",
            "pattern": r"^(?:[A-Za-z0-9]{1,64})$(?!\n)",
            "description": "Id of the SQL warehouse that runs statements.",
            "examples": ["1234567890abcdef"],
        },
        is_required=True,
    ),
    _identifier("schema", "schema", "Schema in which names are looked up."),
)
#: Snowflake, "SQL API reference", body of the POST request
SNOWFLAKE_OPTIONS: Final = (
    _name_of_us("query_tag"),
    _identifier("warehouse", "warehouse", "Warehouse that runs statements; else the user's own."),
    _identifier("role", "role", "Role of the connection; else the user's own."),
    _identifier("schema", "schema", "Schema in which names are looked up."),
)
#: trino, `trino.dbapi.Connection`
TRINO_OPTIONS: Final = (
    _name_of_us("source"),
    _identifier("schema", "schema", "Schema in which names are looked up."),
    Option(
        name="timezone",
        parameter="timezone",
        schema={
            "type": "string",
            "pattern": r"^(?:[A-Za-z]{1,32}(?:/[A-Za-z_+-]{1,32}(?:[0-9]{1,2})?){0,2})$(?!\n)",
            "description": "Time zone of the session.",
            "examples": ["Europe/Berlin"],
        },
    ),
)
#: oracledb, `ConnectParams`
ORACLE_OPTIONS: Final = (_name_of_us("program"),)
#: vertica-python, "Set Properties with kwargs"
VERTICA_OPTIONS: Final = (_name_of_us("session_label"),)
#: firebirdsql, `connect`; by the names of the database parameter block
FIREBIRD_OPTIONS: Final = (
    _name_of_us("process_name"),
    _identifier("role", "role", "Role whose permissions the user takes on."),
)
