"""Client certificates, TLS settings and directories: on real PostgreSQL and MariaDB servers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from reconciler.model import Json, JsonObject, Observation, Reason
from tests.servers import sql_peers
from tests.servers.certificates import Authority, ClientPair
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresServer, start_postgresql
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import (
    Check,
    certificate_of,
    mariadb_spec,
    names_of,
    password_of,
    peer_spec,
)

pytestmark = pytest.mark.server

SERVERS, CLIENTS = Authority(), Authority()
ENGINES = ["postgresql", "mariadb"]
#: Rules of PostgreSQL, by role: a certificate alone, one beside the password, a password as it is.
RULES = """\
hostssl all certified 127.0.0.1/32 cert
hostssl all pair 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl all directory 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Gives a PostgreSQL server that knows the certificates of `CLIENTS`."""
    folder = tmp_path_factory.mktemp("certified")
    own = SERVERS.server("localhost", "127.0.0.1")
    files = {"server.crt": own.certificate, "server.key": own.key, "clients.crt": CLIENTS.pem}
    for name, text in files.items():
        (folder / name).write_text(text)
    with start_postgresql(
        certificate=folder / "server.crt",
        key=folder / "server.key",
        clients=folder / "clients.crt",
        rules=RULES,
    ) as server:
        for role in ("certified", "pair", "directory"):
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
        yield server


class Place:
    """A server of one engine, and how to log in there with a certificate."""

    def __init__(self, engine: str, check: Check, request: pytest.FixtureRequest) -> None:
        self.engine = engine
        self._check = check
        if engine == "postgresql":
            server: PostgresServer = request.getfixturevalue("certified")
            self.clients, authority, self.password = CLIENTS, SERVERS.pem, "right"
            self._spec: JsonObject = {
                "engine": engine,
                "host": server.host,
                "port": server.port,
                "database": "postgres",
            }
        else:
            maria: MariadbServer = request.getfixturevalue("mariadb")
            self.clients, authority = maria.clients, maria.authority
            self.password = "p@/:% '\"\\;#ł&=?"
            self._spec = mariadb_spec(maria)
        self.tls: JsonObject = {"mode": "verify-full", "ca": {"file": authority}}

    def check(self, auth: JsonObject, **tls: Json) -> Observation:
        """Probes once, with `tls` beside mode and authority."""
        spec = {**self._spec, "auth": auth, "tls": {**self.tls, **tls}}
        return self._check(spec, self.password)


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, check: Check) -> Place:
    return Place(request.param, check, request)


def by_certificate(pair: ClientPair, username: str = "certified", **more: Json) -> JsonObject:
    return {"method": "clientCertificate", "username": username, **certificate_of(pair), **more}


def ends(found: Observation) -> tuple[Reason, str]:
    return found.reason, names_of(found)[-1]


def test_a_certificate_is_a_login(place: Place) -> None:
    found = place.check(by_certificate(place.clients.client("certified")))
    assert (*ends(found), found.message) == (Reason.OK, "query", "the query answered")


def test_a_key_with_a_passphrase_is_opened(place: Place) -> None:
    pair = place.clients.client("certified")
    sealed = {"text": pair.encrypted("pass+phrase")}
    auth = by_certificate(pair, key=sealed, keyPassphrase={"text": "pass+phrase"})
    assert place.check(auth).reason is Reason.OK


def test_a_wrong_passphrase_is_a_secret_that_does_not_fit(place: Place) -> None:
    pair = place.clients.client("certified")
    sealed = {"text": pair.encrypted("pass+phrase")}
    found = place.check(by_certificate(pair, key=sealed, keyPassphrase={"text": "wrong"}))
    assert found.reason is Reason.SECRET_UNRESOLVED
    assert found.message.startswith("the key at /auth/key has another passphrase")
    assert found.hint.startswith("check `keyPassphrase`; the key is a block that begins with")


def test_a_key_of_another_certificate_is_said(place: Place) -> None:
    pair, other = place.clients.client("certified"), place.clients.client("certified")
    found = place.check(by_certificate(pair, key={"text": other.key}))
    assert found.reason is Reason.TLS_FAILURE
    assert found.message == "the key of `auth` is not the key of its certificate"


def test_a_certificate_of_a_stranger_fails_at_tls(place: Place) -> None:
    found = place.check(by_certificate(Authority().client("certified")))
    assert (*ends(found), found.message) == (
        Reason.TLS_FAILURE,
        "tls",
        "the server does not trust the authority of the client certificate",
    )


def test_an_expired_certificate_is_not_sent(place: Place) -> None:
    pair = place.clients.client(
        "certified",
        not_before=datetime(2019, 1, 1, tzinfo=UTC),
        not_after=datetime(2020, 1, 31, tzinfo=UTC),
    )
    found = place.check(by_certificate(pair))
    assert (found.reason, found.message) == (
        Reason.CERTIFICATE_EXPIRED,
        "the client certificate has expired; it was valid until 2020-01-31",
    )


def test_a_certificate_stands_beside_a_password(place: Place) -> None:
    pair = certificate_of(place.clients.client("pair"))
    assert place.check(password_of("pair"), clientCertificate=pair).reason is Reason.OK


def test_a_missing_certificate_is_said(place: Place) -> None:
    found = place.check(password_of("pair"))
    expected = {"postgresql": Reason.PERMISSION_DENIED, "mariadb": Reason.AUTH_FAILED}
    assert ends(found) == (expected[place.engine], "auth")


def test_a_certificate_of_another_user_is_refused_by_postgresql(
    check: Check, request: pytest.FixtureRequest
) -> None:
    found = Place("postgresql", check, request).check(by_certificate(CLIENTS.client("somebody")))
    assert (*ends(found), found.message) == (
        Reason.AUTH_FAILED,
        "auth",
        (
            "the server does not let this user in with the client certificate"
            ' (28000: certificate authentication failed for user "certified")'
        ),
    )


def test_a_user_with_a_password_is_not_let_in_by_certificate(place: Place) -> None:
    found = place.check(by_certificate(place.clients.client("pair"), "pair"))
    assert ends(found) == (Reason.AUTH_FAILED, "auth")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_server_that_is_new_enough_is_talked_to(place: Place, version: str) -> None:
    auth = by_certificate(place.clients.client("certified"))
    assert place.check(auth, minimumVersion=version).reason is Reason.OK


def test_the_name_of_the_certificate_can_be_said(place: Place) -> None:
    auth = by_certificate(place.clients.client("certified"))
    assert place.check(auth, serverName="localhost").reason is Reason.OK


def test_a_wrong_name_of_the_certificate_fails_at_tls(place: Place) -> None:
    found = place.check(password_of("pair"), serverName="db.internal")
    assert (*ends(found), found.message) == (
        Reason.TLS_FAILURE,
        "tls",
        "the server's certificate is for another host name",
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_is_too_old_is_sent_nothing(check: Check, engine: str) -> None:
    context = SERVERS.server_context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def greet(client: Conversation) -> None:
        if engine == "mariadb":
            client.mysql_send(0, sql_peers.mysql_greeting(has_tls=True))
            client.mysql_packet()
        else:
            client.postgresql_start()
            client.send(b"S")
        client.start_tls(context)

    with sql_peer(greet) as peer:
        tls = {"mode": "verify-full", "ca": {"file": SERVERS.pem}, "minimumVersion": "1.3"}
        found = check(peer_spec(engine, peer.port, tls=tls))
    assert (*ends(found), found.message) == (
        Reason.TLS_FAILURE,
        "tls",
        "the server offers no TLS version that is new enough",
    )


def ldap(username: str) -> JsonObject:
    return {"method": "ldap", "username": username, "password": {"env": "DB_PASSWORD"}}


def test_a_directory_gets_the_password_as_it_is(
    certified: PostgresServer, check: Check, request: pytest.FixtureRequest
) -> None:
    place = Place("postgresql", check, request)
    assert place.check(ldap("directory")).reason is Reason.OK
    place.password = "wrong"
    assert ends(place.check(ldap("directory"))) == (Reason.AUTH_FAILED, "auth")
    assert certified.failed_logins("directory") == 1


def test_a_server_that_asks_no_directory_gets_nothing(place: Place) -> None:
    user = {"postgresql": "admin", "mariadb": "secure"}[place.engine]
    found = place.check(ldap(user))
    assert ends(found) == (Reason.PROTOCOL_ERROR, "auth")
    assert found.message.startswith("the server checks the password itself and asks no directory")
    assert found.hint == "use `auth: {method: password}`"


@pytest.mark.parametrize(("answer", "reason"), [(True, Reason.OK), (False, Reason.AUTH_FAILED)])
def test_mysql_gives_a_directory_the_password_as_it_is(
    check: Check, answer: bool, reason: Reason
) -> None:
    context = SERVERS.server_context("127.0.0.1")

    def ask(client: Conversation) -> None:
        client.mysql_send(0, sql_peers.mysql_greeting(has_tls=True))
        client.mysql_packet()
        client.start_tls(context)
        assert b"directory" in client.mysql_packet()
        client.mysql_send(3, b"\xfemysql_clear_password\0")
        is_right = client.mysql_packet() == b"canary-4711-secret\0" and answer
        refused = sql_peers.mysql_error(1045, "28000", b"refused")
        client.mysql_send(5, sql_peers.MYSQL_OK if is_right else refused)
        while True:
            client.mysql_packet()
            client.mysql_send(1, sql_peers.MYSQL_OK)

    with sql_peer(ask) as peer:
        tls = {"mode": "verify-full", "ca": {"file": SERVERS.pem}}
        spec = peer_spec("mysql", peer.port, auth=ldap("directory"), tls=tls)
        found = check(spec, "canary-4711-secret")
    assert found.reason is reason
