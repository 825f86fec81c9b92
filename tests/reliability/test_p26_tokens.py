"""P26: consent cannot be stolen, and refresh tokens that rotate are not lost to concurrency."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from reconciler.auth import oauth2, oauth2_requests
from reconciler.auth.oauth2_answers import Token
from reconciler.clients import http as own_http
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed
from reconciler.model import Reason
from reconciler.network import NetworkPolicy
from reconciler.probes import TokenRequest
from reconciler.redact import Redactor, Secret
from reconciler.sealing import Sealer
from reconciler.stores import Opening, open_store
from reconciler.tokens import consent, records
from reconciler.tokens.asking import Tools
from tests.factories import NOW
from tests.reliability import token_life
from tests.reliability.figures import Record
from tests.reliability.token_life import Place
from tests.servers.http import closed_port
from tests.servers.oauth import Client, Provider, oauth_server

PROCESSES, WORKERS, SOAK_ROUNDS = 8, 13, 20
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload([token_life.__name__])


@pytest.fixture
def provider() -> Iterator[Provider]:
    with oauth_server() as running:
        running.clients["crm"] = Client()
        yield running


@pytest.fixture
def place(provider: Provider, shared_url: str) -> Place:
    return Place(state=shared_url, server=provider.url, seed=provider.make_refresh("crm"))


def everywhere(place: Place, workers: int) -> list[str]:
    """Checks the connection in many processes at once, each with so many workers."""
    with ProcessPoolExecutor(PROCESSES, mp_context=CONTEXT) as pool:
        check = partial(token_life.check, workers=workers)
        reasons = pool.map(check, [place] * PROCESSES, range(PROCESSES))
        return [reason for each in reasons for reason in each]


def killed(place: Place) -> bool:
    """Whether a process that checks the connection is killed on the way."""
    child = CONTEXT.Process(target=token_life.check, args=(place, 0))
    child.start()
    child.join(timeout=60)
    return child.exitcode == -signal.SIGKILL


def newest(provider: Provider) -> str:
    return list(provider.refreshes)[-1]


# --- refresh tokens ------------------------------------------------------------------------------


def test_a_hundred_workers_whose_token_is_refused_get_one_new_one(
    place: Place, provider: Provider, figure: Record, is_soak: bool
) -> None:
    assert token_life.check(place, 0) == ["Ok"]
    rounds = SOAK_ROUNDS if is_soak else 2
    for done in range(rounds):
        provider.expire()
        assert everywhere(place, WORKERS) == ["Ok"] * (PROCESSES * WORKERS)
        assert len(provider.asked) == done + 2
    assert token_life.is_kept(place, newest(provider))
    figure("P26", "workers at once", PROCESSES * WORKERS, "needless refreshes", 0)


def test_workers_that_each_refresh_never_send_a_token_twice(
    place: Place, provider: Provider, figure: Record, is_soak: bool
) -> None:
    provider.lifetime_s = 0.001  # over before anybody can use it again
    provider.server.routes["/api"] = provider.any_token
    rounds = SOAK_ROUNDS if is_soak else 1
    for _ in range(rounds):
        assert everywhere(place, 3) == ["Ok"] * (PROCESSES * 3)
    assert (provider.reuses, provider.refused) == (0, [])
    assert token_life.is_kept(place, newest(provider))
    figure("P26", "rotations", len(provider.asked), "refresh tokens sent twice", provider.reuses)


@pytest.mark.parametrize("step", ["before the answer", "before the write", "after the write"])
def test_a_refresh_token_outlives_a_killed_process_where_the_server_allows_a_repeat(
    place: Place, provider: Provider, figure: Record, step: str
) -> None:
    provider.leeway_s = 600.0
    token_life.check(place, 0)
    provider.expire()
    kill(place, provider, step)
    provider.expire()
    assert token_life.check(token_life.late(place), 0) == ["Ok"]
    assert token_life.is_kept(place, newest(provider))
    assert provider.reuses == 0
    figure("P26", "killed refreshes", 1, "refresh tokens lost", 0)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        # what the server has sent and nobody stored, nobody has: this is said, and not hidden
        ("before the answer", "AuthFailed"),
        ("before the write", "AuthFailed"),
        ("after the write", "Ok"),
    ],
)
def test_a_killed_process_is_noticed_where_the_server_allows_no_repeat(
    place: Place, provider: Provider, step: str, reason: str
) -> None:
    token_life.check(place, 0)
    provider.expire()
    kill(place, provider, step)
    provider.expire()
    assert token_life.check(token_life.late(place), 0) == [reason]


def kill(place: Place, provider: Provider, step: str) -> None:
    """Kills a process that refreshes at this step of it."""
    if step != "before the answer":
        assert killed(Place(state=place.state, server=place.server, seed=place.seed, dies=step))
        return
    child = CONTEXT.Process(target=token_life.check, args=(place, 0))

    def shoot() -> None:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)

    provider.before_answer = shoot
    child.start()
    child.join(timeout=60)
    provider.before_answer = None
    assert child.exitcode == -signal.SIGKILL


# --- consent -------------------------------------------------------------------------------------


class Browser:
    """Somebody who was sent to agree, and everybody else who can reach the listener."""

    def __init__(self, provider: Provider, redirect: str) -> None:
        self.provider = provider
        self.redirect = urlsplit(redirect)
        self.address = ""

    def agree(self, **changes: str) -> str:
        """Agrees at the server; returns the address that it redirects to."""
        split = urlsplit(self.address)
        fields = {**dict(parse_qsl(split.query)), **changes}
        answer = fetch(split.netloc, "GET", f"{split.path}?{urlencode(fields)}")
        return answer.getheader("Location", "")

    def visit(self, target: str, method: str = "GET") -> int:
        """Sends one request to the listener; returns the status, 0 where nobody listens."""
        try:
            return fetch(self.redirect.netloc, method, target).status
        except ConnectionError:
            return 0


def fetch(host: str, method: str, target: str, body: str = "") -> http.client.HTTPResponse:
    """Returns the whole answer to one request."""
    with closing(http.client.HTTPConnection(host, timeout=20)) as connection:
        connection.request(method, target, body)
        answer = connection.getresponse()
        answer.read()
        return answer


@pytest.fixture
def redirect(provider: Provider) -> str:
    address = f"http://127.0.0.1:{closed_port()}/back"
    provider.clients["crm"].redirects = (address,)
    return address


def authorize(
    provider: Provider, redirect: str, act: Callable[[Browser], None], *, issuer: str = ""
) -> Token:
    """Asks for a consent; once the address is known, `act` runs beside it."""
    auth = {
        "method": "oauth2",
        "grant": "authorizationCode",
        "tokenUrl": provider.token_url,
        "authorizationUrl": provider.authorization_url,
        "redirectUrl": redirect,
        "clientId": "crm",
        **({"issuer": issuer} if issuer else {}),
    }
    browser = Browser(provider, redirect)

    async def run() -> Token:
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def tell(prompt: consent.Prompt) -> None:
            browser.address = prompt.address
            told.set()

        request = TokenRequest(
            uid="conn_000000000000001",
            name="crm",
            auth=auth,
            grant=oauth2.AuthorizationCodeGrant.model_validate(auth),
            secrets={},
            route=own_http.Route(
                connect_s=5.0, deadline=loop.time() + 60.0, network=NetworkPolicy()
            ),
            stages=Stages(),
        )
        store = open_store("sqlite://", Opening.WRITE, now=NOW)
        tools = Tools(
            records=records.Records(store, Sealer([])),
            redactor=Redactor(),
            clock=lambda: NOW,
            make_id=lambda prefix: prefix,
        )
        asking = asyncio.create_task(consent.ask(request, tools, tell, within_s=60.0))
        try:
            await told.wait()
            await asyncio.to_thread(act, browser)
            return await asking
        finally:
            asking.cancel()
            store.close()

    return asyncio.run(run())


def attacks(browser: Browser) -> dict[str, tuple[str, str]]:
    """Returns method and target of what an attacker may send, by what it tries."""
    answer = urlsplit(browser.agree())
    given = dict(parse_qsl(answer.query))
    path = answer.path

    def target(**changes: str | None) -> str:
        fields = {name: value for name, value in {**given, **changes}.items() if value is not None}
        return f"{path}?{urlencode(fields)}"

    other = "x" * len(given["state"])
    return {
        "no state": ("GET", target(state=None)),
        "empty state": ("GET", target(state="")),
        "state of another session": ("GET", target(state=other)),
        "part of the state": ("GET", target(state=given["state"][:-1])),
        "longer state": ("GET", target(state=given["state"] + "x")),
        "two states": ("GET", f"{target()}&state={other}"),
        "two codes": ("GET", f"{target()}&code=other"),
        "error without state": ("GET", f"{path}?error=<script>"),
        "error with another state": ("GET", target(state=other, error="access_denied", code=None)),
        "another path": ("GET", f"/other?{answer.query}"),
        "beneath the path": ("GET", f"{path}/x?{answer.query}"),
        "another method": ("POST", target()),
        "no query": ("GET", path),
        "favicon": ("GET", "/favicon.ico"),
    }


def test_nothing_but_the_awaited_answer_ends_the_wait(
    provider: Provider, redirect: str, figure: Record
) -> None:
    tried: list[str] = []

    def act(browser: Browser) -> None:
        for name, (method, target) in attacks(browser).items():
            assert browser.visit(target, method) == 404, name
            tried.append(name)
        assert provider.asked == []
        answer = urlsplit(browser.agree())
        genuine = f"{answer.path}?{answer.query}"
        assert browser.visit(genuine) == 200
        assert browser.visit(genuine) in (0, 404)  # a state is good once
        tried.append("replay of the answer")

    token = authorize(provider, redirect, act)
    assert token.access.reveal() in provider.issued
    assert (len(provider.asked), provider.refused) == (1, [])
    figure("P26", "attacks on a consent", len(tried), "attacks accepted", 0)


@pytest.mark.parametrize(
    "sent", ["https://evil.example.com", ""], ids=["another issuer", "no issuer"]
)
def test_an_answer_of_another_issuer_is_refused_and_its_code_goes_nowhere(
    provider: Provider, redirect: str, figure: Record, sent: str
) -> None:
    provider.issuer = sent

    def act(browser: Browser) -> None:
        answer = urlsplit(browser.agree())
        browser.visit(f"{answer.path}?{answer.query}")

    with pytest.raises(ConnectionFailed, match="not from the issuer") as refusal:
        authorize(provider, redirect, act, issuer="https://login.example.com")
    assert refusal.value.reason is Reason.CONSENT_REQUIRED
    assert provider.asked == []
    figure("P26", "attacks on a consent", 1, "attacks accepted", 0)


def test_a_code_that_was_made_for_another_verifier_is_worth_nothing(
    provider: Provider, redirect: str, figure: Record
) -> None:
    """Injection: the attacker's own code, brought by the victim's browser."""

    def act(browser: Browser) -> None:
        own = oauth2_requests.challenge("the verifier of the attacker, long enough to be one")
        answer = urlsplit(browser.agree(code_challenge=own))
        browser.visit(f"{answer.path}?{answer.query}")

    with pytest.raises(ConnectionFailed, match="invalid_grant"):
        authorize(provider, redirect, act)
    assert provider.issued == {}
    figure("P26", "attacks on a consent", 1, "attacks accepted", 0)


def test_a_code_without_its_verifier_is_worth_nothing_to_a_thief(
    provider: Provider, redirect: str, figure: Record
) -> None:
    stolen: list[str] = []

    def act(browser: Browser) -> None:
        answer = urlsplit(browser.agree())
        stolen.append(dict(parse_qsl(answer.query))["code"])
        split = urlsplit(provider.token_url)
        fields = {
            "grant_type": "authorization_code",
            "code": stolen[0],
            "redirect_uri": redirect,
            "client_id": "crm",
        }
        answered = fetch(split.netloc, "POST", split.path, urlencode(fields))
        assert answered.status == 400
        browser.visit(f"{answer.path}?{answer.query}")

    assert authorize(provider, redirect, act).access.reveal() in provider.issued
    figure("P26", "attacks on a consent", 1, "attacks accepted", 0)


def test_the_challenge_is_s256_and_the_redirect_is_exact(provider: Provider, redirect: str) -> None:
    seen: dict[str, str] = {}

    def act(browser: Browser) -> None:
        seen.update(parse_qsl(urlsplit(browser.address).query))
        answer = urlsplit(browser.agree())
        browser.visit(f"{answer.path}?{answer.query}")

    authorize(provider, redirect, act)
    (asked,) = provider.asked
    assert seen["code_challenge_method"] == "S256"
    assert seen["code_challenge"] == oauth2_requests.challenge(asked["code_verifier"])
    assert seen["redirect_uri"] == asked["redirect_uri"] == redirect
    assert len(asked["code_verifier"]) >= 43  # RFC 7636, section 4.1
    assert Secret(seen["state"]).reveal() != asked["code_verifier"]
