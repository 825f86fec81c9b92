"""Checks one database: resolves its name on the loop, then logs in and reads a row in a thread.

`clients.sql` does the talking; this module owns time. Database drivers block, and a thread cannot
be cancelled: at a deadline, or when the probe is cancelled, the socket under the driver is shut
down, so that the thread ends by itself. Every end but a cancellation is an `Observation`.
"""

from __future__ import annotations

import asyncio
import posixpath
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from reconciler.clients import destination, sql, sql_way, via
from reconciler.clients.attempt import Attempt, Lifeline, Login
from reconciler.clients.hops import Way
from reconciler.clients.stages import Stages
from reconciler.errors import ConnectionFailed, SecretError
from reconciler.kinds import durations, engine_traits, engines
from reconciler.model import (
    JsonObject,
    Observation,
    Reason,
    Stage,
    StageName,
    Target,
)
from reconciler.network import NetworkPolicy
from reconciler.probes import Tools, outcome
from reconciler.redact import Secret

if TYPE_CHECKING:
    from reconciler.clients.sql_token import Made

T = TypeVar("T")

#: A driver that does not end after its socket was shut down is waited for so long, then left.
_GRACE_S = 1.0


async def probe(
    target: Target,
    secrets: Mapping[str, Secret],
    tools: Tools,
    *,
    reached: tuple[Stage, ...],
) -> Observation:
    """Returns what one login to `target` and one read-only row found; see `probes.Probe`.

    The credential is sent at most once, to one checked address. Time runs from when the driver's
    library is loaded; the deadline is `health.timeout`, and `timeout.connect` for the login.
    """
    stages = Stages(reached)
    began = time.monotonic()
    failure: ConnectionFailed | None = None
    try:
        await load(target.spec, tools.threads)
        if "ssh" in target.spec:
            await tools.hops.tunnels.load()
        began = time.monotonic()
        await _examine(target, secrets, tools, stages)
    except ConnectionFailed as error:
        failure = error
    except SecretError as error:
        failure = ConnectionFailed(
            Reason.SECRET_UNRESOLVED, StageName.SECRET, error.message, error.hint
        )
    reason = failure.reason if failure else Reason.OK
    return Observation(
        uid=target.uid,
        generation=target.generation,
        outcome=outcome(reason),
        reason=reason,
        message=tools.redactor.clean(failure.message) if failure else "the query answered",
        hint=tools.redactor.clean(failure.hint) if failure else "",
        stages=_close(stages.reached(), failure),
        latency_s=time.monotonic() - began,
        observed_at=tools.clock(),
    )


async def load(spec: JsonObject, threads: Executor) -> None:
    """Imports in a thread what logs in: some take seconds, and the loop has other probes to run.

    Raises:
        ConnectionFailed: DriverMissing.
    """
    loop = asyncio.get_running_loop()
    if not sql.is_loaded(spec["engine"]):
        await loop.run_in_executor(threads, sql.load, spec["engine"])
    method = _made_method(spec)
    if method:
        await loop.run_in_executor(threads, _load_making, method)


async def _examine(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, stages: Stages
) -> None:
    spec = target.spec
    engine, query = spec["engine"], spec["health"]["query"]
    now = time.monotonic()
    end_by = now + durations.parse_duration(spec["health"]["timeout"])
    attempt = Attempt(
        stages=stages,
        redactor=tools.redactor,
        lifeline=Lifeline(),
        connect_by=min(end_by, now + durations.parse_duration(spec["timeout"]["connect"])),
        query_s=durations.parse_duration(spec["timeout"]["query"]),
        end_by=end_by,
        health_query=query,
    )
    async with reached(target, secrets, tools, attempt) as login:

        def call() -> None:
            sql.check(engine, login, query, attempt)

        if engines.ENGINES[engine].is_file:
            await _in_lane(call, attempt, tools)
        else:
            await in_thread(call, attempt, tools.threads)


@asynccontextmanager
async def reached(
    target: Target, secrets: Mapping[str, Secret], tools: Tools, attempt: Attempt
) -> AsyncIterator[Login]:
    """Gives the login to `target`, whose server is reachable inside the context.

    Probes and applications (`connecting`) both log in with what this gives.

    Raises:
        ConnectionFailed: the name has no address, a hop on the way fails, or the server would get
            a credential without having proved who it is.
        SecretError: a file of the manifest cannot be read.
    """
    spec = target.spec
    sql.refuse_unverified(spec)
    reference = spec.get("tls", {}).get("ca")
    identity = sql.identity_of(spec, secrets, tools.read_public, tools.clock())
    hops = via.describe(spec, secrets, tools.read_public, uid=target.uid, version=target.version)
    made = await _made(spec, secrets, tools)
    login = sql.describe(
        spec,
        secrets,
        identity=identity,
        addresses=await _resolve(spec, attempt, tools.hops.network) if hops.is_direct else (),
        ca=tools.read_public(reference) if reference else "",
        path=posixpath.join(tools.root, spec["database"]),
        root=tools.root,
        **made,
    )
    if hops.is_direct:
        yield login
        return
    async with sql_way.reached(login, Way(hops=tools.hops, via=hops), attempt) as changed:
        yield changed


def _made_method(spec: JsonObject) -> str:
    """Returns the method of a credential that is made for each login, or `""`."""
    method: str = spec.get("auth", {}).get("method", "")
    return method if method in engine_traits.MADE_METHODS else ""


def _load_making(method: str) -> None:
    from reconciler.clients import sql_token

    sql_token.load(method)


async def _made(spec: JsonObject, secrets: Mapping[str, Secret], tools: Tools) -> Made:
    """Returns what is made for this login alone; in a thread, since signing takes its time."""
    if not _made_method(spec):
        return {}

    def make() -> Made:
        from reconciler.clients import sql_token

        return sql_token.made(spec, secrets, tools.redactor, tools.clock())

    return await asyncio.get_running_loop().run_in_executor(tools.threads, make)


async def _resolve(spec: JsonObject, attempt: Attempt, network: NetworkPolicy) -> tuple[str, ...]:
    """Returns the checked addresses of the server, none for a database in a file."""
    if "host" not in spec:
        return ()
    with attempt.stages.stage(StageName.DNS):
        try:
            async with asyncio.timeout(attempt.connect_by - time.monotonic()):
                return await destination.resolve(spec["host"], spec["port"], network)
        except TimeoutError:
            raise attempt.timed_out() from None


async def _in_lane(call: Callable[[], None], attempt: Attempt, tools: Tools) -> None:
    """Runs `call`, which contacts nobody, in line with others of its kind."""
    cut = attempt.lifeline.cut
    try:
        await tools.lane.run(call, tools.threads, end_by=attempt.end_by, cut=cut)
    except TimeoutError:
        raise attempt.timed_out() from None
    except asyncio.CancelledError:
        cut()
        raise


async def in_thread(call: Callable[[], T], attempt: Attempt, threads: Executor) -> T:
    """Returns what `call` does; it ends by its deadlines, or when this task is cancelled.

    Raises:
        ConnectionFailed: as `call`, or time ran out.
    """
    loop = asyncio.get_running_loop()

    def end_login() -> None:
        if attempt.stages.last is not StageName.QUERY:
            attempt.lifeline.cut()

    now = time.monotonic()
    timers = (
        loop.call_later(attempt.connect_by - now, end_login),
        loop.call_later(attempt.end_by - now, attempt.lifeline.cut),
    )
    thread = loop.run_in_executor(threads, call)
    try:
        done, _ = await asyncio.wait((thread,), timeout=attempt.end_by - now + _GRACE_S)
        if not done:
            thread.add_done_callback(_forget)
            raise attempt.timed_out()
        return thread.result()
    except asyncio.CancelledError:
        attempt.lifeline.cut()
        await _wait_out(thread)
        raise
    finally:
        for timer in timers:
            timer.cancel()


async def _wait_out(thread: asyncio.Future[T]) -> None:
    """Returns when the thread has ended, or after the grace, however often it is cancelled."""
    thread.add_done_callback(_forget)
    give_up_at = time.monotonic() + _GRACE_S
    while not thread.done() and time.monotonic() < give_up_at:
        with suppress(asyncio.CancelledError):
            await asyncio.wait((thread,), timeout=give_up_at - time.monotonic())


def _forget(thread: asyncio.Future[T]) -> None:
    """Takes note of how a thread ended that nobody waits for, so that asyncio does not complain."""
    if not thread.cancelled():
        thread.exception()


def _close(reached: tuple[Stage, ...], failure: ConnectionFailed | None) -> tuple[Stage, ...]:
    """Returns the stages so that the last one is where the probe ended."""
    if failure is None or (reached and reached[-1].name is failure.stage):
        return reached
    return (*reached, Stage(name=failure.stage, seconds=0.0))
