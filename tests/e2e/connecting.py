"""What tests of `connect`, `query` and `request` share: connections, and one use of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy

import reconciler
from reconciler.model import Json, JsonObject
from tests.e2e.projects import Project

#: The variable that every secret of a case is in.
SECRET = "SECRET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A connection called `orders` whose credential is in the variable SECRET."""

    manifest: JsonObject
    right: str
    #: how many logins its server has refused
    failed_logins: Callable[[], int]


def sql(engine: str, port: int, database: str, username: str, **spec: Json) -> JsonObject:
    """Returns the manifest of a database on loopback."""
    reference = {"env": SECRET}
    auth = {"method": "password", "username": username, "password": reference}
    return {
        "apiVersion": "reconciler/v1",
        "kind": "SqlConnection",
        "metadata": {"name": "orders"},
        "spec": {
            "engine": engine,
            "host": "127.0.0.1",
            "port": port,
            "database": database,
            "auth": auth,
            "timeout": {"connect": "30s"},
            "health": {"timeout": "60s"},
            **spec,
        },
    }


def connect(
    project: Project, name: str = "orders", *, even_suspended: bool = False, **env: str
) -> reconciler.Connection:
    """Returns the connection of a project, in this process, with its variables."""
    return reconciler.connect(
        name,
        project=project.run.folder,
        environment={**project.env, **env},
        even_suspended=even_suspended,
    )


def use(connection: reconciler.Connection) -> bool:
    """Uses a connection once; returns whether the server let it in.

    Raises:
        reconciler.ConnectionFailed: a database refuses the login.
    """
    if connection.ref.kind == "ApiConnection":
        return connection.client.get(f"/{connection.ref.name}").status_code == 200
    with connection.engine.connect() as database:
        answered: int = database.execute(sqlalchemy.text("select 1")).scalar_one()
        return answered == 1


def descriptors(allowed: int) -> int:
    """Returns how many descriptors are open, once no more than `allowed` are or after a while."""
    give_up_at = time.monotonic() + 10.0
    while (count := len(os.listdir("/dev/fd"))) > allowed and time.monotonic() < give_up_at:  # noqa: PTH208  # names, not paths
        os.sched_yield()
    return count
