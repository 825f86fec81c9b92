"""Firebird through firebirdsql: one encrypted login over a socket of ours, and one read-only row.

Firebird has no TLS. Its login is a proof by SRP (RFC 2945, with Firebird's own hashes), in which
the password is never sent, and from which both sides have a key that encrypts what follows. A
server that does not know the account's verifier cannot have that key: this is how it is known, so a
server that does not encrypt is left.
"""

from __future__ import annotations

from firebirdsql import consts

from reconciler.clients import firebird_refusals, sql, sql_rows
from reconciler.clients.attempt import Attempt, Login, seconds_until
from reconciler.clients.firebird_session import Session
from reconciler.clients.sql_rows import Rows
from reconciler.model import StageName


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """Logs in once, runs `query` read-only, and returns at most `limit` rows.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    session = _log_in(login, attempt)
    try:
        with attempt.stages.stage(StageName.QUERY), firebird_refusals.translated(attempt):
            found = _read_rows(session, query, limit, attempt)
            session.close()
            return found
    finally:
        session.drop()


DRIVER = sql.Driver(read=read)


def _log_in(login: Login, attempt: Attempt) -> Session:
    session = Session(login, attempt)
    try:
        with firebird_refusals.translated(attempt):
            session._initialize()
    except BaseException:
        session.drop()
        raise
    return session


def _read_rows(session: Session, query: str, limit: int, attempt: Attempt) -> Rows:
    session.sock.left = sql_rows.LARGEST_BYTES
    session.isolation_level = consts.ISOLATION_LEVEL_READ_COMMITED_RO
    session.rows_at_once = limit + 1
    cursor = session.cursor(timeout=seconds_until(attempt.query_by))
    cursor.execute(query)
    columns = [column[0] for column in cursor.description or ()]
    return sql_rows.collect(columns, iter(cursor.fetchone, None), limit=limit)
