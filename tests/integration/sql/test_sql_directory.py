"""`ldap` logins at a real PostgreSQL server that asks a real directory, OpenLDAP's slapd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from tests.servers import slapd
from tests.servers.certificates import Authority
from tests.servers.postgresql import PostgresServer, start_postgresql
from tests.servers.slapd import Directory, start_slapd
from tests.servers.sql_specs import Check, names_of

pytestmark = pytest.mark.server

SERVERS = Authority()
#: With what a directory must cope: what LDIF, DNs and shells would quote, and a letter of Latin-2.
PASSWORD = "r'ig\"ht, ł=+;\\%"
REPORT = f"uid=report,{slapd.PEOPLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A PostgreSQL server with TLS, and the directory that it asks."""

    server: PostgresServer
    directory: Directory

    def spec(self, username: str, **changes: Json) -> JsonObject:
        reference = {"env": "DB_PASSWORD"}
        return {
            "engine": "postgresql",
            "host": self.server.host,
            "port": self.server.port,
            "database": "postgres",
            "auth": {"method": "ldap", "username": username, "password": reference},
            "tls": {"mode": "verify-full", "ca": {"file": SERVERS.pem}},
            **changes,
        }


def rules(port: int) -> str:
    """Returns those of `pg_hba.conf`: two roles by a simple bind, `clerk` by search and bind."""
    ldap = f"ldap ldapserver={slapd.HOST} ldapport={port}"
    searched = (
        f'ldapbasedn="{slapd.PEOPLE}" ldapsearchattribute=uid'
        f' ldapbinddn="{slapd.SEARCHER}" ldapbindpasswd="{slapd.SEARCHER_PASSWORD}"'
    )
    simple = f'ldapprefix="uid=" ldapsuffix=",{slapd.PEOPLE}"'
    return (
        f"hostssl all report,stranger 127.0.0.1/32 {ldap} {simple}\n"
        f"hostssl all clerk 127.0.0.1/32 {ldap} {searched}\n"
        "host all all 127.0.0.1/32 scram-sha-256\n"
    )


@contextmanager
def start_place(folder: Path, *, has_tls: bool = True) -> Iterator[Place]:
    own = SERVERS.server("localhost", "127.0.0.1")
    certificate, key = folder / "server.crt", folder / "server.key"
    certificate.write_text(own.certificate)
    key.write_text(own.key)
    people = {"report": PASSWORD, "clerk": "right"}
    with (
        start_slapd(people=people) as directory,
        start_postgresql(
            certificate=certificate if has_tls else None, key=key, rules=rules(directory.port)
        ) as server,
    ):
        for role in (*people, "stranger"):
            server.execute(f"CREATE ROLE {role} LOGIN")
        server.execute("CREATE ROLE own LOGIN PASSWORD 'right'")
        yield Place(server=server, directory=directory)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with start_place(tmp_path_factory.mktemp("directory")) as found:
        yield found


def refusal(username: str) -> tuple[str, str]:
    """Returns message and hint, which the server's own words allow no better."""
    message = "the directory refuses the user name or the password, or does not answer the server"
    return (
        f'{message} (28000: LDAP authentication failed for user "{username}")',
        "check `auth.username` and the secret of `auth.password`; the server's log knows which",
    )


def ends(found: Observation) -> tuple[Outcome, Reason, str]:
    return found.outcome, found.reason, names_of(found)[-1]


def test_the_password_of_a_directory_is_a_login(place: Place, check: Check) -> None:
    before = place.directory.binds(REPORT)
    found = check(place.spec("report"), PASSWORD)
    assert (*ends(found), found.message) == (Outcome.OK, Reason.OK, "query", "the query answered")
    assert place.directory.binds(REPORT) == before + 1


def test_a_server_may_look_for_the_user_first(place: Place, check: Check) -> None:
    before = place.directory.binds(slapd.SEARCHER)
    assert check(place.spec("clerk"), "right").reason is Reason.OK
    assert place.directory.binds(slapd.SEARCHER) == before + 1


@pytest.mark.parametrize(
    ("username", "name"),
    [
        pytest.param("report", REPORT, id="simple-bind"),
        pytest.param("clerk", f"uid=clerk,{slapd.PEOPLE}", id="search-and-bind"),
    ],
)
def test_a_password_that_the_directory_refuses_is_a_failed_login(
    place: Place, check: Check, username: str, name: str
) -> None:
    before = place.directory.binds(name)
    found = check(place.spec(username), "wrong")
    assert ends(found) == (Outcome.FAILED, Reason.AUTH_FAILED, "auth")
    assert (found.message, found.hint) == refusal(username)
    assert place.directory.binds(name) == before + 1


def test_a_user_whom_the_directory_does_not_know_is_a_failed_login(
    place: Place, check: Check
) -> None:
    found = check(place.spec("stranger"), PASSWORD)
    assert (*ends(found), found.message) == (
        Outcome.FAILED,
        Reason.AUTH_FAILED,
        "auth",
        refusal("stranger")[0],
    )


def test_a_directory_that_is_down_is_what_the_server_says_it_is(
    tmp_path: Path, check: Check
) -> None:
    with start_place(tmp_path) as place:
        assert check(place.spec("report"), PASSWORD).reason is Reason.OK
        place.directory.stop()
        found = check(place.spec("report"), PASSWORD)
        log = place.server.log_path.read_text()
    assert ends(found) == (Outcome.FAILED, Reason.AUTH_FAILED, "auth")
    assert (found.message, found.hint) == refusal("report")
    assert "Can't contact LDAP server" in log  # as the hint says


def test_a_server_without_tls_is_sent_nothing(tmp_path: Path, check: Check) -> None:
    with start_place(tmp_path, has_tls=False) as place:
        found = check(place.spec("report"), PASSWORD)
        assert place.directory.binds(REPORT) == 0
        assert place.server.failed_logins() == 0
    assert (*ends(found), found.message) == (
        Outcome.FAILED,
        Reason.TLS_FAILURE,
        "tls",
        "the server offers no TLS; nothing was sent",
    )


def test_a_server_of_another_authority_is_sent_nothing(place: Place, check: Check) -> None:
    before = place.directory.binds(REPORT)
    tls = {"mode": "verify-full", "ca": {"file": Authority().pem}}
    found = check(place.spec("report", tls=tls), PASSWORD)
    assert ends(found) == (Outcome.FAILED, Reason.TLS_FAILURE, "tls")
    assert place.directory.binds(REPORT) == before


def test_a_server_that_checks_the_password_itself_is_sent_nothing(
    place: Place, check: Check
) -> None:
    found = check(place.spec("own"), "right")
    assert (*ends(found), found.message, found.hint) == (
        Outcome.FAILED,
        Reason.PROTOCOL_ERROR,
        "auth",
        "the server checks the password itself and asks no directory; nothing was sent",
        "use `auth: {method: password}`",
    )
    assert place.server.failed_logins("own") == 0
