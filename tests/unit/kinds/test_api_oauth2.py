"""What the schema cannot say of OAuth 2, and what the plan asks of it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds import api, api_oauth2
from reconciler.model import Path

SOUND = {
    "method": "oauth2",
    "grant": "authorizationCode",
    "tokenUrl": "https://login.example.com/token",
    "authorizationUrl": "https://login.example.com/authorize",
    "clientId": "crm",
}


def found(**changes: Any) -> list[tuple[str, Path]]:
    auth = {name: value for name, value in {**SOUND, **changes}.items() if value is not None}
    return [(finding.code, finding.path) for finding in api_oauth2.checks(auth)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "none", "tokenUrl": "nonsense"},
        {"tokenUrl": "http://127.0.0.1:1/token", "redirectUrl": "http://[::1]:7/"},
        {"issuer": "http://login.example.com", "resource": "urn:example:api"},
        {"parameters": {"tenant": "a"}, "authorizationParameters": {"prompt": "consent"}},
        {"assertion": {"claims": {"scope": "a"}}, "clientId": None},
        {"clientAuthentication": {"method": "basic"}},
    ],
)
def test_sound_fields_have_no_findings(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"tokenUrl": "http://login.example.com/t"}, "E131", ("auth", "tokenUrl")),
        ({"deviceUrl": "http://login.example.com/t"}, "E131", ("auth", "deviceUrl")),
        ({"tokenUrl": "https://login.example.com/t?a=1"}, "E116", ("auth", "tokenUrl")),
        ({"issuer": "https://login.example.com/?a=1"}, "E116", ("auth", "issuer")),
        ({"issuer": "https://user@login.example.com"}, "E116", ("auth", "issuer")),
        ({"tokenUrl": "nonsense"}, "E115", ("auth", "tokenUrl")),
        ({"redirectUrl": "https://127.0.0.1:1/"}, "E132", ("auth", "redirectUrl")),
        ({"redirectUrl": "http://crm.example.com:1/"}, "E132", ("auth", "redirectUrl")),
        ({"redirectUrl": "http://127.0.0.1/"}, "E132", ("auth", "redirectUrl")),
        ({"resource": "https://a/?token=1"}, "E305", ("auth", "resource")),
        ({"resource": "https://a:b@c/"}, "E116", ("auth", "resource")),
        ({"parameters": {"Client_Secret": "a"}}, "E133", ("auth", "parameters", "Client_Secret")),
        (
            {"authorizationParameters": {"state": "a"}},
            "E133",
            ("auth", "authorizationParameters", "state"),
        ),
        (
            {"assertion": {"claims": {"exp": "1"}}},
            "E133",
            ("auth", "assertion", "claims", "exp"),
        ),
        ({"clientAuthentication": {"method": "post"}, "clientId": None}, "E103", ("auth",)),
        ({"grant": "password"}, "W211", ("auth", "grant")),
    ],
)
def test_what_is_wrong_is_found_at_its_place(
    changes: dict[str, Any], code: str, path: Path
) -> None:
    assert found(**changes) == [(code, path)]


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("tokenUrl", "write it into `parameters`"),
        ("authorizationUrl", "write it into `authorizationParameters`"),
        ("issuer", "leave it out"),
    ],
)
def test_a_query_is_told_where_it_belongs(field: str, hint: str) -> None:
    (finding,) = api_oauth2.checks({**SOUND, field: "https://login.example.com/?a=1"})
    assert (finding.message, finding.hint) == (f"`{field}` has a query", hint)


def test_the_credential_goes_to_the_token_server() -> None:
    spec = {"baseUrl": "https://api.example.com/v2", "auth": SOUND}
    endpoint = api.endpoint(spec)
    assert endpoint.destination == "https://api.example.com:443"
    assert endpoint.login_destination == "https://login.example.com:443"
    assert endpoint.username == "crm"
    assert api.endpoint({**spec, "auth": {"method": "none"}}).login_destination == (
        endpoint.destination
    )


OAUTH1 = {
    "method": "oauth1",
    "signatureMethod": "HMAC-SHA1",
    "consumerKey": "printer",
    "consumerSecret": {"env": "A"},
}
PLACES = {
    "requestTokenUrl": "https://photos.example.com/initiate",
    "authorizationUrl": "https://photos.example.com/authorize",
    "accessTokenUrl": "https://photos.example.com/token",
}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"requestTokenUrl": "http://photos.example.com/"}, "E131", "requestTokenUrl"),
        ({"accessTokenUrl": "nonsense"}, "E115", "accessTokenUrl"),
        ({"redirectUrl": "https://photos.example.com/"}, "E132", "redirectUrl"),
    ],
)
def test_addresses_of_a_consent_of_oauth1_are_judged_as_well(
    changes: dict[str, Any], code: str, field: str
) -> None:
    findings = list(api_oauth2.checks({**OAUTH1, "consent": {**PLACES, **changes}}))
    assert [(finding.code, finding.path) for finding in findings] == [
        (code, ("auth", "consent", field))
    ]
    assert list(api_oauth2.checks({**OAUTH1, "consent": PLACES})) == []


def test_oauth1_needs_a_consent_where_it_says_how() -> None:
    agreed = api.consent({"auth": {**OAUTH1, "consent": PLACES}})
    assert agreed is not None
    assert agreed["consent.accessTokenUrl"] == "https://photos.example.com/token"
    assert api.consent({"auth": OAUTH1}) is None


def test_only_a_grant_that_asks_a_person_has_a_consent() -> None:
    agreed = api.consent({"auth": SOUND})
    assert agreed is not None
    assert agreed["clientId"] == "crm"
    assert api.consent({"auth": {**SOUND, "grant": "clientCredentials"}}) is None
    assert api.consent({"auth": {"method": "none"}}) is None
