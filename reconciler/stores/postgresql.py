"""The state store in a PostgreSQL database, in the first schema of the search path.

One transaction advisory lock per schema makes writers take turns; it dies with its session, so
there is nothing to unlock (reliability M7). Reads see one snapshot. When the answer to a COMMIT is
lost, the transaction's own number is asked for on a new connection: PostgreSQL keeps the fate of
every transaction for this purpose (manual, section 9.27.9, `pg_xact_status`).
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from reconciler.errors import ConfigError, ReconcilerError, StoreUnavailable
from reconciler.network import NetworkPolicy, StateReach
from reconciler.redact import escape
from reconciler.stores import Opening, Store, database, faults, opening, pinned, tables

tables.live_ref.dialect_options["postgresql"]["where"] = tables.IS_LIVE

#: First half of the advisory lock's key; the second is the hash of the schema. "Rcnc".
_LOCK_CLASS = 0x52636E63
#: Seconds before each look for a transaction whose answer was lost.
_LOOKS_S = (0.0, 0.2, 0.5, 1.0)
#: How long such a look waits for the lost transaction to end.
_LOOK_LOCK_S = 10.0
#: libpq parameters, unless the URL has others: a dead server is noticed within a minute.
_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "reconciler",
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "gssencmode": "disable",
}
#: What libpq would take from elsewhere, beside what it would for any connection to PostgreSQL.
_NEUTRAL = {
    "password": "",
    "require_auth": "!gss,!sspi",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslmode": "prefer",
}
#: Modes of TLS in which the server must prove who it is.
_VERIFIED = ("verify-ca", "verify-full")
#: What a state URL may say beyond that. It can stand in a project file, which comes with a pull
#: request: nothing that names files of passwords or services, or loads code.
_OPTIONS = frozenset(_DEFAULTS) | {
    *("host", "port", "options", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"),
    *("channel_binding", "target_session_attrs", "sslnegotiation", "ssl_min_protocol_version"),
}


def open_store(
    url: str,
    opened: Opening,
    *,
    keys: Sequence[bytes],
    now: datetime,
    reach: StateReach = StateReach(),  # noqa: B008 -- frozen
) -> Store:
    """Opens `postgresql://user:password@host/database`; see `stores.open_store`.

    For writing it makes the tables where there are none; older ones are left to `state migrate`,
    because other machines may still run the older program.
    """
    transactions = PostgresqlTransactions(parse_url(url), reach.network)
    try:
        meta = opening.open_meta(transactions, opened, keys=keys, now=now)
    except BaseException:
        transactions.close()
        raise
    return database.DatabaseStore(transactions, meta)


def parse_url(url: str) -> URL:
    """Returns the URL with our driver and defaults for what it leaves out.

    Raises:
        ConfigError: it cannot be read, names another driver, or has an unknown option.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "the state URL cannot be read", "write `postgresql://user:password@host/database`"
        ) from None
    if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigError("the state store uses the driver psycopg", "write `postgresql://...`")
    unknown = sorted(set(parsed.query) - _OPTIONS)
    if unknown:
        raise ConfigError(
            f"the state URL has the option `{escape(unknown[0])}`, which is not taken",
            f"the options are: {', '.join(sorted(_OPTIONS))}",
        )
    missing = {key: value for key, value in _DEFAULTS.items() if key not in parsed.query}
    return parsed.set(drivername="postgresql+psycopg").update_query_dict(missing)


class PostgresqlTransactions:
    """Transactions on one PostgreSQL database."""

    def __init__(
        self,
        url: URL,
        network: NetworkPolicy = NetworkPolicy(),  # noqa: B008 -- frozen
    ) -> None:
        address = URL.create(
            "postgresql",
            username=url.username,
            host=url.host,
            port=url.port,
            database=url.database,
        )
        self._place = address.render_as_string(hide_password=True)
        try:
            self._engine = _make_engine(url, network, self._place)
        except ImportError:
            raise StoreUnavailable(
                "the driver of PostgreSQL is not installed",
                'install it with `pip install "reconciler[postgres]"`',
            ) from None

    @property
    def place(self) -> str:
        return self._place

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine.connect() as raw:
            connection = raw.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, lock_timeout_s: float) -> Iterator[Connection]:
        with self._translated(), self._engine.connect() as connection:
            number = _lock(connection, lock_timeout_s)
            yield connection
            try:
                connection.commit()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                connection.invalidate()
                if not self._was_committed(number):
                    raise

    def integrity(self) -> tuple[str, ...]:
        """Returns nothing: PostgreSQL enforces keys and, if so set up, page checksums by itself."""
        return ()

    def copy_to(self, path: Path) -> None:
        from reconciler.stores import backup, sqlite

        def build(copy: Connection) -> None:
            opening.create_tables(copy)
            backup.copy_rows(source, copy)

        with self.reading() as source:
            sqlite.fill(path, build)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with faults.translated(faults.postgresql_fault, self._place):
            yield

    def _was_committed(self, number: str) -> bool:
        """Returns whether the transaction `number` was committed, asking on a new connection.

        The lock comes first: it is free only when that transaction has ended, one way or the other.

        Raises:
            StoreUnavailable: no answer can be had.
        """
        for pause_s in _LOOKS_S:
            time.sleep(pause_s)
            try:
                with self._translated(), self._engine.connect() as connection:
                    _lock(connection, _LOOK_LOCK_S)
                    asked = text("SELECT pg_xact_status(CAST(:number AS xid8))")
                    fate = connection.execute(asked, {"number": number}).scalar_one()
            except ReconcilerError:
                continue
            if fate in ("committed", "aborted"):
                return bool(fate == "committed")
        raise StoreUnavailable(
            f"the state store {self._place} went away while it stored the change;"
            " whether it did is not known",
            "run `reconciler plan` when it is back: it shows what is still to do",
        )


def _make_engine(url: URL, network: NetworkPolicy, place: str) -> Engine:
    """Returns an engine each of whose connections goes to an address that was judged for it.

    Raises:
        ImportError: the driver is not installed.
    """
    from reconciler.clients import libpq

    engine = create_engine(url, hide_parameters=True, max_overflow=-1, pool_pre_ping=True)

    def complete(
        _dialect: object, _record: object, _args: list[str], told: dict[str, object]
    ) -> None:
        user = str(told.get("user") or pwd.getpwuid(os.geteuid()).pw_name)  # as libpq does
        is_verified = told.get("sslmode") in _VERIFIED
        given = {
            **libpq.NEUTRAL,
            **_NEUTRAL,
            "sslrootcert": libpq.authorities() if is_verified else libpq.NO_FILE,
            "sslcertmode": "allow" if "sslcert" in told else "disable",
            "user": user,
            "dbname": user,
            **told,
        }
        ways = pinned.places(
            str(told.get("host") or ""), str(told.get("port") or ""), network, place
        )
        given |= {
            "host": ",".join(way.host for way in ways),
            "hostaddr": ",".join(way.address for way in ways),
            "port": ",".join(way.port for way in ways),
        }
        told.clear()
        told.update({name: value for name, value in given.items() if name in known})

    known = libpq.KNOWN | {"context"}
    event.listen(engine, "do_connect", complete)
    return engine


def _lock(connection: Connection, lock_timeout_s: float) -> str:
    """Waits for this schema's turn to write; returns the number of the transaction."""
    timeout_ms = max(1, int(lock_timeout_s * 1000))
    connection.execute(
        text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": f"{timeout_ms}ms"}
    )
    turn = text(
        "SELECT pg_advisory_xact_lock(:lock_class, hashtext(current_schema())),"
        " CAST(pg_current_xact_id() AS text)"
    )
    return str(connection.execute(turn, {"lock_class": _LOCK_CLASS}).one()[1])
