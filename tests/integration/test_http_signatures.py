"""Signed requests of HTTP probes, against servers that verify the signatures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reconciler.auth import oauth1_consent
from reconciler.auth.exchange import Moment, Response
from reconciler.auth.oauth1 import Credentials, OAuth1Auth
from reconciler.auth.oauth1_consent import Grant
from reconciler.clients import http as http_client
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import JsonObject, Observation, Outcome, Reason
from reconciler.network import NetworkPolicy
from reconciler.redact import Secret
from tests.servers import http_routes
from tests.servers.http import Server, http_server
from tests.servers.http_aws import Service
from tests.servers.http_oauth1 import Provider
from tests.servers.http_targets import make_target, make_tools, names_of, run_probe

IN = ["secret", "dns", "tcp", "auth", "query"]
REFUSED = ["secret", "dns", "tcp", "auth"]


def clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- the servers compare it with their own


def probe(
    server: Server, path: str, auth: JsonObject, secrets: dict[str, str], *, late_s: float = 0
) -> Observation:
    """Returns what one probe found; `late_s` is how wrong our clock is."""
    tools = replace(make_tools(), clock=lambda: clock() - timedelta(seconds=late_s))
    pointers = {f"/auth/{name}": value for name, value in secrets.items()}
    return run_probe(make_target(server.url, auth=auth, health={"path": path}), pointers, tools)


# --- OAuth 1.0 ---

PRINTER: JsonObject = {
    "method": "oauth1",
    "consumerKey": "printer",
    "consumerSecret": {"env": "A"},
    "token": {"env": "B"},
    "tokenSecret": {"env": "C"},
    "realm": "Photos",
}
SECRETS = {"consumerSecret": "TOP+SECRET/1", "token": "to%ken", "tokenSecret": "TOP&SECRET=2"}
PATH = "/photos?file=vacation.jpg&size=a%20b+c&flag"


def provider(method: str = "HMAC-SHA1", public_key: bytes = b"") -> Provider:
    return Provider(
        consumer_key="printer",
        consumer_secret=SECRETS["consumerSecret"],
        public_key=public_key,
        signature_method=method,
        tokens={SECRETS["token"]: SECRETS["tokenSecret"]},
    )


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256", "PLAINTEXT"])
def test_a_signature_with_shared_secrets_is_accepted(method: str) -> None:
    with http_server(provider(method).routes()) as server:
        found = probe(server, PATH, {**PRINTER, "signatureMethod": method}, SECRETS)
    assert (found.reason, names_of(found)) == (Reason.OK, IN)
    assert found.stages[3].detail == "oauth1, not refused"


def rsa_auth(key: rsa.RSAPrivateKey) -> tuple[JsonObject, dict[str, str]]:
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    auth = {name: value for name, value in PRINTER.items() if name != "consumerSecret"}
    secrets = {**SECRETS, "privateKey": text}
    return {**auth, "signatureMethod": "RSA-SHA1", "privateKey": {"file": "key.pem"}}, secrets


def test_a_signature_with_a_key_is_accepted_and_one_with_another_key_is_not() -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with http_server(provider("RSA-SHA1", public).routes()) as server:
        auth, secrets = rsa_auth(key)
        good = probe(server, PATH, auth, secrets)
        auth, secrets = rsa_auth(rsa.generate_private_key(65537, 2048))
        bad = probe(server, PATH, auth, secrets)
    assert (good.reason, bad.reason, names_of(bad)) == (Reason.OK, Reason.AUTH_FAILED, REFUSED)


def test_two_probes_have_two_nonces() -> None:
    with http_server(provider().routes()) as server:
        found = [probe(server, PATH, PRINTER, SECRETS).reason for _ in range(2)]
    assert found == [Reason.OK, Reason.OK]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        pytest.param({}, {"consumerSecret": "wrong-secret"}, id="consumer secret"),
        pytest.param({}, {"token": "wrong-token"}, id="token"),
        pytest.param({}, {"tokenSecret": "wrong-secret"}, id="token secret"),
        pytest.param({"consumerKey": "scanner"}, {}, id="consumer key"),
        pytest.param({"signatureMethod": "HMAC-SHA256"}, {}, id="signature method"),
        pytest.param({"realm": "Videos"}, {}, id="realm"),
    ],
)
def test_one_wrong_piece_of_oauth1_fails_at_auth(
    changes: dict[str, str], wrong: dict[str, str]
) -> None:
    with http_server(provider().routes()) as server:
        found = probe(server, PATH, {**PRINTER, **changes}, {**SECRETS, **wrong})
        assert (server.logins, server.failed_logins) == (1, 1)
    assert (found.reason, found.message) == (
        Reason.AUTH_FAILED,
        "401 Unauthorized: the credential is refused",
    )
    assert names_of(found) == REFUSED


def test_a_key_that_is_none_is_not_sent() -> None:
    auth, secrets = rsa_auth(rsa.generate_private_key(65537, 2048))
    with http_server(provider("RSA-SHA1").routes()) as server:
        found = probe(server, PATH, auth, {**secrets, "privateKey": "TOPSECRET"})
        assert server.requests == []
    assert (found.reason, found.outcome) == (Reason.SECRET_UNRESOLVED, Outcome.INCONCLUSIVE)


def test_a_missing_library_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "authlib.oauth1.rfc5849.signature", None)
    with http_server(provider().routes()) as server:
        found = probe(server, PATH, PRINTER, SECRETS)
        assert server.requests == []
    assert (found.reason, found.outcome, found.hint) == (
        Reason.DRIVER_MISSING,
        Outcome.INCONCLUSIVE,
        'install it: `pip install "reconciler[oauth]"`',
    )
    assert names_of(found) == ["secret", "auth"]


def run(grant: Grant) -> Credentials:
    """Returns what `grant` ends with, its one request sent."""

    async def send() -> Credentials:
        route = http_client.Route(
            connect_s=5,
            deadline=asyncio.get_running_loop().time() + 5,
            network=NetworkPolicy(),
        )
        answer = await http_client.send(next(grant), route, Stages())
        try:
            grant.send(Response(status=answer.status, body=answer.body))
        except StopIteration as stopped:
            found: Credentials = stopped.value
            return found
        raise AssertionError

    return asyncio.run(send())


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256", "PLAINTEXT"])
def test_a_token_is_got_by_consent_and_used(method: str) -> None:
    giver = provider(method)
    auth = OAuth1Auth.model_validate(
        {**PRINTER, "signatureMethod": method, "token": {"env": "B"}, "tokenSecret": {"env": "C"}}
    )
    secrets = {"/auth/consumerSecret": Secret(SECRETS["consumerSecret"])}
    moment = Moment(now=clock(), nonce=token_urlsafe)
    with http_server(giver.routes()) as server:
        temporary = run(
            oauth1_consent.temporary_credentials(
                auth, f"{server.url}/initiate", "http://127.0.0.1:1/back?a=1", secrets, moment
            )
        )
        page = oauth1_consent.authorization_url(f"{server.url}/authorize", temporary)
        verifier = giver.consent(page.partition("oauth_token=")[2])

        def exchange(verifier: str) -> Grant:
            return oauth1_consent.token_credentials(
                auth,
                f"{server.url}/token",
                secrets,
                moment,
                temporary=temporary,
                verifier=Secret(verifier),
            )

        with pytest.raises(ConnectionFailed, match="the consent is refused"):
            run(exchange("wrong"))
        got = run(exchange(verifier))
        with pytest.raises(ConnectionFailed, match="the consent is refused"):
            run(exchange(verifier))
        used = {**SECRETS, "token": got.token.reveal(), "tokenSecret": got.secret.reveal()}
        found = probe(server, PATH, {**PRINTER, "signatureMethod": method}, used)
    assert found.reason is Reason.OK


def test_a_client_that_is_unknown_gets_no_temporary_credentials() -> None:
    auth = OAuth1Auth.model_validate(PRINTER)
    secrets = {"/auth/consumerSecret": Secret("wrong-secret")}
    moment = Moment(now=clock(), nonce=token_urlsafe)
    with (
        http_server(provider().routes()) as server,
        pytest.raises(ConnectionFailed, match="the client is refused"),
    ):
        run(
            oauth1_consent.temporary_credentials(
                auth, f"{server.url}/initiate", "oob", secrets, moment
            )
        )


# --- AWS ---

AWS: JsonObject = {
    "method": "awsSigV4",
    "region": "eu-central-1",
    "service": "execute-api",
    "accessKeyId": {"env": "A"},
    "secretAccessKey": {"env": "B"},
}
SESSION: JsonObject = {**AWS, "sessionToken": {"env": "C"}}
KEYS = {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "TOP+SECRET/3"}
SESSION_KEYS = {**KEYS, "sessionToken": "TOP+SECRET/4=="}
SERVICE = Service(access_key="AKIAEXAMPLE", secret_key="TOP+SECRET/3")
CALL = "/stage/a%20b?b=2&a=1/x&c&d=%2F"


def ask(service: Service, auth: JsonObject, keys: dict[str, str], late_s: float = 0) -> Observation:
    with http_server({"/stage/a%20b": service.route}) as server:
        return probe(server, CALL, auth, keys, late_s=late_s)


@pytest.mark.parametrize(
    ("service", "auth", "keys"),
    [
        pytest.param(SERVICE, AWS, KEYS, id="keys of an account"),
        pytest.param(
            replace(SERVICE, session_token=SESSION_KEYS["sessionToken"]),
            SESSION,
            SESSION_KEYS,
            id="temporary keys",
        ),
        pytest.param(replace(SERVICE, name="s3"), {**AWS, "service": "s3"}, KEYS, id="s3"),
    ],
)
def test_a_signature_of_aws_is_accepted(
    service: Service, auth: JsonObject, keys: dict[str, str]
) -> None:
    found = ask(service, auth, keys)
    assert (found.reason, names_of(found)) == (Reason.OK, IN)


SIGNATURE = "AWS refuses the signature: the secret, the region or the service is wrong"


@pytest.mark.parametrize(
    ("auth", "wrong", "message"),
    [
        pytest.param(AWS, {"secretAccessKey": "TOP+OTHER/3"}, SIGNATURE, id="secret"),
        pytest.param({**AWS, "region": "eu-west-1"}, {}, SIGNATURE, id="region"),
        pytest.param({**AWS, "service": "lambda"}, {}, SIGNATURE, id="service"),
        pytest.param(
            AWS, {"accessKeyId": "AKIAOTHER"}, "AWS does not know the access key", id="access key"
        ),
        pytest.param(
            SESSION, {"sessionToken": "x"}, "AWS does not know the session token", id="session"
        ),
    ],
)
@pytest.mark.parametrize("is_json", [False, True], ids=["xml", "json"])
def test_one_wrong_piece_of_aws_fails_at_auth(
    auth: JsonObject, wrong: dict[str, str], message: str, is_json: bool
) -> None:
    found = ask(replace(SERVICE, is_json=is_json), auth, {**KEYS, **wrong})
    phrase = "400 Bad Request" if is_json else "403 Forbidden"
    assert (found.reason, found.message) == (Reason.AUTH_FAILED, f"{phrase}: {message}")
    assert names_of(found) == REFUSED


def test_a_wrong_clock_is_named() -> None:
    found = ask(SERVICE, AWS, KEYS, late_s=3600)
    assert found.message == (
        "403 Forbidden: AWS refuses the time of the request: this machine's clock is wrong"
    )


def test_keys_that_may_not_do_it_are_not_refused() -> None:
    route = http_routes.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    with http_server({"/": route}) as server:
        found = probe(server, "", AWS, KEYS)
    assert found.reason is Reason.PERMISSION_DENIED
