"""Snowflake through its SQL API (docs.snowflake.com/en/developer-guide/sql-api/reference).

A statement is a POST that is answered with its rows, or, where it takes longer than 45 seconds,
with a handle to ask with. Each request carries the credential, and names database, warehouse and
role anew; where the database is missing, a statement that needs none would still be answered. So
the login is a statement of its own, which asks what it was given; it needs no running warehouse.
Nothing makes a statement read-only but its first word (`kinds.sql`) and the rights of the role; the
server ends it by itself when its time is up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from reconciler.clients import sql, sql_errors, sql_json
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.sql_api import Session
from reconciler.clients.sql_json import Cells
from reconciler.clients.sql_rows import Rows
from reconciler.model import JsonObject, Reason, StageName

_STATEMENTS = "/api/v2/statements"
_LOGIN = "select current_database(), current_warehouse()"
#: Statuses of the reference: the statement runs on, and it has ended well.
_RUNNING, _DONE = 202, 200
#: Way to log in -> what the request calls it ("Authenticating to the server").
_TOKEN_TYPES = {"accessToken": "PROGRAMMATIC_ACCESS_TOKEN", "keyPair": "KEYPAIR_JWT"}

_NAME_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the server has no such database, schema or warehouse, or the role may not use it",
    hint="check `database` and `options`: names in capitals, unless they were made with quotes",
)
_ROLE_MISSING = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="there is no such role, or the user may not use it",
    hint="check `options.role`",
)
_WAREHOUSE_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the server has no such warehouse, or the role may not use it",
    hint="check `options.warehouse` and `options.role`",
)
_NO_WAREHOUSE = Meaning(
    reason=Reason.QUERY_FAILED,
    message="the health query needs a warehouse, and there is none",
    hint="name one: `options: {warehouse: NAME}`; the role must be allowed to use it",
)
_WAREHOUSE_OFF = Meaning(
    reason=Reason.SERVER_ERROR,
    message="the warehouse is suspended and cannot be resumed",
)
#: Code of Snowflake's error -> meaning, as its own drivers report them (with their SQLSTATE).
_MEANINGS: Mapping[str, Meaning] = {
    "000604": sql_errors.QUERY_TIMED_OUT,  # 57014, cancelled
    "000606": _NO_WAREHOUSE,  # 57P03
    "000630": sql_errors.QUERY_TIMED_OUT,  # 57014, "reached its statement or warehouse timeout"
    "003001": sql_errors.NOT_PERMITTED,  # 42501
    "090073": _WAREHOUSE_OFF,  # 22000, the quota of its resource monitor is used up
    "090105": sql_errors.DATABASE_MISSING,  # 22000, "does not have a current database"
    "390144": sql_errors.KEY_REFUSED,  # "JWT token is invalid"
    "390189": _ROLE_MISSING,  # 08001, "does not exist or not authorized"
    "390201": _NAME_MISSING,  # 08001, "does not exist or not authorized"
}


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """Logs in, runs `query`, and returns at most `limit` rows.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    with Session(login, attempt) as session:
        with session.stage(StageName.AUTH):
            _look_around(session)
        with session.stage(StageName.QUERY):
            return _run(session, query, limit)


DRIVER = sql.Driver(read=read)


def _look_around(session: Session) -> None:
    """Checks that the database and the warehouse of the login are there."""
    found = _run(session, _LOGIN, 1)
    if len(found.rows) != 1 or len(found.columns) != 2:  # noqa: PLR2004  # as many as asked for
        raise session.foreign()
    database, warehouse = found.rows[0]
    if database is None:
        raise sql_errors.DATABASE_MISSING.at(StageName.AUTH)
    if warehouse is None and "warehouse" in session.login.options:
        raise _WAREHOUSE_MISSING.at(StageName.AUTH)


def _run(session: Session, statement: str, limit: int) -> Rows:
    headers = {"X-Snowflake-Authorization-Token-Type": _TOKEN_TYPES[session.login.method]}
    request = _request(session, statement, limit)
    reply = session.ask("POST", _STATEMENTS, request, headers)
    if reply.status == _RUNNING:
        handle = sql_json.part(reply.data, "statementHandle")
        if not handle:
            raise session.foreign()
        for _ in session.looks():
            reply = session.ask("GET", f"{_STATEMENTS}/{handle}", headers=headers)
            if reply.status != _RUNNING:
                break
    if reply.status != _DONE:
        code, text = sql_json.text(reply.data, "code"), sql_json.text(reply.data, "message")
        raise session.refused(reply, code, text, _MEANINGS)
    if "resultSetMetaData" not in reply.data:
        raise session.foreign()
    return _rows(reply.data, limit)


def _request(session: Session, statement: str, limit: int) -> JsonObject:
    options = dict(session.login.options)
    tag = options.pop("query_tag", "reconciler")
    return {
        "statement": statement,
        "timeout": math.ceil(session.patience_s),
        "database": session.login.database,
        "parameters": {"query_tag": tag, "rows_per_resultset": limit + 1},
        **options,
    }


def _rows(data: JsonObject, limit: int) -> Rows:
    types = sql_json.blocks(sql_json.block(data, "resultSetMetaData"), "rowType")
    columns = [(sql_json.text(column, "name"), _kind(column)) for column in types]
    return sql_json.table(columns, sql_json.items(data, "data"), _CELLS, limit=limit)


def _kind(column: JsonObject) -> str:
    kind = sql_json.text(column, "type").lower()
    return "decimal" if kind == "fixed" and column.get("scale") else kind


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Minutes that stand for UTC behind a time stamp with a zone.
_ZONE_ZERO = 1440


def _moment(seconds: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(Decimal(seconds).scaleb(6)))


def _zoned(value: str) -> str:
    seconds, _, minutes = value.partition(" ")
    away = timedelta(minutes=int(minutes) - _ZONE_ZERO)
    shown = (_moment(seconds) + away).replace(tzinfo=None)
    sign, span = "-" if away < timedelta() else "+", abs(away) // timedelta(minutes=1)
    return f"{shown.isoformat(' ')}{sign}{span // 60:02}:{span % 60:02}"


#: Type of a column -> what its text means ("Handling responses").
_CELLS: Cells = {
    "boolean": sql_json.truth,
    "date": lambda value: (_EPOCH + timedelta(days=int(value))).date().isoformat(),
    "fixed": int,
    "real": sql_json.number,
    "time": lambda value: _moment(value).time().isoformat(),
    "timestamp_ltz": lambda value: f"{_moment(value).replace(tzinfo=None).isoformat(' ')}+00:00",
    "timestamp_ntz": lambda value: _moment(value).replace(tzinfo=None).isoformat(" "),
    "timestamp_tz": _zoned,
}
