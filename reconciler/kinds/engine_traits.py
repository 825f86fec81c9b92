"""What a row of the engine catalogue is made of, and the parts that several rows share.

Apart from `engines`, so that the table reads as a table. Pure. An option is offered only when it
can neither move the connection to another place, nor weaken TLS or the login, nor make the driver
read or write a file, load code or run a statement of its own (P20).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from reconciler.model import Json, JsonObject
from reconciler.values import dataclass

#: What an option's value may be.
Value: TypeAlias = str | bool
#: JSON Schema type of an option -> Python's
_TYPES: Final = {"string": str, "boolean": bool}


class Tested(Enum):
    """How far the tests of this project have tried an engine."""

    #: the database itself
    REAL = "real server"
    #: something that speaks its protocol
    PEER = "protocol peer"
    NOT = "not tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key that `spec.options` may have."""

    #: camelCase, as all fields of manifests
    name: str
    #: what the driver calls it
    parameter: str
    #: JSON Schema of the value; one plain type, never a union
    schema: JsonObject
    #: how text is handed to the driver; `{}` is the value
    form: str = "{}"
    is_required: bool = False

    def accepts(self, given: Json) -> bool:
        """Returns whether `given` fits `schema`: what a validator of JSON Schema would say."""
        kind: str = self.schema["type"]
        if not isinstance(given, _TYPES[kind]) or isinstance(given, bool) != (kind == "boolean"):
            return False
        if "enum" in self.schema:
            return given in self.schema["enum"]
        return re.search(self.schema.get("pattern", ""), str(given)) is not None

    def value(self, given: Value) -> Value:
        """Returns `given` as the driver takes it."""
        return self.form.format(given) if isinstance(given, str) else given


#: Of a server that speaks a protocol of its own.
USUAL_METHODS: Final = ("none", "password", "ldap", "clientCertificate")
#: What Amazon RDS has as well takes its tokens.
RDS_METHODS: Final = (*USUAL_METHODS, "awsIam")
PASSWORD_METHODS: Final = ("none", "password", "ldap")
#: Where a password is sent as it is whoever checks it, there is nothing that `ldap` could add.
HTTP_METHODS: Final = ("none", "password", "clientCertificate")
#: `auth.SqlHeaderAuth`: every request carries the credential in a header.
HEADER_METHODS: Final = ("accessToken", "keyPair", "serviceAccount")
#: What is sent is made for each login (`clients.sql_token`).
MADE_METHODS: Final = (*HEADER_METHODS, "awsIam")
#: Modes of `tls` in which a server must prove who it is.
VERIFIED_MODES: Final = ("verify-full", "verify-ca")
#: Method -> what of it is sent as it is, so that only a verified server may have it.
SENT_AS_IS: Final[Mapping[str, str]] = {
    "ldap": "the password",
    **dict.fromkeys(MADE_METHODS, "its token"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One SQL engine, as users name it in `spec.engine`."""

    name: str
    #: as its makers write it
    title: str
    #: what people and other systems call it, in lower case
    aliases: tuple[str, ...]
    #: what speaks to it, a key of the driver table in `clients`
    driver: str
    #: the driver's name as people know it
    library: str
    #: extra of this package that installs the driver; empty when Python brings it
    extra: str
    #: TCP port when the manifest names none; None for a database in a file, which has no server
    default_port: int | None
    #: SQLAlchemy's dialect and driver; empty where there is none: checked, not given to programs
    dialect: str
    #: what `database` must look like where its driver or server would read more into it; or empty
    database_form: str = ""
    #: in words, beside it
    database_words: str = ""
    #: `health.query` where the manifest has none; reads one row and needs no permission
    query: str = "select 1"
    #: words that a query must not have, beside those that no engine's may
    query_words: tuple[str, ...] = ()
    #: values of `auth.method`; empty for a file
    methods: tuple[str, ...] = USUAL_METHODS
    #: what `spec.options` may hold; anything else is an error
    options: tuple[Option, ...] = ()
    #: whether the driver can connect to a socket in the file system
    has_socket: bool = False
    #: what the end of its path must look like, or empty
    socket_form: str = ""
    #: whether the driver speaks TLS over one
    has_socket_tls: bool = False
    #: whether it speaks TLS; else `tls.mode` is `disable`, and its own protocol hides the password
    has_tls: bool = True
    #: whether `tls.clientCertificate` may stand beside any of them
    has_client_certificate: bool = True
    #: newest version of TLS that the driver's protocol can carry; empty for any
    newest_tls: str = ""
    tested: Tested
    #: for the support table: `tested_on` a real server
    tested_on: str

    @property
    def is_file(self) -> bool:
        """Whether the database is a file: no host, port, TLS or login exist then."""
        return self.default_port is None

    def parameters(self, options: Mapping[str, Value]) -> dict[str, Value]:
        """Returns `options` of a valid manifest by the driver's own names."""
        known = {option.name: option for option in self.options}
        return {known[name].parameter: known[name].value(given) for name, given in options.items()}


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
#: How libpq names a socket (PostgreSQL, "Connection Strings": the port is its extension).
POSTGRESQL_SOCKET: Final = r"/\.s\.PGSQL\.[1-9][0-9]{0,4}\Z"
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
#: Takes a number from a sequence, quotes, space and comments between or not. Read-only transactions
#: let sequences go on in Oracle, Firebird and Vertica (whose manual, "BEGIN", says that they do not
#: prevent all writing), and Snowflake has none.
NEXT_NUMBER_WORDS: Final = ("nextval",)
_NEXT_VALUE: Final = r"next\b[\s\S]*\bvalue"
FIREBIRD_WORDS: Final = ("gen_id", _NEXT_VALUE)
#: SQL Server has no read-only transaction and takes further statements without a `;` between. A
#: transaction that is rolled back undoes nearly all that a statement can do; these words end it, or
#: do what it does not undo (Transact-SQL reference, "Statements", and the functions for row sets).
TRANSACT_SQL_WORDS: Final = (
    *("alter", "backup", "bulk", "checkpoint", "commit", "create", "dbcc", "deny", "drop", "exec"),
    *("execute", "grant", "kill", "opendatasource", "openquery", "openrowset", "raiserror"),
    *("reconfigure", "restore", "revoke", "rollback", "setuser", "shutdown", "truncate"),
    *("updatetext", "waitfor", "writetext", _NEXT_VALUE),
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
