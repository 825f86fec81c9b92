"""What stands before a database of Amazon RDS: it verifies tokens of AWS and lets in who has one.

A front for a real PostgreSQL or MariaDB. It speaks TLS, asks for the password as it is, as RDS does
(PostgreSQL by PAM, the MySQL family by the plugin `mysql_clear_password`), verifies it as AWS
describes its signatures, and hands the session on to the real server. Written from the Amazon RDS
User Guide and from "Authenticating requests: using query parameters", apart from botocore and from
the code under test; it was never compared with RDS itself.

    with rds_front("postgresql", backend, account) as front:
        ...  front.port, front.faults, front.tokens
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import pymysql
import pytest

from tests.servers import sql_peers
from tests.servers.certificates import Authority
from tests.servers.mariadb import PASSWORD, MariadbServer
from tests.servers.postgresql import PostgresServer, start_postgresql
from tests.servers.sql_peers import Conversation, Peer, sql_peer

#: The first message of a client that wants TLS (PostgreSQL, "SSLRequest").
_SSL_REQUEST = (80877103).to_bytes(4)
_LIFE = timedelta(minutes=15)
#: A clock may be so much ahead of AWS's.
_LENIENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom AWS knows, and whom it lets in where."""

    access_key: str = "AKIAEXAMPLE"
    secret_key: str = "wJalrXUtnFEMI/K7MDENG"
    session_token: str = ""
    region: str = "eu-central-1"
    #: whom the keys may log in as
    username: str = "report"
    #: name of the server
    host: str = "localhost"
    #: its port; 0 for the one that it listens at
    port: int = 0


@dataclass(slots=True, kw_only=True)
class Front:
    """A running front and what it saw; `account` and `now` may be changed while it runs."""

    account: Account
    now: Callable[[], datetime]
    #: of the server's certificate, which is for localhost, orders.far.test and 127.0.0.1
    authority: Authority
    peer: Peer | None = None
    #: what it was sent, in order
    tokens: list[str] = field(default_factory=list)
    #: what was wrong with each, `""` where nothing was
    faults: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        assert self.peer is not None
        return self.peer.port

    def lets_in(self, username: str, token: str) -> bool:
        """Returns whether `token` is a good one for a login as `username`, and keeps both."""
        account = replace(self.account, port=self.account.port or self.port)
        self.tokens.append(token)
        self.faults.append(_fault(account, username, token, self.now()))
        return not self.faults[-1]


def _fault(account: Account, username: str, token: str, now: datetime) -> str:
    place, _, query = token.partition("/?")
    pairs = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    signature = pairs.pop("X-Amz-Signature", "")
    stamp = pairs.get("X-Amz-Date", "")
    day, credential = stamp[:8], pairs.get("X-Amz-Credential", "").split("/")
    sent_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    life = timedelta(seconds=int(pairs["X-Amz-Expires"]))
    judged = {
        "endpoint": place == f"{account.host}:{account.port}",
        "action": pairs.get("Action") == "connect",
        "algorithm": pairs.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256",
        "signed headers": pairs.get("X-Amz-SignedHeaders") == "host",
        "user": pairs.get("DBUser") == username == account.username,
        "access key": credential[0] == account.access_key,
        "region": credential[1:] == [day, account.region, "rds-db", "aws4_request"],
        "session token": pairs.get("X-Amz-Security-Token", "") == account.session_token,
        "expired": life <= _LIFE and now < sent_at + life,
        "not yet": sent_at <= now + _LENIENCE,
        "signature": hmac.compare_digest(_signature(account, place, pairs), signature),
    }
    return next((name for name, is_right in judged.items() if not is_right), "")


def _signature(account: Account, place: str, pairs: dict[str, str]) -> str:
    encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs.items())
    canonical = "\n".join(
        [
            "GET",
            "/",
            "&".join(f"{name}={value}" for name, value in encoded),
            f"host:{place}\n",
            "host",
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    stamp = pairs["X-Amz-Date"]
    scope = f"{stamp[:8]}/{account.region}/rds-db/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    made = f"AWS4{account.secret_key}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return made.hex()


@pytest.fixture(scope="session")
def trusting() -> Iterator[PostgresServer]:
    """Gives a PostgreSQL server with a user and a database, who need no password."""
    with start_postgresql(rules=f"host all all {sql_peers.HOST}/32 trust\n") as server:
        server.execute("CREATE ROLE report LOGIN")
        server.execute("CREATE DATABASE orders")
        yield server


@contextmanager
def rds_front(
    backend: PostgresServer | MariadbServer,
    account: Account,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),  # noqa: TID251 -- its own clock
) -> Iterator[Front]:
    """Runs a front for the length of the block.

    A real PostgreSQL is one that is `trusting`; MariaDB knows the user by `PASSWORD`.
    """
    front = Front(account=account, now=now, authority=Authority())
    context = front.authority.server_context("localhost", "orders.far.test", "127.0.0.1")

    def talk(client: Conversation) -> None:
        if isinstance(backend, PostgresServer):
            _as_postgresql(front, client, context, backend)
        else:
            _as_mysql(front, client, context, backend)

    with sql_peer(talk, at_once=True) as peer:
        front.peer = peer
        yield front


def _as_postgresql(
    front: Front, client: Conversation, context: ssl.SSLContext, backend: PostgresServer
) -> None:
    start = client.postgresql_start()
    if start != _SSL_REQUEST:
        client.send(sql_peers.postgresql_error("28000", b"no pg_hba.conf entry, no encryption"))
        return
    client.send(b"S")
    client.start_tls(context)
    start = client.postgresql_start()
    words = start[4:].split(b"\0")
    user = dict(zip(words[::2], words[1::2], strict=False))[b"user"]
    client.send(sql_peers.POSTGRESQL_CLEARTEXT)
    token = client.postgresql_message().rstrip(b"\0").decode()
    if not front.lets_in(user.decode(), token):
        refused = b'PAM authentication failed for user "' + user + b'"'
        client.send(sql_peers.postgresql_error("28000", refused))
        return
    with socket.create_connection((backend.host, backend.port)) as server:
        server.sendall((len(start) + 4).to_bytes(4) + start)
        client.relay(server)


def _as_mysql(
    front: Front, client: Conversation, context: ssl.SSLContext, backend: MariadbServer
) -> None:
    client.mysql_send(0, sql_peers.mysql_greeting(has_tls=True))
    client.mysql_packet()
    client.start_tls(context)
    # Protocol::HandshakeResponse41: 32 bytes of flags, then the name
    user = client.mysql_packet()[32:].partition(b"\0")[0].decode()
    client.mysql_send(3, b"\xfemysql_clear_password\0")
    token = client.mysql_packet().rstrip(b"\0").decode()
    if not front.lets_in(user, token):
        refused = f"Access denied for user '{user}'@'127.0.0.1' (using password: YES)".encode()
        client.mysql_send(5, sql_peers.mysql_error(1045, "28000", refused))
        return
    session = pymysql.connect(
        host=backend.host,
        port=backend.port,
        user=user,
        password=PASSWORD.encode(),
        database="orders",
        ssl=ssl.create_default_context(cadata=backend.authority),
    )
    with closing(session):
        client.mysql_send(5, sql_peers.MYSQL_OK)
        client.relay(session._sock)  # type: ignore[attr-defined]  # left out of the stubs
