"""What tests of SQL connections share: specs of the servers, and one probe run as a pass would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler import probes
from reconciler.clients import sql
from reconciler.clients.attempt import Attempt, Lifeline, Login
from reconciler.clients.stages import Stages
from reconciler.kinds.engines import ENGINES
from reconciler.model import Endpoint, Json, JsonObject, Observation, Stage, StageName, Target
from reconciler.redact import Redactor, Secret
from tests.factories import NOW, make_ref, make_uid
from tests.servers.certificates import ClientPair
from tests.servers.mariadb import PASSWORD, MariadbServer
from tests.servers.postgresql import PostgresServer

SECRET_STAGE = Stage(name=StageName.SECRET, seconds=0.0)


class Check(Protocol):
    """Probes a database once; `spec` replaces fields of a usual one."""

    def __call__(self, spec: JsonObject, password: str = ...) -> Observation: ...


class CheckWith(Protocol):
    """Probes once; `secrets` are fields of `auth`, or pointers where they begin with `/`."""

    def __call__(self, spec: JsonObject, **secrets: str) -> Observation: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A PostgreSQL server with the role and the tables that tests use."""

    server: PostgresServer
    name: str
    role: str
    #: PEM text of the authority, empty without TLS
    authority: str = ""

    def spec(self, **changes: Json) -> JsonObject:
        """Returns a spec that connects as `role`, over verified TLS where the server has it."""
        mode = "verify-full" if self.authority else "disable"
        return {
            "engine": "postgresql",
            "host": self.server.host,
            "port": self.server.port,
            "database": self.name,
            "auth": password_of(self.role),
            "tls": {"mode": mode, "ca": {"file": self.authority}},
            **changes,
        }


def password_of(username: str) -> JsonObject:
    """Returns an `auth` block; the password itself is given to `check`."""
    return {"method": "password", "username": username, "password": {"env": "DB_PASSWORD"}}


def certificate_of(pair: ClientPair) -> JsonObject:
    """Returns a client certificate as a spec names it; `check` finds key and passphrase there."""
    return {"certificate": {"file": pair.certificate}, "key": {"text": pair.key}}


def mariadb_spec(server: MariadbServer, username: str = "report", **changes: Json) -> JsonObject:
    """Returns a spec that connects as `username` over verified TLS."""
    return {
        "engine": "mariadb",
        "host": server.host,
        "port": server.port,
        "database": "orders",
        "auth": password_of(username),
        "tls": {"mode": "verify-full", "ca": {"file": server.authority}},
        **changes,
    }


def peer_spec(engine: str, port: int, mode: str = "disable", **changes: Json) -> JsonObject:
    """Returns a spec for a server on loopback that only pretends to be `engine`."""
    return {
        "engine": engine,
        "host": "127.0.0.1",
        "port": port,
        "database": "orders",
        "auth": password_of("report"),
        "tls": {"mode": mode},
        **changes,
    }


def names_of(observation: Observation) -> tuple[str, ...]:
    """Returns the names of the stages that were reached."""
    return tuple(stage.name.value for stage in observation.stages)


def make_target(spec: JsonObject) -> Target:
    """Returns a target with `spec` and the defaults that probes read."""
    whole = {
        **spec,
        "timeout": {"connect": "5s", "query": "30s", **spec.get("timeout", {})},
        "health": {
            "timeout": "10s",
            "query": ENGINES[spec["engine"]].query,
            **spec.get("health", {}),
        },
    }
    endpoint = Endpoint(scheme="sql", host="", port=None, text="sql://", method="none")
    return Target(
        uid=make_uid(1), ref=make_ref(), generation=3, version=7, spec=whole, endpoint=endpoint
    )


def make_tools(threads: ThreadPoolExecutor, root: Path, secret: str = "") -> probes.Tools:
    """Returns tools whose redactor knows `secret`; a public reference holds its text itself."""
    redactor = Redactor()
    redactor.add(secret)

    def read_public(reference: JsonObject) -> str:
        text: str = reference["file"]
        return text

    return probes.Tools(
        redactor=redactor,
        threads=threads,
        clock=lambda: NOW,
        read_public=read_public,
        root=str(root),
        tokens=None,
    )


async def probe(spec: JsonObject, password: str, tools: probes.Tools) -> Observation:
    """Returns what one probe of `spec` finds."""
    auth, beside = spec.get("auth", {}), spec.get("tls", {}).get("clientCertificate", {})
    secrets = {"/auth/password": Secret(password)} if "password" in auth else {}
    for at, block in (("/auth", auth), ("/tls/clientCertificate", beside)):
        for name in block.keys() & {"key", "keyPassphrase"}:
            secrets[f"{at}/{name}"] = Secret(block[name]["text"])
    run = probes.probe("SqlConnection")
    return await run(make_target(spec), secrets, tools, reached=(SECRET_STAGE,))


async def probe_with(
    spec: JsonObject, secrets: Mapping[str, str], tools: probes.Tools
) -> Observation:
    """Returns what one probe of `spec` finds, with secrets by the pointer of their reference."""
    for value in secrets.values():
        tools.redactor.add(value)
    known = {pointer: Secret(value) for pointer, value in secrets.items()}
    run = probes.probe("SqlConnection")
    return await run(make_target(spec), known, tools, reached=(SECRET_STAGE,))


def check_in(threads: ThreadPoolExecutor, root: Path) -> Check:
    """Returns a function that probes once, in `threads`, with files under `root`."""

    def check(spec: JsonObject, password: str = PASSWORD) -> Observation:
        return asyncio.run(probe(spec, password, make_tools(threads, root, password)))

    return check


def check_with_in(threads: ThreadPoolExecutor, root: Path) -> CheckWith:
    """As `check_in`, for logins whose secret is no password."""

    async def run(spec: JsonObject, secrets: Mapping[str, str]) -> Observation:
        tools = make_tools(threads, root)
        try:
            return await probe_with(spec, secrets, tools)
        finally:
            await tools.hops.close()

    def check(spec: JsonObject, **secrets: str) -> Observation:
        places = {
            name if name.startswith("/") else f"/auth/{name}": value
            for name, value in secrets.items()
        }
        return asyncio.run(run(spec, places))

    return check


def make_login(
    spec: JsonObject, password: str, ca: str, authorization: Secret | None = None
) -> tuple[Login, Attempt]:
    """Returns the login at the server of `spec` on this machine, and ten seconds for it."""
    login = sql.describe(
        make_target(spec).spec,
        {"/auth/password": Secret(password)},
        addresses=("127.0.0.1",),
        ca=ca,
        path="",
        authorization=authorization,
    )
    end_by = time.monotonic() + 10
    attempt = Attempt(
        stages=Stages(),
        redactor=Redactor(),
        lifeline=Lifeline(),
        connect_by=end_by,
        query_s=10.0,
        end_by=end_by,
    )
    return login, attempt
