"""Why Firebird refused, and what we refuse it: from firebirdsql's exceptions to our reasons.

Codes are Firebird's own (GDS codes). firebirdsql parses what a server sends with few checks: a
hostile or foreign server can make it raise nearly any built-in exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import firebirdsql

from reconciler.clients import sql_errors, tcp
from reconciler.clients.attempt import Attempt
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

NOT_ENCRYPTED = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server does not encrypt the connection, so it is not known who it is",
    hint="let it: `WireCrypt = Required` in the server's firebird.conf",
)
TOO_OLD = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server offers no login that keeps the password to itself; nothing was sent",
    hint="it must be Firebird 3 or newer, with Srp256 or Srp in `AuthServer`",
)
_NO_COMMON_WAY = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server takes no login that is spoken here",
    hint="allow Srp256 or Srp in `AuthServer`, and encryption in `WireCrypt`",
)
#: Firebird's error -> meaning (its manual, "Firebird Error Codes"); the first that fits is taken.
_MEANINGS: dict[int, Meaning] = {
    335544472: sql_errors.LOGIN_REFUSED,
    335545106: sql_errors.LOGIN_REFUSED,
    335545064: _NO_COMMON_WAY,
    335544361: sql_errors.QUERY_WRITES,
    335544765: sql_errors.QUERY_WRITES,
    335544352: sql_errors.NOT_PERMITTED,
    335545094: sql_errors.NOT_PERMITTED,
    335545127: sql_errors.QUERY_TIMED_OUT,
    335545128: sql_errors.QUERY_TIMED_OUT,
    335545129: sql_errors.QUERY_TIMED_OUT,
    335544744: sql_errors.TOO_MANY_CLIENTS,
    335544506: sql_errors.NOT_READY,
    335544528: sql_errors.NOT_READY,
    335544856: sql_errors.NOT_READY,
    335545029: sql_errors.NOT_READY,
    335544734: sql_errors.DATABASE_MISSING,
    335544375: sql_errors.DATABASE_MISSING,
}
#: What firebirdsql says of a connection that ended.
_BROKEN_OFF = "Can not recv() packets"


@contextmanager
def translated(attempt: Attempt) -> Iterator[None]:
    """Turns whatever firebirdsql raises inside into `ConnectionFailed`."""
    try:
        yield
    except OSError as error:
        raise _broken(error, attempt) from None
    except firebirdsql.Error as error:
        raise _explain(error, attempt) from None
    except (NameError, *sql_errors.GARBLED):  # a variable that an answer left unset, as well
        if attempt.is_over:
            raise attempt.timed_out() from None
        raise sql_errors.NOT_UNDERSTOOD.at(attempt.stages.last or StageName.AUTH) from None


def _broken(error: OSError | None, attempt: Attempt) -> ConnectionFailed:
    if attempt.is_over or isinstance(error, TimeoutError):
        return attempt.timed_out()
    return tcp.cut(error, attempt.stages.last or StageName.TCP)


def _explain(error: firebirdsql.Error, attempt: Attempt) -> ConnectionFailed:
    stage = attempt.stages.last or StageName.AUTH
    codes: set[int] = error.gds_codes
    text = str(error)
    if not codes:
        if text == _BROKEN_OFF or attempt.is_over:
            return _broken(None, attempt)
        # what the client says when the server wants another proof: it did not like this one
        is_login = text == "Unauthorized"
        return (sql_errors.LOGIN_REFUSED if is_login else sql_errors.NOT_UNDERSTOOD).at(stage)
    known = (code for code in _MEANINGS if code in codes)
    code = next(known, min(codes))
    meaning = _MEANINGS.get(code) or sql_errors.unknown(stage)
    return sql_errors.refused(attempt, meaning, str(code), text)
