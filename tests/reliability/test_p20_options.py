"""P20: drivers get only known options.

What a driver declares or documents as an option of a connection is taken from the driver itself, so
that a new release brings its new options along. Each is written into manifests, in `options` and
beside it, in several spellings. And rogue servers ask for a file of this machine at every step.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect.driver as clickhouse
import clickhouse_connect.driver.httpclient as clickhouse_http
import duckdb
import firebirdsql
import oracledb
import psycopg.pq
import pymysql
import pytds  # type: ignore[import-untyped]  # has no py.typed
import pytest
import trino.dbapi
import vertica_python  # type: ignore[import-untyped]  # has no types

from reconciler import validate
from reconciler.kinds import engines
from reconciler.manifests import loader
from reconciler.model import Json, Outcome, pointer
from reconciler.settings import SecretPolicy
from tests.reliability.figures import Record
from tests.servers import sql_peers
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import check_in, peer_spec

#: Options that open files, load code, run statements, move the connection or weaken it, as users of
#: other drivers of the same engines write them.
NOTORIOUS = (
    *("allowLoadLocalInfile", "allowUrlInLocalInfile", "allowMultiQueries", "autoDeserialize"),
    *(
        "queryInterceptors",
        "socketFactory",
        "sslfactory",
        "loggerFile",
        "authenticationPluginClass",
    ),
    *("read_default_file", "init_command", "local_infile", "plugin_dir", "ssl_ca", "unix_socket"),
    *("service", "servicefile", "passfile", "hostaddr", "sslmode", "gsslib", "replication"),
    *("failoverPartner", "attachDBFilename", "integratedSecurity", "encrypt", "enc_login_only"),
    *("uri", "vfs", "mode", "enable_load_extension", "trustStore", "trustServerCertificate"),
)


def _parameters(*functions: Callable[..., object]) -> set[str]:
    names = {name for each in functions for name in inspect.signature(each).parameters}
    return names - {"self", "args", "kwargs"}


def _libpq() -> set[str]:
    return {default.keyword.decode() for default in psycopg.pq.Conninfo.get_defaults()}


def _vertica() -> set[str]:
    """What its connection looks up in what it was given, since it declares nothing."""
    source = inspect.getsource(vertica_python.vertica.connection)
    looked_up = re.findall(r"options(?:\.get\(|\.setdefault\(|\[)'([a-z_]+)'", source)
    return {*looked_up, "dsn"}


def _duckdb() -> set[str]:
    rows = duckdb.connect().execute("select name from duckdb_settings()").fetchall()
    return {str(name) for (name,) in rows} | _parameters_of_files()


def _parameters_of_files() -> set[str]:
    """SQLite's: Python's `sqlite3.connect`, and the query of a URI (SQLite, "URI Filenames")."""
    python = "timeout detect_types isolation_level check_same_thread factory cached_statements uri"
    return {*python.split(), "mode", "cache", "psow", "nolock", "immutable", "vfs", "modeof"}


def _bigquery() -> set[str]:
    """The body of a request, and what its connectors take beside it."""
    body = "kind query maxResults defaultDataset timeoutMs dryRun useLegacySql parameterMode"
    others = "connectionProperties createSession labels jobCreationMode destinationEncryption"
    connectors = "credentials_path credentials_info credentials_base64 api_endpoint list_tables"
    client = "client_options default_query_job_config quota_project_id user_supplied_client"
    return {*body.split(), *others.split(), *connectors.split(), *client.split()}


def _databricks() -> set[str]:
    """The body of a request, and what its connectors take beside it."""
    body = "statement warehouse_id catalog schema parameters row_limit byte_limit disposition"
    waiting = "format wait_timeout on_wait_timeout query_tags"
    connectors = "server_hostname http_path access_token session_configuration _tls_no_verify"
    others = "auth_type staging_allowed_local_path credentials_provider use_cloud_fetch"
    return {*body.split(), *waiting.split(), *connectors.split(), *others.split()}


def _snowflake() -> set[str]:
    """The body of a request and its parameters, and what its connectors take beside them."""
    body = "statement timeout database schema warehouse role bindings parameters"
    parameters = "query_tag rows_per_resultset multi_statement_count timezone use_cached_result"
    connectors = "account user password authenticator token private_key_file session_parameters"
    others = "insecure_mode ocsp_fail_open protocol proxy_host validate_default_parameters"
    return {*body.split(), *parameters.split(), *connectors.split(), *others.split()}


#: Driver -> every option that it declares.
DECLARED: dict[str, Callable[[], set[str]]] = {
    "psycopg": _libpq,
    "pymysql": lambda: _parameters(pymysql.connections.Connection.__init__),
    "bigquery": _bigquery,
    "clickhouse_connect": lambda: _parameters(
        clickhouse.create_client, clickhouse_http.HttpClient.__init__
    ),
    "firebirdsql": lambda: _parameters(firebirdsql.fbcore.ConnectionBase.__init__),
    "oracledb": lambda: _parameters(oracledb.connect, oracledb.ConnectParams.__init__),
    "pytds": lambda: _parameters(pytds.connect),
    "vertica_python": _vertica,
    "trino": lambda: _parameters(trino.dbapi.Connection.__init__),
    "snowflake": _snowflake,
    "sqlite3": _parameters_of_files,
    "databricks": _databricks,
    "duckdb": _duckdb,
}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "title case": str.title,
    "percent-encoded": lambda name: "".join(f"%{ord(letter):02X}" for letter in name),
    "encoded first letter": lambda name: f"%{ord(name[0]):02x}{name[1:]}",
}


def _errors(spec: dict[str, Json]) -> set[str]:
    """Returns the pointers of all errors in a manifest with `spec`."""
    manifest = {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": "orders"},
        "spec": spec,
    }
    documents = loader.load(json.dumps(manifest).encode(), "orders.yaml")
    found = validate.validate(documents, SecretPolicy(root="/project"))
    assert found.resources == ()
    return {finding.pointer for finding in found.diagnostics}


def _spec(engine: str) -> dict[str, Json]:
    row = engines.ENGINES[engine]
    if row.is_file:
        return {"engine": engine, "database": "data/orders.db"}
    required = {o.name: o.schema["examples"][0] for o in row.options if o.is_required}
    place = {"engine": engine, "host": "db.internal", "database": "orders"}
    return {**place, **({"options": required} if required else {})}


def test_every_driver_of_the_catalogue_is_asked_for_its_options() -> None:
    assert set(DECLARED) == {row.driver for row in engines.ROWS}
    assert all(len(declared()) > 10 for declared in DECLARED.values())


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("engine", engines.ENGINES)
def test_an_option_that_is_not_listed_is_refused(
    engine: str, spelling: str, figure: Record
) -> None:
    row = engines.ENGINES[engine]
    listed = {option.name for option in row.options}
    declared = DECLARED[row.driver]() | set(NOTORIOUS)
    names = {SPELLINGS[spelling](name) for name in declared} - listed
    errors = _errors({**_spec(engine), "options": dict.fromkeys(names, True)})
    if row.is_file:
        assert errors == {"/spec/options"}
    else:
        missed = {name for name in names if pointer(("spec", "options", name)) not in errors}
        assert missed == set()
    figure("P20", "options in `options`", len(names), "let pass", 0)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("engine", engines.ENGINES)
def test_an_option_beside_the_fields_is_refused(engine: str, spelling: str, figure: Record) -> None:
    row = engines.ENGINES[engine]
    own = {"host", "port", "database", "options", "tls", "auth", "proxy", "ssh", "socket"}
    declared = DECLARED[row.driver]() | set(NOTORIOUS)
    names = {SPELLINGS[spelling](name) for name in declared} - own
    errors = _errors({**_spec(engine), **dict.fromkeys(names, True)})
    assert {name for name in names if pointer(("spec", name)) not in errors} == set()
    figure("P20", "options beside the fields", len(names), "let pass", 0)


@pytest.mark.parametrize(
    "text",
    [
        "x' sslmode='disable",
        "x&sslmode=disable",
        "x;local_infile=1",
        "x?ssl_disabled=true",
        "x%26sslmode%3Ddisable",
        "x\\' host=evil.example",
        "x\nsslmode=disable",
        "x\x00sslmode=disable",
        "x`; drop table item",
        'x" -c session_preload_libraries=evil',
    ],
)
def test_no_value_smuggles_an_option_in(text: str, figure: Record) -> None:
    tried = 0
    for row in engines.ROWS:
        for option in row.options:
            errors = _errors({**_spec(row.name), "options": {option.name: text}})
            assert errors == {f"/spec/options/{option.name}"}
            tried += 1
    figure("P20", "values with options in them", tried, "let pass", 0)


FILE = "canary-4711-" + "x" * 40


def _mysql_asks(step: int, path: str, client: Conversation) -> None:
    """Answers well `step` times after the greeting, then with a request for the file."""
    request = b"\xfb" + path.encode()
    client.mysql_send(0, sql_peers.mysql_greeting())
    client.mysql_packet()
    for number in range(step):
        client.mysql_send(1 if number else 2, sql_peers.MYSQL_OK)
        client.mysql_packet()
    client.mysql_send(1 if step else 2, request)
    client.wait()


def _postgresql_asks(step: int, path: str, client: Conversation) -> None:
    """Answers well `step` times after the login, then begins a copy towards itself."""
    del path  # the protocol cannot name one
    client.postgresql_start()
    client.send(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
    for _ in range(step):
        client.postgresql_message()
        client.send(b"C\0\0\0\x0aBEGIN\0Z\0\0\0\x05T")
    client.postgresql_message()
    client.send(b"G\0\0\0\x07\0\0\0")
    client.wait()


@pytest.mark.parametrize(
    ("engine", "step"),
    [
        *((engine, step) for engine in ("mysql", "mariadb") for step in range(4)),
        *(("postgresql", step) for step in range(3)),
    ],
)
def test_a_rogue_server_gets_no_file(
    engine: str, step: int, tmp_path: Path, figure: Record
) -> None:
    file = tmp_path / "private"
    file.write_text(FILE)
    asks = _postgresql_asks if engine == "postgresql" else _mysql_asks
    with (
        ThreadPoolExecutor(1) as threads,
        sql_peer(lambda client: asks(step, str(file), client)) as peer,
    ):
        check = check_in(threads, tmp_path)
        found = check(peer_spec(engine, peer.port, health={"timeout": "1s"}))
    assert found.outcome is Outcome.FAILED
    assert FILE[:12].encode() not in peer.received
    figure("P20", "rogue servers", 1, "bytes of a file sent", 0)
