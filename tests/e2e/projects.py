"""A project with its manifests, the endpoints that they name, and what the command line made of it.

Manifests are values, written as JSON, which is YAML. Endpoints are paths of one HTTP server, one
for each connection, so that a test says what each of them answers. State is read through the
command line, and where whole databases are compared, from the file itself.
"""

from __future__ import annotations

import asyncio
import json
import queue
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from reconciler.model import Json, JsonObject
from tests.corpus.zygote import Zygote
from tests.e2e.command import Ended, Run
from tests.servers import http_routes
from tests.servers.http import Client, Route, Server

#: What an endpoint of a healthy connection answers, one that is broken, and one that says nothing.
OK, DOWN, BUSY = (http_routes.answer(status) for status in (200, 500, 429))
UNAUTHORIZED = http_routes.answer(401)
MANIFESTS = "manifests/all.yaml"
#: A process that takes longer hangs.
PATIENCE_S = 60.0
#: So often is looked whether a process that shall send something has ended instead.
LOOK_S = 0.1
#: Every row of every table, by table.
Contents: TypeAlias = Mapping[str, Sequence[tuple[Any, ...]]]


def api(
    name: str, url: str, *, metadata: JsonObject | None = None, **spec: Json
) -> dict[str, Json]:
    """Returns the manifest of an API at `url` that is checked at the path `/name`."""
    health = {"path": f"/{name}", "timeout": "60s", **spec.pop("health", {})}
    return {
        "apiVersion": "reconciler/v1",
        "kind": "ApiConnection",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {"baseUrl": url, "timeout": {"total": "60s"}, "health": health, **spec},
    }


def bearer(variable: str) -> JsonObject:
    """Returns an `auth` block whose token is in an environment variable."""
    return {"method": "bearer", "token": {"env": variable}}


def sqlite_file(name: str, **spec: Json) -> dict[str, Json]:
    """Returns the manifest of a SQLite file that lies in the project."""
    return {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": name},
        "spec": {"engine": "sqlite", "database": f"{name}.db", **spec},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with manifests; commands run in it with `env` on top of a clean environment."""

    run: Run
    #: starts commands in a fraction of the time; without it, the installed command is started
    warm: Zygote | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *args: str, **env: str) -> Ended:
        """Returns how `reconciler *args` ended."""
        if self.warm is None:
            return self.run(*args, env={**self.env, **env})
        ended = self.warm(*args, folder=self.run.folder, env={**self.env, **env})
        return Ended(code=ended.code, stdout=ended.stdout.decode(), stderr=ended.stderr.decode())

    def start(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        """Starts the installed command with `args`; the caller waits for it."""
        return self.run.start(*args, env={**self.env, **env})

    def declare(self, *manifests: JsonObject, file: str = MANIFESTS) -> None:
        """Writes a file that holds exactly `manifests`."""
        self.run.write(file, "---\n".join(json.dumps(manifest) + "\n" for manifest in manifests))

    def data(self, *args: str, code: int = 0, **env: str) -> JsonObject:
        """Returns what `reconciler *args -o json` printed; it must end with `code`."""
        ended = self(*args, "-o", "json", **env)
        assert ended.code == code, ended.stderr
        document: JsonObject = json.loads(ended.stdout)
        return document

    def statuses(self) -> dict[str, JsonObject]:
        """Returns the rows of `status`, archived ones too, by name."""
        rows = self.data("status", "--archived")["connections"]
        return {row["name"]: row for row in rows}

    def standings(self) -> dict[str, str]:
        """Returns where every connection stands, by name; see `standing`."""
        return {name: standing(row["status"]) for name, row in self.statuses().items()}

    def events(self) -> list[tuple[str, str, str]]:
        """Returns type, name and reason of every event, oldest first."""
        return self.query("select type, name, reason from events order by id")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query on the state store."""
        with closing(sqlite3.connect(self.state)) as connection:
            return connection.execute(statement).fetchall()

    @property
    def state(self) -> Path:
        """The default state store."""
        return self.run.folder / ".reconciler" / "state.db"

    def execute(self, statement: str) -> None:
        """Changes the state store behind the command line's back."""
        with closing(sqlite3.connect(self.state)) as connection, connection:
            connection.execute(statement)

    def contents(self) -> Contents:
        """Returns everything that the state store holds."""
        tables = self.query("select name from sqlite_master where type = 'table' order by 1")
        return {name: self.query(f'select * from "{name}" order by 1') for (name,) in tables}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps the state store's write lock for the length of the block."""
        with closing(sqlite3.connect(self.state, isolation_level=None)) as connection:
            connection.execute("begin immediate")
            yield
            connection.execute("rollback")

    def copy(self, folder: Path) -> Project:
        """Returns the same project, state and all, in another folder."""
        shutil.copytree(self.run.folder, folder)
        return replace(self, run=Run(folder=folder))


def standing(status: JsonObject) -> str:
    """Returns a status in one line: phase, who suspended, reason, failures/successes in a row."""
    by = f" by {status['suspendedBy']}" if status["suspendedBy"] else ""
    counters = f"{status['consecutiveFailures']}/{status['consecutiveSuccesses']}"
    return f"{status['phase']}{by} {status['reason']} {counters}"


def checked(health: JsonObject) -> dict[str, str]:
    """Returns where the connections that a health pass reports on stand, by name."""
    return {check["name"]: standing(check["status"]) for check in health["checks"]}


def answer(server: Server, routes: Mapping[str, Route]) -> None:
    """Makes `server` answer each connection by name, all others 404, and forget what it saw."""
    server.routes.clear()
    server.routes.update({f"/{name}": route for name, route in routes.items()})
    server.requests.clear()
    server.logins = server.failed_logins = 0


def asked(server: Server) -> list[str]:
    """Returns the names of the connections whose endpoints were asked, sorted."""
    return sorted(request.path.removeprefix("/") for request in server.requests)


class Gate:
    """Holds requests back until it is opened, so that a test can act while probes are in flight."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[asyncio.AbstractEventLoop] = queue.SimpleQueue()
        self._open = asyncio.Event()

    def before(self, then: Route) -> Route:
        """Returns a route that waits for the gate, then goes on with `then`."""

        async def route(client: Client) -> None:
            self._arrived.put(asyncio.get_running_loop())
            await self._open.wait()
            await then(client)

        return route

    @contextmanager
    def closed(self, process: subprocess.Popen[bytes], *, arrivals: int) -> Iterator[None]:
        """Waits for so many requests of `process`; opens the gate after the block, and waits."""
        loop = None
        try:
            for _ in range(arrivals):
                loop = self._next_arrival(process)
            yield
        except BaseException:
            process.kill()
            raise
        finally:
            if loop is not None:
                loop.call_soon_threadsafe(self._open.set)
            process.communicate(timeout=PATIENCE_S)

    def _next_arrival(self, process: subprocess.Popen[bytes]) -> asyncio.AbstractEventLoop:
        for _ in range(int(PATIENCE_S / LOOK_S)):
            try:
                return self._arrived.get(timeout=LOOK_S)
            except queue.Empty:
                if process.poll() is not None:
                    break
        pytest.fail("the process did not ask the endpoint")
