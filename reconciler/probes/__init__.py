"""How a connection is checked: one async probe per kind, on top of `clients`.

A probe never raises for what it finds: whatever the endpoint does becomes an `Observation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import field
from datetime import datetime
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from reconciler.clients.hops import Hops
from reconciler.model import (
    INCONCLUSIVE_REASONS,
    JsonObject,
    Observation,
    Outcome,
    Reason,
    Stage,
    Target,
)
from reconciler.network import NetworkPolicy
from reconciler.probes.lane import Lane
from reconciler.redact import Redactor, Secret
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.auth.oauth1 import OAuth1Auth
    from reconciler.auth.oauth2 import AnyGrant
    from reconciler.auth.oauth2_answers import Token
    from reconciler.clients.http import Route
    from reconciler.clients.stages import Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """Which connection needs an access token, and how to get to its token server."""

    uid: str
    #: what a person calls the connection
    name: str
    #: `auth` of the normalised spec, and the same as a model
    auth: JsonObject
    grant: AnyGrant | OAuth1Auth
    #: of the whole spec, by pointer
    secrets: Mapping[str, Secret]
    route: Route
    #: gets the stage `auth` where a token server is asked
    stages: Stages


#: Detail of the stage `auth` where a token server was asked, and gave a token.
NEW_TOKEN = "token"
#: Methods of which tokens are kept.
TOKEN_METHODS = frozenset({"oauth1", "oauth2"})


class TokenSource(Protocol):
    """Gives access tokens; only a token that is not good any more costs a request."""

    async def access(self, request: TokenRequest) -> Secret:
        """Returns an access token.

        Raises:
            ConnectionFailed: at stage `auth`; ConsentRequired where a person has to agree first.
            SecretError: a secret cannot be used, or there is no key to keep tokens with.
        """

    async def consented(self, request: TokenRequest) -> Token:
        """Returns what a person agreed to and nobody renews: a token of OAuth 1.0 and its secret.

        Raises:
            ConnectionFailed: ConsentRequired, where nobody agreed yet.
            SecretError: it cannot be opened.
        """

    async def renewed(self, request: TokenRequest) -> Secret | None:
        """Returns another token, since the API refused the last one.

        None where that was from this very pass. Raises as `access` does.
        """

    async def finish(self) -> None:
        """Waits for answers that are on their way: with one a refresh token could be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every probe of one pass shares."""

    redactor: Redactor
    #: bounded pool for drivers that block; owned by `health`
    threads: Executor
    #: wall clock, for `observed_at` only
    clock: Callable[[], datetime]
    #: reads public material such as `tls.ca`; raises SecretError
    read_public: Callable[[JsonObject], str]
    #: absolute path that relative database files are relative to
    root: str
    #: None where no connection of the pass needs any
    tokens: TokenSource | None = None
    #: tunnels and proxies that connections share; closed at the end of the pass
    hops: Hops = field(default_factory=partial(Hops, network=NetworkPolicy()))
    #: hands `threads` what takes less time than waking one
    lane: Lane = field(default_factory=Lane)


class Probe(Protocol):
    """Checks one connection."""

    async def __call__(
        self,
        target: Target,
        secrets: Mapping[str, Secret],
        tools: Tools,
        *,
        reached: tuple[Stage, ...],
    ) -> Observation:
        """Connects to `target` once, within `spec.health.timeout`, and says what it found.

        `secrets` maps the JSON pointer of each reference inside `spec` to its value. `reached` are
        the stages that were done before, `secret` among them; they open `Observation.stages`.
        """


#: Kind -> where its probe is.
PROBES = {
    "ApiConnection": "reconciler.probes.http:probe",
    "SqlConnection": "reconciler.probes.sql:probe",
}


@cache
def probe(kind: str) -> Probe:
    """Returns the probe of a kind, importing its libraries now."""
    module, attribute = PROBES[kind].split(":")
    value: Probe = getattr(import_module(module), attribute)
    return value


def outcome(reason: Reason) -> Outcome:
    """Returns what a probe that ends with `reason` says about the connection."""
    if reason is Reason.OK:
        return Outcome.OK
    return Outcome.INCONCLUSIVE if reason in INCONCLUSIVE_REASONS else Outcome.FAILED
