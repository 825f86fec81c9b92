"""The way to a token of OAuth 1.0: what is asked, and which answers are none."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime

import pytest

from reconciler.auth import libraries, oauth1_consent
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.auth.oauth1 import Credentials, OAuth1Auth
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason
from reconciler.redact import Secret

AUTH = OAuth1Auth.model_validate(
    {
        "method": "oauth1",
        "signatureMethod": "PLAINTEXT",
        "consumerKey": "printer",
        "consumerSecret": {"env": "A"},
    }
)
SECRETS = {"/auth/consumerSecret": Secret("client-secret")}
MOMENT = Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=lambda: "n0nce")
TEMPORARY = Credentials(token=Secret("hh5s93j4hdidpola"), secret=Secret("hdhd0244k9j7ao03"))


def ask() -> Generator[Request, Response, Credentials]:
    callback = "http://127.0.0.1:8080/back"
    return oauth1_consent.temporary_credentials(
        AUTH, "https://a.example/initiate", callback, SECRETS, MOMENT
    )


def exchange() -> Generator[Request, Response, Credentials]:
    return oauth1_consent.token_credentials(
        AUTH,
        "https://a.example/token",
        SECRETS,
        MOMENT,
        temporary=TEMPORARY,
        verifier=Secret("v"),
    )


def end(flow: Generator[Request, Response, Credentials], body: str) -> tuple[Request, str, str]:
    """Returns the request, and the credentials that the answer `body` gives."""
    request = next(flow)
    with pytest.raises(StopIteration) as stopped:
        flow.send(Response(status=200, body=body.encode()))
    found: Credentials = stopped.value.value
    return request, found.token.reveal(), found.secret.reveal()


def test_temporary_credentials_are_asked_for_with_the_callback() -> None:
    request, token, secret = end(
        ask(), "oauth_token=t%2F1&oauth_token_secret=s&oauth_callback_confirmed=true"
    )
    assert (request.method, request.url) == ("POST", "https://a.example/initiate")
    header = request.headers[0][1]
    assert 'oauth_callback="http%3A%2F%2F127.0.0.1%3A8080%2Fback"' in header
    assert 'oauth_signature="client-secret%26"' in header
    assert (token, secret) == ("t/1", "s")


def test_a_verifier_is_exchanged_for_a_token() -> None:
    request, token, secret = end(exchange(), "oauth_token=t&oauth_token_secret=s&user=7")
    header = request.headers[0][1]
    assert 'oauth_verifier="v"' in header
    assert 'oauth_signature="client-secret%26hdhd0244k9j7ao03"' in header
    assert (token, secret) == ("t", "s")


@pytest.mark.parametrize("url", ["https://a.example/go", "https://a.example/go?lang=en"])
def test_the_page_is_told_which_credentials_are_meant(url: str) -> None:
    temporary = Credentials(token=Secret("a&b"), secret=Secret("s"))
    joint = "&" if "?" in url else "?"
    page = oauth1_consent.authorization_url(url, temporary)
    assert page == f"{url}{joint}oauth_token=a%26b"


@pytest.mark.parametrize(
    ("flow", "answer", "reason", "message"),
    [
        pytest.param(
            ask,
            Response(status=401),
            Reason.AUTH_FAILED,
            "401 Unauthorized: the client is refused",
            id="client refused",
        ),
        pytest.param(
            exchange,
            Response(status=401),
            Reason.AUTH_FAILED,
            "401 Unauthorized: the consent is refused",
            id="consent refused",
        ),
        pytest.param(
            ask,
            Response(status=500),
            Reason.PROTOCOL_ERROR,
            "the server answers 500 to a request for a token",
            id="error",
        ),
        pytest.param(
            ask,
            Response(status=200, body=b"oauth_token=t&oauth_token_secret=s"),
            Reason.PROTOCOL_ERROR,
            "the server does not confirm the callback",
            id="callback not confirmed",
        ),
        pytest.param(
            exchange,
            Response(status=200, body=b"oauth_token=t"),
            Reason.PROTOCOL_ERROR,
            "the answer of the server holds no token",
            id="no secret",
        ),
        pytest.param(
            exchange,
            Response(status=200, body=b"\xff<html>"),
            Reason.PROTOCOL_ERROR,
            "the answer of the server holds no token",
            id="no form",
        ),
        pytest.param(
            exchange,
            Response(status=200, body=b"&".join(b"a=%d" % number for number in range(99))),
            Reason.PROTOCOL_ERROR,
            "the answer of the server holds no token",
            id="endless form",
        ),
    ],
)
def test_answers_that_are_no_credentials(
    flow: Callable[[], Generator[Request, Response, Credentials]],
    answer: Response,
    reason: Reason,
    message: str,
) -> None:
    running = flow()
    next(running)
    with pytest.raises(ConnectionFailed) as failed:
        running.send(answer)
    assert (failed.value.reason, failed.value.message) == (reason, message)


def test_a_method_without_a_library_is_always_loaded() -> None:
    assert libraries.is_loaded("bearer")
    libraries.load("oauth1")
    assert libraries.is_loaded("oauth1")
