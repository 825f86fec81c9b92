"""Why Oracle Database refused: from oracledb's exceptions to our reasons.

The listener, the database and oracledb itself each have numbers (ORA- and DPY-); the first two say
more behind them, which is kept, cleaned. oracledb's own texts quote host, service and whatever
came from the server, and are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import oracledb

from reconciler.clients import sql_errors, tcp
from reconciler.clients.attempt import Attempt
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

SENT_ON = Meaning(
    reason=Reason.DESTINATION_DENIED,
    message="the listener sends us on to another address; the login went to neither",
    hint="name the database's own listener in `host` and `port`, not one that only sends on",
)
_NO_COMMON_WAY = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server wants a protocol or a login that is not spoken here",
    hint="it must be Oracle Database 12.1 or newer, and the password set there since 11g",
)
_SERVICE_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the listener knows no such service",
    hint="check `database`: it is the name of a service, not of an instance (SID)",
)
#: Number -> meaning (Oracle, "Database Error Messages"; oracledb, "errors.py").
_MEANINGS = {
    "ORA-00018": sql_errors.TOO_MANY_CLIENTS,
    "ORA-00020": sql_errors.TOO_MANY_CLIENTS,
    "ORA-00600": sql_errors.SERVER_TROUBLE,
    "ORA-01005": sql_errors.LOGIN_REFUSED,
    "ORA-01013": sql_errors.QUERY_TIMED_OUT,
    "ORA-01017": sql_errors.LOGIN_REFUSED,
    "ORA-01031": sql_errors.NOT_PERMITTED,
    "ORA-01033": sql_errors.NOT_READY,
    "ORA-01034": sql_errors.NOT_READY,
    "ORA-01035": sql_errors.NOT_READY,
    "ORA-01045": sql_errors.NOT_PERMITTED,
    "ORA-01089": sql_errors.NOT_READY,
    "ORA-01090": sql_errors.NOT_READY,
    "ORA-01109": sql_errors.NOT_READY,
    "ORA-01456": sql_errors.QUERY_WRITES,
    "ORA-02391": sql_errors.TOO_MANY_CLIENTS,
    "ORA-07445": sql_errors.SERVER_TROUBLE,
    "ORA-12505": _SERVICE_MISSING,
    "ORA-12514": _SERVICE_MISSING,
    "ORA-12516": sql_errors.TOO_MANY_CLIENTS,
    "ORA-12518": sql_errors.TOO_MANY_CLIENTS,
    "ORA-12519": sql_errors.TOO_MANY_CLIENTS,
    "ORA-12520": sql_errors.TOO_MANY_CLIENTS,
    "ORA-12526": sql_errors.NOT_READY,
    "ORA-12527": sql_errors.NOT_READY,
    "ORA-12528": sql_errors.NOT_READY,
    "ORA-28000": sql_errors.ACCOUNT_LOCKED,
    "ORA-28001": sql_errors.PASSWORD_EXPIRED,
    "ORA-41900": sql_errors.NOT_PERMITTED,
    "DPY-3001": _NO_COMMON_WAY,
    "DPY-3010": _NO_COMMON_WAY,
    "DPY-3015": _NO_COMMON_WAY,
    "DPY-4001": sql_errors.PASSWORD_WANTED,
    "DPY-4024": sql_errors.QUERY_TIMED_OUT,
    "DPY-6001": _SERVICE_MISSING,
    "DPY-6003": _SERVICE_MISSING,
}
#: oracledb's number for a connection that is no more.
_CLOSED = "DPY-4011"
#: Around whatever went wrong before the login.
_NOT_CONNECTED = "DPY-6005"
#: Around a number of the listener's.
_LISTENER_REFUSES = "DPY-6000"
_REFUSED_WITH = re.compile(r"\bORA-([0-9]{1,5})\b")


class Dialled(Protocol):
    """What made the connection, and may know better why there is none."""

    failure: ConnectionFailed | None


@contextmanager
def translated(attempt: Attempt, dial: Dialled) -> Iterator[None]:
    """Turns whatever oracledb raises inside into `ConnectionFailed`."""
    try:
        yield
    except (oracledb.Error, OSError, *sql_errors.GARBLED) as error:
        raise dial.failure or _explain(error, attempt) from None


@contextmanager
def ignored() -> Iterator[None]:
    """Lets pass whatever oracledb says of a connection that is given up."""
    with suppress(oracledb.Error, OSError, *sql_errors.GARBLED):
        yield


def _explain(error: Exception, attempt: Attempt) -> ConnectionFailed:
    stage = attempt.stages.last or StageName.TCP
    while _code(error) == _NOT_CONNECTED and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if attempt.is_over or isinstance(error, TimeoutError):
        return attempt.timed_out()
    number, text = _told(error)
    if number == _CLOSED or isinstance(error, OSError):
        return tcp.cut(error if isinstance(error, OSError) else None, stage)
    if number not in _MEANINGS and not number.startswith("ORA-"):
        return sql_errors.NOT_UNDERSTOOD.at(stage)
    meaning = _MEANINGS.get(number) or sql_errors.unknown(stage)
    return sql_errors.refused(attempt, meaning, number, text)


def _code(error: Exception) -> str:
    """Returns the number that oracledb gives an error, or nothing."""
    is_known = isinstance(error, oracledb.Error) and error.args
    return str(getattr(error.args[0], "full_code", "")) if is_known else ""


def _told(error: Exception) -> tuple[str, str]:
    """Returns the number that says most, and the words of the server behind it.

    oracledb puts numbers of its own before some of the server's, and a link behind its words.
    """
    number = _code(error)
    if not number:
        return "", ""
    info = error.args[0]
    refused = _REFUSED_WITH.search(info.message) if number == _LISTENER_REFUSES else None
    if refused:
        return f"ORA-{int(refused[1]):05}", ""
    if not info.code:
        return number, ""
    number = f"ORA-{info.code:05}"
    words = info.message.partition(f"{number}: ")[2].partition("\nHelp: ")[0]
    return number, " ".join(words.splitlines())
