"""Why Vertica refused, and what we refuse it: from its messages to our reasons.

Codes are SQLSTATE (Vertica, "SQL State List"), most of which mean what they mean to PostgreSQL.
vertica-python's own texts quote the statement and the server; only the server's text is kept,
cleaned, behind the code.
"""

from __future__ import annotations

from typing import Any

import vertica_python  # type: ignore[import-untyped]  # has no types
from vertica_python.vertica.messages import Authentication  # type: ignore[import-untyped]  # the same

from reconciler.clients import sql_errors
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_WAY_UNKNOWN = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server asks for a way to log in that is not supported",
    hint="let the user log in with a password that Vertica keeps as SHA-512",
)
_WANTS_PASSWORD = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server asks for a password and not for a client certificate",
    hint="let the server's rule for this user be `tls`, or use `auth: {method: password}`",
)
#: SQLSTATE, whole or its class -> meaning.
_MEANINGS = {
    "08": sql_errors.CONNECTION_REFUSED,
    "25006": sql_errors.QUERY_WRITES,
    "28": sql_errors.LOGIN_REFUSED,
    "3D": sql_errors.DATABASE_MISSING,
    "42501": sql_errors.NOT_PERMITTED,
    "53": sql_errors.SERVER_TROUBLE,
    "53300": sql_errors.TOO_MANY_CLIENTS,
    "57": sql_errors.NOT_READY,
    "57014": sql_errors.QUERY_TIMED_OUT,
    "58": sql_errors.SERVER_TROUBLE,
    "XX": sql_errors.SERVER_TROUBLE,
}
#: Proofs that do not hold the password itself, and that are hard to undo.
_HASHES = (Authentication.HASH, Authentication.HASH_SHA512)
_OLD_HASHES = (Authentication.MD5_PASSWORD, Authentication.HASH_MD5)


def unanswered(code: int, login: Login) -> Meaning | None:
    """Returns why a server's request for a proof is not answered, None where it is.

    The password as it is goes only to a server that has proved who it is, and an MD5 hash of it
    over TLS alone; where a directory checks it, nothing but the password itself is of use.
    """
    if code == Authentication.CHANGE_PASSWORD:
        return sql_errors.PASSWORD_EXPIRED
    if code not in (Authentication.CLEARTEXT_PASSWORD, *_HASHES, *_OLD_HASHES):
        return _WAY_UNKNOWN
    if login.password is None:
        is_certified = login.method == "clientCertificate"
        return _WANTS_PASSWORD if is_certified else sql_errors.PASSWORD_WANTED
    if code == Authentication.CLEARTEXT_PASSWORD:
        return None if login.is_verified else sql_errors.CLEARTEXT_REFUSED
    if login.method == "ldap":
        return sql_errors.NO_DIRECTORY
    is_too_weak = code in _OLD_HASHES and login.tls_mode == "disable"
    return sql_errors.CLEARTEXT_REFUSED if is_too_weak else None


def without_tls(answer: bytes) -> ConnectionFailed:
    """Returns what it means that a server does not answer the request for TLS with `S`."""
    meaning = sql_errors.NO_TLS if answer == b"N" else sql_errors.NOT_UNDERSTOOD
    return meaning.at(StageName.TLS)


def refused_login(
    error: Any, login: Login, attempt: Attempt, *, has_answered: bool
) -> ConnectionFailed:
    """Returns what an error before the end of the login means."""
    meaning = _meaning(error, sql_errors.CONNECTION_REFUSED)
    if meaning is sql_errors.LOGIN_REFUSED:
        is_certified = login.method == "clientCertificate"
        unasked = sql_errors.CERTIFICATE_REFUSED if is_certified else sql_errors.NOT_LET_IN
        meaning = sql_errors.login_refused(login.method) if has_answered else unasked
    return _refused(error, meaning, attempt)


def explain(error: Exception, attempt: Attempt) -> ConnectionFailed:
    """Returns what an exception of vertica-python means, other than a broken connection."""
    if attempt.is_over:
        return attempt.timed_out()
    if isinstance(error, vertica_python.errors.QueryError):
        return _refused(error, _meaning(error, sql_errors.QUERY_FAILED), attempt)
    return sql_errors.NOT_UNDERSTOOD.at(attempt.stages.last or StageName.AUTH)


def _meaning(error: Any, otherwise: Meaning) -> Meaning:
    state = str(error.sqlstate or "")
    return _MEANINGS.get(state) or _MEANINGS.get(state[:2], otherwise)


def _refused(error: Any, meaning: Meaning, attempt: Attempt) -> ConnectionFailed:
    return sql_errors.refused(attempt, meaning, str(error.sqlstate or ""), str(error.message or ""))
