from __future__ import annotations

import gzip

import pytest

from reconciler.clients.http_response import Answer
from reconciler.model import Json, Reason, StageName
from reconciler.probes import http_judgement
from reconciler.probes.http_judgement import Expectation, Verdict

URL = "https://api.example/v2/ping"


def judged(
    status: int = 200,
    body: bytes = b"",
    *,
    expect_status: tuple[int | str, ...] = ("200-299",),
    json: dict[str, Json] | None = None,
    text: str = "",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    is_cut: bool = False,
    is_anonymous: bool = False,
    url: str = URL,
    refusal: str = "",
) -> Verdict:
    return http_judgement.judge(
        Answer(status=status, headers=headers, body=body, is_cut=is_cut),
        Expectation(status=expect_status, json=json or {}, text=text),
        request_url=url,
        is_anonymous=is_anonymous,
        refusal=refusal,
    )


def test_a_refusal_that_the_status_does_not_tell_is_a_failed_login() -> None:
    found = judged(400, refusal="the key is unknown", expect_status=(400,))
    assert (found.reason, found.stage, found.message) == (
        Reason.AUTH_FAILED,
        StageName.AUTH,
        "400 Bad Request: the key is unknown",
    )


@pytest.mark.parametrize(
    ("status", "reason", "stage", "message"),
    [
        (200, Reason.OK, StageName.QUERY, "200 OK"),
        (204, Reason.OK, StageName.QUERY, "204 No Content"),
        (
            401,
            Reason.AUTH_FAILED,
            StageName.AUTH,
            "401 Unauthorized: the credential is refused",
        ),
        (
            407,
            Reason.AUTH_FAILED,
            StageName.AUTH,
            "407 Proxy Authentication Required: the credential is refused",
        ),
        (
            403,
            Reason.PERMISSION_DENIED,
            StageName.QUERY,
            "403 Forbidden",
        ),
        (
            429,
            Reason.RATE_LIMITED,
            StageName.QUERY,
            "429 Too Many Requests",
        ),
        (
            404,
            Reason.ASSERTION_FAILED,
            StageName.QUERY,
            "404 Not Found",
        ),
        (
            418,
            Reason.ASSERTION_FAILED,
            StageName.QUERY,
            "418 I'm a Teapot: not a status that `health.expect.status` lists",
        ),
        (
            500,
            Reason.SERVER_ERROR,
            StageName.QUERY,
            "500 Internal Server Error",
        ),
        (599, Reason.SERVER_ERROR, StageName.QUERY, "HTTP 599"),
        (
            304,
            Reason.REDIRECT_REFUSED,
            StageName.QUERY,
            "304 Not Modified: redirects nowhere; this is not followed",
        ),
        (
            999,
            Reason.ASSERTION_FAILED,
            StageName.QUERY,
            "HTTP 999: not a status that `health.expect.status` lists",
        ),
    ],
)
def test_each_status_has_its_reason(
    status: int, reason: Reason, stage: StageName, message: str
) -> None:
    verdict = judged(status)
    assert (verdict.reason, verdict.stage, verdict.message) == (reason, stage, message)


def test_a_401_without_a_credential_says_how_to_configure_one() -> None:
    verdict = judged(401, is_anonymous=True)
    assert (verdict.message, verdict.hint) == (
        "401 Unauthorized: a credential is asked for",
        "say how to authenticate: `auth: {method: bearer, token: {env: NAME}}`",
    )


def test_an_expected_401_is_good_without_a_credential() -> None:
    assert judged(401, expect_status=(401,), is_anonymous=True).reason is Reason.OK


def test_an_expected_401_is_still_a_failed_login() -> None:
    assert judged(401, expect_status=("200-499",)).reason is Reason.AUTH_FAILED


@pytest.mark.parametrize("status", [302, 403, 404, 429, 503])
def test_an_expected_status_is_good(status: int) -> None:
    assert judged(status, expect_status=("200-299", status)).reason is Reason.OK


@pytest.mark.parametrize(
    ("url", "location", "where"),
    [
        (URL, b"https://api.example/login", "to another path"),
        (URL, b"/login?token=TOPSECRET", "to another path"),
        (URL, b"https://evil.example/", "to another host"),
        (URL, b"//evil.example/", "to another host"),
        (URL, b"https://api.example:8443/", "to another port"),
        (
            URL,
            b"http://api.example/v2/ping",
            "from https to http, where anybody on the way can read along",
        ),
        ("http://api.example/", b"https://api.example/", "to https"),
        (URL, b"https://[broken", "nowhere"),
        (URL, b"", "nowhere"),
    ],
)
def test_a_redirect_is_named_in_our_words(url: str, location: bytes, where: str) -> None:
    verdict = judged(302, headers=((b"Location", location),), url=url)
    assert (verdict.reason, verdict.message) == (
        Reason.REDIRECT_REFUSED,
        f"302 Found: redirects {where}; this is not followed",
    )


BODY = b'{"status": "ok", "list": [1, {"a/b": true}], "m~n": null, "one": 1, "": "empty"}'


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/status", "ok"),
        ("/list/0", 1),
        ("/list/1/a~1b", True),
        ("/m~0n", None),
        ("/one", 1.0),
        ("/", "empty"),
        ("/list", [1, {"a/b": True}]),
    ],
)
def test_json_pointers_find_values(pointer: str, value: Json) -> None:
    assert judged(body=BODY, json={pointer: value}).reason is Reason.OK


@pytest.mark.parametrize(
    ("pointer", "value", "message"),
    [
        ("/status", "TOP", "`/status` in the body is not what `health.expect.json` says"),
        ("/one", True, "`/one` in the body is not what `health.expect.json` says"),
        ("/list/1/a~1b", 1, "`/list/1/a~1b` in the body is not what `health.expect.json` says"),
        ("/list", [1], "`/list` in the body is not what `health.expect.json` says"),
        ("", {}, "the document in the body is not what `health.expect.json` says"),
        ("/missing", 1, "the body has no `/missing`"),
        ("/status/x", 1, "the body has no `/status/x`"),
        ("/list/2", 1, "the body has no `/list/2`"),
        ("/list/01", 1, "the body has no `/list/01`"),
        ("/list/-1", 1, "the body has no `/list/-1`"),
        ("/list/-", 1, "the body has no `/list/-`"),
        ("/list/\u0661", 1, "the body has no `/list/\u0661`"),
    ],
)
def test_an_unmet_json_expectation_names_the_pointer_and_not_the_value(
    pointer: str, value: Json, message: str
) -> None:
    verdict = judged(body=BODY, json={pointer: value})
    assert (verdict.reason, verdict.message) == (Reason.ASSERTION_FAILED, f"200 OK: {message}")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[" * 60_000, id="deep"),
        pytest.param(b"9" * 60_000, id="long number"),
        pytest.param(b"NaN", id="NaN"),
    ],
)
def test_a_body_that_is_no_json_is_said_to_be_none(body: bytes) -> None:
    assert judged(body=body, json={"": 1}).message == "200 OK: the body is not JSON"


def test_text_is_looked_for_in_the_body() -> None:
    assert judged(body="alles gut: Größe".encode(), text="Größe").reason is Reason.OK


def test_missing_text_is_an_unmet_expectation() -> None:
    verdict = judged(body=b"TOPSECRET", text="ready")
    assert (verdict.reason, verdict.message) == (
        Reason.ASSERTION_FAILED,
        "200 OK: the body does not contain `health.expect.text`",
    )


def test_a_body_over_the_cap_is_fine_where_only_the_status_counts() -> None:
    assert judged(body=b"x", is_cut=True).reason is Reason.OK


def test_a_body_over_the_cap_is_fine_where_the_text_came_before() -> None:
    assert judged(body=b"ready", text="ready", is_cut=True).reason is Reason.OK


@pytest.mark.parametrize("wanted", [{"json": {"/status": "ok"}}, {"text": "ready"}])
def test_a_body_over_the_cap_is_too_large_where_it_counts(wanted: dict[str, Json]) -> None:
    verdict = judged(body=b"x" * 10, is_cut=True, **wanted)
    assert (verdict.reason, verdict.message) == (
        Reason.BODY_TOO_LARGE,
        "200 OK: the body is larger than 10 bytes",
    )


def test_a_compressed_body_is_not_unpacked() -> None:
    verdict = judged(
        body=gzip.compress(b"ready"), text="ready", headers=((b"Content-Encoding", b"gzip"),)
    )
    assert verdict.reason is Reason.PROTOCOL_ERROR
