"""SQL Server and Azure SQL through pytds: one login over a socket of ours, and one read-only row.

Of pytds is used what reads and writes TDS once there is a connection. What `pytds.connect` does
around it is not wanted: it tries again for as long as there is time, asks a browser service for
ports, and goes wherever a server sends it, with the password. SQL Server has no transaction that
may only read. So a query has no word that ends a transaction or leaves it (`sql`), and runs in one
that is rolled back; what may be read is up to the permissions of the user.
"""

from __future__ import annotations

import itertools
import logging
import time
from typing import Any

from pytds import (  # type: ignore[import-untyped]  # has no py.typed
    collate,
    row_strategies,
    tds_base,
    tds_reader,
    tds_session,
    tds_socket,
    tds_types,
    tds_writer,
)

from reconciler.clients import (
    mssql_login,
    mssql_refusals,
    mssql_wire,
    sql,
    sql_errors,
    sql_rows,
    sql_socket,
)
from reconciler.clients.attempt import Attempt, Login
from reconciler.clients.meaning import Meaning
from reconciler.clients.mssql_wire import Wire
from reconciler.clients.sql_rows import Rows
from reconciler.model import Reason, StageName

#: Of the answer to a check so much is read.
_CHECK_BYTES = 1024 * 1024
#: The largest packet that a server may ask for (MS-TDS, section 2.2.6.4).
_LARGEST_PACKET = 32767
#: So many messages of a kind and of one answer are kept; pytds would keep them all.
_MESSAGES = 16

#: Sort orders of which pytds knows the code page; at any other it raises a bare `Exception`.
_SORT_IDS = frozenset(
    itertools.chain(
        *(range(30, 35), range(40, 45), (49,), range(51, 62), range(80, 97), range(104, 109)),
        *(range(112, 115), range(120, 123), (124,), range(128, 131), range(136, 139)),
        *(range(144, 147), range(152, 161), range(183, 187)),
    )
)
_ELSEWHERE = Meaning(
    reason=Reason.DESTINATION_DENIED,
    message="the server sends the login on to another server; nothing was sent there",
    hint="name that server in `host` and `port`, or, for Azure SQL, have its connection policy be"
    " Proxy",
)
#: pytds logs what servers say, as it is.
logging.getLogger("pytds").addHandler(logging.NullHandler())
logging.getLogger("pytds").propagate = False


class _Reader(tds_reader._TdsReader):  # type: ignore[misc]  # has no types
    """pytds' reader, which ends where an answer does, and reads across packets of any size.

    Its own gives nothing for ever, takes what is left of an older packet for a part of this one,
    and lets a server name a sort order that pytds does not know.
    """

    def read_fast(self, size: int) -> tuple[bytes, int]:
        start = self._pos
        if self._size - start < size:
            return tds_base.readall(self, size), 0
        self._pos += size
        return self._buf, start

    def get_collation(self) -> collate.Collation:
        found = super().get_collation()
        if found.sort_id not in _SORT_IDS:
            found.sort_id = 0  # then the language tells
        return found

    def recv(self, size: int) -> bytes:
        data = b""
        while size and not data:
            if size < 0 or self.stream_finished():
                raise tds_base.InterfaceError("an answer ends too early")
            data = super().recv(size)
        return data


class _Writer(tds_writer._TdsWriter):  # type: ignore[misc]  # has no types
    """pytds' writer, whose buffer does not grow as a server likes."""

    @property
    def bufsize(self) -> int:
        return len(self._buf)

    @bufsize.setter
    def bufsize(self, bufsize: int) -> None:
        if bufsize > _LARGEST_PACKET:
            raise tds_base.InterfaceError("a packet is too large")
        tds_writer._TdsWriter.bufsize.fset(self, bufsize)


class _Session(tds_session._TdsSession):  # type: ignore[misc]  # has no types
    """pytds' session over a reader and a writer of ours."""

    def __init__(self, server: _Server, wire: Wire) -> None:
        size = mssql_wire.PACKET_BYTES
        super().__init__(
            tds=server,
            transport=wire,
            tzinfo_factory=None,
            env=server.env,
            bufsize=size,
            row_strategy=row_strategies.tuple_row_strategy,
        )
        self._reader = _Reader(transport=wire, bufsize=size, tds_session=self)
        self._writer = _Writer(transport=wire, bufsize=size, tds_session=self)

    def process_msg(self, marker: int) -> None:
        """Reads a message of the server; of each kind, the first ones of an answer are kept."""
        super().process_msg(marker)
        if sum(message["marker"] == marker for message in self.messages) > _MESSAGES:
            self.messages.pop()


class _Server(tds_socket._TdsSocket):  # type: ignore[misc]  # has no types
    """pytds' connection, and its one session."""

    def __init__(self, wire: Wire) -> None:
        settings = tds_base._TdsLogin()  # nobody's: the login is made by `mssql_login`
        settings.bytes_to_unicode = True
        super().__init__(
            sock=wire,
            login=settings,
            row_strategy=row_strategies.tuple_row_strategy,
            autocommit=True,  # the query brings its transaction
        )
        self.wire = wire
        self._main_session = self.session = _Session(self, wire)

    def log_in(self, login: Login, attempt: Attempt) -> None:
        """Sends the login, once, and reads what comes of it.

        Raises:
            ConnectionFailed: the server names another one.
            OSError: time is up, or the connection broke.
            Exception: whatever pytds raises.
        """
        session, wire = self.session, self.wire
        content = mssql_login.message(login, mssql_wire.PACKET_BYTES)
        wire.send_message(mssql_wire.LOGIN, content)
        session.begin_response()
        is_in = session.process_login_tokens()
        if self.route is not None:
            place = f"{self.route['server']}:{self.route['port']}"
            raise sql_errors.refused(attempt, _ELSEWHERE, "", place)
        if not is_in:
            session.raise_db_exception()
        session._reader.set_block_size(session._writer.bufsize)
        self.type_factory = tds_types.SerializerFactory(self.tds_version)
        self._is_connected = True


def check(login: Login, query: str, attempt: Attempt) -> None:
    """Logs in once, runs `query`, fetches one row, takes back what it did, and disconnects.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    _read(login, query, attempt, limit=1, most_bytes=_CHECK_BYTES)


def read(login: Login, query: str, limit: int, attempt: Attempt) -> Rows:
    """As `check`, but fetches at most `limit` rows and returns them.

    Raises:
        ConnectionFailed: why and at which stage it was not possible.
    """
    return _read(login, query, attempt, limit=limit, most_bytes=sql_rows.LARGEST_BYTES)


DRIVER = sql.Driver(check=check, read=read)


def _log_in(login: Login, attempt: Attempt) -> _Server:
    if not login.username or login.password is None:
        raise sql_errors.PASSWORD_WANTED.at(StageName.AUTH)
    mssql_login.refuse_long(login)
    wire = Wire(sql_socket.connect(login, attempt), attempt)
    try:
        server = _Server(wire)
        stages, is_plain = attempt.stages, login.tls_mode == "disable"
        with mssql_refusals.translated(server.session, attempt):
            with stages.stage(StageName.AUTH if is_plain else StageName.TLS):
                wire.negotiate(login)
                if is_plain:
                    server.log_in(login, attempt)
            if not is_plain:
                with stages.stage(StageName.AUTH):
                    server.log_in(login, attempt)
    except BaseException:
        wire.close()
        raise
    return server


def _read(login: Login, query: str, attempt: Attempt, *, limit: int, most_bytes: int) -> Rows:
    server = _log_in(login, attempt)
    try:
        with (
            attempt.stages.stage(StageName.QUERY),
            mssql_refusals.translated(server.session, attempt),
        ):
            by = attempt.query_by
            server.wire.limit(by, most_bytes)
            return _read_rows(server.session, query, limit, by)
    finally:
        server.close()


#: One request, since each is a way to the server and back. Locks are waited for in milliseconds.
_BATCH = "SET LOCK_TIMEOUT {}; BEGIN TRANSACTION;\n{}\n;ROLLBACK TRANSACTION"


def _read_rows(session: Any, query: str, limit: int, by: float) -> Rows:
    """Returns the rows of `query`; the transaction that it ran in is over, or ends with us."""
    patience_ms = max(1, round((by - time.monotonic()) * 1000))
    session.execute(_BATCH.format(patience_ms, query))
    columns = [column[0] for column in session.res_info.description]
    found = sql_rows.collect(columns, iter(session.fetchone, None), limit=limit)
    while not found.is_cut and session.next_set():
        pass  # up to the end, where a late error or the rollback is
    return found
