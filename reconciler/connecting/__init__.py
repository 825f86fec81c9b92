"""Stored connections for applications: `connect("hr/orders")` gives a ready engine or client.

    with reconciler.connect("hr/orders") as orders:
        with orders.engine.connect() as database: ...

    with reconciler.connect("sales/crm") as crm:
        crm.client.get("/customers")

A name does not tell a type checker whether it is a database or an API, so one function gives one
`Connection`, and its three properties have the types: nobody has to cast or to ask for a kind. What
is behind them is built by the code of the health pass, from the spec in the state: manifests are
not read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn, Self

from reconciler import config, redact
from reconciler.connecting import access as accesses
from reconciler.connecting import refusing
from reconciler.connecting.credentials import Ground
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    import httpx
    import sqlalchemy

    from reconciler.connecting.api import Api, Caller
    from reconciler.connecting.database import Database
    from reconciler.model import Json, Ref

__all__ = ["Connection", "connect"]


def connect(
    name: str,
    *,
    state: str | None = None,
    project: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    even_suspended: bool = False,
) -> Connection:
    """Returns the stored connection that `name` means, to be used in a `with` block.

    `name` is `name`, `namespace/name` or `Kind/namespace/name`. The state is found as the command
    line finds it, from the working directory or the folder `project`, and `RECONCILER_...`
    variables count; `state`, an SQLAlchemy URL, wins over them. `environment` stands in place of
    the process's own, for those and for the secrets that manifests name.

    Nothing is connected to before `engine` or a client is used.

    Raises:
        ConfigError: no connection or several are meant, or a setting is wrong.
        Held: it is suspended or archived, and `even_suspended` is not said.
        StoreError: the state is missing, damaged, or cannot be read.
    """
    variables = config.environment() if environment is None else environment
    flags: dict[str, Json] = {} if state is None else {"state.url": state}
    folder = os.getcwd() if project is None else os.path.abspath(project)  # noqa: PTH109, PTH100
    settings = config.load(flags, variables, folder).settings
    redactor = redact.Redactor()
    for password in config.passwords(settings.state_url):
        redactor.add(password)
    ground = Ground(settings=settings, environment=variables, redactor=redactor, clock=config.now)
    return open_connection(ground, name, even_suspended=even_suspended)


def open_connection(ground: Ground, name: str, *, even_suspended: bool) -> Connection:
    """Returns the connection that `name` means in the state of `ground`; raises as `connect`."""
    return Connection(accesses.open_access(ground, name, even_suspended=even_suspended))


class Connection:
    """One stored connection; leaving its `with` or `async with` block closes everything."""

    def __init__(self, access: accesses.Access) -> None:
        self._access = access
        self._database: Database | None = None
        self._api: Api | None = None
        self._caller: Caller | None = None
        self._making = threading.Lock()
        self._is_async = False
        self._is_closed = False

    @property
    def ref(self) -> Ref:
        """Kind, namespace and name."""
        return self._access.ref

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine of a database; any thread may use it. Files are opened read-only.

        Raises:
            ConfigError: the connection is an API, or closed.
            ConnectionFailed: DriverMissing. What else can fail does so when a connection is made.
        """
        return self.database.engine

    @property
    def client(self) -> httpx.Client:
        """The client of an API; paths are appended to its `baseUrl`, and any thread may use it.

        Its requests raise `ConnectionFailed` in place of httpx's own exceptions. Redirects are not
        followed.

        Raises:
            ConfigError: the connection is a database, or closed.
        """
        return self.api.client

    @cached_property
    def async_client(self) -> httpx.AsyncClient:
        """The same for the event loop that runs now, inside of `async with`.

        Raises:
            ConfigError: the connection is a database, or closed, or entered with a plain `with`.
        """
        from reconciler.connecting import api

        self._refuse("ApiConnection", "client", "`engine`")
        if not self._is_async:
            raise ConfigError(
                "an async client is closed by its event loop",
                f'write `async with reconciler.connect("{self.ref}")`',
            )
        self._caller = api.Caller(self._access)
        return api.async_client(self._access, self._caller)

    @property
    def database(self) -> Database:
        """What is behind `engine`; for the command line."""
        from reconciler.connecting import database

        with self._making:
            self._refuse("SqlConnection", "engine", "`client` or `async_client`")
            if self._database is None:
                self._database = database.Database(self._access)
            return self._database

    @property
    def api(self) -> Api:
        """What is behind `client`; for the command line."""
        from reconciler.connecting import api

        with self._making:
            self._refuse("ApiConnection", "client", "`engine`")
            if self._api is None:
                self._api = api.Api(self._access)
            return self._api

    def close(self) -> None:
        """Closes every connection, tunnel, thread and the state; may be called twice."""
        with self._making:
            self._is_closed = True
        for part in (self._database, self._api):
            if part is not None:
                part.close()
        self._access.close()

    def _refuse(self, kind: str, wanted: str, instead: str) -> None:
        refusing.refuse_kind(self.ref, kind, wanted, instead)
        if self._is_closed:
            raise ConfigError(f"the connection to `{self.ref}` is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._is_async = True
        return self

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        if self._caller is not None:
            await self.async_client.aclose()
            await self._caller.close()
        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"Connection({self.ref})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection holds secrets and is not pickled or copied")
