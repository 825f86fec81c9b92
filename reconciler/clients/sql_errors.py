"""What a refusal by a database means: the words that all SQL drivers share.

Each driver module keeps the table from its own codes (SQLSTATE, errno, result code, class) to one
of these meanings; the sentence and the hint are written here once, so that the same mistake reads
the same on every engine. A server's own text appears only behind the code, cleaned and short.
"""

from __future__ import annotations

import struct
from typing import Final

from reconciler.clients import sql_words
from reconciler.clients.attempt import Attempt
from reconciler.clients.meaning import Meaning
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName

#: Of a server's text, at most this many characters are shown.
LONGEST_DETAIL = 300


LOGIN_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the user name or the password is refused",
    hint="check `auth.username` and the secret of `auth.password`",
)
#: What servers say of both is the same (PostgreSQL: "LDAP authentication failed for user").
DIRECTORY_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the directory refuses the user name or the password, or does not answer the server",
    hint="check `auth.username` and the secret of `auth.password`; the server's log knows which",
)
AWS_TOKEN_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server refuses the token",
    hint=(
        "check the keys and `region` of `auth`, that `host` is the endpoint of AWS, this machine's"
        " clock, and that the keys' policy allows rds-db:connect as this user"
    ),
)
PASSWORD_EXPIRED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the password has expired or must be changed",
    hint="set a new one at the database, and put it where `auth.password` points to",
)
ACCOUNT_LOCKED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the account is locked or disabled",
    hint="have it unlocked at the database, and see there who tried the password",
)
NO_DIRECTORY = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server checks the password itself and asks no directory; nothing was sent",
    hint="use `auth: {method: password}`",
)
PASSWORD_WANTED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server wants a user name and a password, and the manifest gives none",
    hint="give one: `auth: {method: password, username: NAME, password: {env: NAME}}`",
)
CERTIFICATE_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server does not let this user in with the client certificate",
    hint="check `auth.username`, and which certificate the server expects of this user",
)
KEY_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server does not accept what the key of `auth.key` signed",
    hint="check `auth.username`, `auth.account`, whether the user has the public half of this key,"
    " and this machine's clock",
)
ACCOUNT_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the service does not accept what the key of the service account signed",
    hint="check whether account and key of `auth.key` still exist and are enabled, and this"
    " machine's clock",
)
TOKEN_REFUSED = Meaning(
    reason=Reason.AUTH_FAILED,
    message="the server refuses the token",
    hint="check the secret of `auth.token`: it may have expired, or been revoked",
)
NOT_LET_IN = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the server lets no such user in from here, and was sent no password",
    hint="check the server's access rules for this user, database, address and TLS mode",
)
DATABASE_MISSING = Meaning(
    reason=Reason.DATABASE_MISSING,
    message="the server has no such database",
    hint="check `database`",
)
NOT_PERMITTED = Meaning(
    reason=Reason.PERMISSION_DENIED,
    message="the user lacks a permission",
    hint="grant it, or choose a `health.query` that needs none",
)
RATE_LIMITED = Meaning(
    reason=Reason.RATE_LIMITED,
    message="the server takes no more requests for now",
    hint="raise `health.interval`, or wait",
)
TOO_MANY_CLIENTS = Meaning(
    reason=Reason.SERVER_ERROR,
    message="the server has too many connections",
)
NOT_READY = Meaning(
    reason=Reason.SERVER_ERROR,
    message="the server is starting, stopping or recovering",
)
SERVER_TROUBLE = Meaning(
    reason=Reason.SERVER_ERROR,
    message="the server reports an internal error",
)
CONNECTION_REFUSED = Meaning(
    reason=Reason.SERVER_ERROR,
    message="the server refuses the connection",
)
QUERY_TIMED_OUT = Meaning(
    reason=Reason.READ_TIMEOUT,
    message="the health query does not finish in time",
    hint="choose a cheaper `health.query`, or raise `health.timeout` and `timeout.query`",
)
QUERY_WRITES = Meaning(
    reason=Reason.QUERY_FAILED,
    message="the health query writes, and is run read-only",
    hint="choose a `health.query` that only reads",
)
QUERY_FAILED = Meaning(
    reason=Reason.QUERY_FAILED,
    message="the server refuses the health query",
    hint="check `health.query`",
)
NO_TLS = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server offers no TLS; nothing was sent",
    hint="switch TLS on at the server, or, where the network is trusted: `tls: {mode: disable}`",
)
TLS_REQUIRED = Meaning(
    reason=Reason.TLS_FAILURE,
    message="the server accepts TLS only",
    hint="use it: `tls: {mode: verify-full}`",
)
CLEARTEXT_REFUSED = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server asks for a login that is too weak here; the password was not sent",
    hint="verify the server, then a password may be sent: `tls: {mode: verify-full}`",
)
TOKEN_UNVERIFIED = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="a token is sent to a server that has proved who it is, and to no other",
    hint="verify the server: `tls: {mode: verify-full}`",
)
FILE_REQUESTED = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server asks for a file of this machine; it was not sent",
    hint="do not trust this server until you know why",
)
ELSEWHERE = Meaning(
    reason=Reason.DESTINATION_DENIED,
    message="the server sends the driver to another address; nothing was sent there",
    hint="write the address that is meant into `host` and `port`",
)
TOO_LARGE = Meaning(
    reason=Reason.BODY_TOO_LARGE, message="the server's answer is larger than any real one"
)
ROWS_TOO_LARGE = Meaning(
    reason=Reason.BODY_TOO_LARGE,
    message="the rows are larger than what is kept in memory",
    hint="ask for less: fewer or narrower columns, or fewer rows (`--limit`)",
)
NOT_UNDERSTOOD = Meaning(
    reason=Reason.PROTOCOL_ERROR,
    message="the server's answer is not understood",
    hint="check that `port` belongs to a server of this engine",
)

#: What a library raises when it stumbles over bytes that no server of its engine sends.
GARBLED: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)

#: Method -> what a refused login means, where it is not `LOGIN_REFUSED`.
_REFUSED_BY_METHOD = {
    "accessToken": TOKEN_REFUSED,
    "awsIam": AWS_TOKEN_REFUSED,
    "keyPair": KEY_REFUSED,
    "ldap": DIRECTORY_REFUSED,
    "serviceAccount": ACCOUNT_REFUSED,
}


def too_large(stage: StageName) -> ConnectionFailed:
    """Returns what it means that an answer does not end; at `query` it may be a real one."""
    return (ROWS_TOO_LARGE if stage is StageName.QUERY else TOO_LARGE).at(stage)


def login_refused(method: str) -> Meaning:
    """Returns what it means that a server refuses the secret of a login by `method`."""
    return _REFUSED_BY_METHOD.get(method, LOGIN_REFUSED)


def unknown(stage: StageName | None) -> Meaning:
    """Returns what a code that no table has means, by the stage that it ended."""
    return QUERY_FAILED if stage is StageName.QUERY else CONNECTION_REFUSED


def refused(attempt: Attempt, meaning: Meaning, code: str, text: str) -> ConnectionFailed:
    """Returns `meaning` with the server's own words behind it: `... (28P01: password ...)`.

    `code` and `text` are hostile: both are redacted, escaped and cut. What is said of a health
    query may hold values of rows, so it is reduced to what `sql_words.about` gives.
    """
    is_of_login = meaning.reason is Reason.AUTH_FAILED or attempt.stages.last is not StageName.QUERY
    if attempt.health_query and not is_of_login:
        text = sql_words.about(text, attempt.health_query)
    words = [attempt.redactor.clean(part, LONGEST_DETAIL) for part in (code, text)]
    detail = ": ".join(word for word in words if word)
    return ConnectionFailed(
        meaning.reason,
        attempt.stages.last or StageName.TCP,
        f"{meaning.message} ({detail})" if detail else meaning.message,
        meaning.hint,
    )
