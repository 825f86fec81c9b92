"""Why PostgreSQL refused a connection, a login or a query: from libpq's words to our reasons.

A failed login must be told from every other failure, in any language that a server speaks, because
only the one counts against the account. libpq keeps the SQLSTATE of a failed login to itself, and
psycopg wraps no call for it; libpq prints it when it is asked to be verbose. A failed TLS handshake
is tried once more without a login, by our own TLS, which can say what was wrong.
"""

from __future__ import annotations

import ctypes
import re
import socket
import ssl
import sys
from functools import cache

from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

from reconciler.clients import sql_errors, tcp, tls
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: SQLSTATE -> meaning; a class, its first two characters, stands for all others of the class
#: (PostgreSQL manual, appendix "PostgreSQL Error Codes").
_MEANINGS = {
    "08": sql_errors.CONNECTION_REFUSED,
    "25006": sql_errors.QUERY_WRITES,
    "28": sql_errors.LOGIN_REFUSED,
    "3D": sql_errors.DATABASE_MISSING,
    "42501": sql_errors.NOT_PERMITTED,
    "53": sql_errors.SERVER_TROUBLE,
    "53300": sql_errors.TOO_MANY_CLIENTS,
    "57014": sql_errors.QUERY_TIMED_OUT,
    "57": sql_errors.NOT_READY,
    "58": sql_errors.SERVER_TROUBLE,
    "XX": sql_errors.SERVER_TROUBLE,
}
#: Codes that mean a wrong password once a password was asked for; poolers answer with class 08.
_LOGIN_CLASSES = ("28", "08")

_TRUST_THE_ROOT = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server's certificate does not lead to an authority of `tls.ca`",
    hint="put the root authority's certificate into the file of `tls.ca`",
)
_HANDSHAKE_FAILED = Meaning(reason=Reason.TLS_FAILURE, message="the TLS handshake failed")
_NOT_POSTGRESQL = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server's answer to the request for TLS is not understood",
    hint="check that `port` belongs to a PostgreSQL server",
)

#: What it means, by method, that a server asks for another way to log in than the method's own.
_OTHER_LOGIN = {
    "ldap": sql_errors.NO_DIRECTORY,
    "awsIam": Meaning(
        reason=Reason.PROTOCOL_ERROR,
        message="the server checks a password itself and takes no token; nothing was sent",
        hint="let the user log in with tokens: `GRANT rds_iam TO` the user",
    ),
    "clientCertificate": Meaning(
        reason=Reason.AUTH_FAILED,
        message="the server asks for a password and not for a client certificate",
        hint="let the server's rule for this user be `cert`, or use `auth: {method: password}`",
    ),
}
#: What else than `S` a server may answer to the request for TLS.
_ANSWERS = {b"N": sql_errors.NO_TLS}

#: PQERRORS_VERBOSE (libpq-fe.h)
_VERBOSE = 2
#: `FATAL:  28P01: password authentication failed`, the severity in the server's language.
_VERBOSE_LINE = re.compile(r":  (?P<code>[0-9A-Z]{5}): (?P<text>[^\n]*)")
#: libpq's own words for a way to log in that `require_auth` leaves out, or that it cannot do.
_OWN_REFUSAL = ("requirement", "authentication method", "SASL", "SCRAM", "channel binding")
#: The first message of a client that wants TLS: length 8, code 80877103 (protocol, SSLRequest).
_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


@cache
def _set_verbosity() -> ctypes._NamedFuncPointer | None:
    """Returns libpq's PQsetErrorVerbosity, found in the library that psycopg itself has loaded.

    None where it cannot be found; then a failed login is known by libpq's text alone.
    """
    module = sys.modules[pq.PGconn.__module__]
    try:
        function = ctypes.CDLL(getattr(module, "__file__", None)).PQsetErrorVerbosity
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return function


def ask_for_codes(connection: PGconn) -> None:
    """Makes libpq put the SQLSTATE into the text of a failed login."""
    function = _set_verbosity()
    pointer: int | None = getattr(connection, "pgconn_ptr", None)  # left out of psycopg's protocol
    if function is not None and pointer is not None:
        function(pointer, _VERBOSE)


def text_of(connection: PGconn) -> str:
    """Returns libpq's text of the last error; hostile, since it quotes the server."""
    return connection.error_message.decode("utf-8", "replace")


def explain_login(connection: PGconn, login: Login, attempt: Attempt) -> ConnectionFailed:
    """Returns why the server, or libpq on our behalf, ended the login.

    AuthFailed only where a password was asked for and the code says that it was refused: whatever
    fails after the password was accepted, such as a missing database, is no failed login.
    """
    text = text_of(connection)
    found = _VERBOSE_LINE.search(text)
    if found is not None:
        code = found["code"]
        if connection.used_password and code.startswith(_LOGIN_CLASSES):
            meaning = sql_errors.login_refused(login.method)
        elif code.startswith("28"):
            is_certified = login.method == "clientCertificate"
            meaning = sql_errors.CERTIFICATE_REFUSED if is_certified else sql_errors.NOT_LET_IN
        else:
            meaning = _meaning(code, sql_errors.CONNECTION_REFUSED)
        return sql_errors.refused(attempt, meaning, code, found["text"])
    if connection.used_password and "password authentication failed" in text:
        return sql_errors.LOGIN_REFUSED.at(StageName.AUTH)
    if any(words in text for words in _OWN_REFUSAL):
        return _OTHER_LOGIN.get(login.method, sql_errors.CLEARTEXT_REFUSED).at(StageName.AUTH)
    if login.identity is not None and "SSL error" in text:
        # TLS 1.3 judges a client after the client's handshake is done (RFC 8446, section 4.4.2.4)
        return _explain_handshake(connection, login, attempt)
    return tcp.cut(None, StageName.AUTH)


def explain_query(result: PGresult, attempt: Attempt) -> ConnectionFailed:
    """Returns why the server refused a query."""
    code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode("ascii", "replace")
    text = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(
        "utf-8", "replace"
    )
    return sql_errors.refused(attempt, _meaning(code, sql_errors.QUERY_FAILED), code, text)


def _meaning(code: str, otherwise: Meaning) -> Meaning:
    return _MEANINGS.get(code) or _MEANINGS.get(code[:2], otherwise)


def explain_tls(connection: PGconn, login: Login, attempt: Attempt) -> ConnectionFailed:
    """Returns why TLS failed, from a second handshake that sends nothing of the login.

    libpq says "certificate verify failed" for an unknown authority and an expired certificate
    alike, and words it as its version does. Effects: one more connection to the same address.
    """
    found = _VERBOSE_LINE.search(text_of(connection))
    if found is not None:  # a server that is full says so instead of answering the request
        meaning = _meaning(found["code"], sql_errors.CONNECTION_REFUSED)
        return sql_errors.refused(attempt, meaning, found["code"], found["text"])
    return _explain_handshake(connection, login, attempt)


def _explain_handshake(connection: PGconn, login: Login, attempt: Attempt) -> ConnectionFailed:
    try:
        meaning = _shake_hands_again(connection.hostaddr.decode(), login, attempt)
    except ConnectionFailed as error:  # the file of `tls.ca` holds no certificate
        return error
    except TimeoutError:
        return attempt.timed_out()
    except ssl.SSLError as error:
        return tls.failure(error)
    except OSError as error:
        return tcp.cut(error, StageName.TLS)
    return meaning.at(StageName.TLS)


def _connect_again(address: str, login: Login, wait_s: float) -> socket.socket:
    if login.again is None:
        return socket.create_connection((address, login.port), timeout=wait_s)
    plain = socket.socket(fileno=login.again(wait_s).detach())
    plain.settimeout(wait_s)
    return plain


def _shake_hands_again(address: str, login: Login, attempt: Attempt) -> Meaning:
    wait_s = attempt.remaining(attempt.connect_by)
    with _connect_again(address, login, wait_s) as plain:
        attempt.lifeline.hold_socket(plain.fileno())
        plain.sendall(_SSL_REQUEST)
        answer = plain.recv(1)
        if answer != b"S":
            return _ANSWERS.get(answer, _NOT_POSTGRESQL)
        context = tls.context(
            tls.TlsMode(login.tls_mode), login.ca, own=login.identity, minimum=login.tls_minimum
        )
        with context.wrap_socket(plain, server_hostname=login.certified_name) as wrapped:
            if login.identity is not None:
                wrapped.recv(1)  # an alert, or nothing until the time is up
            return _TRUST_THE_ROOT if login.is_verified else _HANDSHAKE_FAILED
