"""The SQL engines: one row each, from which types, schema, defaults and clients are derived.

Pure and free of pydantic, since `validate` and `clients` read it too. An engine that speaks through
a driver that is there already is one more row and nothing else: the discriminator of
`SqlConnection`, its JSON Schema, its default port and the choice of the driver all follow.
"""

from __future__ import annotations

from typing import Final

from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One SQL engine, as users name it in `spec.engine`."""

    name: str
    #: what speaks to it, a key of the driver table in `clients`
    driver: str
    #: TCP port when the manifest names none; None for a database in a file, which has no server
    default_port: int | None
    #: extra of this package that installs the driver; empty when Python brings it
    extra: str
    #: whether the driver can connect to a socket in the file system
    has_socket: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the database is a file: no host, port, TLS or login exist then."""
        return self.default_port is None


#: Every engine, in the order in which messages and the schema list them.
ROWS: Final = (
    Engine(
        name="postgresql", driver="psycopg", default_port=5432, extra="postgres", has_socket=True
    ),
    Engine(name="mysql", driver="pymysql", default_port=3306, extra="mysql", has_socket=True),
    Engine(name="mariadb", driver="pymysql", default_port=3306, extra="mysql", has_socket=True),
    Engine(name="sqlite", driver="sqlite3", default_port=None, extra=""),
    Engine(name="duckdb", driver="duckdb", default_port=None, extra="duckdb"),
)

#: Name -> engine.
ENGINES: Final = {row.name: row for row in ROWS}
SERVER_ENGINES: Final = tuple(row.name for row in ROWS if not row.is_file)
FILE_ENGINES: Final = tuple(row.name for row in ROWS if row.is_file)
