"""Whatever a server writes into its challenge, Digest answers it or says that it cannot."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from reconciler.auth.challenges import challenges
from reconciler.auth.digest import DigestAuth
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.errors import ConnectionFailed
from reconciler.redact import Secret

AUTH = DigestAuth.model_validate(
    {"method": "digest", "username": "report", "password": {"env": "A"}}
)
#: What a header can hold (RFC 9110, section 5.5), decoded as the transport does.
_octets = st.characters(max_codepoint=0xFF, exclude_characters="".join(map(chr, (*range(32), 127))))
_pieces = st.sampled_from(
    [
        "Digest ",
        "Basic ",
        'realm="',
        "nonce=",
        '"',
        "\\",
        ",",
        " ",
        "=",
        "qop=auth",
        "algorithm=",
        "MD5",
        "SHA-256-sess",
        "stale=true",
        "userhash=true",
        'opaque="x"',
        "a",
        "é",
    ]
)
headers = st.lists(_pieces, max_size=30).map("".join) | st.text(_octets, max_size=60)


@given(st.lists(headers, max_size=3))
def test_a_challenge_is_answered_or_refused(values: list[str]) -> None:
    response = Response(status=401, headers=tuple(("WWW-Authenticate", value) for value in values))
    flow = AUTH.flow(
        Request(method="GET", url="https://a.example/"),
        {"/auth/password": Secret("TOPSECRET")},
        Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=lambda: "n0nce"),
    )
    next(flow)
    try:
        sent = flow.send(response)
    except ConnectionFailed as refusal:
        assert "TOPSECRET" not in refusal.message  # noqa: PT017 -- one of two ends
        return
    ((name, value),) = sent.headers
    assert (name, value.partition(" ")[0]) == ("Authorization", "Digest")
    assert value.isprintable() or not value.isascii()
    assert "TOPSECRET" not in value


@given(st.lists(headers, max_size=3))
def test_reading_ends_and_names_are_tokens(values: list[str]) -> None:
    found = challenges(
        Response(status=401, headers=tuple(("www-authenticate", value) for value in values))
    )
    assert all(challenge.scheme == challenge.scheme.lower() for challenge in found)
