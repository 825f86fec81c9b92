from __future__ import annotations

from typing import Any

import pytest

from reconciler import kinds
from reconciler.kinds import api
from reconciler.model import Endpoint, Path

BEARER = {"method": "bearer", "token": {"env": "TOKEN"}}


def make_spec(**changes: Any) -> dict[str, Any]:
    return {"baseUrl": "https://api.example.com"} | changes


def found(**changes: Any) -> list[tuple[str, Path]]:
    return [(finding.code, finding.path) for finding in api.checks(make_spec(**changes))]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="least"),
        pytest.param({"headers": {"Accept": "application/json"}}, id="ordinary-header"),
        pytest.param(
            {"headers": {"Idempotency-Key": "a", "X-Author": "b"}}, id="like-a-credential"
        ),
        pytest.param({"auth": BEARER}, id="token-over-tls"),
        pytest.param({"baseUrl": "http://localhost:1", "auth": BEARER}, id="token-on-this-machine"),
        pytest.param({"baseUrl": "http://api.example.com"}, id="plain-without-credential"),
        pytest.param({"tls": {"verify": True}}, id="verified"),
        pytest.param({"baseUrl": "https://[::1]", "tls": {"verify": False}}, id="loopback"),
        pytest.param({"health": {"path": "/ping?verbose=1"}}, id="path-with-parameter"),
        pytest.param({"health": {"expect": {"status": [204, "200-200"]}}}, id="range-of-one"),
        pytest.param({"health": {"method": "HEAD", "expect": {"status": [200]}}}, id="head"),
    ],
)
def test_a_sound_spec_has_no_findings(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "X-Api-Key",
        "apikey",
        "X-Auth",
        "X-Auth-Key",
        "X-Auth-Token",
        "X-Client-Secret",
        "X-Password",
        "Ocp-Apim-Subscription-Key",
        "X-Amz-Signature",
    ],
)
def test_a_credential_in_the_headers_is_refused_by_its_name(name: str) -> None:
    assert found(headers={name: "x"}) == [("E304", ("headers", name))]


def test_a_credential_in_the_headers_is_refused_by_its_value() -> None:
    assert list(api.checks(make_spec(headers={"X-Login": "Bearer hunter2"}))) == [
        kinds.Finding(
            code="E304",
            path=("headers", "X-Login"),
            message="the header `X-Login` carries a credential",
            hint="use `auth: {method: headers, headers: {X-Login: {env: NAME}}}`",
        )
    ]


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "Connection", "TE"]
)
def test_a_header_of_the_transport_is_refused(name: str) -> None:
    assert found(headers={name: "x"}) == [("E118", ("headers", name))]


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\0", "\u00e9", "a\x7f"])
def test_a_header_value_that_cannot_be_sent_is_refused(value: str) -> None:
    assert found(headers={"X-Note": value}) == [("E118", ("headers", "X-Note"))]


def test_a_header_given_twice_is_refused() -> None:
    assert found(headers={"Accept": "a", "accept": "b"}) == [("E118", ("headers", "accept"))]


@pytest.mark.parametrize(
    "auth",
    [
        {"method": "apiKey", "name": "X-Team", "value": {"env": "A"}},
        {"method": "headers", "headers": {"x-team": {"env": "A"}}},
    ],
    ids=["apiKey", "headers"],
)
def test_a_header_that_authentication_sends_is_refused(auth: dict[str, Any]) -> None:
    assert found(auth=auth, headers={"X-TEAM": "a"}) == [("E118", ("headers", "X-TEAM"))]


def test_a_key_in_the_query_leaves_the_header_of_its_name_free() -> None:
    auth = {"method": "apiKey", "in": "query", "name": "X-Team", "value": {"env": "A"}}
    assert found(auth=auth, headers={"X-Team": "a"}) == []


def test_a_wrong_base_url_is_found_with_everything_else() -> None:
    assert found(
        baseUrl="https://api.example.com/?api_key=hunter2",
        headers={"Cookie": "a"},
        health={"path": "/ping?token=x", "expect": {"status": ["299-200"]}, "timeout": "1h"},
        timeout={"connect": "1ms", "total": "2h"},
    ) == [
        ("E305", ("baseUrl",)),
        ("E304", ("headers", "Cookie")),
        ("E305", ("health", "path")),
        ("E107", ("health", "expect", "status", 0)),
        ("E107", ("timeout", "connect")),
        ("E107", ("timeout", "total")),
        ("E107", ("health", "timeout")),
    ]


def test_a_duration_out_of_bounds_names_the_bounds() -> None:
    assert list(api.checks(make_spec(health={"interval": "500ms"}))) == [
        kinds.Finding(
            code="E107", path=("health", "interval"), message="`interval` is not from 1s to 30d"
        )
    ]


def test_a_body_cannot_be_expected_of_head() -> None:
    health = {"method": "HEAD", "expect": {"json": {"/a": 1}, "text": "ok"}}
    assert found(health=health) == [
        ("E113", ("health", "expect", "json")),
        ("E113", ("health", "expect", "text")),
    ]


def test_a_credential_over_plain_http_is_a_warning() -> None:
    assert found(baseUrl="http://api.example.com", auth=BEARER) == [("W202", ("baseUrl",))]


def test_an_unverified_certificate_is_a_warning() -> None:
    assert found(tls={"verify": False}) == [("W201", ("tls", "verify"))]


def test_the_endpoint_says_where_and_as_whom() -> None:
    spec = kinds.shape("ApiConnection").normalise(
        {
            "spec": {
                "baseUrl": "https://API.example.com:8443/v2",
                "auth": {"method": "basic", "username": "report", "password": {"env": "A"}},
            }
        }
    )["spec"]
    assert api.endpoint(spec) == Endpoint(
        scheme="https",
        host="api.example.com",
        port=8443,
        text="https://API.example.com:8443/v2",
        method="basic",
        username="report",
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", ""),
        ("/customers?page=2", ""),
        ("customers", "does not begin with `/`, or has a character that no request can carry"),
        ("/a b", "does not begin with `/`, or has a character that no request can carry"),
        ("/a#b", "does not begin with `/`, or has a character that no request can carry"),
        ("/a?token=1", "carries a credential in its parameter `token`"),
    ],
)
def test_a_path_of_a_request_is_judged(path: str, why: str) -> None:
    assert api.path_problem(path) == why


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("Accept", "text/plain", ""),
        ("Cookie", "a=b", "carries a credential"),
        ("X-Own", "Bearer a", "carries a credential"),
        ("Host", "a", "is set by the transport"),
        ("X-Own", "a\nb", "has a character that none can carry"),
    ],
)
def test_a_header_of_a_request_is_judged(name: str, value: str, why: str) -> None:
    assert api.header_problem(name, value) == why
