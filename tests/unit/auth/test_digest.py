"""Digest against the examples of RFC 7616, and challenges that servers write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from reconciler.auth import ApiAuth, challenges
from reconciler.auth.exchange import Moment, Request, Response
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason, StageName
from reconciler.redact import Secret

AUTH: TypeAdapter[Any] = TypeAdapter(ApiAuth)
MUFASA = {"method": "digest", "username": "Mufasa", "password": {"env": "A"}}
MUFASA_URL = "http://www.example.org/dir/index.html"
MUFASA_NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def asked(*values: str, status: int = 401) -> Response:
    return Response(status=status, headers=tuple(("WWW-Authenticate", value) for value in values))


def answered(
    challenge: str,
    *,
    auth: dict[str, Any] = MUFASA,
    password: str = "Circle of Life",
    url: str = MUFASA_URL,
    nonce: str = MUFASA_NONCE,
) -> str:
    """Returns the Authorization header that answers `challenge`."""
    request = Request(method="GET", url=url)
    moment = Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=lambda: nonce)
    flow = AUTH.validate_python(auth).flow(request, {"/auth/password": Secret(password)}, moment)
    assert next(flow) == request
    sent: Request = flow.send(asked(challenge))
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))
    ((name, value),) = sent.headers
    assert name == "Authorization"
    return value


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    # section 3.9.1
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        f'nonce="{nonce}", opaque="{opaque}"'
    )
    assert answered(challenge) == (
        'Digest username="Mufasa", realm="http-auth@example.org", '
        f'nonce="{nonce}", uri="/dir/index.html", response="{response}", '
        f'algorithm={algorithm}, opaque="{opaque}", qop=auth, nc=00000001, cnonce="{MUFASA_NONCE}"'
    )


def test_the_example_with_a_hashed_user_name() -> None:
    # section 3.9.2, with the values of erratum 4897: those of the RFC are of another hash
    header = answered(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, charset=UTF-8, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", userhash=true, '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"',
        auth={**MUFASA, "username": "J\u00e4s\u00f8n Doe"},
        password="Secret, or not?",
        url="http://api.example.org/doe.json",
        nonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    assert 'username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"' in header
    assert 'response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"' in header
    assert "userhash=true" in header


def test_a_user_name_that_is_not_ascii_is_encoded() -> None:
    header = answered('Digest realm="a", nonce="b"', auth={**MUFASA, "username": "J\u00e4s\u00f8n"})
    assert header.startswith("Digest username*=UTF-8''J%C3%A4s%C3%B8n, ")


def test_what_the_server_quoted_is_quoted_again() -> None:
    assert 'realm="a \\"b\\\\", ' in answered('Digest realm="a \\"b\\\\", nonce="n"')


def test_a_session_without_protection_tells_its_nonce() -> None:
    header = answered('Digest realm="a", nonce="b", algorithm=MD5-sess')
    assert "qop" not in header
    assert f'cnonce="{MUFASA_NONCE}"' in header


def test_no_login_is_made_where_none_is_asked_for() -> None:
    flow = AUTH.validate_python(MUFASA).flow(
        Request(method="GET", url=MUFASA_URL),
        {"/auth/password": Secret("x")},
        Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=str),
    )
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(Response(status=200))


def test_a_login_that_is_refused_is_not_repeated() -> None:
    flow = AUTH.validate_python(MUFASA).flow(
        Request(method="GET", url=MUFASA_URL),
        {"/auth/password": Secret("x")},
        Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=str),
    )
    next(flow)
    flow.send(asked('Digest realm="a", nonce="b"'))
    with pytest.raises(StopIteration):
        flow.send(asked('Digest realm="a", nonce="c"'))


def test_a_stale_challenge_is_answered_once_more() -> None:
    flow = AUTH.validate_python(MUFASA).flow(
        Request(method="GET", url=MUFASA_URL),
        {"/auth/password": Secret("x")},
        Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=str),
    )
    next(flow)
    flow.send(asked('Digest realm="a", nonce="b"'))
    again: Request = flow.send(asked('Digest realm="a", nonce="c", stale=TRUE'))
    assert 'nonce="c"' in again.headers[0][1]
    with pytest.raises(StopIteration):
        flow.send(asked('Digest realm="a", nonce="d", stale=TRUE'))


def test_another_way_to_log_in_is_never_taken() -> None:
    flow = AUTH.validate_python(MUFASA).flow(
        Request(method="GET", url=MUFASA_URL),
        {"/auth/password": Secret("x")},
        Moment(now=datetime(2026, 3, 1, tzinfo=UTC), nonce=str),
    )
    next(flow)
    with pytest.raises(ConnectionFailed) as failed:
        flow.send(asked('Basic realm="a"'))
    assert (failed.value.reason, failed.value.stage) == (Reason.PROTOCOL_ERROR, StageName.AUTH)


def read(*values: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (challenge.scheme, dict(challenge.parameters))
        for challenge in challenges.challenges(asked(*values))
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((), [], id="none"),
        pytest.param(("",), [], id="empty"),
        pytest.param(("Basic",), [("basic", {})], id="scheme alone"),
        pytest.param(("Basic, Digest",), [("basic", {}), ("digest", {})], id="two schemes"),
        pytest.param(
            ('Newauth realm="apps", type=1, title="Log \\"in\\"", Basic realm="simple"',),
            [
                ("newauth", {"realm": "apps", "type": "1", "title": 'Log "in"'}),
                ("basic", {"realm": "simple"}),
            ],
            id="RFC 9110, section 11.6.1",
        ),
        pytest.param(
            ("Negotiate YII==, Digest nonce=n",),
            [("negotiate", {}), ("digest", {"nonce": "n"})],
            id="token68",
        ),
        pytest.param(
            ("Digest a=1,, ,A=2", "Basic x = y"),
            [("digest", {"a": "1"}), ("basic", {"x": "y"})],
            id="two headers, a name twice",
        ),
        pytest.param(("realm=1, Digest",), [("digest", {})], id="parameter of nothing"),
        pytest.param(('Digest realm="never ends',), [("digest", {})], id="open quote"),
        pytest.param(('Digest realm=""',), [("digest", {"realm": ""})], id="empty value"),
        pytest.param(("\u00e9\u00e9, Digest",), [("digest", {})], id="noise"),
    ],
)
def test_challenges_are_read(
    values: tuple[str, ...], expected: list[tuple[str, dict[str, str]]]
) -> None:
    assert read(*values) == expected
