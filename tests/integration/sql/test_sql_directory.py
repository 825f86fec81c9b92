"""`ldap` logins at a real PostgreSQL server that asks a real directory, OpenLDAP's slapd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model import Json, JsonObject, Observation, Outcome, Reason
from tests.servers import slapd
from tests.servers.certificates import Authority
from tests.servers.directory import PASSWORD, REPORT, Place, start_place
from tests.servers.sql_specs import Check, names_of

pytestmark = pytest.mark.server


def make_spec(place: Place, username: str, **changes: Json) -> JsonObject:
    return {
        "engine": "postgresql",
        "host": place.server.host,
        "port": place.server.port,
        "database": "postgres",
        "auth": {"method": "ldap", "username": username, "password": {"env": "DB_PASSWORD"}},
        "tls": place.tls,
        **changes,
    }


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
    found = check(make_spec(place, "report"), PASSWORD)
    assert (*ends(found), found.message) == (Outcome.OK, Reason.OK, "query", "the query answered")
    assert place.directory.binds(REPORT) == before + 1


def test_a_server_may_look_for_the_user_first(place: Place, check: Check) -> None:
    before = place.directory.binds(slapd.SEARCHER)
    assert check(make_spec(place, "clerk"), "right").reason is Reason.OK
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
    found = check(make_spec(place, username), "wrong")
    assert ends(found) == (Outcome.FAILED, Reason.AUTH_FAILED, "auth")
    assert (found.message, found.hint) == refusal(username)
    assert place.directory.binds(name) == before + 1


def test_a_user_whom_the_directory_does_not_know_is_a_failed_login(
    place: Place, check: Check
) -> None:
    found = check(make_spec(place, "stranger"), PASSWORD)
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
        assert check(make_spec(place, "report"), PASSWORD).reason is Reason.OK
        place.directory.stop()
        found = check(make_spec(place, "report"), PASSWORD)
        log = place.server.log_path.read_text()
    assert ends(found) == (Outcome.FAILED, Reason.AUTH_FAILED, "auth")
    assert (found.message, found.hint) == refusal("report")
    assert "Can't contact LDAP server" in log  # as the hint says


def test_a_server_without_tls_is_sent_nothing(tmp_path: Path, check: Check) -> None:
    with start_place(tmp_path, has_tls=False) as place:
        found = check(make_spec(place, "report"), PASSWORD)
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
    found = check(make_spec(place, "report", tls=tls), PASSWORD)
    assert ends(found) == (Outcome.FAILED, Reason.TLS_FAILURE, "tls")
    assert place.directory.binds(REPORT) == before


def test_a_server_that_checks_the_password_itself_is_sent_nothing(
    place: Place, check: Check
) -> None:
    found = check(make_spec(place, "own"), "right")
    assert (*ends(found), found.message, found.hint) == (
        Outcome.FAILED,
        Reason.PROTOCOL_ERROR,
        "auth",
        "the server checks the password itself and asks no directory; nothing was sent",
        "use `auth: {method: password}`",
    )
    assert place.server.failed_logins("own") == 0
