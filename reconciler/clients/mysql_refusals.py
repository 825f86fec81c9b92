"""Why MySQL or MariaDB refused, and what we refuse them: from PyMySQL's exceptions to our reasons.

PyMySQL parses what a server sends with few checks: a hostile or foreign server can make it raise
nearly any built-in exception. Its own texts quote host, user and what the server sent; only the
server's error text is kept, cleaned, behind the errno.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import pymysql

from reconciler.clients import sql_errors, tcp, tls
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

_HOST_BLOCKED = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the server blocks this machine after too many failed connections",
    hint="run FLUSH HOSTS on the server, and see its log for why they failed",
)
_PLUGIN_UNKNOWN = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server asks for a way to log in that is not supported",
    hint="let the user log in with caching_sha2_password, ed25519 or mysql_native_password",
)
#: errno -> meaning (MySQL "Server Error Message Reference", MariaDB "Error Codes"; from 2000 on the
#: codes are PyMySQL's own, named as in MySQL's "Client Error Message Reference").
_MEANINGS = {
    1040: sql_errors.TOO_MANY_CLIENTS,
    1044: sql_errors.NOT_PERMITTED,
    1045: sql_errors.LOGIN_REFUSED,
    1049: sql_errors.DATABASE_MISSING,
    1053: sql_errors.NOT_READY,
    1077: sql_errors.NOT_READY,
    1079: sql_errors.NOT_READY,
    1129: _HOST_BLOCKED,
    1130: sql_errors.NOT_LET_IN,
    1142: sql_errors.NOT_PERMITTED,
    1143: sql_errors.NOT_PERMITTED,
    1152: sql_errors.NOT_READY,
    1203: sql_errors.TOO_MANY_CLIENTS,
    1205: sql_errors.QUERY_TIMED_OUT,
    1226: sql_errors.TOO_MANY_CLIENTS,
    1227: sql_errors.NOT_PERMITTED,
    1317: sql_errors.QUERY_TIMED_OUT,
    1370: sql_errors.NOT_PERMITTED,
    1698: sql_errors.LOGIN_REFUSED,
    1792: sql_errors.QUERY_WRITES,
    1862: sql_errors.PASSWORD_EXPIRED,
    1969: sql_errors.QUERY_TIMED_OUT,
    2059: _PLUGIN_UNKNOWN,
    3024: sql_errors.QUERY_TIMED_OUT,
    3118: sql_errors.ACCOUNT_LOCKED,
    3159: sql_errors.TLS_REQUIRED,
    4151: sql_errors.ACCOUNT_LOCKED,
}
#: Method whose password or token is sent as it is -> what it means that a hash is asked for.
SENT_AS_IS = {
    "ldap": sql_errors.NO_DIRECTORY,
    "awsIam": Meaning(
        reason=Reason.PROTOCOL_ERROR,
        message="the server checks a password itself and takes no token; nothing was sent",
        hint="let the user log in with tokens: `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'`",
    ),
}
#: Ways to log in whose password a server keeps itself.
_HASHING = (
    "caching_sha2_password",
    "client_ed25519",
    "mysql_native_password",
    "mysql_old_password",
    "sha256_password",
)
_UNKNOWN_VARIABLE = 1193
#: The lowest errno of PyMySQL's own; above stand MySQL's newer server errors again.
_OWN_CODES = range(2000, 3000)


class NeverKey(bytes):
    """Stands for the server's public key where there is no TLS; to look at it ends the login.

    PyMySQL would hide the password with a key that it takes from whoever answers. MySQL's own
    client refuses as well unless told otherwise (its option `get-server-public-key`).
    """

    def __bool__(self) -> NoReturn:
        raise sql_errors.CLEARTEXT_REFUSED.at(StageName.AUTH)


class _Refuse:
    """An authentication plugin that sends nothing, and says why."""

    def __init__(self, meaning: Meaning, connection: pymysql.Connection) -> None:
        del connection
        self._meaning = meaning

    def authenticate(self, packet: object) -> NoReturn:
        del packet
        raise self._meaning.at(StageName.AUTH)


def refused_plugins(login: Login) -> dict[str, Callable[[pymysql.Connection], object]]:
    """Returns the ways to log in that are not used, in PyMySQL's form.

    The hash of `mysql_old_password` is worth nothing. `dialog` and `mysql_clear_password` send the
    password as it is, which only a server that has proved who it is may ask for; the full exchange
    of `sha256_password` does so too, and is left to TLS of any kind, as in MySQL's own client.
    """
    if login.method in SENT_AS_IS:
        return dict.fromkeys(_HASHING, partial(_Refuse, SENT_AS_IS[login.method]))
    names = ["mysql_old_password"]
    if not login.is_verified:
        names += ["dialog", "mysql_clear_password"]
    if login.tls_mode == "disable":
        names += ["sha256_password"]
    return dict.fromkeys(names, partial(_Refuse, sql_errors.CLEARTEXT_REFUSED))


@contextmanager
def translated(login: Login, attempt: Attempt) -> Iterator[None]:
    """Turns whatever PyMySQL raises inside into `ConnectionFailed`."""
    try:
        yield
    except OSError as error:
        raise _broken(error, attempt) from None
    except (pymysql.Error, *sql_errors.GARBLED) as error:
        raise _explain(error, login, attempt) from None


@contextmanager
def unknown_variables_ignored() -> Iterator[None]:
    """Lets a `SET` pass that the server has no such variable for."""
    try:
        yield
    except pymysql.Error as error:
        if error.args[:1] != (_UNKNOWN_VARIABLE,):
            raise


def _explain(error: Exception, login: Login, attempt: Attempt) -> ConnectionFailed:
    stage = attempt.stages.last or StageName.TCP
    if isinstance(error.__context__, OSError) or attempt.is_over:
        return _broken(error.__context__, attempt)
    if isinstance(error, RuntimeError) and stage is StageName.QUERY:
        return sql_errors.FILE_REQUESTED.at(stage)
    code = error.args[0] if isinstance(error, pymysql.Error) and error.args else None
    if code in (2006, 2013):
        return tcp.cut(None, stage)
    if not isinstance(code, int) or code == 0 or (code in _OWN_CODES and code not in _MEANINGS):
        return sql_errors.NOT_UNDERSTOOD.at(stage)
    meaning = _MEANINGS.get(code) or sql_errors.unknown(stage)
    if meaning is sql_errors.LOGIN_REFUSED:
        meaning = _login_refused(login)
    if code in _OWN_CODES:
        return meaning.at(stage)
    return sql_errors.refused(attempt, meaning, str(code), str(error.args[1]))


def _login_refused(login: Login) -> Meaning:
    if login.password is not None:
        return sql_errors.login_refused(login.method)
    is_certified = login.method == "clientCertificate"
    return sql_errors.CERTIFICATE_REFUSED if is_certified else sql_errors.PASSWORD_WANTED


def _broken(error: BaseException | None, attempt: Attempt) -> ConnectionFailed:
    if attempt.is_over or isinstance(error, TimeoutError):
        return attempt.timed_out()
    if isinstance(error, ssl.SSLError) and error.reason:
        return tls.failure(error)  # TLS 1.3 judges a client after its handshake
    stage = attempt.stages.last or StageName.TCP
    return tcp.cut(error if isinstance(error, OSError) else None, stage)
