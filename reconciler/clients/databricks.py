"""Databricks SQL through its statement execution API, on a SQL warehouse.

From "Statement Execution API" (docs.databricks.com/api/workspace/statementexecution, and the text
of its SDKs): a statement is a POST that waits for the rows for up to 50 seconds; after that, or
where less time is left, it is asked for by its id. Error classes stand in brackets before their
text ("Error conditions in Databricks"). One request is login and statement: a refused token is
found at the stage `auth`. A statement that is too slow is cancelled. The API has no read-only mode:
nothing makes a statement one but its first word (`kinds.sql`) and the rights of the token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.clients import sql, sql_errors, sql_json
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.sql_api import Reply, Session
from reconciler.clients.sql_json import Cells
from reconciler.clients.sql_rows import Rows
from reconciler.model import JsonObject, Reason, StageName

_STATEMENTS = "/api/2.0/sql/statements"
#: What a request may wait for rows, in seconds; less than the shortest is not to wait at all.
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 5, 50
_RUNNING = ("PENDING", "RUNNING")
_CLASS = re.compile(r"\[([A-Z_]{3,80})(?:\.[A-Z_]{1,80})?\]\s*")

_WAREHOUSE_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="there is no such warehouse",
    hint="check `options.warehouse`: it is the id of a SQL warehouse, not its name",
)
_WAREHOUSE_STARTING = Meaning(
    reason=Reason.READ_TIMEOUT,
    message="the warehouse does not start in time",
    hint="raise `health.timeout` and `timeout.query`, or keep the warehouse running",
)
_NOT_TAKEN = Meaning(
    reason=Reason.QUERY_FAILED,
    message="the service does not take the request",
    hint="check `database` and `options`",
)
#: Error class, or code of the API -> meaning.
_MEANINGS: Mapping[str, Meaning] = {
    "DEADLINE_EXCEEDED": sql_errors.QUERY_TIMED_OUT,
    "INSUFFICIENT_PERMISSIONS": sql_errors.NOT_PERMITTED,
    "INTERNAL_ERROR": sql_errors.SERVER_TROUBLE,
    "INVALID_PARAMETER_VALUE": _NOT_TAKEN,
    "NOT_FOUND": _WAREHOUSE_MISSING,
    "NO_SUCH_CATALOG_EXCEPTION": sql_errors.DATABASE_MISSING,
    "PERMISSION_DENIED": sql_errors.NOT_PERMITTED,
    "REQUEST_LIMIT_EXCEEDED": sql_errors.RATE_LIMITED,
    "RESOURCE_DOES_NOT_EXIST": _WAREHOUSE_MISSING,
    "RESOURCE_EXHAUSTED": sql_errors.RATE_LIMITED,
    "SERVICE_UNDER_MAINTENANCE": sql_errors.NOT_READY,
    "TEMPORARILY_UNAVAILABLE": sql_errors.NOT_READY,
    "UNAUTHENTICATED": sql_errors.TOKEN_REFUSED,
    "WORKSPACE_TEMPORARILY_UNAVAILABLE": sql_errors.NOT_READY,
}


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """Sends the token and `query`, and returns at most `limit` rows.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    with Session(login, attempt) as session, session.stage(StageName.QUERY):
        reply = _ended(session, _sent(session, query, limit))
        if _state(reply) != "SUCCEEDED":
            raise _refused(session, reply)
        return _rows(reply.data, limit)


DRIVER = sql.Driver(read=read)


def _sent(session: Session, query: str, limit: int) -> Reply:
    wait_s = min(_LONGEST_WAIT_S, int(session.patience_s) - 1)
    request = {
        "statement": query,
        "catalog": session.login.database,
        "row_limit": limit + 1,
        "wait_timeout": f"{wait_s if wait_s >= _SHORTEST_WAIT_S else 0}s",
        "on_wait_timeout": "CONTINUE",
        "disposition": "INLINE",
        "format": "JSON_ARRAY",
        **session.login.options,
    }
    return session.ask("POST", _STATEMENTS, request)


def _ended(session: Session, reply: Reply) -> Reply:
    """Returns the last reply to a statement that runs on; one that is too slow is cancelled."""
    if _state(reply) not in _RUNNING:
        return reply
    name = sql_json.part(reply.data, "statement_id")
    if not name:
        raise session.foreign()
    for _ in session.looks(session.spare_s):  # then there is time to cancel it
        reply = session.ask("GET", f"{_STATEMENTS}/{name}")
        if _state(reply) not in _RUNNING:
            return reply
    session.ask("POST", f"{_STATEMENTS}/{name}/cancel")
    is_waiting = _state(reply) == "PENDING"
    raise (_WAREHOUSE_STARTING if is_waiting else sql_errors.QUERY_TIMED_OUT).at(StageName.QUERY)


def _state(reply: Reply) -> str:
    return sql_json.text(sql_json.block(reply.data, "status"), "state") if reply.is_good else ""


def _refused(session: Session, reply: Reply) -> Exception:
    """Returns why there are no rows: what the API says, or what the statement has ended with."""
    status = sql_json.block(reply.data, "status")
    error = sql_json.block(status, "error") if reply.is_good else reply.data
    code, text = sql_json.text(error, "error_code"), sql_json.text(error, "message")
    if reply.is_good and not status:
        return session.foreign()
    if _state(reply) in ("CANCELED", "CLOSED"):
        return sql_errors.QUERY_TIMED_OUT.at(StageName.QUERY)
    named = _CLASS.match(text)
    if named is not None:
        code, text = named[1], text[named.end() :]
    # what it says of a token has the code 403, as has what a workspace says of a network
    is_token = text.startswith("Invalid access token")
    meanings = {**_MEANINGS, code: sql_errors.TOKEN_REFUSED} if is_token else _MEANINGS
    return session.refused(reply, code, text, meanings)


def _rows(data: JsonObject, limit: int) -> Rows:
    types = sql_json.blocks(sql_json.block(sql_json.block(data, "manifest"), "schema"), "columns")
    columns = [
        (sql_json.text(column, "name"), sql_json.text(column, "type_name")) for column in types
    ]
    found = sql_json.items(sql_json.block(data, "result"), "data_array")
    return sql_json.table(columns, found, _CELLS, limit=limit)


#: Type of a column -> what its text means (`JSON_ARRAY`); all others are shown as they come.
_CELLS: Cells = {
    **dict.fromkeys(("BYTE", "SHORT", "INT", "LONG"), int),
    **dict.fromkeys(("FLOAT", "DOUBLE"), sql_json.number),
    "BOOLEAN": sql_json.truth,
}
