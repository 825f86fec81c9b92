"""A stored database as an `sqlalchemy.Engine`, whose connections are opened as checks open theirs.

Each new connection of the pool logs in through `probes.sql.reached` and `clients.sql`, by the
manifest's time limits; the way behind it, a tunnel or a proxy, stays open as long as it does.
Importing SQLAlchemy takes a third of a second, so it is left until an engine is asked for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.clients import sql
from reconciler.clients.attempt import Attempt, Lifeline, Login
from reconciler.clients.hop_logins import LoginEnd
from reconciler.clients.sql_rows import Rows
from reconciler.clients.stages import Stages
from reconciler.connecting import refusing
from reconciler.connecting.access import Access, end_of, leave
from reconciler.connecting.loop_thread import LoopThread
from reconciler.errors import ConfigError, ConnectionFailed
from reconciler.kinds.durations import parse_duration
from reconciler.kinds.engines import ENGINES
from reconciler.probes import sql as sql_probe

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")

#: Logins at once: as many as may fail, so that a password that is changed while a pool grows locks
#: no account even where the state cannot be asked.
_LOGINS_AT_ONCE = 5


class Database:
    """One database; `close` closes every connection to it, given back to the pool or not."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._engine_name: str = access.spec["engine"]
        self._tools = access.tools()  # first: it may fail, and the thread would be left
        self._loop = LoopThread(f"reconciler {access.ref}")
        self._turns = asyncio.Semaphore(_LOGINS_AT_ONCE)
        #: by identity, what is open, and the way that leads there
        self._open: dict[int, tuple[sql.DbapiConnection, AsyncExitStack]] = {}
        self._is_closed = False
        self._lock = threading.Lock()

    @cached_property
    def engine(self) -> sqlalchemy.Engine:
        """The engine; made when first asked for.

        Raises:
            ConnectionFailed: DriverMissing.
            ConfigError: SQLAlchemy has no dialect for this database.
        """
        import sqlalchemy
        from sqlalchemy import event

        dialect = ENGINES[self._engine_name].dialect
        if not dialect:
            raise ConfigError(f"SQLAlchemy has no dialect for {self._engine_name}")
        try:
            sql.load(self._engine_name)
        except ConnectionFailed as failure:
            raise self._explained(failure) from None
        pool = self._access.spec["pool"]
        engine = sqlalchemy.create_engine(
            f"{dialect}://",
            creator=self._create,
            poolclass=sqlalchemy.QueuePool,
            pool_size=pool["size"],
            max_overflow=pool["maxOverflow"],
            pool_pre_ping=True,  # a server or a tunnel may have been restarted
        )
        event.listen(engine, "checkout", lambda *_: self._access.note_use())
        event.listen(engine, "close", lambda connection, _: self._forget(connection))
        return engine

    def read(self, statement: str, limit: int) -> Rows:
        """Returns at most `limit` rows of a statement that only reads, over a login of its own.

        Raises:
            ConnectionFailed: why and at which stage it was not possible.
            SecretError: a secret or a file of the manifest cannot be read.
        """
        name = self._engine_name

        def call(login: Login, attempt: Attempt) -> Rows:
            return sql.read(name, login, statement, limit, attempt)

        async def run() -> Rows:
            async with AsyncExitStack() as way:
                return await self._log_in(way, call)

        found = self._loop.run(run())
        self._access.note_use()
        return found

    def close(self) -> None:
        """Closes connections, ways and the loop; may be called twice."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        if "engine" in self.__dict__:
            self.engine.dispose()
        for connection, _ in list(self._open.values()):
            self._forget(connection)
            with suppress(Exception):  # whatever a driver says of a connection that is in use
                connection.close()
        self._loop.run(leave(self._tools))
        self._loop.close()

    def _create(self) -> Any:
        """Returns a connection of the driver, as SQLAlchemy's dialect wants it."""
        with self._lock:
            if self._is_closed:
                raise ConfigError(
                    f"the connection to `{self._access.ref}` is closed",
                    "use its engine inside of the `with` block",
                )
        opened, way = self._loop.run(self._open_one())
        given = _wrapped(self._engine_name, opened)
        with self._lock:
            self._open[id(given)] = (given, way)
        return given

    async def _open_one(self) -> tuple[sql.DbapiConnection, AsyncExitStack]:
        name = self._engine_name

        def call(login: Login, attempt: Attempt) -> sql.DbapiConnection:
            opened = sql.open_connection(name, login, attempt)
            if attempt.lifeline.is_cut:  # nobody waits for it any more
                opened.close()
                raise attempt.timed_out()
            return opened

        async with AsyncExitStack() as way:
            opened = await self._log_in(way, call)
            return opened, way.pop_all()
        raise AssertionError("the block above returns or raises")

    async def _log_in(self, way: AsyncExitStack, call: Callable[[Login, Attempt], T]) -> T:
        """Returns what `call` does with a login that may be made; `way` keeps it reachable."""
        timeout = self._access.spec["timeout"]
        connect_s, query_s = parse_duration(timeout["connect"]), parse_duration(timeout["query"])
        async with self._turns, self._explaining():
            await sql_probe.load(self._access.spec, self._tools.threads)
            admission = await self._access.admitted(
                login_s=connect_s + query_s, is_each_counted=True
            )
            end = LoginEnd.UNDECIDED
            try:
                now = time.monotonic()
                attempt = Attempt(
                    stages=Stages(),
                    redactor=self._access.redactor,
                    lifeline=Lifeline(),
                    connect_by=now + connect_s,
                    query_s=query_s,
                    end_by=now + connect_s + query_s,
                )
                reached = sql_probe.reached(
                    admission.target, admission.secrets, self._tools, attempt
                )
                login = await way.enter_async_context(reached)
                result = await sql_probe.in_thread(
                    lambda: call(login, attempt), attempt, self._tools.threads
                )
                end = LoginEnd.ACCEPTED
            except ConnectionFailed as failure:
                end = end_of(failure)
                raise
            finally:
                await asyncio.shield(asyncio.to_thread(self._access.settle, admission, end))
            return result

    @asynccontextmanager
    async def _explaining(self) -> AsyncIterator[None]:
        try:
            yield
        except ConnectionFailed as failure:
            raise self._explained(failure) from None

    def _explained(self, failure: ConnectionFailed) -> ConnectionFailed:
        return refusing.explained(failure, self._access.ref, self._access.redactor)

    def _forget(self, connection: object) -> None:
        """Closes the way of a connection that the pool is about to close."""
        with self._lock:
            _, way = self._open.pop(id(connection), (None, None))
        if way is not None:
            self._loop.run(way.aclose())


def _wrapped(engine: str, opened: sql.DbapiConnection) -> Any:
    if engine == "duckdb":  # its dialect expects what it makes itself
        from duckdb_sqlalchemy import ConnectionWrapper

        return ConnectionWrapper(opened)  # type: ignore[arg-type]  # what DuckDB's driver opens
    return opened
