"""Tokens against a real token server, with a state in memory and a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed, SecretError, StoreUnavailable
from reconciler.model import Json, Reason, StageName
from reconciler.probes import TokenRequest, http_flow
from reconciler.probes import Tools as ProbeTools
from reconciler.redact import Redactor, Secret
from reconciler.sealing import Sealer
from reconciler.stores import Opening, Store, open_store
from reconciler.tokens import Tokens, records
from reconciler.tokens.asking import Tools
from tests.factories import NOW
from tests.servers import http_routes
from tests.servers.http_targets import make_target
from tests.servers.oauth import Client, Provider, oauth_server

KEY = bytes(range(3, 67, 2))


@dataclass(slots=True, kw_only=True)
class World:
    """One connection, its state and its token server."""

    provider: Provider
    store: Store
    fields: dict[str, Json] = field(default_factory=dict)
    secret: str = "s3cret"
    now: datetime = NOW
    keys: tuple[bytes, ...] = (KEY,)
    stages: Stages = field(default_factory=Stages)

    def clock(self) -> datetime:
        return self.now

    def tokens(self) -> Tokens:
        """The tokens of a new pass."""
        tools = Tools(
            records=records.Records(self.store, Sealer(self.keys)),
            redactor=Redactor(),
            clock=self.clock,
            make_id=lambda prefix: prefix + str(id(object())),
        )
        return Tokens(tools, ["conn_000000000000001"])

    def request(self, tokens: Tokens, patience: str = "10s") -> TokenRequest:
        auth = {
            "method": "oauth2",
            "grant": "clientCredentials",
            "tokenUrl": self.provider.token_url,
            "clientId": "crm",
            "clientAuthentication": {"method": "post", "secret": {"env": "S"}},
            **self.fields,
        }
        target = make_target(self.provider.url, auth=auth, health={"timeout": patience})
        self.stages = Stages()
        with ThreadPoolExecutor(1) as threads:
            probing = ProbeTools(
                redactor=Redactor(),
                threads=threads,
                clock=self.clock,
                read_public=lambda _: "",
                root="/",
                tokens=tokens,
            )
            secrets = {"/auth/clientAuthentication/secret": Secret(self.secret)}
            limits = http_flow.limits_of(target.spec)
            return http_flow.token_request(target, secrets, probing, self.stages, limits)

    def access(self) -> str:
        """Returns the token of a new pass."""

        async def run() -> str:
            tokens = self.tokens()
            return (await tokens.access(self.request(tokens))).reveal()

        return asyncio.run(run())


@pytest.fixture
def world() -> Iterator[World]:
    with oauth_server() as provider, closing(_memory()) as store:
        provider.clients["crm"] = Client(secret="s3cret")
        yield World(provider=provider, store=store)


def _memory() -> Store:
    return open_store("sqlite://", Opening.WRITE, keys=[KEY], now=NOW)


def test_a_good_token_costs_no_request_and_no_write(world: World) -> None:
    first = world.access()
    (before,) = world.store.sealed("token")
    assert world.access() == first
    assert world.store.sealed("token") == (before,)
    assert len(world.provider.asked) == 1
    assert world.stages.reached() == ()


def test_a_token_is_replaced_so_long_before_its_end(world: World) -> None:
    world.fields = {"refreshBefore": "5m"}
    first = world.access()
    world.now += timedelta(seconds=3600 - 301)
    assert world.access() == first
    world.now += timedelta(seconds=2)
    assert world.access() != first


def test_a_short_token_is_used_for_half_of_its_life(world: World) -> None:
    world.provider.lifetime_s = 30.0
    first = world.access()
    world.now += timedelta(seconds=14)
    assert world.access() == first
    world.now += timedelta(seconds=2)
    assert world.access() != first


def test_a_token_without_an_end_is_good_until_it_is_refused(world: World) -> None:
    world.provider.lifetime_s = None
    first = world.access()
    world.now += timedelta(days=1000)
    assert world.access() == first


def test_a_token_that_is_good_for_a_while_is_used_while_the_server_fails(world: World) -> None:
    world.fields = {"refreshBefore": "30m"}
    first = world.access()
    world.now += timedelta(minutes=45)
    world.provider.failing = http_routes.answer(503)
    assert world.access() == first
    (stage,) = world.stages.reached()
    assert stage.detail == "the token server fails; the token is good for a while yet"
    world.now += timedelta(minutes=20)
    with pytest.raises(ConnectionFailed) as failure:
        world.access()
    assert (failure.value.reason, failure.value.stage) == (Reason.SERVER_ERROR, StageName.AUTH)


def test_a_refused_client_is_said_although_the_token_is_good_for_a_while(world: World) -> None:
    world.fields = {"refreshBefore": "30m"}
    world.access()
    world.now += timedelta(minutes=45)
    world.provider.clients.clear()
    with pytest.raises(ConnectionFailed) as failure:
        world.access()
    assert failure.value.reason is Reason.AUTH_FAILED


def test_a_changed_secret_has_to_prove_itself(world: World) -> None:
    world.access()
    world.secret = "other"
    with pytest.raises(ConnectionFailed) as failure:
        world.access()
    assert failure.value.reason is Reason.AUTH_FAILED


def test_another_setting_gets_another_token_and_another_margin_does_not(world: World) -> None:
    first = world.access()
    world.fields = {"refreshBefore": "2m"}
    assert world.access() == first
    world.fields = {"scopes": ["read"]}
    assert world.access() != first


def test_who_cannot_have_the_lease_in_time_says_so(world: World) -> None:
    until = NOW + timedelta(seconds=300)
    assert world.store.lease("token/conn_000000000000001", "other", now=NOW, until=until)

    async def run() -> None:
        tokens = world.tokens()
        await tokens.access(world.request(tokens, "100ms"))

    with pytest.raises(ConnectionFailed, match="another process is getting the token") as failure:
        asyncio.run(run())
    assert failure.value.reason is Reason.CANCELLED
    assert world.provider.asked == []
    world.now = until + timedelta(seconds=1)
    assert world.access() in world.provider.issued


def test_a_refresh_token_whose_record_cannot_be_opened_is_an_error(world: World) -> None:
    refresh = {"grant": "deviceCode", "deviceUrl": world.provider.device_url}
    world.access()
    world.fields = refresh
    world.keys = (bytes(range(64, 96)),)
    with pytest.raises(SecretError, match="is sealed with the key"):
        world.access()
    assert len(world.provider.asked) == 1


def test_a_check_that_is_cancelled_still_keeps_what_the_server_answers(world: World) -> None:
    arrived = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def arrive() -> None:
        loops[0].call_soon_threadsafe(arrived.set)

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        tokens = world.tokens()
        world.provider.before_answer = arrive
        checking = asyncio.create_task(tokens.access(world.request(tokens)))
        await arrived.wait()
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        await tokens.finish()

    asyncio.run(run())
    (record,) = world.store.sealed("token")
    kept = record.open(Sealer([KEY]), world.store.meta.lineage).reveal()
    assert all(token in kept for token in world.provider.issued)


def test_a_state_that_cannot_be_written_is_said_before_anything_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lease(*_: object, **__: object) -> bool:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(type(world.store), "lease", lease)
    monkeypatch.setattr(type(world.store), "release_lease", lambda *_: None)
    with pytest.raises(ConnectionFailed, match="cannot be kept: the disk is full"):
        world.access()
    assert world.provider.asked == []
