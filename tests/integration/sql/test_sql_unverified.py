"""Logins that send what an impostor could use, at servers that would prove nothing.

Their manifests are refused; these specs are as a state may hold them from before that rule.
"""

from __future__ import annotations

import socket

import pytest

from reconciler.model import JsonObject, Outcome, Reason
from tests.servers.sql_specs import CheckWith, names_of, password_of, peer_spec

KEY_PAIR = {"method": "keyPair", "username": "REPORT", "account": "A", "key": {"env": "KEY"}}
TOKEN = {"method": "accessToken", "token": {"env": "TOKEN"}}
ACCOUNT = {"method": "serviceAccount", "key": {"env": "KEY"}}
DIRECTORY = {**password_of("report"), "method": "ldap"}
SECRETS = {"key": "no key, and nobody reads it", "token": "token-4711", "password": "pass-4711"}


@pytest.mark.parametrize("mode", ["require", "disable"])
@pytest.mark.parametrize(
    ("engine", "auth", "words"),
    [
        ("snowflake", KEY_PAIR, "`keyPair` sends its token"),
        ("snowflake", TOKEN, "`accessToken` sends its token"),
        ("databricks", TOKEN, "`accessToken` sends its token"),
        ("bigquery", ACCOUNT, "`serviceAccount` sends its token"),
        ("postgresql", DIRECTORY, "`ldap` sends the password"),
        ("mariadb", DIRECTORY, "`ldap` sends the password"),
        ("vertica", DIRECTORY, "`ldap` sends the password"),
    ],
)
def test_a_server_that_would_not_be_verified_is_not_contacted(
    check_with: CheckWith, engine: str, auth: JsonObject, words: str, mode: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = check_with(peer_spec(engine, port, mode, auth=auth, options={}), **SECRETS)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)
    assert names_of(found) == ("secret", "auth")
    assert found.message == f"{words} as it is, and the server would not be verified"
    assert found.hint == "verify the server: `tls: {mode: verify-full}`"
