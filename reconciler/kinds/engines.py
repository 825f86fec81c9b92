"""The SQL engines: one row each, from which types, schema, defaults and clients are derived.

Pure and free of pydantic, since `validate` and `clients` read it too. An engine that speaks through
a driver that is there already is one more row and nothing else: the discriminator of
`SqlConnection`, its JSON Schema, its default port, its options, the ways to log in, the hint for a
near miss, the scaffold, the support table of README and the choice of the driver all follow. What
a row is made of, and what rows share, is in `engine_traits` and `engine_options`.
"""

from __future__ import annotations

from typing import Final

from reconciler.kinds import engine_options
from reconciler.kinds import engine_traits as traits
from reconciler.kinds.engine_traits import Engine

#: Every engine, in the order in which messages and the schema list them.
ROWS: Final = (
    Engine(
        name="postgresql",
        title="PostgreSQL",
        aliases=(
            "postgres", "pg", "psql", "postgresql+psycopg", "postgresql+psycopg2",
            "django.db.backends.postgresql", "django.db.backends.postgresql_psycopg2",
            "postgresdart", "postgresnet", "alloydb", "aurora-postgresql", "neon", "supabase",
        ),
        driver="psycopg",
        library="psycopg 3",
        extra="postgres",
        default_port=5432,
        dialect="postgresql+psycopg",
        methods=traits.RDS_METHODS,
        options=engine_options.POSTGRESQL_OPTIONS,
        has_socket=True,
        socket_form=traits.POSTGRESQL_SOCKET,
        tested=traits.Tested.REAL,
        tested_on="a real server",
    ),
    Engine(
        name="timescaledb",
        title="TimescaleDB",
        aliases=("timescale", "tigerdata"),
        driver="psycopg",
        library="psycopg 3",
        extra="postgres",
        default_port=5432,
        dialect="postgresql+psycopg",
        options=engine_options.POSTGRESQL_OPTIONS,
        has_socket=True,
        socket_form=traits.POSTGRESQL_SOCKET,
        tested=traits.Tested.PEER,
        tested_on="a real PostgreSQL server, of which it is an extension",
    ),
    Engine(
        name="redshift",
        title="Amazon Redshift",
        aliases=("amazon-redshift", "aws-redshift", "redshift+psycopg2", "django_redshift_backend"),
        driver="psycopg",
        library="psycopg 3",
        extra="postgres",
        default_port=5439,
        # SQLAlchemy's dialect of PostgreSQL asks a new connection for what Redshift lacks
        dialect="",
        methods=traits.PASSWORD_METHODS,
        options=engine_options.REDSHIFT_OPTIONS,
        has_client_certificate=False,
        tested=traits.Tested.NOT,
        tested_on="not tested; its driver is, on PostgreSQL",
    ),
    Engine(
        name="cockroachdb",
        title="CockroachDB",
        aliases=("cockroach", "crdb", "cockroachdb+psycopg", "django_cockroachdb"),
        driver="psycopg",
        library="psycopg 3",
        extra="postgres",
        default_port=26257,
        # SQLAlchemy's dialect of PostgreSQL refuses the version that CockroachDB states
        dialect="",
        options=engine_options.POSTGRESQL_OPTIONS,
        has_socket=True,
        socket_form=traits.POSTGRESQL_SOCKET,
        tested=traits.Tested.NOT,
        tested_on="not tested; its driver is, on PostgreSQL",
    ),
    Engine(
        name="yugabytedb",
        title="YugabyteDB",
        aliases=("yugabyte", "ysql", "django_yugabytedb"),
        driver="psycopg",
        library="psycopg 3",
        extra="postgres",
        default_port=5433,
        dialect="postgresql+psycopg",
        options=engine_options.POSTGRESQL_OPTIONS,
        has_socket=True,
        socket_form=traits.POSTGRESQL_SOCKET,
        tested=traits.Tested.NOT,
        tested_on="not tested; its driver is, on PostgreSQL",
    ),
    Engine(
        name="mysql",
        title="MySQL",
        aliases=(
            "mysql+pymysql", "mysql+mysqldb", "mysqlnet", "django.db.backends.mysql",
            "percona", "aurora", "aurora-mysql",
        ),
        driver="pymysql",
        library="PyMySQL",
        extra="mysql",
        default_port=3306,
        dialect="mysql+pymysql",
        methods=traits.RDS_METHODS,
        options=engine_options.MYSQL_OPTIONS,
        has_socket=True,
        has_socket_tls=True,
        tested=traits.Tested.PEER,
        tested_on="a real MariaDB server, which speaks its protocol",
    ),
    Engine(
        name="mariadb",
        title="MariaDB",
        aliases=("mariadb+pymysql", "maria"),
        driver="pymysql",
        library="PyMySQL",
        extra="mysql",
        default_port=3306,
        dialect="mariadb+pymysql",
        methods=traits.RDS_METHODS,
        options=engine_options.MYSQL_OPTIONS,
        has_socket=True,
        has_socket_tls=True,
        tested=traits.Tested.REAL,
        tested_on="a real server",
    ),
    Engine(
        name="clickhouse",
        title="ClickHouse",
        aliases=("ch", "clickhousedb", "clickhouse+http", "clickhouse+native", "clickhouse-cloud"),
        driver="clickhouse_connect",
        library="clickhouse-connect",
        extra="clickhouse",
        # its HTTPS port, since TLS is on unless the manifest says otherwise; plain HTTP is 8123
        default_port=8443,
        dialect="clickhousedb+connect",
        methods=traits.HTTP_METHODS,
        options=engine_options.CLICKHOUSE_OPTIONS,
        tested=traits.Tested.REAL,
        tested_on="the real engine (chdb) behind a small HTTP front",
    ),
    Engine(
        name="trino",
        title="Trino",
        aliases=("starburst", "trino+rest", "galaxy"),
        driver="trino",
        library="trino",
        extra="trino",
        default_port=443,
        dialect="trino",
        methods=traits.HTTP_METHODS,
        options=engine_options.TRINO_OPTIONS,
        tested=traits.Tested.PEER,
        tested_on="a protocol peer",
    ),
    Engine(
        name="snowflake",
        title="Snowflake",
        aliases=("snowflakedb", "snowflake-jwt", "snowflake+rest"),
        driver="snowflake",
        library="its SQL API",
        extra="",
        default_port=443,
        # SQLAlchemy's needs the connector, which knows nothing of our proxies, pins and deadlines
        dialect="",
        query_words=traits.NEXT_NUMBER_WORDS,
        methods=("accessToken", "keyPair"),
        options=engine_options.SNOWFLAKE_OPTIONS,
        has_client_certificate=False,
        tested=traits.Tested.PEER,
        tested_on="a protocol peer",
    ),
    Engine(
        name="databricks",
        title="Databricks SQL",
        aliases=("databricks-sql", "databricks+connector", "databrickssql"),
        driver="databricks",
        library="its statement execution API",
        extra="",
        default_port=443,
        # as Snowflake's
        dialect="",
        methods=("accessToken",),
        options=engine_options.DATABRICKS_OPTIONS,
        has_client_certificate=False,
        tested=traits.Tested.PEER,
        tested_on="a protocol peer",
    ),
    Engine(
        name="oracle",
        title="Oracle Database",
        aliases=(
            "oracledb", "oracle+oracledb", "oracle+cx_oracle", "cx_oracle", "oracle-db",
            "django.db.backends.oracle",
        ),
        driver="oracledb",
        library="oracledb (thin mode)",
        extra="oracle",
        # its port for TLS (TCPS), since TLS is on unless the manifest says otherwise; else 1521
        default_port=2484,
        dialect="oracle+oracledb",
        # it becomes a part of a connect descriptor
        database_form=r"[A-Za-z0-9_.$#-]{1,128}",
        database_words="name a service, with letters, digits, `_`, `.`, `-`, `$` and `#` alone",
        query="select 1 from dual",
        query_words=traits.NEXT_NUMBER_WORDS,
        methods=("password",),
        options=engine_options.ORACLE_OPTIONS,
        tested=traits.Tested.NOT,
        tested_on="not tested; refusals, deadlines and TLS are, on a scripted listener",
    ),
    Engine(
        name="vertica",
        title="Vertica",
        aliases=("vertica+vertica_python", "vertica-python", "hpvertica"),
        driver="vertica_python",
        library="vertica-python",
        extra="vertica",
        default_port=5433,
        dialect="",
        query_words=traits.NEXT_NUMBER_WORDS,
        options=engine_options.VERTICA_OPTIONS,
        tested=traits.Tested.PEER,
        tested_on="a protocol peer",
    ),
    Engine(
        name="firebird",
        title="Firebird",
        aliases=("firebirdsql", "firebird+firebird", "firebird+fdb", "interbase", "fdb"),
        driver="firebirdsql",
        library="firebirdsql",
        extra="firebird",
        default_port=3050,
        dialect="",
        # `host:` before it would have the server look elsewhere
        database_form=r"(?:[A-Za-z]:)?[^:]+",
        database_words="name an alias of the server, or the path of a file there",
        query="select 1 from rdb$database",
        query_words=traits.FIREBIRD_WORDS,
        # the password is proven, never sent; the server always wants one
        methods=("password",),
        options=engine_options.FIREBIRD_OPTIONS,
        has_tls=False,
        has_client_certificate=False,
        tested=traits.Tested.REAL,
        tested_on="a real server",
    ),
    Engine(
        name="mssql",
        title="SQL Server",
        aliases=(
            "mssql+pymssql", "mssql+pyodbc", "mssql+pytds", "mssql+mssqlpython", "mssqlnet",
            "django.db.backends.mssql", "sql_server.pyodbc", "microsoft sql server",
            "sqlserver", "sqlclient", "azure-sql", "azuresql", "azure sql database",
        ),
        driver="pytds",
        library="python-tds",
        extra="mssql",
        default_port=1433,
        # the one for pytds, sqlalchemy-pytds, is not kept: its last release is of 2023
        dialect="",
        query_words=traits.TRANSACT_SQL_WORDS,
        methods=("password",),
        options=engine_options.MSSQL_OPTIONS,
        has_client_certificate=False,
        newest_tls="1.2",
        tested=traits.Tested.PEER,
        tested_on="a protocol peer",
    ),
    Engine(
        name="bigquery",
        title="BigQuery",
        aliases=("google-bigquery", "bq", "bigquery+rest", "gcp-bigquery"),
        driver="bigquery",
        library="its REST API",
        extra="",
        default_port=443,
        # as Snowflake's
        dialect="",
        # it becomes a part of a path ("Creating and managing projects")
        database_form=r"(?:[a-z0-9.-]{1,200}:)?[a-z0-9-]{1,63}",
        database_words="name a project by its id",
        methods=("serviceAccount",),
        options=engine_options.BIGQUERY_OPTIONS,
        has_client_certificate=False,
        tested=traits.Tested.PEER,
        tested_on="a protocol peer",
    ),
    Engine(
        name="sqlite",
        title="SQLite",
        aliases=("sqlite3", "sqlite+pysqlite", "django.db.backends.sqlite3"),
        driver="sqlite3",
        library="Python's own",
        extra="",
        default_port=None,
        dialect="sqlite",
        methods=(),
        tested=traits.Tested.REAL,
        tested_on="real files",
    ),
    Engine(
        name="duckdb",
        title="DuckDB",
        aliases=("duck", "duckdb_engine", "duckdb+duckdb_engine"),
        driver="duckdb",
        library="duckdb",
        extra="duckdb",
        default_port=None,
        dialect="duckdb",
        methods=(),
        tested=traits.Tested.REAL,
        tested_on="real files",
    ),
)  # fmt: skip

#: Name -> engine.
ENGINES: Final = {row.name: row for row in ROWS}
SERVER_ENGINES: Final = tuple(row.name for row in ROWS if not row.is_file)
FILE_ENGINES: Final = tuple(row.name for row in ROWS if row.is_file)
#: What people and other systems call an engine, in lower case -> our name.
_ALIASES: Final = {
    alias: row.name for row in ROWS for alias in (row.name, row.title.lower(), *row.aliases)
}


def named(text: str) -> str:
    """Returns the engine that `text` means, by name or alias, in any case and spacing, or `""`."""
    plain = text.strip().lower()
    return _ALIASES.get(plain) or _ALIASES.get(plain.replace(" ", "").replace("_", ""), "")
