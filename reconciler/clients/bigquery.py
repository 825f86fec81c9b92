"""BigQuery through its REST API (cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query).

A query is a POST that waits for the rows; after that it is asked for by the id of its job, and the
service ends the job by itself when its time is up. One request is login and query: a refused key is
found at the stage `auth`. The API has no read-only mode: nothing makes a query one but its first
word (`kinds.sql`) and the roles of the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from reconciler.clients import sql, sql_errors, sql_json
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.sql_api import Reply, Session
from reconciler.clients.sql_json import Cells
from reconciler.clients.sql_rows import Rows
from reconciler.kinds.engines import ENGINES
from reconciler.model import JsonObject, Reason, StageName

#: Id of a project, which becomes a part of the path.
_PROJECT = re.compile(ENGINES["bigquery"].database_form)
_MISSING = re.compile(r"Not found: (?:Project|Dataset) ")
_TIMESTAMPS = "ISO8601_STRING"

_DATASET_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="there is no such project or dataset",
    hint="check `database`, the id of a project, and `options`: a dataset has its location",
)
_BILLED = Meaning(
    reason=Reason.QUERY_FAILED,
    message="the health query would be billed for more bytes than it may be",
    hint="choose a cheaper `health.query`, or raise `options.maximumBytesBilled`",
)
#: Reason of an error ("Error messages" of the manual) -> meaning.
_MEANINGS: Mapping[str, Meaning] = {
    "accessDenied": sql_errors.NOT_PERMITTED,
    "backendError": sql_errors.SERVER_TROUBLE,
    "bytesBilledLimitExceeded": _BILLED,
    "internalError": sql_errors.SERVER_TROUBLE,
    "jobRateLimitExceeded": sql_errors.RATE_LIMITED,
    "quotaExceeded": sql_errors.RATE_LIMITED,
    "rateLimitExceeded": sql_errors.RATE_LIMITED,
    "stopped": sql_errors.QUERY_TIMED_OUT,
    "timeout": sql_errors.QUERY_TIMED_OUT,
}


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """Sends what the key signed and `query`, and returns at most `limit` rows.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    if not _PROJECT.fullmatch(login.database):  # from a state that somebody changed
        raise _DATASET_MISSING.at(StageName.QUERY)
    with Session(login, attempt) as session, session.stage(StageName.QUERY):
        reply = session.ask("POST", f"{_root(session)}/queries", _request(session, query, limit))
        reply = _ended(session, reply, limit)
        if not reply.is_good:
            raise _refused(session, reply)
        if reply.data.get("jobComplete") is not True:
            raise session.foreign()
        return _rows(reply.data, limit)


DRIVER = sql.Driver(read=read)


def _root(session: Session) -> str:
    return f"/bigquery/v2/projects/{session.login.database}"


def _request(session: Session, query: str, limit: int) -> JsonObject:
    options = dict(session.login.options)
    dataset = options.pop("dataset", None)
    place = {"projectId": session.login.database, "datasetId": dataset}
    return {
        "query": query,
        "useLegacySql": False,
        "maxResults": limit + 1,
        "timeoutMs": _wait_ms(session),
        "jobTimeoutMs": str(round(1000 * session.patience_s)),
        "formatOptions": {"timestampOutputFormat": _TIMESTAMPS},
        **({"defaultDataset": place} if dataset is not None else {}),
        **options,
    }


def _wait_ms(session: Session) -> int:
    return round(1000 * (session.patience_s - session.spare_s))


def _ended(session: Session, reply: Reply, limit: int) -> Reply:
    """Returns the reply that has the rows, or that says why there are none."""
    if not reply.is_good or reply.data.get("jobComplete") is not False:
        return reply
    job = sql_json.block(reply.data, "jobReference")
    name, location = sql_json.part(job, "jobId"), sql_json.part(job, "location")
    if not name:
        raise session.foreign()
    for _ in session.looks():
        wanted = {
            "maxResults": limit + 1,
            "timeoutMs": _wait_ms(session),
            "formatOptions.timestampOutputFormat": _TIMESTAMPS,
            **({"location": location} if location else {}),
        }
        reply = session.ask("GET", f"{_root(session)}/queries/{name}?{urlencode(wanted)}")
        if not reply.is_good or reply.data.get("jobComplete") is not False:
            break
    return reply


def _refused(session: Session, reply: Reply) -> Exception:
    error = sql_json.block(reply.data, "error")
    details = sql_json.blocks(error, "errors")
    code = sql_json.text(details[0], "reason") if details else sql_json.text(error, "status")
    text = sql_json.text(error, "message")
    is_missing = code == "notFound" and _MISSING.match(text)
    meanings = {**_MEANINGS, code: _DATASET_MISSING} if is_missing else _MEANINGS
    return session.refused(reply, code, text, meanings)


def _rows(data: JsonObject, limit: int) -> Rows:
    fields = sql_json.blocks(sql_json.block(data, "schema"), "fields")
    columns = [(sql_json.text(field, "name"), _kind(field)) for field in fields]
    found = [
        [value.get("v") for value in sql_json.blocks(row, "f")]
        for row in sql_json.blocks(data, "rows")
    ]
    return sql_json.table(columns, found, _CELLS, limit=limit)


def _kind(field: JsonObject) -> str:
    return "" if sql_json.text(field, "mode") == "REPEATED" else sql_json.text(field, "type")


#: Type of a column -> what its text means; all others are shown as they come.
_CELLS: Cells = {
    **dict.fromkeys(("INTEGER", "INT64"), int),
    **dict.fromkeys(("FLOAT", "FLOAT64"), sql_json.number),
    **dict.fromkeys(("BOOLEAN", "BOOL"), sql_json.truth),
}
