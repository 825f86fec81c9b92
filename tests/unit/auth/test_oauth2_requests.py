"""What is sent to get a token: forms, client authentication, signed statements, addresses."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from pydantic import TypeAdapter

from reconciler.auth import oauth2, oauth2_requests
from reconciler.auth.exchange import Request
from reconciler.errors import SecretError
from reconciler.redact import Secret
from tests.unit.auth.test_flows import MOMENT, PLAIN

GRANT: TypeAdapter[oauth2.AnyGrant] = TypeAdapter(oauth2.OAuth2Auth)
TOKEN_URL = "https://login.example.com/token"
BASIC = {"method": "basic", "secret": {"env": "S"}}
#: Made once: RSA keys take long.
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def grant(name: str, /, **fields: Any) -> oauth2.AnyGrant:
    given = {"method": "oauth2", "grant": name, "tokenUrl": TOKEN_URL, "clientId": "crm", **fields}
    return GRANT.validate_python({key: value for key, value in given.items() if value is not None})


def secrets(**values: str) -> dict[str, Secret]:
    return {f"/auth/{name.replace('__', '/')}": Secret(value) for name, value in values.items()}


def form(request: Request | None) -> dict[str, str]:
    assert request is not None
    assert request.method == "POST"
    assert ("Content-Type", "application/x-www-form-urlencoded") in request.headers
    assert ("Accept", "application/json") in request.headers
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def pem(key: Any, passphrase: str = "") -> str:
    how = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return text.decode()


def part(statement: str, index: int) -> dict[str, Any]:
    text = statement.split(".")[index]
    data: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return data


def test_the_access_token_is_a_bearer_token() -> None:
    flow = grant("clientCredentials", clientAuthentication=BASIC).flow(
        PLAIN, {oauth2.ACCESS_TOKEN: Secret("at-1")}, MOMENT
    )
    assert next(flow).headers[-1] == ("Authorization", "Bearer at-1")


def test_client_credentials_ask_for_scopes_and_targets() -> None:
    auth = grant(
        "clientCredentials",
        clientAuthentication=BASIC,
        scopes=["a", "b"],
        audience="api",
        resource="https://api.example.com",
        parameters={"tenant": "acme"},
    )
    asked = oauth2_requests.direct(auth, secrets(clientAuthentication__secret="s:1 %"), MOMENT)
    assert form(asked) == {
        "tenant": "acme",
        "grant_type": "client_credentials",
        "scope": "a b",
        "audience": "api",
        "resource": "https://api.example.com",
    }
    assert asked is not None
    encoded = base64.b64encode(b"crm:s%3A1+%25").decode()  # form-encoded first (RFC 6749, 2.3.1)
    assert ("Authorization", f"Basic {encoded}") in asked.headers


def test_a_secret_in_the_body_stands_beside_the_id() -> None:
    auth = grant("clientCredentials", clientAuthentication={**BASIC, "method": "post"})
    asked = oauth2_requests.direct(auth, secrets(clientAuthentication__secret="s&1"), MOMENT)
    assert form(asked) == {
        "grant_type": "client_credentials",
        "client_id": "crm",
        "client_secret": "s&1",
    }


def test_user_name_and_password_go_into_the_body() -> None:
    auth = grant("password", username="report", password={"env": "P"})
    asked = oauth2_requests.direct(auth, secrets(password="p"), MOMENT)
    assert form(asked) == {
        "grant_type": "password",
        "username": "report",
        "password": "p",
        "client_id": "crm",
    }


def test_a_refresh_token_is_sent_with_the_scopes() -> None:
    auth = grant("refreshToken", refreshToken={"env": "R"}, scopes=["a"])
    asked = oauth2_requests.direct(auth, secrets(refreshToken="r"), MOMENT)
    assert form(asked) == {
        "grant_type": "refresh_token",
        "refresh_token": "r",
        "scope": "a",
        "client_id": "crm",
    }
    assert oauth2_requests.keeps_refresh(auth)


def test_a_token_is_given_back_where_the_manifest_says() -> None:
    place = "https://login.example.com/revoke"
    auth = grant("refreshToken", refreshToken={"env": "R"}, revocationUrl=place)
    asked = oauth2_requests.revoke(auth, "refresh_token", Secret("rt"), {}, MOMENT)
    assert asked is not None
    assert asked.url == place
    assert form(asked) == {"token": "rt", "token_type_hint": "refresh_token", "client_id": "crm"}


@pytest.mark.parametrize(
    "auth",
    [
        grant("refreshToken", refreshToken={"env": "R"}),
        grant("jwtBearer", assertion={"key": {"env": "K"}, "issuer": "a"}),
    ],
    ids=["without an address", "without a client"],
)
def test_a_token_is_given_back_nowhere_else(auth: oauth2.AnyGrant) -> None:
    assert oauth2_requests.revoke(auth, "access_token", Secret("at"), {}, MOMENT) is None


@pytest.mark.parametrize(
    "auth",
    [
        grant("authorizationCode", authorizationUrl="https://login.example.com/a"),
        grant("deviceCode", deviceUrl="https://login.example.com/d"),
    ],
    ids=["code", "device"],
)
def test_what_a_person_agrees_to_cannot_be_asked_for_directly(auth: oauth2.AnyGrant) -> None:
    assert oauth2_requests.direct(auth, {}, MOMENT) is None


def test_a_code_goes_with_its_verifier_and_the_exact_redirect() -> None:
    auth = grant("authorizationCode", authorizationUrl="https://a", scopes=["a"], audience="api")
    assert isinstance(auth, oauth2.AuthorizationCodeGrant)
    asked = oauth2_requests.exchange_code(auth, "c", "v", {}, MOMENT)
    assert form(asked) == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "code_verifier": "v",
        "audience": "api",
        "client_id": "crm",
    }


def test_a_device_asks_and_polls() -> None:
    auth = grant("deviceCode", deviceUrl="https://login.example.com/d", scopes=["a"])
    assert isinstance(auth, oauth2.DeviceCodeGrant)
    asked = oauth2_requests.ask_device(auth, {}, MOMENT)
    assert (asked.url, form(asked)) == (
        "https://login.example.com/d",
        {"scope": "a", "client_id": "crm"},
    )
    assert form(oauth2_requests.poll_device(auth, "d", {}, MOMENT)) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "d",
        "client_id": "crm",
    }


def test_the_address_that_a_person_opens_is_whole() -> None:
    auth = grant(
        "authorizationCode",
        authorizationUrl="https://login.example.com/a",
        scopes=["a", "b"],
        authorizationParameters={"access_type": "offline"},
    )
    assert isinstance(auth, oauth2.AuthorizationCodeGrant)
    address = oauth2_requests.authorization_address(auth, "state", "v" * 43)
    assert address.startswith("https://login.example.com/a?")
    assert dict(parse_qsl(urlsplit(address).query)) == {
        "access_type": "offline",
        "response_type": "code",
        "client_id": "crm",
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "scope": "a b",
        "state": "state",
        "code_challenge": oauth2_requests.challenge("v" * 43),
        "code_challenge_method": "S256",
    }


def test_the_challenge_is_that_of_the_rfc() -> None:
    # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert oauth2_requests.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_client_states_who_it_is() -> None:
    client = {"method": "privateKeyJwt", "key": {"env": "K"}, "keyId": "one", "algorithm": "EdDSA"}
    auth = grant("clientCredentials", clientAuthentication=client)
    asked = form(oauth2_requests.direct(auth, secrets(clientAuthentication__key=pem(ED)), MOMENT))
    statement = asked.pop("client_assertion")
    issued = int(MOMENT.now.timestamp())
    assert asked == {
        "grant_type": "client_credentials",
        "client_id": "crm",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert part(statement, 0) == {"alg": "EdDSA", "typ": "JWT", "kid": "one"}
    assert part(statement, 1) == {
        "iss": "crm",
        "sub": "crm",
        "aud": TOKEN_URL,
        "iat": issued,
        "exp": issued + 300,
        "jti": "n0nce",
    }


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_an_assertion_is_signed_as_its_algorithm_says(algorithm: str) -> None:
    key: Any = {"ES256": EC, "EdDSA": ED}.get(algorithm, RSA)
    assertion = {"key": {"env": "K"}, "issuer": "app", "algorithm": algorithm}
    auth = grant("jwtBearer", assertion=assertion, clientId=None)
    asked = form(oauth2_requests.direct(auth, secrets(assertion__key=pem(key)), MOMENT))
    signed, _, signature = asked["assertion"].rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    public, data = key.public_key(), signed.encode()
    match algorithm:
        case "RS256":
            public.verify(raw, data, padding.PKCS1v15(), hashes.SHA256())
        case "PS256":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            public.verify(raw, data, pss, hashes.SHA256())
        case "ES256":
            numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            encoded = utils.encode_dss_signature(*numbers)
            public.verify(encoded, data, ec.ECDSA(hashes.SHA256()))
        case _:
            public.verify(raw, data)
    assert "client_id" not in asked


def test_an_assertion_says_what_the_manifest_says() -> None:
    assertion = {
        "key": {"env": "K"},
        "keyPassphrase": {"env": "P"},
        "keyId": "one",
        "algorithm": "ES256",
        "issuer": "app",
        "subject": "report",
        "audience": "https://login.example.com",
        "claims": {"scope": "read"},
    }
    auth = grant("jwtBearer", assertion=assertion, clientAuthentication=BASIC, scopes=["x"])
    given = secrets(
        assertion__key=pem(EC, "open"),
        assertion__keyPassphrase="open",
        clientAuthentication__secret="s",
    )
    asked = form(oauth2_requests.direct(auth, given, MOMENT))
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert asked["scope"] == "x"
    claims = part(asked["assertion"], 1)
    assert {name: claims[name] for name in ("iss", "sub", "aud", "scope")} == {
        "iss": "app",
        "sub": "report",
        "aud": "https://login.example.com",
        "scope": "read",
    }
    assert not oauth2_requests.keeps_refresh(auth)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", EC),
        ("PS256", ED),
        ("ES256", RSA),
        ("ES256", ec.generate_private_key(ec.SECP384R1())),
        ("EdDSA", RSA),
    ],
)
def test_a_key_of_another_kind_is_refused(algorithm: str, key: Any) -> None:
    auth = grant(
        "jwtBearer", assertion={"key": {"env": "K"}, "issuer": "a", "algorithm": algorithm}
    )
    with pytest.raises(SecretError, match=f"at /auth/assertion/key is none for {algorithm}$"):
        oauth2_requests.direct(auth, secrets(assertion__key=pem(key)), MOMENT)


@pytest.mark.parametrize("text", ["hunter2", "", pem(EC, "open")], ids=["text", "empty", "locked"])
def test_what_is_no_key_is_named_and_not_shown(text: str) -> None:
    auth = grant("jwtBearer", assertion={"key": {"env": "K"}, "issuer": "a"})
    with pytest.raises(SecretError, match="no private key that can be read") as refusal:
        oauth2_requests.direct(auth, secrets(assertion__key=text), MOMENT)
    assert refusal.value.__cause__ is None
    assert "hunter2" not in refusal.value.message
