"""What is special about a store in PostgreSQL: a network in between, logins, other schemas."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import pq

from reconciler.errors import ConfigError, ReconcilerError, StoreUnavailable
from reconciler.stores import EventQuery, Opening, Store, Write, open_store
from tests.contract.databases import run_sql
from tests.contract.lossy_proxy import Loss, LossyProxy
from tests.factories import NOW, make_event, make_run
from tests.servers.postgresql import HOST, PostgresServer

pytestmark = pytest.mark.server

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
WRITE = Write(events=(make_event(),), run=make_run())


@pytest.fixture
def direct(postgresql_url: str) -> Iterator[Store]:
    """Gives a store that reaches its server without the proxy."""
    store = open_store(postgresql_url, Opening.WRITE, now=NOW)
    yield store
    store.close()


@pytest.fixture
def proxy(postgresql: PostgresServer) -> Iterator[LossyProxy]:
    """Gives a proxy in front of the server."""
    proxy = LossyProxy(postgresql.port)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(
    postgresql: PostgresServer, postgresql_url: str, proxy: LossyProxy, direct: Store
) -> Iterator[Store]:
    """Gives the same store behind the proxy."""
    url = postgresql_url.replace(f":{postgresql.port}/", f":{proxy.port}/")
    store = open_store(url, Opening.WRITE, now=NOW)
    yield store
    store.close()


def failure(url: str) -> ReconcilerError:
    with pytest.raises(ReconcilerError) as raised:
        open_store(url, Opening.WRITE, now=NOW)
    return raised.value


def test_commit_whose_answer_is_lost_is_found_applied(
    proxied: Store, proxy: LossyProxy, direct: Store
) -> None:
    proxy.loss = Loss.ANSWER
    proxied.commit(WRITE)
    assert len(direct.runs()) == len(direct.events(EventQuery())) == 1


def test_commit_that_never_arrives_is_found_not_applied(
    proxied: Store, proxy: LossyProxy, direct: Store
) -> None:
    proxy.loss = Loss.COMMIT
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        proxied.commit(WRITE)
    assert (direct.runs(), direct.events(EventQuery())) == ((), ())


def test_commit_cut_off_in_the_middle_is_reported_as_it_ended(
    proxied: Store, proxy: LossyProxy, direct: Store
) -> None:
    proxy.loss = Loss.MIDDLE
    try:
        proxied.commit(WRITE)
        applied = 1
    except StoreUnavailable:
        applied = 0
    assert len(direct.runs()) == len(direct.events(EventQuery())) == applied


def test_commit_whose_fate_cannot_be_asked_for_says_so(proxied: Store, proxy: LossyProxy) -> None:
    proxy.loss = Loss.ALL
    with pytest.raises(StoreUnavailable) as raised:
        proxied.commit(WRITE)
    assert raised.value.message.endswith("whether it did is not known")
    assert raised.value.hint.startswith("run `reconciler plan`")


def test_store_goes_on_after_its_connections_were_cut(proxied: Store, proxy: LossyProxy) -> None:
    proxy.loss = Loss.COMMIT
    with pytest.raises(StoreUnavailable):
        proxied.commit(WRITE)
    proxied.commit(WRITE)
    assert len(proxied.runs()) == 1


def test_wrong_password_is_said_without_password_or_second_try(
    postgresql: PostgresServer,
) -> None:
    role = postgresql.make_role("right")
    url = f"postgresql://{role}:wr0ng-Secret@{HOST}:{postgresql.port}/postgres?sslmode=disable"
    error = failure(url)
    assert error.message == (
        "the server of the state store"
        f" postgresql://{role}@{HOST}:{postgresql.port}/postgres refuses the login"
    )
    assert "wr0ng" not in repr(error) + error.hint
    assert error.__cause__ is None
    assert postgresql.failed_logins(role) == 1


def test_missing_database_is_said(postgresql: PostgresServer) -> None:
    error = failure(postgresql.url("nowhere"))
    assert isinstance(error, StoreUnavailable)
    assert error.message.endswith("/nowhere does not exist")


def test_server_that_is_not_there_is_said(postgresql: PostgresServer) -> None:
    proxy = LossyProxy(postgresql.port)
    proxy.close()
    error = failure(postgresql.url("postgres", port=proxy.port))
    assert isinstance(error, StoreUnavailable)
    assert error.message.endswith("cannot be reached")


def test_login_without_rights_on_the_schema_is_said(
    postgresql: PostgresServer, postgresql_url: str
) -> None:
    role = postgresql.make_role("right")
    login = f"{postgresql.superuser}:{postgresql.password}@"
    url = postgresql_url.replace(login, f"{role}:right@")
    assert failure(url).message.endswith("does not exist or may not be used")
    schema = run_sql(postgresql_url, "SELECT current_schema()")[0][0]
    postgresql.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    assert failure(url).message.endswith("lacks a permission")


def test_schema_that_does_not_exist_is_said(postgresql: PostgresServer) -> None:
    error = failure(postgresql.url("postgres", schema="nowhere"))
    assert isinstance(error, StoreUnavailable)
    assert error.message.endswith("does not exist or may not be used")


def test_tables_of_others_are_not_taken_over(postgresql_url: str) -> None:
    run_sql(postgresql_url, "CREATE TABLE events (theirs integer)")
    error = failure(postgresql_url)
    assert isinstance(error, StoreUnavailable)
    assert error.message.endswith("already has tables of the same names")
    assert run_sql(postgresql_url, TABLES) == [("events",)]


def test_two_schemas_of_one_database_hold_two_stores(
    postgresql: PostgresServer, direct: Store
) -> None:
    other = postgresql.make_schema()
    store = open_store(postgresql.url("postgres", schema=other), Opening.WRITE, now=NOW)
    assert store.meta.lineage != direct.meta.lineage
    store.commit(WRITE)
    assert direct.runs() == ()
    store.close()
    postgresql.drop_schema(other)


def test_store_opened_for_reading_makes_no_table(postgresql_url: str) -> None:
    with pytest.raises(StoreUnavailable):
        open_store(postgresql_url, Opening.READ, now=NOW)
    assert run_sql(postgresql_url, TABLES) == []


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql+asyncpg://host/db", id="other driver"),
        pytest.param("postgresql://host:port/db", id="port no number"),
    ],
)
def test_url_that_cannot_be_used_is_refused(url: str) -> None:
    assert isinstance(failure(url), ConfigError)


def test_libpq_is_told_everything_that_it_would_look_up_elsewhere(
    postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parameter that is left out comes from a variable or from a file of whoever runs this."""
    told: dict[str, object] = {}

    def connect(*_: object, **parameters: object) -> psycopg.Connection[object]:
        told.update(parameters)
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    monkeypatch.setattr(psycopg, "connect", connect)
    failure(f"postgresql://{HOST}:{postgresql.port}")
    looked_up = {
        default.keyword.decode() for default in pq.Conninfo.get_defaults() if default.envvar
    }
    # each of a service and of OAuth is used only where a server or a setting names it
    looked_up -= {"service", *(name for name in looked_up if name.startswith("oauth_"))}
    assert looked_up - set(told) == set()
    assert (told["passfile"], told["sslkey"], told["sslrootcert"]) == ("/dev/null/none",) * 3


def test_server_is_verified_by_the_authorities_of_this_machine(
    postgresql: PostgresServer,
) -> None:
    url = postgresql.url("postgres").partition("?")[0]
    assert failure(f"{url}?sslmode=verify-full").message.endswith("cannot be reached")


def test_hosts_are_tried_in_turn_and_one_without_address_is_left_out(
    postgresql: PostgresServer, postgresql_url: str
) -> None:
    place = f"{HOST}:{postgresql.port}"
    before, _, after = postgresql_url.partition(f"@{place}/")
    hosts = f"host=absent.invalid:1&host={HOST}:1&host={place}"
    url = f"{before}@/{after}{'&' if '?' in after else '?'}{hosts}"
    open_store(url, Opening.WRITE, now=NOW).close()


def test_name_without_address_is_said() -> None:
    error = failure("postgresql://u@absent.invalid/s")
    assert isinstance(error, StoreUnavailable)
    assert error.message.endswith("cannot be reached: no host of that name is known")


def test_login_without_a_name_is_that_of_the_process(postgresql: PostgresServer) -> None:
    """As libpq has it; the variable that could change it is not asked."""
    error = failure(f"postgresql://{HOST}:{postgresql.port}/postgres?sslmode=disable")
    assert error.message.endswith("refuses the login")


def test_socket_of_the_server_is_connected_to(postgresql: PostgresServer) -> None:
    folder = postgresql.socket.rpartition("/")[0]
    url = f"postgresql://nobody-knows@/postgres?host={folder}&port={postgresql.port}"
    assert failure(url).message.endswith("refuses the login")
