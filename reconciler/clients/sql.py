"""From a `Login` to an open database connection or a checked one, through a table of drivers.

Blocking, for a thread of `tools.threads`. Names are resolved before, on the event loop, and only
the addresses in the `Login` are contacted. Drivers are imported when first needed: some take longer
to import than a server takes to answer, so `load` is apart and its time is nobody's latency.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.sql_rows import Rows
from reconciler.errors import ConnectionFailed
from reconciler.kinds import engines
from reconciler.kinds import sql as sql_kind
from reconciler.kinds.engine_traits import SENT_AS_IS, VERIFIED_MODES
from reconciler.model import JsonObject, Reason, StageName
from reconciler.redact import Secret
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.clients.tls_identity import Identity


class DbapiConnection(Protocol):
    """What every driver's connection can do (PEP 249)."""

    def cursor(self) -> object: ...
    def commit(self) -> object: ...
    def rollback(self) -> object: ...
    def close(self) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One library that speaks to databases; its functions block and raise `ConnectionFailed`."""

    #: logs in once, by `attempt.connect_by`; the caller closes the connection. None where the
    #: engine has no dialect of SQLAlchemy, so that nobody could use one
    open_connection: Callable[[Login, Attempt], DbapiConnection] | None = None
    #: logs in once, runs a query read-only, returns at most so many rows, and leaves nothing open
    read: Callable[[Login, str, int, Attempt], Rows]
    #: as `read`, but fetches one row and returns nothing. None: reads one row
    check: Callable[[Login, str, Attempt], None] | None = None


class Reach(Enum):
    """How a driver gets to a server that is not reached by an address."""

    #: it logs in over a socket that is connected already
    SOCKET = "socket"
    #: it connects by itself: to a port of this machine that leads there
    PORT = "port"
    #: as `PORT`, and to a path in the file system
    PORT_OR_PATH = "port or path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a driver is, known before it is imported."""

    #: which has the `Driver` as `DRIVER`
    module: str
    reach: Reach = Reach.SOCKET


def _at(module: str, reach: Reach = Reach.SOCKET) -> Place:
    return Place(module=f"reconciler.clients.{module}", reach=reach)


#: Name of the driver -> where it is, and how it reaches a server.
DRIVERS = {
    "bigquery": _at("bigquery"),
    "clickhouse_connect": _at("clickhouse", Reach.PORT),
    "databricks": _at("databricks"),
    "duckdb": _at("duckdb"),
    "firebirdsql": _at("firebird"),
    "oracledb": _at("oracle"),
    "psycopg": _at("postgresql", Reach.PORT_OR_PATH),
    "pymysql": _at("mysql"),
    "pytds": _at("mssql"),
    "snowflake": _at("snowflake"),
    "sqlite3": _at("sqlite"),
    "trino": _at("trino", Reach.PORT),
    "vertica_python": _at("vertica"),
}


def is_loaded(engine: str) -> bool:
    """Whether `load` has nothing left to import."""
    return DRIVERS[engines.ENGINES[engine].driver].module in sys.modules


def load(engine: str) -> Driver:
    """Returns the driver of `engine`, importing its library now.

    Raises:
        ConnectionFailed: DriverMissing; the hint is the command that installs it.
    """
    row = engines.ENGINES[engine]
    try:
        driver: Driver = import_module(DRIVERS[row.driver].module).DRIVER
    except ImportError:
        raise ConnectionFailed(
            Reason.DRIVER_MISSING,
            StageName.QUERY if row.is_file else StageName.TCP,
            f"the library for {engine} is not installed here",
            f'install it: `pip install "reconciler[{row.extra}]"`',
        ) from None
    return driver


def refuse_unverified(spec: JsonObject) -> None:
    """Returns where a normalised `spec` logs in with nothing that an impostor could use.

    Beside what `kinds.sql_access` finds, since a spec may come from a state that was written before
    the rule was. A socket is served by whoever the file system lets.

    Raises:
        ConnectionFailed: the credential would be sent as it is to a server that proves nothing.
    """
    method: str = spec.get("auth", {}).get("method", "")
    if method not in SENT_AS_IS or "socket" in spec or spec["tls"]["mode"] in VERIFIED_MODES:
        return
    raise ConnectionFailed(
        Reason.PROTOCOL_ERROR,
        StageName.AUTH,
        f"`{method}` sends {SENT_AS_IS[method]} as it is, and the server would not be verified",
        "verify the server: `tls: {mode: verify-full}`",
    )


def describe(
    spec: JsonObject,
    secrets: Mapping[str, Secret],
    *,
    addresses: tuple[str, ...],
    ca: str,
    path: str,
    root: str = "/",
    identity: Identity | None = None,
    password: Secret | None = None,
    authorization: Secret | None = None,
) -> Login:
    """Returns the login that a normalised `spec` asks for.

    `secrets` maps the JSON pointer of each reference inside `spec` to its value. `path` is where a
    database in a file lies, absolute, and `root` the folder that it may not leave; `ca` is the text
    behind `tls.ca`, or empty; `identity` is what `identity_of` returns, `password` or
    `authorization` what `sql_token.made` does.
    """
    row = engines.ENGINES[spec["engine"]]
    if row.is_file:
        return Login(driver=row.driver, database=path, root=root)
    auth = spec["auth"]
    return Login(
        driver=row.driver,
        host=spec.get("host", ""),
        addresses=addresses,
        port=spec["port"],
        database=spec["database"],
        username=auth.get("username", ""),
        password=password or secrets.get("/auth/password"),
        authorization=authorization,
        method=auth["method"],
        tls_mode=_tls_mode(spec),
        ca=ca,
        server_name=spec["tls"].get("serverName", ""),
        tls_minimum=spec["tls"].get("minimumVersion", "1.2"),
        tls_newest=row.newest_tls,
        identity=identity,
        options=row.parameters(spec.get("options", {})),
    )


def _tls_mode(spec: JsonObject) -> str:
    """Returns the mode to log in with; beside a socket the default, a host's name, means none."""
    mode: str = spec["tls"]["mode"]
    return "disable" if "socket" in spec and mode == "verify-full" else mode


def identity_of(
    spec: JsonObject,
    secrets: Mapping[str, Secret],
    read_public: Callable[[JsonObject], str],
    now: datetime,
) -> Identity | None:
    """Returns the client certificate that a normalised `spec` shows, None where it names none.

    Raises:
        ConnectionFailed: TlsFailure or CertificateExpired, when it is not in force at `now`.
        SecretError: as `read_public`.
    """
    if spec.get("auth", {}).get("method") == "clientCertificate":
        block, at = spec["auth"], "/auth"
    elif "clientCertificate" in spec.get("tls", {}):
        block, at = spec["tls"]["clientCertificate"], "/tls/clientCertificate"
    else:
        return None
    from reconciler.clients import tls_identity

    own = tls_identity.identity(
        read_public(block["certificate"]),
        secrets[f"{at}/key"],
        secrets.get(f"{at}/keyPassphrase"),
        at,
    )
    own.check(now)
    return own


def refuse_words(engine: str, query: str) -> None:
    """Returns where `query` has none of the words that `engine` needs kept from it.

    Asked for every statement, since a person's is in no manifest, and a state may be older.

    Raises:
        ConnectionFailed: it has one.
    """
    row = engines.ENGINES[engine]
    problem = sql_kind.word_problem(query, row.query_words)
    if problem:
        raise ConnectionFailed(
            Reason.QUERY_FAILED,
            StageName.QUERY,
            f"the health query {problem.partition(':')[0]}",
            f"choose a `health.query` that only reads; {row.title} does not see to that by itself",
        )


def open_connection(engine: str, login: Login, attempt: Attempt) -> DbapiConnection:
    """Logs in once and returns the connection, which the caller closes.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    try:
        opening = load(engine).open_connection
        assert opening is not None  # else the engine has no dialect, and nobody asks for one
        return opening(login, attempt)
    finally:
        attempt.lifeline.release()


def check(engine: str, login: Login, query: str, attempt: Attempt) -> None:
    """Logs in once, runs `query` read-only, fetches one row, and closes the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    try:
        refuse_words(engine, query)
        driver = load(engine)
        if driver.check is None:
            driver.read(login, query, 1, attempt)
        else:
            driver.check(login, query, attempt)
    finally:
        attempt.lifeline.release()


def read(engine: str, login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """Logs in once, runs `query` read-only, returns at most `limit` rows, closes the connection.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    try:
        refuse_words(engine, query)
        return load(engine).read(login, query, limit, attempt)
    finally:
        attempt.lifeline.release()
