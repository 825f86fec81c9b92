"""OAuth 2 through the command line, against a real token server and the API behind it."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from reconciler.model import Json, JsonObject
from tests.corpus.canary import leaks, make_canary, make_key
from tests.corpus.zygote import Zygote
from tests.e2e.command import Ended, Run
from tests.e2e.projects import Project, api
from tests.servers import http_oauth1, http_routes
from tests.servers.http import Route, closed_port, http_server
from tests.servers.oauth import Client, Provider, oauth_server
from tests.servers.proxies import proxy_server

SECRET = "crm-Secret/with+signs%:1"
SECRETS = {"CRM_SECRET": SECRET}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oauth_server() as running:
        running.clients["crm"] = Client(secret=SECRET)
        yield running


@pytest.fixture
def project(run: Run, warm: Zygote) -> Project:
    return Project(run=run, warm=warm, env={**SECRETS, "RECONCILER_KEY": make_key()})


def oauth2(provider: Provider, grant: str, /, **fields: Json) -> dict[str, Json]:
    auth = {
        "method": "oauth2",
        "grant": grant,
        "tokenUrl": provider.token_url,
        "clientId": "crm",
        "clientAuthentication": {"method": "basic", "secret": {"env": "CRM_SECRET"}},
        **fields,
    }
    return {name: value for name, value in auth.items() if value is not None}


def connection(provider: Provider, auth: JsonObject, name: str = "crm") -> dict[str, Json]:
    return api(name, provider.url, auth=auth, health={"path": "/api"})


def found(health: JsonObject, name: str = "crm") -> tuple[str, str, str]:
    """Returns phase, reason and the stage at which the check of `name` ended."""
    (check,) = (check for check in health["checks"] if check["name"] == name)
    seen = check["observation"]
    return check["status"]["phase"], seen["reason"], seen["stages"][-1]["name"]


def private_key(algorithm: str) -> PrivateKeyTypes:
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(65537, 2048)


def pem(key: PrivateKeyTypes, passphrase: str = "") -> str:
    how = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def public(key: PrivateKeyTypes) -> Any:
    return key.public_key()


# --- grants without a person ---------------------------------------------------------------------


def test_client_credentials_connect_and_the_token_is_kept_between_runs(
    project: Project, provider: Provider
) -> None:
    project.declare(connection(provider, oauth2(provider, "clientCredentials", scopes=["a", "b"])))
    assert found(project.data("apply")["health"]) == ("ACTIVE", "Ok", "query")
    assert [(form["grant_type"], form["scope"]) for form in provider.asked] == [
        ("client_credentials", "a b")
    ]
    assert found(project.data("health")) == ("ACTIVE", "Ok", "query")
    assert len(provider.asked) == 1


def test_tokens_are_asked_for_through_the_proxy_of_the_connection(
    project: Project, provider: Provider
) -> None:
    auth = oauth2(provider, "clientCredentials")
    with proxy_server("http") as proxy:
        project.declare(
            api(
                "crm",
                provider.url,
                auth=auth,
                health={"path": "/api"},
                proxy={"url": proxy.url("http")},
            )
        )
        assert found(project.data("apply")["health"]) == ("ACTIVE", "Ok", "query")
    place = provider.url.partition("//")[2]
    assert len(provider.asked) == 1
    assert proxy.targets == [place, place]  # for the token, and for the API


def test_a_token_server_is_not_looked_for_behind_the_socket_of_the_api(
    project: Project, provider: Provider
) -> None:
    """Nobody serves the socket: had the token been asked for there, none would have been given."""
    auth = oauth2(provider, "clientCredentials")
    missing = str(project.run.folder / "nobody.sock")
    project.declare(api("crm", "http://crm", auth=auth, socket=missing))
    (check,) = project.data("apply", code=11)["health"]["checks"]
    assert len(provider.asked) == 1
    assert check["observation"]["reason"] == "ConnectRefused"


def test_without_a_key_a_token_lasts_for_the_run(project: Project, provider: Provider) -> None:
    keyless = replace(project, env=SECRETS)
    keyless.declare(connection(provider, oauth2(provider, "clientCredentials")))
    assert keyless("apply").code == 0
    assert keyless("health").code == 0
    assert len(provider.asked) == 2
    assert keyless.query("select count(*) from sealed") == [(0,)]


@pytest.mark.parametrize("method", ["basic", "post"])
def test_a_client_secret_is_proven_and_a_wrong_one_is_a_failed_login(
    project: Project, provider: Provider, method: str
) -> None:
    client = {"method": method, "secret": {"env": "CRM_SECRET"}}
    auth = oauth2(provider, "clientCredentials", clientAuthentication=client)
    project.declare(connection(provider, auth))
    assert found(project.data("apply")["health"]) == ("ACTIVE", "Ok", "query")
    wrong = project.data("apply", code=11, CRM_SECRET="wrong")
    assert found(wrong["health"]) == ("FAILED", "AuthFailed", "auth")
    assert provider.failed_logins == 1


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_signed_statement_proves_a_client_and_another_key_does_not(
    project: Project, provider: Provider, algorithm: str
) -> None:
    key = private_key(algorithm)
    provider.clients["crm"] = Client(key=public(key))
    client = {
        "method": "privateKeyJwt",
        "key": {"file": "key.pem"},
        "keyPassphrase": {"env": "PASSPHRASE"},
        "keyId": "one",
        "algorithm": algorithm,
    }
    auth = oauth2(provider, "clientCredentials", clientAuthentication=client)
    project.declare(connection(provider, auth))
    project.run.write("key.pem", pem(key, "open sesame")).chmod(0o600)
    applied = project.data("apply", PASSPHRASE="open sesame")
    assert found(applied["health"]) == ("ACTIVE", "Ok", "query")
    unread = project.data("apply", code=4, PASSPHRASE="close sesame")
    assert found(unread["health"]) == ("PENDING", "SecretUnresolved", "secret")
    hint = unread["health"]["checks"][0]["observation"]["hint"]
    assert hint.startswith("check `keyPassphrase`; the key is a PEM text")
    project.run.write("key.pem", pem(private_key(algorithm), "open sesame"))
    applied = project.data("apply", code=11, PASSPHRASE="open sesame")
    assert found(applied["health"]) == ("FAILED", "AuthFailed", "auth")


def test_a_key_of_another_kind_is_named_before_anything_is_sent(
    project: Project, provider: Provider
) -> None:
    client = {"method": "privateKeyJwt", "key": {"file": "key.pem"}, "algorithm": "RS256"}
    auth = oauth2(provider, "clientCredentials", clientAuthentication=client)
    project.declare(connection(provider, auth))
    project.run.write("key.pem", pem(private_key("EdDSA"))).chmod(0o600)
    ended = project("apply")
    assert ended.code == 4
    assert "is none for RS256" in ended.stdout + ended.stderr
    assert provider.asked == []


def test_jwt_bearer_connects_and_another_subject_key_does_not(
    project: Project, provider: Provider
) -> None:
    key = private_key("ES256")
    provider.issuers["app@example.com"] = public(key)
    assertion = {"key": {"file": "key.pem"}, "algorithm": "ES256", "issuer": "app@example.com"}
    auth = oauth2(
        provider, "jwtBearer", assertion=assertion, clientId=None, clientAuthentication=None
    )
    project.declare(connection(provider, auth))
    project.run.write("key.pem", pem(key)).chmod(0o600)
    assert found(project.data("apply")["health"]) == ("ACTIVE", "Ok", "query")
    project.run.write("key.pem", pem(private_key("ES256")))
    assert found(project.data("apply", code=11)["health"]) == ("FAILED", "AuthFailed", "auth")


def test_the_legacy_grant_works_and_is_warned_about(project: Project, provider: Provider) -> None:
    provider.users["report"] = "hunter2hunter2"
    auth = oauth2(provider, "password", username="report", password={"env": "CRM_PASSWORD"})
    project.declare(connection(provider, auth))
    ended = project("apply", CRM_PASSWORD="hunter2hunter2")
    assert (ended.code, "warning[W211]" in ended.stderr) == (0, True)
    wrong = project.data("apply", code=11, CRM_PASSWORD="wrong")
    assert found(wrong["health"]) == ("FAILED", "AuthFailed", "auth")


# --- refresh tokens ------------------------------------------------------------------------------


def test_a_rotating_refresh_token_goes_on_from_run_to_run(
    project: Project, provider: Provider
) -> None:
    seed = provider.make_refresh("crm")
    auth = oauth2(provider, "refreshToken", refreshToken={"env": "CRM_REFRESH"})
    project.declare(connection(provider, auth))
    assert project("apply", CRM_REFRESH=seed).code == 0
    for _ in range(3):
        provider.expire()
        assert found(project.data("health", CRM_REFRESH=seed)) == ("ACTIVE", "Ok", "query")
    assert (len(provider.asked), provider.reuses) == (4, 0)


def test_a_refresh_token_needs_a_key_before_it_is_used(
    project: Project, provider: Provider
) -> None:
    auth = oauth2(provider, "refreshToken", refreshToken={"env": "CRM_REFRESH"})
    keyless = replace(project, env={**SECRETS, "CRM_REFRESH": provider.make_refresh("crm")})
    keyless.declare(connection(provider, auth))
    ended = keyless("apply")
    assert ended.code == 4
    assert "reconciler secret keygen" in ended.stdout + ended.stderr
    assert provider.asked == []


def test_a_changed_refresh_token_begins_anew(project: Project, provider: Provider) -> None:
    auth = oauth2(provider, "refreshToken", refreshToken={"env": "CRM_REFRESH"})
    project.declare(connection(provider, auth))
    assert project("apply", CRM_REFRESH=provider.make_refresh("crm")).code == 0
    second = provider.make_refresh("crm")
    assert project("apply", CRM_REFRESH=second).code == 0
    assert provider.asked[-1]["refresh_token"] == second


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_wrong_client_secret_is_sent_no_more_often_than_the_login_budget(
    project: Project, provider: Provider
) -> None:
    names = ("one", "two", "three")
    auth = oauth2(provider, "clientCredentials")
    project.declare(*(connection(provider, auth, name) for name in names))
    for _ in range(4):
        project("apply", "--health", "all", CRM_SECRET="wrong")
    assert provider.failed_logins == 5
    assert {row["status"]["phase"] for row in project.statuses().values()} == {"SUSPENDED"}


def test_a_token_server_that_is_down_is_said_and_is_no_failed_login(
    project: Project, provider: Provider
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/token"
    project.declare(connection(provider, oauth2(provider, "clientCredentials", tokenUrl=url)))
    health = project.data("apply", code=11)["health"]
    assert found(health) == ("FAILED", "ConnectRefused", "auth")
    assert health["checks"][0]["observation"]["message"].startswith("token server: ")
    assert project.query("select count(*) from login_attempts") == [(0,)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(http_routes.answer(500), "ServerError", id="500"),
        pytest.param(http_routes.answer(429), "RateLimited", id="429"),
        pytest.param(http_routes.answer(403), "PermissionDenied", id="403"),
        pytest.param(http_routes.redirect("http://127.0.0.1/"), "RedirectRefused", id="302"),
        pytest.param(http_routes.answer(200, b"hello"), "ProtocolError", id="no JSON"),
        pytest.param(
            http_routes.json_body({"access_token": "a", "token_type": "mac"}),
            "ProtocolError",
            id="another type",
        ),
        pytest.param(
            http_routes.json_body({"error": "invalid_scope"}), "PermissionDenied", id="scope"
        ),
    ],
)
def test_an_answer_without_a_token_has_its_reason(
    project: Project, provider: Provider, answer: Route, reason: str
) -> None:
    provider.failing = answer
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    health = project.data("apply", code=11)["health"]
    assert found(health)[1:] == (reason, "auth")
    assert health["checks"][0]["observation"]["message"].startswith("token server: ")


def test_a_kept_token_that_the_api_refuses_is_replaced_once(
    project: Project, provider: Provider
) -> None:
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    assert project("apply").code == 0
    provider.expire()
    assert found(project.data("health")) == ("ACTIVE", "Ok", "query")
    assert len(provider.asked) == 2
    provider.server.routes["/api"] = http_routes.answer(401)
    assert found(project.data("health", code=11)) == ("FAILED", "AuthFailed", "auth")
    assert len(provider.asked) == 3


def test_a_token_that_was_sealed_with_another_key_is_got_again(
    project: Project, provider: Provider
) -> None:
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    assert project("apply").code == 0
    project.execute("update sealed set ciphertext = replace(ciphertext, 'a', 'b')")
    assert found(project.data("health")) == ("ACTIVE", "Ok", "query")
    assert len(provider.asked) == 2


def test_no_screen_and_no_file_holds_a_token(project: Project, provider: Provider) -> None:
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    provider.server.routes["/api"] = http_routes.echo(500)
    ended = [project("apply", "-vv"), project("describe", "crm"), project("health", "-o", "json")]
    tokens = {f"token {number}": token for number, token in enumerate(provider.issued)}
    assert len(tokens) == 1
    places = {f"screen {n}": (e.stdout + e.stderr).encode() for n, e in enumerate(ended)}
    for path in project.run.folder.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    assert leaks({**tokens, "client secret": SECRET}, places) == []


# --- consent -------------------------------------------------------------------------------------


def by_browser(provider: Provider, port: int, **fields: Json) -> dict[str, Json]:
    redirect = f"http://127.0.0.1:{port}/back"
    provider.clients["crm"] = Client(secret=SECRET, redirects=(redirect,))
    return oauth2(
        provider,
        "authorizationCode",
        authorizationUrl=provider.authorization_url,
        redirectUrl=redirect,
        **fields,
    )


class Consent:
    """`reconciler authorize` while it waits for a person."""

    def __init__(self, project: Project, *args: str, **env: str) -> None:
        self.process: subprocess.Popen[bytes] = project.start(
            "authorize", "crm", "--no-browser", *args, **env
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def ended(self) -> Ended:
        out, err = self.process.communicate(timeout=60)
        return Ended(code=self.process.returncode, stdout=out.decode(), stderr=err.decode())


def browse(address: str) -> tuple[int, str]:
    """Opens an address as a browser does, redirects and all."""
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_consent_makes_a_pending_connection_active(project: Project, provider: Provider) -> None:
    project.declare(connection(provider, by_browser(provider, closed_port())))
    health = project.data("apply", code=11)["health"]
    assert found(health) == ("PENDING", "ConsentRequired", "auth")
    assert (
        health["checks"][0]["observation"]["hint"]
        == "reconciler authorize ApiConnection/default/crm"
    )
    assert provider.server.requests == []
    assert project.standings() == {"crm": "PENDING ConsentRequired 0/0"}

    consent = Consent(project)
    assert browse(consent.address)[0] == 200
    ended = consent.ended()
    assert ended.code == 0, ended.stderr
    assert project.standings() == {"crm": "ACTIVE Ok 0/1"}
    assert ("authorized", "crm", "Authorized") in project.events()

    provider.expire()
    assert found(project.data("health")) == ("ACTIVE", "Ok", "query")
    assert provider.grants == ["authorization_code", "refresh_token"]
    assert provider.asked[0]["code_verifier"] != provider.asked[0]["code"]


def test_a_withdrawn_consent_has_to_be_given_again(project: Project, provider: Provider) -> None:
    project.declare(connection(provider, by_browser(provider, closed_port())))
    project("apply")
    consent = Consent(project)
    browse(consent.address)
    assert consent.ended().code == 0
    provider.expire()
    provider.refreshes.clear()
    assert found(project.data("health", code=11)) == ("ACTIVE", "ConsentRequired", "auth")
    asked = len(provider.asked)
    assert found(project.data("health", code=11)) == ("ACTIVE", "ConsentRequired", "auth")
    assert len(provider.asked) == asked
    consent = Consent(project)
    browse(consent.address)
    assert consent.ended().code == 0


def authorized(project: Project, provider: Provider, **fields: Json) -> Ended:
    """Declares `crm`, applies it and has a person agree."""
    project.declare(connection(provider, by_browser(provider, closed_port(), **fields)))
    project("apply")
    consent = Consent(project)
    browse(consent.address)
    ended = consent.ended()
    assert ended.code == 0, ended.stderr
    return ended


@pytest.mark.parametrize("kinds", [("refresh_token", "access_token"), ("refresh_token",)], ids=len)
def test_a_token_is_given_back_and_forgotten(
    project: Project, provider: Provider, kinds: tuple[str, ...]
) -> None:
    provider.takes_back = frozenset(kinds)
    authorized(project, provider, revocationUrl=provider.revocation_url)
    ended = project("authorize", "crm", "--revoke")
    assert (ended.code, ended.stderr) == (0, "revoked the token of `ApiConnection/default/crm`\n")
    assert [token[:3] for token in provider.revoked] == ["rt-", "at-"][: len(kinds)]
    assert ("revoked", "crm", "Revoked") in project.events()
    asked = len(provider.asked)
    assert found(project.data("health", code=11))[1:] == ("ConsentRequired", "auth")
    assert len(provider.asked) == asked
    again = project("authorize", "crm", "--revoke")
    assert (again.code, "no token of" in again.stderr) == (2, True)


def test_a_refresh_token_that_is_not_taken_back_is_kept(
    project: Project, provider: Provider
) -> None:
    provider.takes_back = frozenset({"access_token"})
    authorized(project, provider, revocationUrl=provider.revocation_url)
    ended = project("authorize", "crm", "--revoke")
    assert (ended.code, "unsupported_token_type" in ended.stderr) == (11, True)
    assert found(project.data("health")) == ("ACTIVE", "Ok", "query")


def test_a_token_is_given_back_to_nobody_else(project: Project, provider: Provider) -> None:
    auth = by_browser(provider, closed_port(), revocationUrl=provider.revocation_url)
    project.declare(connection(provider, auth))
    project("apply")
    consent = Consent(project)
    browse(consent.address)
    assert consent.ended().code == 0
    with oauth_server() as other:
        elsewhere = {"tokenUrl": other.token_url, "revocationUrl": other.revocation_url}
        project.declare(connection(provider, {**auth, **elsewhere}))
        project("apply")
        ended = project("authorize", "crm", "--revoke")
        assert (ended.code, "another client or server" in ended.stderr) == (2, True)
        assert (other.revoked, provider.revoked) == ([], [])


def test_a_token_that_is_not_taken_back_is_kept(project: Project, provider: Provider) -> None:
    authorized(project, provider, revocationUrl=f"{provider.url}/nowhere")
    ended = project("authorize", "crm", "--revoke")
    assert (ended.code, "404" in ended.stderr, "`revocationUrl`" in ended.stderr) == (11,) + 2 * (
        True,
    )
    assert found(project.data("health")) == ("ACTIVE", "Ok", "query")


def test_without_an_address_nothing_is_given_back(project: Project, provider: Provider) -> None:
    authorized(project, provider)
    ended = project("authorize", "crm", "--revoke")
    assert (ended.code, "add `revocationUrl` to `auth`" in ended.stderr) == (2, True)
    assert provider.revoked == []


def test_a_scope_that_is_not_granted_is_said(project: Project, provider: Provider) -> None:
    provider.withheld = frozenset({"orders.write"})
    ended = authorized(project, provider, scopes=["orders.read", "orders.write"])
    assert "warning: the server did not grant orders.write" in ended.stderr


def test_who_does_not_agree_is_heard(project: Project, provider: Provider) -> None:
    project.declare(connection(provider, by_browser(provider, closed_port())))
    project("apply")
    consent = Consent(project)
    browse(consent.address + "&agree=no")
    ended = consent.ended()
    assert (ended.code, "the person did not agree" in ended.stderr) == (11, True)
    assert project.standings() == {"crm": "PENDING ConsentRequired 0/0"}


def test_nobody_who_agrees_ends_the_wait(project: Project, provider: Provider) -> None:
    project.declare(connection(provider, by_browser(provider, closed_port())))
    project("apply")
    ended = project("authorize", "crm", "--no-browser", "--within", "1s")
    assert (ended.code, "nobody agreed in time" in ended.stderr) == (11, True)


def test_what_is_suspended_can_be_agreed_to_and_stays_suspended(
    project: Project, provider: Provider
) -> None:
    project.declare(connection(provider, by_browser(provider, closed_port())))
    project("apply")
    project("suspend", "crm")
    consent = Consent(project)
    browse(consent.address)
    ended = consent.ended()
    assert (ended.code, project.standings()["crm"]) == (
        0,
        "SUSPENDED by user SuspendedByCommand 0/0",
    )
    told = "`ApiConnection/default/crm` is SUSPENDED, which it stays: its token is kept for later"
    assert ended.stderr.startswith(told)
    assert ended.stderr.endswith(
        "to have it checked: reconciler resume ApiConnection/default/crm\n"
    )


def test_a_consent_without_a_key_says_how_to_make_one(project: Project, provider: Provider) -> None:
    keyless = replace(project, env=SECRETS)
    keyless.declare(connection(provider, by_browser(provider, closed_port())))
    (check,) = keyless.data("apply", code=11)["health"]["checks"]
    assert check["observation"]["hint"] == (
        "`reconciler secret keygen` makes one; give it in RECONCILER_KEY or a file;"
        " then `reconciler authorize ApiConnection/default/crm`"
    )
    ended = keyless("authorize", "crm")
    assert (ended.code, "reconciler secret keygen" in ended.stderr) == (2, True)


def test_a_connection_without_consent_cannot_be_authorized(
    project: Project, provider: Provider
) -> None:
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    project("apply")
    ended = project("authorize", "crm")
    assert (ended.code, "needs no consent" in ended.stderr) == (2, True)


def test_a_port_that_is_in_use_is_said(project: Project, provider: Provider) -> None:
    port = provider.server.port
    project.declare(connection(provider, by_browser(provider, port)))
    project("apply")
    ended = project("authorize", "crm", "--no-browser")
    assert (ended.code, "in use" in ended.stderr) == (2, True)


def test_another_scope_needs_another_consent_and_the_plan_says_so(
    project: Project, provider: Provider
) -> None:
    port = closed_port()
    project.declare(connection(provider, by_browser(provider, port, scopes=["read"])))
    project("apply")
    consent = Consent(project)
    browse(consent.address)
    assert consent.ended().code == 0
    project.declare(connection(provider, by_browser(provider, port, scopes=["read", "write"])))
    assert "CONSENT NEEDED AGAIN" in project("plan").stdout
    (change,) = project.data("plan")["changes"]
    assert change["consentNeededAgain"] == "auth.scopes"
    assert found(project.data("apply", code=11)["health"])[:2] == ("PENDING", "ConsentRequired")
    assert provider.grants == ["authorization_code"]


def test_another_token_server_is_a_credential_rebind(project: Project, provider: Provider) -> None:
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    assert project("apply", "--health", "none").code == 0
    elsewhere = oauth2(
        provider, "clientCredentials", tokenUrl="https://elsewhere.example.com/token"
    )
    project.declare(connection(provider, elsewhere))
    (change,) = project.data("plan")["changes"]
    assert change["credentialRebind"] == f"{provider.url} -> https://elsewhere.example.com:443"


# --- OAuth 1.0 -----------------------------------------------------------------------------------


def test_a_consent_of_oauth1_makes_a_pending_connection_active(project: Project) -> None:
    photos = http_oauth1.Provider(consumer_key="printer", consumer_secret=SECRET)
    port = closed_port()
    with http_server(photos.routes()) as server:
        auth = {
            "method": "oauth1",
            "consumerKey": "printer",
            "consumerSecret": {"env": "CRM_SECRET"},
            "realm": photos.realm,
            "consent": {
                "requestTokenUrl": f"{server.url}/initiate",
                "authorizationUrl": f"{server.url}/authorize",
                "accessTokenUrl": f"{server.url}/token",
                "redirectUrl": f"http://127.0.0.1:{port}/back",
            },
        }
        project.declare(api("crm", server.url, auth=auth, health={"path": "/photos"}))
        health = project.data("apply", code=11)["health"]
        assert found(health) == ("PENDING", "ConsentRequired", "auth")
        assert server.requests == []
        consent = Consent(project)
        (temporary,) = photos.temporary
        assert consent.address == f"{server.url}/authorize?oauth_token={temporary}"
        back = f"http://127.0.0.1:{port}/back"
        verifier = photos.consent(temporary)
        assert browse(f"{back}?oauth_token=other&oauth_verifier={verifier}")[0] == 404
        assert browse(f"{back}?oauth_token={temporary}&oauth_verifier={verifier}")[0] == 200
        ended = consent.ended()
        assert ended.code == 0, ended.stderr
        assert found(project.data("health")) == ("ACTIVE", "Ok", "query")
        photos.tokens.clear()
        assert found(project.data("health", code=11)) == ("FAILED", "AuthFailed", "auth")


# --- devices -------------------------------------------------------------------------------------


def test_a_consent_on_another_device_makes_a_connection_active(
    project: Project, provider: Provider
) -> None:
    auth = oauth2(provider, "deviceCode", deviceUrl=provider.device_url)
    project.declare(connection(provider, auth))
    assert found(project.data("apply", code=11)["health"])[:2] == ("PENDING", "ConsentRequired")
    consent = Consent(project)
    assert consent.address == f"{provider.url}/enter"
    provider.agree(consent.line().removeprefix("code: "))
    ended = consent.ended()
    assert ended.code == 0, ended.stderr
    assert project.standings() == {"crm": "ACTIVE Ok 0/1"}


def test_a_device_that_is_denied_is_heard(project: Project, provider: Provider) -> None:
    auth = oauth2(provider, "deviceCode", deviceUrl=provider.device_url)
    project.declare(connection(provider, auth))
    project("apply")
    consent = Consent(project)
    provider.agree(consent.line().removeprefix("code: "), "denied")
    ended = consent.ended()
    assert (ended.code, "the person did not agree" in ended.stderr) == (11, True)


def test_verifier_code_and_tokens_of_a_consent_are_nowhere(
    project: Project, provider: Provider, tmp_path: Path
) -> None:
    secret = make_canary("/+=%&")
    port = closed_port()
    auth = by_browser(provider, port)
    provider.clients["crm"] = replace(provider.clients["crm"], secret=secret)
    project.declare(connection(provider, auth))
    project("apply", CRM_SECRET=secret)
    consent = Consent(project, "-vv", CRM_SECRET=secret)
    browse(consent.address)
    ended = consent.ended()
    assert ended.code == 0, ended.stderr
    (asked,) = provider.asked
    canaries = {
        "secret": secret,
        "code": asked["code"],
        "verifier": asked["code_verifier"],
        **{f"refresh {number}": token for number, token in enumerate(provider.refreshes)},
        **{f"access {number}": token for number, token in enumerate(provider.issued)},
    }
    places = {"screens": (ended.stdout + ended.stderr).encode()}
    for path in project.run.folder.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    assert leaks(canaries, places) == []
    assert json.dumps(canaries)


def stage_names(health: JsonObject) -> list[str]:
    (check,) = health["checks"]
    return [stage["name"] for stage in check["observation"]["stages"]]


def test_a_token_that_is_refused_and_replaced_is_one_step(
    project: Project, provider: Provider
) -> None:
    """The refused request is part of it, whether there is another token or not."""
    project.declare(connection(provider, oauth2(provider, "clientCredentials")))
    first = stage_names(project.data("apply")["health"])
    assert first == ["secret", "dns", "tcp", "auth", "query"]
    provider.expire()
    assert stage_names(project.data("health")) == first
    provider.expire()
    provider.clients["crm"] = Client(secret="another")
    failed = project.data("health", code=11)
    assert found(failed) == ("FAILED", "AuthFailed", "auth")
    assert stage_names(failed) == ["secret", "dns", "tcp", "auth"]
