"""What processes do that share a credential, and where they die; each runs in one of its own.

In a module of its own because a child process imports it by name. That child has no threads, so
that it can fork: a process that checks, applies or uses a connection is a fork of it, which goes on
when all of them are there, and is the real command or the real `connect`. It dies by SIGKILL at a
step between the reservation of a login and the record of its end, or when its time is over.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

import sqlalchemy

import reconciler
from reconciler import __main__ as program
from reconciler import config
from reconciler.stores import tables
from reconciler.stores.database import DatabaseStore
from tests.contract import rivals

#: Libraries are loaded before the forks; else each of them would.
for _name in (
    *("httpx", "psycopg", "pydantic", "pymysql", "sqlalchemy.dialects.sqlite"),
    *(f"reconciler.cli.{name}" for name in ("main", "planning", "probing", "ordering", "using")),
    *("reconciler.clients.httpx_transport", "reconciler.clients.ssh", "reconciler.stores.sqlite"),
    *("reconciler.connecting.api", "reconciler.connecting.database", "reconciler.tokens"),
    *("reconciler.probes.http", "reconciler.probes.sql", "reconciler.tokens.records"),
):
    import_module(_name)

#: Steps of a login at which a process may die.
STEPS = ("before the send", "before the record", "after the record")
#: A process that takes longer hangs.
_PATIENCE_S = 100
#: Who says `even_suspended` is not held back by the phase: then the budget alone is.
EVEN_SUSPENDED = "--even-suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One process: what it does, and where it dies."""

    #: of the command line; `connect NAME...` is an application that uses each three times
    argv: tuple[str, ...]
    #: one of `STEPS`, or empty
    dies: str = ""
    #: seconds after which it is killed wherever it is; 0 for never
    lasts_s: float = 0.0
    #: how far its clock is ahead of the true one
    ahead: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Processes that are started together in one project."""

    folder: str
    state: str
    actors: tuple[Actor, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def run(crowd: Crowd) -> list[int]:
    """Runs all of them at once; returns exit codes in order, minus the signal of who was killed.

    Once somebody was killed while others wait, the attempts that are open are made to be over, as
    they would be some minutes later.
    """
    reader, writer = os.pipe()
    started = [_fork(partial(_act, crowd, actor, reader, writer)) for actor in crowd.actors]
    os.close(reader)
    os.close(writer)  # the start: everybody's read ends
    codes: dict[int, int] = {}
    while len(codes) < len(started):
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        if pid not in started:
            assert code == 0
            continue
        codes[pid] = code
        if code < 0 and len(codes) < len(started):
            _fork(partial(end_attempts, crowd.state))
    if min(codes.values()) < 0:
        _fork(partial(end_attempts, crowd.state))
        assert os.wait()[1] == 0
    return [codes[pid] for pid in started]


def _fork(act: Callable[[], int]) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = act()
    except BaseException:  # noqa: BLE001 - whatever it is belongs into the log
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def end_attempts(url: str) -> int:
    """Makes the deadlines of all open logins lie in the past; returns an exit code."""
    with rivals.open_transactions(url).writing(60.0) as connection:
        connection.execute(
            sqlalchemy.update(tables.login_attempts)
            .where(tables.login_attempts.c.state == "open")
            .values(deadline_at="2020-01-01T00:00:00.000000Z")
        )
    return 0


def _act(crowd: Crowd, actor: Actor, reader: int, writer: int) -> int:
    os.close(writer)
    log = os.open(os.path.join(crowd.folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.chdir(crowd.folder)
    environment = os.environ  # noqa: TID251 - of the process that becomes the command
    environment.clear()
    environment.update({"PATH": os.defpath, "HOME": crowd.folder, "RECONCILER_STATE": crowd.state})
    environment.update(crowd.env)
    if actor.dies:
        _die_at(actor.dies)
    _set_clock(actor.ahead)
    os.read(reader, 1)
    # who hangs ends by another signal than who is killed
    signal.signal(signal.SIGALRM, (lambda *_: _die()) if actor.lasts_s else signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, actor.lasts_s or _PATIENCE_S)
    if actor.argv[0] == "connect":
        _use(actor.argv[1:], dict(environment))
        return 0
    sys.argv[:] = ["reconciler", *actor.argv]
    return int(program.main())


def _use(names: Sequence[str], environment: Mapping[str, str]) -> None:
    for name in (*names, *names, *names):
        try:
            with reconciler.connect(
                name, environment=environment, even_suspended=True
            ) as connection:
                if connection.ref.kind == "ApiConnection":
                    connection.client.get(f"/{connection.ref.name}")
                else:
                    connection.engine.connect().close()
        except (reconciler.ReconcilerError, sqlalchemy.exc.SQLAlchemyError) as error:
            sys.stdout.write(f"{error}\n")


def _set_clock(ahead: timedelta) -> None:
    true_time = config.now

    def now() -> datetime:
        return true_time() + ahead

    config.now = now


def _die_at(step: str) -> None:
    """Has this process kill itself at `step` of a login, whoever makes it."""
    if step == "before the send":
        _after(DatabaseStore, "reserve", _die)
        return
    for name in ("record", "settle"):
        (_before if step == "before the record" else _after)(DatabaseStore, name, _die)


def _before(owner: type, name: str, act: Callable[[], None]) -> None:
    real = getattr(owner, name)

    def acting(*arguments: Any, **named: Any) -> Any:
        act()
        return real(*arguments, **named)

    setattr(owner, name, acting)


def _after(owner: type, name: str, act: Callable[[], None]) -> None:
    real = getattr(owner, name)

    def acting(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        act()
        return result

    setattr(owner, name, acting)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(codes: Sequence[int]) -> int:
    """Returns how many of a crowd were killed."""
    assert all(code >= 0 or code == -signal.SIGKILL for code in codes), codes
    return sum(code < 0 for code in codes)
