"""Compares probes of APIs with a warm OAuth 2 token with probes with a bearer token, client CPU.

Each connection has a token of its own, as in a pass over a fleet, and a round probes all of them
once. The peer is the same pass, whose tokens are secrets that were resolved before. Both redactors
know every token. Rounds of both alternate, and the median of their ratios counts. The server gives
no tokens, so that a probe that asks for one fails. What a pass does once for each token that is
kept sealed in the state, reading and opening it, has a line of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe

from benchmarks import http_probe
from benchmarks.measuring import Goal, Line
from reconciler.auth.oauth2_answers import Token
from reconciler.clients.stages import Stages
from reconciler.model import JsonObject, Outcome, Target
from reconciler.probes import Tools, http, http_flow
from reconciler.redact import Redactor, Secret
from reconciler.sealing import Sealer
from reconciler.stores import Opening, Store, open_store
from reconciler.tokens import Tokens, records
from reconciler.tokens.asking import Tools as TokenTools

CONNECTIONS = 500
IN_FLIGHT = 50
PAIRS = 11
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_KEY = bytes(range(3, 67, 2))
_REFERENCE: JsonObject = {"env": "SECRET"}


def lines(folder: Path) -> Iterator[Line]:
    """Measures a pass with warm tokens against one with bearer tokens."""
    url = f"sqlite:///{folder / 'tokens.db'}"
    with (
        http_probe.server() as port,
        closing(open_store(url, Opening.WRITE, keys=[_KEY], now=_NOW)) as store,
        ThreadPoolExecutor(1) as threads,
    ):
        fleet = _Fleet(port, store, threads)
        fleet.warm()
        pairs = [(fleet.with_tokens(), fleet.with_bearer()) for _ in range(PAIRS + 1)][1:]
        opening_s = min(fleet.opening() for _ in range(PAIRS)) / CONNECTIONS
    ours, floor = (statistics.median(side) / CONNECTIONS for side in zip(*pairs, strict=True))
    yield Line(
        work="HTTP probe with a warm OAuth 2 token, client CPU, against a bearer token",
        value=statistics.median(mine / least for mine, least in pairs),
        unit="x",
        detail=f"{ours * 1e6:.0f} us against {floor * 1e6:.0f} us",
        goal=Goal(at_least=1.1, aim=1.05),
        cause="settings and secrets are hashed, to see whether the token was given for them",
    )
    yield Line(
        work="reading and opening a kept OAuth 2 token, once a pass, client CPU",
        value=opening_s * 1e6,
        unit="us",
    )


class _Fleet:
    """The connections, once with each method."""

    def __init__(self, port: int, store: Store, threads: ThreadPoolExecutor) -> None:
        self._records = records.Records(store, Sealer([_KEY]))
        self._threads = threads
        self._oauth2 = _targets(
            port,
            {
                "method": "oauth2",
                "grant": "clientCredentials",
                "tokenUrl": f"http://127.0.0.1:{port}/token",
                "clientId": "bench",
                "clientAuthentication": {"method": "basic", "secret": _REFERENCE},
            },
        )
        self._bearer = _targets(port, {"method": "bearer", "token": _REFERENCE})
        self._secret = Secret(token_urlsafe())
        self._given = [Secret(token_urlsafe()) for _ in range(CONNECTIONS)]
        self._redactor = Redactor()
        for token in self._given:
            self._redactor.add(token.reveal())
        self._source = Tokens(
            TokenTools(
                records=self._records,
                redactor=self._redactor,
                clock=lambda: _NOW,
                make_id=lambda prefix: prefix + token_urlsafe(8),
            ),
            [target.uid for target in self._oauth2],
        )

    def warm(self) -> None:
        """Keeps a token for each connection."""
        secrets = {"/auth/clientAuthentication/secret": self._secret}

        async def keep() -> None:
            for target, given in zip(self._oauth2, self._given, strict=True):
                request = http_flow.token_request(
                    target, secrets, self._tools(None), Stages(), http_flow.limits_of(target.spec)
                )
                token = Token(
                    access=given,
                    refresh=None,
                    obtained_at=_NOW,
                    expires_at=_NOW + timedelta(hours=1),
                )
                self._records.write(target.uid, self._records.bound(request, token))

        asyncio.run(keep())

    def with_tokens(self) -> float:
        """Returns the CPU seconds of a pass with the tokens that are kept."""
        secrets = [{"/auth/clientAuthentication/secret": self._secret}] * CONNECTIONS
        return _probe_all(self._oauth2, secrets, self._tools(self._source))

    def with_bearer(self) -> float:
        """Returns the CPU seconds of a pass that is handed the token."""
        secrets = [{"/auth/token": given} for given in self._given]
        return _probe_all(self._bearer, secrets, self._tools(None))

    def opening(self) -> float:
        """Returns the CPU seconds of reading and opening all tokens that are kept."""
        began = time.process_time()
        opened = self._records.read({target.uid for target in self._oauth2})
        took_s = time.process_time() - began
        assert all(isinstance(kept, records.Kept) for kept in opened.values())
        assert len(opened) == CONNECTIONS
        return took_s

    def _tools(self, tokens: Tokens | None) -> Tools:
        return Tools(
            redactor=self._redactor,
            threads=self._threads,
            clock=lambda: _NOW,
            read_public=lambda _: "",
            root="/",
            tokens=tokens,
        )


def _targets(port: int, auth: JsonObject) -> tuple[Target, ...]:
    one = http_probe.target(port, auth=auth)
    return tuple(replace(one, uid=f"conn_{number:015d}") for number in range(CONNECTIONS))


def _probe_all(
    targets: Sequence[Target], secrets: Sequence[Mapping[str, Secret]], tools: Tools
) -> float:
    """Returns the CPU seconds of this process, all threads together, while all are probed once."""
    left = iter(zip(targets, secrets, strict=True))

    async def work() -> None:
        for target, own in left:
            found = await http.probe(target, own, tools, reached=())
            assert found.outcome is Outcome.OK, found

    async def probe_all() -> None:
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    began = time.process_time()
    asyncio.run(probe_all())
    return time.process_time() - began
