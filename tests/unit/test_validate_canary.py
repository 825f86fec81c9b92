"""A secret in the wrong place of a manifest is shown by no finding, wherever it was put."""

from __future__ import annotations

import pytest

from tests import checking

CANARY = "hunter2-Zx9vQ"

API = """\
apiVersion: reconciler/v1
kind: ApiConnection
metadata:
  name: crm
spec:
  baseUrl: https://crm.example.com
"""
SQL = """\
apiVersion: reconciler/v1
kind: SqlConnection
metadata:
  name: orders
spec:
  engine: postgresql
  host: db.internal
  database: orders
"""

#: Lines of a spec that each hold the canary, by what was done wrong.
API_LINES = {
    "bearer token": "auth: {method: bearer, token: CANARY}",
    "bearer token in block style": "auth:\n    method: bearer\n    token: CANARY",
    "bearer token on its own line": "auth:\n    method: bearer\n    token:\n      CANARY",
    "bearer token as a block": "auth:\n    method: bearer\n    token: |\n      CANARY",
    "basic password": "auth: {method: basic, username: a, password: CANARY}",
    "login as user name": "auth: {method: basic, username: 'a:CANARY', password: {env: A}}",
    "key value": "auth: {method: apiKey, in: query, name: key, value: CANARY}",
    "header secret": "auth: {method: headers, headers: {X-Key: CANARY}}",
    "header secrets as text": "auth: {method: headers, headers: CANARY}",
    "header secrets as a list": "auth: {method: headers, headers: ['X-Key: CANARY']}",
    "secret in a list": "auth: {method: bearer, token: [CANARY]}",
    "secret as a key": "auth: {method: bearer, token: {CANARY}}",
    "secret as a key in block style": "auth:\n    method: bearer\n    token:\n      CANARY:",
    "secret under an unknown source": "auth: {method: bearer, token: {value: CANARY}}",
    "secret beside a source": "auth: {method: bearer, token: {env: A, value: CANARY}}",
    "secret deeper in a source": "auth: {method: bearer, token: {env: {value: CANARY}}}",
    "secret as an invalid path": 'auth: {method: bearer, token: {file: "CANARY\\n"}}',
    "secret as an invalid name": "auth: {method: bearer, token: {env: CANARY}}",
    "secret in place of the block": "auth: CANARY",
    "secret in a list in place of the block": "auth: [CANARY]",
    "secret without a method": "auth: {token: CANARY}",
    "secret of an unknown method": "auth: {method: oauth2, clientSecret: CANARY}",
    "secret of another method": "auth: {method: none, token: CANARY}",
    "unknown field": "apiKey: CANARY",
    "unknown field deeper": "auth: {method: bearer, tokn: CANARY}",
    "unknown mapping": "credentials: {password: CANARY, list: [CANARY]}",
    "unknown field beside a mistake": "timeout: {connect: 5, secret: CANARY}",
    "credential header": "headers: {Authorization: Bearer CANARY}",
    "any header": "headers: {X-Team: CANARY}\n  tls: {verify: 1}",
    "any header on the line of a mistake": "headers: {X-Team: CANARY, X-Count: 1}",
    "headers as text": "headers: CANARY",
    "header with a line break": 'headers: {X-Team: "a\\nX-Key: CANARY"}',
    "query of the health path": "health: {path: '/ping?token=CANARY'}",
    "text in place of a number": "health: {suspendAfter: CANARY}",
    "text in place of a truth value": "tls: {verify: CANARY}",
    "text in place of a mapping": "timeout: CANARY",
    "text in place of a list": "health: {expect: {status: CANARY}}",
    "expected text of the wrong type": "health: {expect: {text: [CANARY]}}",
    "expected value": "health: {expect: {json: {status: CANARY}}}",
    "duplicate key": "headers: {A: CANARY}\n  headers: {A: CANARY}",
    "tag": "auth: {method: bearer, token: !secret CANARY}",
    "undefined alias": "auth: {method: bearer, token: *CANARY}",
    "syntax": "auth: {password: CANARY: x}",
    "syntax in block style": "auth:\n    token: CANARY: x",
    "missing end of quotes": "auth: {method: bearer, token: 'CANARY}",
    "conflict marker": "auth:\n<<<<<<< CANARY\n    token: CANARY\n=======\n>>>>>>> CANARY",
    "control character": 'auth: {method: bearer, token: "CANARY\\0"}',
    "text that YAML 1.1 reads otherwise": "auth: {method: bearer, token: CANARY}\n  no: CANARY",
}
SQL_LINES = {
    "password": "auth: {method: password, username: a, password: CANARY}",
    "password in block style": "auth:\n    method: password\n    username: a\n    password: CANARY",
    "host with a login": "pool: {size: 0}\n---\nspec: {host: 'a:CANARY@db'}",
    "driver option": "options: {password: CANARY}",
    "query with a literal": "health: {query: \"drop user 'CANARY'\"}",
    "text in place of a port": "port: CANARY",
}


def shown(text: str) -> str:
    found = checking.check(text.replace("CANARY", CANARY)).diagnostics
    assert found
    return "\n".join(map(checking.screen, found))


@pytest.mark.parametrize("case", API_LINES)
def test_api_manifest_with_a_misplaced_secret_shows_it_nowhere(case: str) -> None:
    assert CANARY not in shown(f"{API}  {API_LINES[case]}\n")


@pytest.mark.parametrize("case", SQL_LINES)
def test_sql_manifest_with_a_misplaced_secret_shows_it_nowhere(case: str) -> None:
    assert CANARY not in shown(f"{SQL}  {SQL_LINES[case]}\n")


@pytest.mark.parametrize(
    "url",
    [
        "https://reader:CANARY@crm.example.com",
        "https://crm.example.com/?api_key=CANARY",
        "https://crm.example.com/#CANARY",
        "ftp://CANARY@crm.example.com",
        "CANARY",
        "https://crm.example.com/ CANARY",
        "http://crm.example.com:CANARY/",
    ],
)
def test_url_with_a_secret_in_it_is_not_shown(url: str) -> None:
    assert CANARY not in shown(API.replace("https://crm.example.com", f'"{url}"'))


def test_secret_on_the_line_of_another_mistake_is_not_shown() -> None:
    text = (
        "{apiVersion: reconciler/v1, kind: SqlConnection, metadata: {name: a},"
        " spec: {engine: mysql, host: 'u:CANARY@h', database: CANARY, port: 0,"
        " auth: {method: password, username: u,"
        " password: CANARY}, token: CANARY}}"
    )
    assert CANARY not in shown(text)
