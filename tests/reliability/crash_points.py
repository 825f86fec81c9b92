"""Dying at one chosen moment: every point at which a change touches the database or the disk.

Points are, in the order in which they come: before every statement that SQLite executes, every
single row too; before and after every statement to another database; before and after every COMMIT
and ROLLBACK; and before every call that opens a database, or opens, links, renames, removes or
makes a file. Where nothing lies between the end of one and the beginning of the next they are one
point. Installed in a process that is to die: an audit hook (PEP 578) cannot be taken away.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable

from sqlalchemy import Connection, Engine, Pool, event

_CALLS = (
    *("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"),
    "sqlite3.connect",
)
#: What Python opens for itself, mostly modules that are imported late.
_OWN = (sys.prefix, sys.base_prefix, sys.exec_prefix)


def die_at(number: int) -> None:
    """Makes this process end by SIGKILL at its point `number`, counted from 0."""
    left = number

    def step(*_args: object) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    install(step)


def install(step: Callable[..., None]) -> None:
    """Makes this process call `step` at every point, with or without arguments."""

    def audit(name: str, arguments: tuple[object, ...]) -> None:
        if name in _CALLS and not str(arguments[0]).startswith(_OWN):
            step()

    def connected(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(step)

    def statement(connection: Connection, *_args: object) -> None:
        if connection.dialect.name != "sqlite":
            step()

    sys.addaudithook(audit)
    event.listen(Pool, "connect", connected)
    for name in ("before_cursor_execute", "after_cursor_execute"):
        event.listen(Engine, name, statement)
    for name in ("commit", "rollback"):
        event.listen(Engine, name, step)
    event.listen(Pool, "checkin", step)
