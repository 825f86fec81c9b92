"""`awsIam` logins at a front that verifies tokens as AWS does, with real databases behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from reconciler import kinds, probes
from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from reconciler.redact import Secret
from tests.factories import NOW
from tests.servers import sql_peers
from tests.servers.certificates import Authority
from tests.servers.hop_targets import PROXY_PASSWORD, SECRETS, proxy_block, ssh_block
from tests.servers.mariadb import MariadbServer
from tests.servers.postgresql import PostgresServer
from tests.servers.proxies import proxy_server
from tests.servers.rds import Account, Front, rds_front, trusting
from tests.servers.sql_peers import Conversation, sql_peer
from tests.servers.sql_specs import SECRET_STAGE, make_target, make_tools, names_of
from tests.servers.ssh import ssh_server

__all__ = ["trusting"]

pytestmark = pytest.mark.server

KEYS = Account()
TEMPORARY = replace(KEYS, session_token="IQoJb3Jp/Z2luX2VjE+J=" * 40)
FAR = "orders.far.test"
AWS: JsonObject = {
    "method": "awsIam",
    "username": "report",
    "region": "eu-central-1",
    "accessKeyId": {"env": "A"},
    "secretAccessKey": {"env": "B"},
}
REFUSED = "the server refuses the token"
HINT = (
    "check the keys and `region` of `auth`, that `host` is the endpoint of AWS, this machine's"
    " clock, and that the keys' policy allows rds-db:connect as this user"
)


class Log(Protocol):
    """Probes the database of a spec once, with the keys of an account."""

    def __call__(self, spec: JsonObject, account: Account = ...) -> Observation: ...


@pytest.fixture
def log_in(threads: ThreadPoolExecutor, tmp_path: Path) -> Log:
    async def run(spec: JsonObject, values: dict[str, str]) -> Observation:
        tools = make_tools(threads, tmp_path)
        places = [place for place, _ in kinds.shape("SqlConnection").secrets(spec)]
        for place in places:
            tools.redactor.add(values[place])
        secrets = {place: Secret(values[place]) for place in places}
        probe = probes.probe("SqlConnection")
        try:
            return await probe(make_target(spec), secrets, tools, reached=(SECRET_STAGE,))
        finally:
            await tools.hops.close()

    def log_in(spec: JsonObject, account: Account = KEYS) -> Observation:
        keys = {
            "/auth/accessKeyId": account.access_key,
            "/auth/secretAccessKey": account.secret_key,
            "/auth/sessionToken": account.session_token,
        }
        return asyncio.run(run(spec, {**SECRETS, **keys}))

    return log_in


@pytest.fixture(params=["postgresql", "mysql", "mariadb"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def front(engine: str, request: pytest.FixtureRequest) -> Iterator[Front]:
    """Gives a front of the engine whose clock is that of the checks."""
    name = "trusting" if engine == "postgresql" else "mariadb"
    backend: PostgresServer | MariadbServer = request.getfixturevalue(name)
    with rds_front(backend, KEYS, lambda: NOW) as found:
        yield found


def make_spec(engine: str, front: Front, **changes: Json) -> JsonObject:
    return {
        "engine": engine,
        "host": "localhost",
        "port": front.port,
        "database": "orders",
        "auth": AWS,
        "tls": {"mode": "verify-full", "ca": {"file": front.authority.pem}},
        **changes,
    }


def ends(found: Observation) -> tuple[Outcome, Reason, str]:
    return found.outcome, found.reason, names_of(found)[-1]


def test_a_token_is_a_login(engine: str, front: Front, log_in: Log) -> None:
    found = log_in(make_spec(engine, front))
    assert (*ends(found), found.message) == (Outcome.OK, Reason.OK, "query", "the query answered")
    assert front.faults == [""]


def test_temporary_keys_are_a_login(engine: str, front: Front, log_in: Log) -> None:
    front.account = TEMPORARY
    auth = {**AWS, "sessionToken": {"env": "C"}}
    assert log_in(make_spec(engine, front, auth=auth), TEMPORARY).reason is Reason.OK
    assert front.faults == [""]
    assert len(front.tokens[0]) > 1000  # more than one byte can count


@pytest.mark.parametrize(
    ("given", "auth", "fault"),
    [
        pytest.param({"access_key": "AKIAOTHER"}, {}, "access key", id="access-key"),
        pytest.param({"secret_key": "other"}, {}, "signature", id="secret-key"),
        pytest.param(
            {"session_token": "other"},
            {"sessionToken": {"env": "C"}},
            "session token",
            id="session",
        ),
        pytest.param({}, {"region": "eu-west-1"}, "region", id="region"),
        pytest.param({}, {"username": "secure"}, "user", id="user"),
    ],
)
def test_each_wrong_piece_of_the_login_is_refused(  # noqa: PLR0917  # fixtures and cases
    engine: str,
    front: Front,
    log_in: Log,
    given: dict[str, Any],
    auth: JsonObject,
    fault: str,
) -> None:
    wrong = replace(KEYS, **given)
    found = log_in(make_spec(engine, front, auth={**AWS, **auth}), wrong)
    assert ends(found) == (Outcome.FAILED, Reason.AUTH_FAILED, "auth")
    assert found.message.startswith(f"{REFUSED} (")
    assert found.hint == HINT
    assert front.faults == [fault]


@pytest.mark.parametrize(
    ("account", "now", "fault"),
    [
        pytest.param({"host": "other.test"}, timedelta(), "endpoint", id="host"),
        pytest.param({"port": 1}, timedelta(), "endpoint", id="port"),
        pytest.param({}, timedelta(minutes=15), "expired", id="late"),
        pytest.param({}, timedelta(minutes=-6), "not yet", id="early"),
        pytest.param({"session_token": "x"}, timedelta(), "session token", id="no-session"),
    ],
)
def test_a_token_of_another_place_or_time_is_refused(  # noqa: PLR0917  # fixtures and cases
    engine: str,
    front: Front,
    log_in: Log,
    account: dict[str, Any],
    now: timedelta,
    fault: str,
) -> None:
    front.account = replace(KEYS, **account)
    front.now = lambda: NOW + now
    found = log_in(make_spec(engine, front))
    assert ends(found) == (Outcome.FAILED, Reason.AUTH_FAILED, "auth")
    assert front.faults == [fault]


def test_a_token_is_good_for_a_quarter_of_an_hour(engine: str, front: Front, log_in: Log) -> None:
    front.now = lambda: NOW + timedelta(minutes=14, seconds=59)
    assert log_in(make_spec(engine, front)).reason is Reason.OK


@contextmanager
def hop(kind: str) -> Iterator[JsonObject]:
    """Gives the block of a hop that knows where `FAR` is, which this machine does not."""
    hosts = {FAR: "127.0.0.1"}
    if kind == "ssh":
        with ssh_server(hosts=hosts) as ssh:
            yield {"ssh": ssh_block(ssh)}
            assert len(ssh.targets) == 1
    else:
        with proxy_server(kind, logins={"report": PROXY_PASSWORD}, hosts=hosts) as proxy:
            yield {"proxy": proxy_block(proxy, kind)}
            assert len(proxy.targets) == 1


@pytest.mark.parametrize("kind", ["ssh", "http", "socks5"])
def test_a_token_names_the_server_at_the_other_end_of_the_way(
    engine: str, front: Front, log_in: Log, kind: str
) -> None:
    front.account = replace(KEYS, host=FAR)
    with hop(kind) as block:
        found = log_in(make_spec(engine, front, host=FAR, **block))
    assert found.reason is Reason.OK
    assert front.tokens[0].startswith(f"{FAR}:{front.port}/?Action=connect&DBUser=report&")


def test_a_token_names_the_server_that_the_certificate_is_for(
    engine: str, front: Front, log_in: Log
) -> None:
    tls = {**make_spec(engine, front)["tls"], "serverName": "localhost"}
    assert log_in(make_spec(engine, front, host="127.0.0.1", tls=tls)).reason is Reason.OK
    assert front.faults == [""]


def test_keys_of_the_environment_and_of_the_home_folder_are_not_used(
    engine: str,
    front: Front,
    log_in: Log,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {
        "aws_access_key_id": KEYS.access_key,
        "aws_secret_access_key": KEYS.secret_key,
        "aws_region": KEYS.region,
    }
    for name, value in keys.items():
        monkeypatch.setenv(name.upper(), value)
    file = tmp_path / "credentials"
    file.write_text("[default]\n" + "".join(f"{key} = {keys[key]}\n" for key in keys))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    found = log_in(make_spec(engine, front), replace(KEYS, secret_key="other"))
    assert found.reason is Reason.AUTH_FAILED
    assert front.faults == ["signature"]


def test_a_server_that_is_not_verified_is_sent_nothing(
    engine: str, front: Front, log_in: Log
) -> None:
    for mode in ("require", "disable"):
        found = log_in(make_spec(engine, front, tls={"mode": mode}))
        assert (*ends(found), found.message) == (
            Outcome.FAILED,
            Reason.PROTOCOL_ERROR,
            "auth",
            "`awsIam` sends its token as it is, and the server would not be verified",
        )
    assert front.peer is not None
    assert front.peer.connections == 0


def test_a_server_of_another_authority_is_sent_nothing(
    engine: str, front: Front, log_in: Log
) -> None:
    tls = {"mode": "verify-full", "ca": {"file": Authority().pem}}
    found = log_in(make_spec(engine, front, tls=tls))
    assert ends(found) == (Outcome.FAILED, Reason.TLS_FAILURE, "tls")
    assert front.tokens == []


def test_a_server_without_tls_is_sent_nothing(engine: str, log_in: Log) -> None:
    def greet(client: Conversation) -> None:
        if engine == "postgresql":
            client.postgresql_start()
            client.send(b"N")
        else:
            client.mysql_send(0, sql_peers.mysql_greeting(has_tls=False))
        client.wait()

    with sql_peer(greet, at_once=True) as peer:
        front = Front(account=KEYS, now=lambda: NOW, authority=Authority(), peer=peer)
        found = log_in(make_spec(engine, front))
    assert ends(found) == (Outcome.FAILED, Reason.TLS_FAILURE, "tls")
    assert b"X-Amz" not in peer.received


@contextmanager
def lone(engine: str, script: Any) -> Iterator[Front]:
    """Gives a front without a database: `script` goes on once TLS is spoken and the user named."""
    authority = Authority()
    context = authority.server_context("localhost")

    def greet(client: Conversation) -> None:
        if engine == "postgresql":
            client.postgresql_start()
            client.send(b"S")
            client.start_tls(context)
            client.postgresql_start()
        else:
            client.mysql_send(0, sql_peers.mysql_greeting(has_tls=True))
            client.mysql_packet()
            client.start_tls(context)
            client.mysql_packet()
        script(client)

    with sql_peer(greet) as peer:
        yield Front(account=KEYS, now=lambda: NOW, authority=authority, peer=peer)


@pytest.mark.parametrize("plugin", ["caching_sha2_password", "mysql_native_password"])
def test_a_server_that_checks_a_password_itself_is_sent_nothing(
    engine: str, log_in: Log, plugin: str
) -> None:
    def ask(client: Conversation) -> None:
        if engine == "postgresql":
            hashing = {"caching_sha2_password": "SCRAM", "mysql_native_password": "MD5"}[plugin]
            client.send(getattr(sql_peers, f"POSTGRESQL_{hashing}"))
        else:
            client.mysql_send(3, b"\xfe" + plugin.encode() + b"\0saltsaltsaltsaltsalt\0")
        client.wait()

    with lone(engine, ask) as front:
        found = log_in(make_spec(engine, front))
        assert front.peer is not None
        received = bytes(front.peer.received)
    hints = {
        "postgresql": "let the user log in with tokens: `GRANT rds_iam TO` the user",
        "mysql": (
            "let the user log in with tokens: `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'`"
        ),
    }
    assert (*ends(found), found.message, found.hint) == (
        Outcome.FAILED,
        Reason.PROTOCOL_ERROR,
        "auth",
        "the server checks a password itself and takes no token; nothing was sent",
        hints["postgresql" if engine == "postgresql" else "mysql"],
    )
    assert b"X-Amz" not in received


def test_a_token_that_a_server_repeats_is_good_for_nothing(engine: str, log_in: Log) -> None:
    sent: list[str] = []

    def parrot(client: Conversation) -> None:
        if engine == "postgresql":
            client.send(sql_peers.POSTGRESQL_CLEARTEXT)
            sent.append(client.postgresql_message().rstrip(b"\0").decode())
            client.send(sql_peers.postgresql_error("28000", sent[0].encode()))
        else:
            client.mysql_send(3, b"\xfemysql_clear_password\0")
            sent.append(client.mysql_packet().rstrip(b"\0").decode())
            client.mysql_send(5, sql_peers.mysql_error(1045, "28000", sent[0].encode()))

    with lone(engine, parrot) as front:
        auth = {**AWS, "sessionToken": {"env": "C"}}
        found = log_in(make_spec(engine, front, auth=auth), TEMPORARY)
    assert found.reason is Reason.AUTH_FAILED
    assert "&X-Amz-Credential=***%2F2" in found.message
    assert found.message.endswith(
        "&X-Amz-Expires=900&X-Amz-Security-Token=***&X-Amz-SignedHeaders=host&X-Amz-Signature=***)"
    )
    shown = repr(found)
    for secret in (KEYS.access_key, KEYS.secret_key, "IQoJb3Jp", sent[0][-64:]):
        assert secret not in shown


def test_a_token_is_of_the_time_of_its_login(engine: str, front: Front, log_in: Log) -> None:
    log_in(make_spec(engine, front))
    assert f"&X-Amz-Date={NOW:%Y%m%dT%H%M%SZ}&X-Amz-Expires=900&" in front.tokens[0]
