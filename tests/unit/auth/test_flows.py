from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.auth import ApiAuth, exchange
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.errors import SecretError
from reconciler.redact import Secret

AUTH: TypeAdapter[Any] = TypeAdapter(ApiAuth)
PLAIN = Request(method="GET", url="https://api.example.com/ping", headers=(("Accept", "*/*"),))
MOMENT = Moment(now=datetime(2026, 3, 1, 12, tzinfo=UTC), nonce=lambda: "n0nce")

BASIC = {"method": "basic", "username": "report", "password": {"env": "A"}}
BEARER = {"method": "bearer", "token": {"env": "A"}}
HEADERS = {"method": "headers", "headers": {"X-Id": {"env": "A"}, "X-Key": {"env": "B"}}}


def api_key(place: str, name: str = "X-Api-Key") -> dict[str, Any]:
    return {"method": "apiKey", "in": place, "name": name, "value": {"env": "A"}}


def authenticated(
    auth: dict[str, Any], secrets: dict[str, str], request: Request = PLAIN
) -> Request:
    flow = AUTH.validate_python(auth).flow(
        request, {f"/auth/{name}": Secret(value) for name, value in secrets.items()}, MOMENT
    )
    sent: Request = next(flow)
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))
    return sent


def test_no_authentication_sends_the_request_as_it_is() -> None:
    assert authenticated({"method": "none"}, {}) == PLAIN


def test_basic_sends_user_name_and_password_in_utf_8() -> None:
    # the example of RFC 7617, section 2.1: "test" and "123" with a pound sign
    auth = {**BASIC, "username": "test"}
    assert authenticated(auth, {"password": "123\u00a3"}).headers == (
        ("Accept", "*/*"),
        ("Authorization", "Basic dGVzdDoxMjPCow=="),
    )


def test_bearer_sends_the_token() -> None:
    assert authenticated(BEARER, {"token": "mF_9.B5f-4.1JqM"}).headers == (
        ("Accept", "*/*"),
        ("Authorization", "Bearer mF_9.B5f-4.1JqM"),
    )


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        pytest.param({"prefix": "Token"}, ("Authorization", "Token t1"), id="other prefix"),
        pytest.param({"prefix": ""}, ("Authorization", "t1"), id="no prefix"),
        pytest.param(
            {"header": "X-Vault-Token", "prefix": ""}, ("X-Vault-Token", "t1"), id="other header"
        ),
    ],
)
def test_bearer_sends_the_token_as_the_api_wants_it(
    changes: dict[str, str], header: tuple[str, str]
) -> None:
    assert authenticated({**BEARER, **changes}, {"token": "t1"}).headers[1] == header


@pytest.mark.parametrize("prefix", ["Bearer ", " x", "a  b", "a\r\nb", "Bearer:"])
def test_a_prefix_is_words_and_nothing_else(prefix: str) -> None:
    with pytest.raises(ValidationError):
        AUTH.validate_python({**BEARER, "prefix": prefix})


def test_an_api_key_goes_into_its_header() -> None:
    assert authenticated(api_key("header"), {"value": "k1"}).headers == (
        ("Accept", "*/*"),
        ("X-Api-Key", "k1"),
    )


def test_an_api_key_goes_url_encoded_into_the_query() -> None:
    sent = authenticated(api_key("query", "key"), {"value": "a&b=c /\u00e9"})
    assert sent.url == "https://api.example.com/ping?key=a%26b%3Dc%20%2F%C3%A9"
    assert sent.headers == PLAIN.headers


def test_an_api_key_joins_a_query_that_is_there() -> None:
    request = Request(method="GET", url="https://api.example.com/ping?deep=1")
    sent = authenticated(api_key("query", "key"), {"value": "k1"}, request)
    assert sent.url == "https://api.example.com/ping?deep=1&key=k1"


def test_an_api_key_goes_into_a_cookie() -> None:
    assert authenticated(api_key("cookie", "session"), {"value": "k1"}).headers == (
        ("Accept", "*/*"),
        ("Cookie", "session=k1"),
    )


def test_secret_headers_are_all_sent() -> None:
    assert authenticated(HEADERS, {"headers/X-Id": "id", "headers/X-Key": "key"}).headers == (
        ("Accept", "*/*"),
        ("X-Id", "id"),
        ("X-Key", "key"),
    )


def test_a_header_of_the_credential_replaces_one_of_the_same_name() -> None:
    request = Request(method="GET", url="https://a", headers=(("x-api-key", "old"), ("A", "b")))
    assert authenticated(api_key("header"), {"value": "new"}, request).headers == (
        ("A", "b"),
        ("X-Api-Key", "new"),
    )


@pytest.mark.parametrize(
    "value",
    ["hunter2\r\nX: y", "hunter2\n", "hunter2\0", "hunter2\x7f", "hunter2\u20ac"],
    ids=["crlf", "newline", "nul", "delete", "euro"],
)
@pytest.mark.parametrize(
    ("auth", "name"),
    [
        pytest.param(BEARER, "token", id="bearer"),
        pytest.param(api_key("header"), "value", id="header"),
        pytest.param(api_key("cookie"), "value", id="cookie"),
        pytest.param(HEADERS, "headers/X-Id", id="headers"),
    ],
)
def test_a_secret_that_no_header_can_carry_is_named_and_not_shown(
    auth: dict[str, Any], name: str, value: str
) -> None:
    with pytest.raises(SecretError) as refusal:
        authenticated(auth, {name: value})
    assert f"/auth/{name}" in refusal.value.message
    assert "hunter2" not in refusal.value.message + refusal.value.hint
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


@pytest.mark.parametrize("value", ["a;b", "a b", 'a"b', "a,b", "a\\b", "a\u00e9"])
def test_a_secret_that_no_cookie_can_carry_is_refused(value: str) -> None:
    with pytest.raises(SecretError, match=r"^the secret at /auth/value has a character"):
        authenticated(api_key("cookie"), {"value": value})


def test_a_secret_in_latin_1_is_carried_by_a_header() -> None:
    assert authenticated(BEARER, {"token": "caf\u00e9\t1"}).headers[1][1] == "Bearer caf\u00e9\t1"


def test_a_secret_that_was_not_resolved_is_named() -> None:
    with pytest.raises(SecretError, match=r"^the secret at /auth/password was not resolved$"):
        authenticated(BASIC, {})


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a", "/"),
        ("https://a/b?c=d", "/b?c=d"),
        ("https://a/b%20c/\u00e9?x= ", "/b%20c/%C3%A9?x=%20"),
    ],
)
def test_a_target_is_what_is_sent(url: str, target: str) -> None:
    assert exchange.target(url) == target
