"""Why SQL Server refused: from the errors of its messages to our reasons.

The numbers are those of Microsoft's "Database Engine events and errors" and, from 40000 on,
"Troubleshoot connectivity issues ... with Azure SQL Database". A login that fails for its database
ends with two errors, 4060 and then 18456, "login failed"; so the first that says something counts,
and not the last, as in pytds. pytds reads what a server sends with few checks: a hostile or foreign
one can make it raise nearly any built-in exception.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from pytds import tds_base  # type: ignore[import-untyped]  # has no py.typed

from reconciler.clients import sql_errors, tcp
from reconciler.clients.attempt import Attempt
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_NO_DATABASE = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the server has no such database, or this user may not open it",
    hint="check `database`, and that the login has a user there",
)
_WINDOWS_ONLY = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server lets in users of Windows only",
    hint="have it accept SQL Server logins as well",
)
_FIREWALL = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the firewall of the server does not let this machine in",
    hint="add the address of this machine to the server's firewall rules",
)
_INTENT_ONLY = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the database is a replica that is open to readers only",
    hint="say so: `options: {applicationIntent: ReadOnly}`",
)
_REPLICA = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the database is a replica that is not open to queries",
    hint="name the primary replica, or the listener of the group, in `host`",
)
_LOCK_WAIT = Meaning(
    reason=Reason.READ_TIMEOUT,
    message="the query waits for a lock that others hold",
    hint="choose a `health.query` that reads what nobody locks",
)
_DEADLOCK = Meaning(
    reason=Reason.SERVER_ERROR,
    message="the server ended the query to resolve a deadlock",
    hint="choose a `health.query` that reads what nobody locks",
)
_MEANINGS = {
    229: sql_errors.NOT_PERMITTED,
    230: sql_errors.NOT_PERMITTED,
    262: sql_errors.NOT_PERMITTED,
    297: sql_errors.NOT_PERMITTED,
    300: sql_errors.NOT_PERMITTED,
    371: sql_errors.NOT_PERMITTED,
    701: sql_errors.SERVER_TROUBLE,
    823: sql_errors.SERVER_TROUBLE,
    824: sql_errors.SERVER_TROUBLE,
    911: _NO_DATABASE,
    916: _NO_DATABASE,
    921: sql_errors.NOT_READY,
    922: sql_errors.NOT_READY,
    926: sql_errors.SERVER_TROUBLE,
    927: sql_errors.NOT_READY,
    942: sql_errors.NOT_READY,
    976: _REPLICA,
    978: _INTENT_ONLY,
    983: sql_errors.NOT_READY,
    1205: _DEADLOCK,
    1222: _LOCK_WAIT,
    3906: sql_errors.QUERY_WRITES,
    4060: _NO_DATABASE,
    4064: _NO_DATABASE,
    6005: sql_errors.NOT_READY,
    8645: sql_errors.SERVER_TROUBLE,
    9002: sql_errors.SERVER_TROUBLE,
    10928: sql_errors.TOO_MANY_CLIENTS,
    10929: sql_errors.TOO_MANY_CLIENTS,
    10936: sql_errors.TOO_MANY_CLIENTS,
    17142: sql_errors.NOT_READY,
    17187: sql_errors.NOT_READY,
    17809: sql_errors.TOO_MANY_CLIENTS,
    17810: sql_errors.TOO_MANY_CLIENTS,
    17892: sql_errors.NOT_LET_IN,
    18401: sql_errors.NOT_READY,
    18451: sql_errors.NOT_READY,
    18452: _WINDOWS_ONLY,
    18456: sql_errors.LOGIN_REFUSED,
    18458: sql_errors.TOO_MANY_CLIENTS,
    18459: sql_errors.TOO_MANY_CLIENTS,
    18461: sql_errors.TOO_MANY_CLIENTS,
    18470: sql_errors.ACCOUNT_LOCKED,
    18486: sql_errors.ACCOUNT_LOCKED,
    18487: sql_errors.PASSWORD_EXPIRED,
    18488: sql_errors.PASSWORD_EXPIRED,
    40197: sql_errors.NOT_READY,
    40501: sql_errors.NOT_READY,
    40532: sql_errors.LOGIN_REFUSED,
    40613: sql_errors.NOT_READY,
    40615: _FIREWALL,
    40914: _FIREWALL,
    42109: sql_errors.NOT_READY,
    47073: _FIREWALL,
    49918: sql_errors.TOO_MANY_CLIENTS,
    49919: sql_errors.TOO_MANY_CLIENTS,
    49920: sql_errors.TOO_MANY_CLIENTS,
}


class Told(Protocol):
    """Whoever remembers what the server said of the request that failed."""

    @property
    def messages(self) -> Sequence[tds_base.Message]: ...


@contextmanager
def translated(told: Told, attempt: Attempt) -> Iterator[None]:
    """Turns whatever pytds and sockets raise inside into `ConnectionFailed`."""
    try:
        yield
    except OSError as error:
        raise _broken(error, attempt) from None
    except (tds_base.Error, *sql_errors.GARBLED) as error:
        raise _explain(error, told, attempt) from None


def _explain(error: Exception, told: Told, attempt: Attempt) -> ConnectionFailed:
    stage = attempt.stages.last or StageName.TCP
    errors = [each for each in told.messages if each["marker"] == tds_base.TDS_ERROR_TOKEN]
    if not errors and attempt.is_over:
        return attempt.timed_out()
    if not errors and isinstance(error, tds_base.ClosedConnectionError):
        return tcp.cut(None, stage)
    if not errors:
        return sql_errors.NOT_UNDERSTOOD.at(stage)
    telling = next((each for each in errors if each["msgno"] in _MEANINGS), errors[0])
    meaning = _MEANINGS.get(telling["msgno"]) or sql_errors.unknown(stage)
    if stage is StageName.QUERY and meaning.reason is Reason.AUTH_FAILED:
        # of a login of the server's own, at another one that it asks
        meaning = sql_errors.unknown(stage)
    return sql_errors.refused(attempt, meaning, str(telling["msgno"]), telling["message"])


def _broken(error: OSError, attempt: Attempt) -> ConnectionFailed:
    if attempt.is_over or isinstance(error, TimeoutError):
        return attempt.timed_out()
    stage = attempt.stages.last or StageName.TCP
    if isinstance(error, ssl.SSLError):  # after the handshake, whose errors `mssql_wire` explains
        return sql_errors.NOT_UNDERSTOOD.at(stage)
    return tcp.cut(error, stage)
