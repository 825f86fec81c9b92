"""What comes back from a token server and from the browser."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from reconciler.auth import oauth2_answers
from reconciler.auth.exchange import Response
from reconciler.auth.oauth2_answers import (
    CallbackRefused,
    ConsentRefused,
    Expected,
    TokenRefused,
)
from reconciler.model import Reason, StageName
from tests.unit.auth.test_flows import MOMENT

NOW = MOMENT.now
EXPECTED = Expected(path="/back", state="s1", issuer="")


def answer(data: Any, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(data).encode())


def token(**fields: Any) -> Any:
    return {"access_token": "at-1", "token_type": "Bearer", **fields}


def test_a_token_is_read_whole() -> None:
    found = oauth2_answers.read_token(
        answer(token(expires_in=3600, refresh_token="rt-1", token_type="bearer")), NOW
    )
    assert found.access.reveal() == "at-1"
    assert found.refresh is not None
    assert found.refresh.reveal() == "rt-1"
    assert (found.obtained_at, found.expires_at) == (NOW, NOW + timedelta(seconds=3600))


@pytest.mark.parametrize("refresh", [None, "", 7])
def test_a_refresh_token_may_be_missing(refresh: Any) -> None:
    assert oauth2_answers.read_token(answer(token(refresh_token=refresh)), NOW).refresh is None


@pytest.mark.parametrize(
    ("given", "scopes"),
    [("a b", "ab"), ("a", "a"), ("", None), (" ", None), (None, None), (["a"], None)],
    ids=repr,
)
def test_what_a_token_is_good_for_is_read(given: Any, scopes: str | None) -> None:
    found = oauth2_answers.read_token(answer(token(scope=given)), NOW).scopes
    assert found == (frozenset(scopes) if scopes else None)


def test_a_token_was_taken_back_where_the_server_says_so() -> None:
    oauth2_answers.read_revocation(Response(status=200, body=b""))
    with pytest.raises(TokenRefused) as refused:
        oauth2_answers.read_revocation(answer({"error": "unsupported_token_type"}, 400))
    assert refused.value.error == "unsupported_token_type"


@pytest.mark.parametrize(
    ("lasting", "seconds"),
    [
        pytest.param("60", 60.0, id="as text"),
        pytest.param(1.5, 1.5, id="a fraction"),
        pytest.param(0, 0.0, id="over at once"),
        pytest.param(1e300, 315_360_000.0, id="for ever"),
    ],
)
def test_the_end_of_a_token_is_read(lasting: Any, seconds: float) -> None:
    found = oauth2_answers.read_token(answer(token(expires_in=lasting)), NOW)
    assert found.expires_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("lasting", [None, "soon", -1, [], 10**400], ids=repr)
def test_an_end_that_is_none_is_not_known(lasting: Any) -> None:
    assert oauth2_answers.read_token(answer(token(expires_in=lasting)), NOW).expires_at is None


@pytest.mark.parametrize(
    ("response", "error", "reason", "message"),
    [
        pytest.param(
            answer({"error": "invalid_client"}, 400),
            "invalid_client",
            Reason.AUTH_FAILED,
            "token server: 400: invalid_client: it refuses the client",
            id="client",
        ),
        pytest.param(
            Response(status=401),
            "invalid_client",
            Reason.AUTH_FAILED,
            "token server: 401: it refuses the client",
            id="401",
        ),
        pytest.param(
            answer({"error": "invalid_grant"}, 400),
            "invalid_grant",
            Reason.AUTH_FAILED,
            "token server: 400: invalid_grant: it refuses what the token is asked for with",
            id="grant",
        ),
        pytest.param(
            answer({"error": "invalid_scope"}),
            "invalid_scope",
            Reason.PERMISSION_DENIED,
            "token server: 200: invalid_scope: it gives none of these scopes to the client",
            id="an error with 200",
        ),
        pytest.param(
            answer({"error": "<script>"}, 400),
            "",
            Reason.PROTOCOL_ERROR,
            "token server: 400: the answer is none of a token server",
            id="unknown",
        ),
        pytest.param(
            answer({"error": ["invalid_client"]}, 503),
            "",
            Reason.SERVER_ERROR,
            "token server: 503: it has an error of its own",
            id="503",
        ),
        pytest.param(
            Response(status=302),
            "",
            Reason.REDIRECT_REFUSED,
            "token server: 302: it redirects, which is not followed",
            id="302",
        ),
        pytest.param(
            Response(status=404, body=b"[]"),
            "",
            Reason.ASSERTION_FAILED,
            "token server: 404: there is nothing here",
            id="404",
        ),
        pytest.param(
            Response(status=429),
            "",
            Reason.RATE_LIMITED,
            "token server: 429: it is asked too often",
            id="429",
        ),
        pytest.param(
            Response(status=200, body=b"hello"),
            "",
            Reason.PROTOCOL_ERROR,
            "token server: its answer has no `access_token`",
            id="no JSON",
        ),
        pytest.param(
            answer(token(access_token=7)),
            "",
            Reason.PROTOCOL_ERROR,
            "token server: its answer has no `access_token`",
            id="a number",
        ),
        pytest.param(
            answer(token(token_type="DPoP")),
            "",
            Reason.PROTOCOL_ERROR,
            "token server: its tokens are of another type than Bearer, which alone is known here",
            id="another type",
        ),
    ],
)
def test_an_answer_without_a_token_says_why(
    response: Response, error: str, reason: Reason, message: str
) -> None:
    with pytest.raises(TokenRefused) as refusal:
        oauth2_answers.read_token(response, NOW)
    found = refusal.value
    assert (found.error, found.reason, found.stage) == (error, reason, StageName.AUTH)
    assert found.message == message


def device(**fields: Any) -> Response:
    given = {"device_code": "d", "user_code": "U", "verification_uri": "https://a/enter", **fields}
    return answer({name: value for name, value in given.items() if value is not None})


def test_a_device_code_is_read_whole() -> None:
    found = oauth2_answers.read_device(device(expires_in=60, interval=2), NOW)
    assert (found.device_code.reveal(), found.user_code) == ("d", "U")
    assert (found.address, found.interval_s) == ("https://a/enter", 2.0)
    assert found.expires_at == NOW + timedelta(seconds=60)


@pytest.mark.parametrize(("interval", "seconds"), [(None, 5.0), (0.001, 1.0), (1e9, 60.0)])
def test_the_interval_of_a_device_is_bounded(interval: Any, seconds: float) -> None:
    found = oauth2_answers.read_device(device(interval=interval), NOW)
    assert (found.interval_s, found.expires_at) == (seconds, NOW + timedelta(seconds=600))


def test_the_older_name_of_the_address_is_known() -> None:
    response = device(verification_uri=None, verification_url="http://a/enter")
    assert oauth2_answers.read_device(response, NOW).address == "http://a/enter"


@pytest.mark.parametrize(
    "fields", [{"device_code": None}, {"user_code": 7}, {"verification_uri": "javascript:alert(1)"}]
)
def test_a_device_without_a_code_or_a_web_page_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        oauth2_answers.read_device(device(**fields), NOW)


def test_the_awaited_answer_gives_its_code() -> None:
    assert oauth2_answers.read_callback("/back?code=c1&state=s1", EXPECTED).reveal() == "c1"


def test_the_issuer_that_is_named_has_to_answer() -> None:
    expected = Expected(path="/back", state="s1", issuer="https://a")
    target = "/back?code=c1&state=s1"
    assert oauth2_answers.read_callback(f"{target}&iss=https%3A%2F%2Fa", expected).reveal() == "c1"
    for other in ("", "&iss=https%3A%2F%2Fb", "&iss=https%3A%2F%2Fb&error=access_denied"):
        with pytest.raises(ConsentRefused, match="not from the issuer"):
            oauth2_answers.read_callback(target + other, expected)


@pytest.mark.parametrize(
    "target",
    [
        "/back",
        "/back?code=c1",
        "/back?code=c1&state=",
        "/back?code=c1&state=s2",
        "/back?code=c1&state=s1&state=s1",
        "/back/?code=c1&state=s1",
        "/?code=c1&state=s1",
        "/back?error=access_denied",
        "/back?code=c1&state=%C3%A9",
        "//other/back?code=c1&state=s1&x=1&x=2",
    ],
)
def test_what_nobody_waits_for_changes_nothing(target: str) -> None:
    with pytest.raises(CallbackRefused):
        oauth2_answers.read_callback(target, EXPECTED)


def test_the_verifier_of_oauth1_comes_with_the_temporary_token() -> None:
    target = "/back?oauth_token=s1&oauth_verifier=v1"
    assert oauth2_answers.read_verifier(target, EXPECTED).reveal() == "v1"


@pytest.mark.parametrize(
    "target",
    [
        "/back?oauth_verifier=v1",
        "/back?oauth_token=s2&oauth_verifier=v1",
        "/other?oauth_token=s1&oauth_verifier=v1",
        "/back?oauth_token=s1&oauth_token=s1&oauth_verifier=v1",
    ],
)
def test_another_temporary_token_changes_nothing(target: str) -> None:
    with pytest.raises(CallbackRefused):
        oauth2_answers.read_verifier(target, EXPECTED)


def test_a_temporary_token_without_verifier_says_no() -> None:
    with pytest.raises(ConsentRefused, match=r"^the user did not agree$"):
        oauth2_answers.read_verifier("/back?oauth_token=s1&denied=s1", EXPECTED)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("error=access_denied", "the person did not agree"),
        ("error=%3Cscript%3E", "the server refused"),
        ("code=", "the answer has no code"),
        ("other=1", "the answer has no code"),
    ],
)
def test_an_answer_that_says_no_ends_the_wait(query: str, message: str) -> None:
    with pytest.raises(ConsentRefused, match=f"^{message}$"):
        oauth2_answers.read_callback(f"/back?state=s1&{query}", EXPECTED)
