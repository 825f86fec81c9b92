"""Dying at one chosen moment: every point at which a change touches the database or the disk.

Points are, in the order in which they come: before every statement that SQLite executes in a write
transaction, every single row too; before and after every statement to another database; before the
COMMIT and after it; and before every call that opens a database, or opens, links, renames, removes
or makes a file. Where nothing lies between the end of one and the beginning of the next they are
one point. Reading changes nothing, so the points of transactions that only read are left out unless
asked for. Installed in a process that is to die: an audit hook (PEP 578) cannot be taken away.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys

from sqlalchemy import Connection, Engine, Pool, event

_CALLS = (
    *("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"),
    "sqlite3.connect",
)
#: What Python opens for itself, mostly modules that are imported late.
_OWN = (sys.prefix, sys.base_prefix, sys.exec_prefix)
#: What the first statement of a write transaction contains, on SQLite and on PostgreSQL.
_BEGINNINGS = ("BEGIN IMMEDIATE", "lock_timeout")


def die_at(number: int, *, with_reading: bool) -> None:
    """Makes this process end by SIGKILL at its point `number`, counted from 0."""
    points = _Points(left=number, with_reading=with_reading)
    sys.addaudithook(points.call)
    event.listen(Pool, "connect", points.connected)
    event.listen(Engine, "before_cursor_execute", points.statement)
    event.listen(Engine, "after_cursor_execute", points.statement)
    event.listen(Engine, "commit", points.end)
    event.listen(Engine, "rollback", points.end)
    event.listen(Pool, "checkin", points.returned)


class _Points:
    def __init__(self, *, left: int, with_reading: bool) -> None:
        self._left = left
        self._with_reading = self._counts = with_reading

    def call(self, name: str, arguments: tuple[object, ...]) -> None:
        if name in _CALLS and not str(arguments[0]).startswith(_OWN):
            self._step()

    def connected(self, connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(self._text)

    def statement(
        self, connection: Connection, _cursor: object, text: str, *_others: object
    ) -> None:
        if connection.dialect.name != "sqlite":
            self._text(text)

    def end(self, _connection: object) -> None:
        if self._counts:
            self._step()

    def returned(self, *_connection: object) -> None:
        """A connection goes back to its pool: what it had to do is done."""
        self.end(None)
        self._counts = self._with_reading

    def _text(self, statement: str) -> None:
        if any(beginning in statement for beginning in _BEGINNINGS):
            self._counts = True
        if self._counts:
            self._step()

    def _step(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
