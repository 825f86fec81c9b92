"""The whole program on one screen: manifests -> validate -> plan -> apply -> health -> status.

The only module that imports all six stages. Each function here is one thing that a user asks for;
the command line shows what it returns. Imports neither httpx nor sqlalchemy nor pydantic: a family
loads its libraries when one of its members is first used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from reconciler import (
    apply,
    desired,
    health,
    holds,
    hop_budget,
    kinds,
    observing,
    orphans,
    plan,
    probes,
    queueing,
    recall,
    rotation,
    sealing,
    secret_sources,
    selection,
    sending,
    status,
)
from reconciler.errors import Conflict, RowsMoved, SecretError, StalePlan
from reconciler.grants import Grants
from reconciler.model import (
    Change,
    ChangeSet,
    GitFacts,
    Phase,
    Plan,
    PlanOptions,
    Recorded,
    Resource,
    SecretChange,
    Target,
)
from reconciler.redact import Redactor, Secret
from reconciler.settings import Settings
from reconciler.stores import LoginRequest, Store
from reconciler.stores import Verdict as LoginVerdict
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler import tokens

#: A plan whose rows moved under it is made again this often.
ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What every command that touches state or secrets works with."""

    settings: Settings
    redactor: Redactor
    secrets: secret_sources.Secrets
    clock: Callable[[], datetime]
    #: gives a random text with the prefix that it gets; for uids and run ids
    make_id: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply came to."""

    plan: Plan
    changes: ChangeSet
    secret_changes: tuple[SecretChange, ...] = ()
    #: references that could not be resolved; each names its connection
    unresolved: tuple[SecretError, ...] = ()

    def to_check(self, rows: Iterable[Recorded]) -> tuple[Recorded, ...]:
        """Returns those of `rows` that the apply touched, and those that never were checked."""
        touched = {result.uid for result in self.changes.results}
        touched |= {change.uid for change in self.secret_changes}
        return tuple(row for row in rows if row.uid in touched or row.status.phase is Phase.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A store as it was before the manifests were read, to recall their files from."""

    recorded: tuple[Recorded, ...]
    #: by path, what the store keeps of the files of this stack
    readings: Mapping[str, str]
    recall: recall.Recall


def remember(store: Store, settings: Settings) -> Memory:
    """Returns what `store` knows of the files of the stack."""
    recorded = store.recorded()
    readings = store.readings(settings.stack)
    known = recall.Recall(recorded, readings, _reading_key(store, settings))
    return Memory(recorded=recorded, readings=readings, recall=known)


def _reading_key(store: Store, settings: Settings) -> recall.Key:
    return recall.Key.of(store.meta.fingerprint_key, settings.secrets)


def make_plan(
    reading: desired.Reading,
    store: Store | None,
    options: PlanOptions,
    recorded: Sequence[Recorded] | None = None,
    grants: Grants = plan.UNGUARDED,
) -> Plan:
    """Returns the plan for a reading; without a store everything is to be created.

    `recorded` are the rows of the store where they were read already; when they have moved since,
    an apply notices.

    Raises:
        InvalidManifests: the reading has errors, so that nothing can be said of what is missing.
        ConfigError: the options contradict each other, or a name selects nothing.
    """
    desired.require_valid(reading)
    if recorded is None:
        recorded = store.recorded() if store else ()
    lineage = _lineage(store, recorded)
    return plan.make_plan(reading.resources, recorded, options, lineage=lineage, grants=grants)


def _lineage(store: Store | None, recorded: Sequence[Recorded]) -> str:
    """Returns the store's lineage, or `""` while nothing was ever applied to it.

    So a plan that was saved before the store existed can be applied to the new one, once.
    """
    if store is None or not (recorded or store.runs(limit=1)):
        return ""
    return store.meta.lineage


def read_secrets(
    workspace: Workspace, planned: Plan, resources: Sequence[Resource], store: Store
) -> rotation.SecretReading:
    """Reads and compares the secrets of every live connection of the stack."""
    return rotation.read_secrets(
        planned,
        resources,
        store.recorded(),
        meta=store.meta,
        secrets=workspace.secrets,
        grants=workspace.settings.grants,
    )


def apply_manifests(
    workspace: Workspace,
    reading: desired.Reading,
    store: Store,
    options: PlanOptions,
    *,
    first: Plan | None = None,
    memory: Memory | None = None,
    expected: str | None = None,
    with_secrets: bool,
    git_facts: GitFacts | None,
) -> Applied:
    """Plans and applies in one transaction; rows that move meanwhile are planned again.

    `first` is the plan of the first attempt where it was made already, from the same arguments.
    What files were read as is stored for the next time, if anything is; `memory` is what was known
    of them before.
    With `expected`, the digest of a plan that was shown or saved, nothing else is applied.

    Raises:
        InvalidManifests, ConfigError: as in `make_plan`.
        Refused: a guard blocks a change.
        StalePlan: the plan is not the expected one any more.
        Conflict: rows kept moving, or the lock was not free in time.
    """
    for attempt in range(ATTEMPTS):
        planned = (attempt == 0 and first) or make_plan(
            reading, store, options, grants=workspace.settings.grants
        )
        if expected is not None and planned.digest != expected:
            raise StalePlan(
                "the plan is not the one that was expected: manifests or connections have changed",
                "make a new plan and look at it",
            )
        apply.refuse_blocked(planned)
        secrets = (
            read_secrets(workspace, planned, reading.resources, store)
            if with_secrets
            else rotation.SecretReading()
        )
        facts = _run_facts(workspace, git_facts, "apply")
        if planned.changes or secrets.facts.changes:
            facts = replace(
                facts,
                readings=recall.entries(reading.read, _reading_key(store, workspace.settings)),
                forgotten=_forgotten(reading, memory),
            )
        try:
            changes = apply.apply(
                planned,
                store,
                facts,
                secrets.facts,
                lock_timeout_s=workspace.settings.lock_timeout_s,
            )
        except RowsMoved:
            if attempt == ATTEMPTS - 1:
                raise
            continue
        return Applied(
            plan=planned,
            changes=changes,
            secret_changes=secrets.facts.changes,
            unresolved=secrets.unresolved,
        )
    raise AssertionError("the last attempt returns or raises")


def _forgotten(reading: desired.Reading, memory: Memory | None) -> tuple[str, ...]:
    """Returns the paths that something is known of, under the given roots, where no file is now."""
    known = set(memory.readings if memory else ()) - reading.recalled
    known -= {file.path for file in reading.read}
    return tuple(sorted(path for path in known if orphans.is_under_any(path, reading.roots)))


def plan_rollback(
    store: Store, change: Change, options: PlanOptions, grants: Grants = plan.UNGUARDED
) -> Plan:
    """Returns the plan that consists of one change made by `holds.rollback`."""
    lineage = _lineage(store, store.recorded())
    return plan.of_changes([plan.guarded(change, grants)], options, lineage=lineage)


def roll_back(workspace: Workspace, store: Store, planned: Plan) -> ChangeSet:
    """Applies a plan made by `plan_rollback`.

    Raises:
        RowsMoved: the row was changed meanwhile; nothing is written.
    """
    facts = replace(_run_facts(workspace, None, "rollback"), stack=planned.options.stack)
    timeout_s = workspace.settings.lock_timeout_s
    return apply.apply(planned, store, facts, apply.SecretFacts(), lock_timeout_s=timeout_s)


def carry_out(
    workspace: Workspace, store: Store, uid: str, order: holds.Order, carry: holds.Carry
) -> Recorded | None:
    """Carries out a command's order on a row and returns the row after, None if nothing was to do.

    Raises:
        Held: the manifest or the row's phase forbids it.
        Conflict: the row is gone or kept moving, or the lock was not free in time.
    """
    for _ in range(ATTEMPTS):
        found = store.find([uid])
        if not found:
            raise RowsMoved("the connection was deleted meanwhile", "`events` says by whom")
        row = found[0]
        write = carry(row, order)
        if write is None:
            return None
        try:
            store.commit(write, lock_timeout_s=workspace.settings.lock_timeout_s)
        except RowsMoved:
            continue
        return write.rows[0].row
    raise Conflict(f"`{row.ref}` is being changed by others", "try again")


def select_targets(
    rows: Iterable[Recorded], selector: selection.Selector, *, due_at: datetime | None = None
) -> tuple[Recorded, ...]:
    """Returns the rows that a health pass probes: live, not suspended, selected.

    With `due_at`, only those that were never checked or whose `health.interval` is over by then.
    """
    chosen = [row for row in rows if row.status.is_probed and selection.matches_row(selector, row)]
    if due_at is not None:
        chosen = [row for row in chosen if health.is_due(row, plan.normal_spec(row), due_at)]
    return tuple(chosen)


def resolve(workspace: Workspace, target: Target) -> Mapping[str, Secret]:
    """Returns the secrets of a target by pointer; whoever connects gets them here.

    Raises:
        DestinationDenied: no grant lets one of them go to where it would be sent; none was read.
        SecretError: one cannot be read.
    """
    sending.require(workspace.settings.grants, target.ref, target.spec, os.path.realpath)
    references = kinds.shape(target.ref.kind).secrets(target.spec)
    username = target.endpoint.username
    return {
        place: workspace.secrets.resolve(reference, username=username)
        for place, reference in references
    }


async def check(
    workspace: Workspace, store: Store, rows: Sequence[Recorded]
) -> AsyncGenerator[tuple[observing.HealthResult, ...], None]:
    """Probes `rows` and yields each batch of results when it is stored."""
    specs = {row.uid: plan.normal_spec(row) for row in rows}
    thresholds = {uid: status.Thresholds.of(spec) for uid, spec in specs.items()}
    targets = [health.target(row, specs[row.uid]) for row in rows]
    by_uid = {row.uid: row for row in rows}
    budget = workspace.settings.health.login_budget

    def is_at_hand(target: Target) -> bool:
        references = kinds.shape(target.ref.kind).secrets(target.spec)
        return all(workspace.secrets.is_at_hand(reference) for _, reference in references)

    def reserve(requests: Sequence[LoginRequest]) -> Sequence[LoginVerdict]:
        return store.reserve(requests, now=workspace.clock(), budget=budget)

    def record(batch: Sequence[queueing.Checked]) -> tuple[observing.HealthResult, ...]:
        return observing.record(store, batch, by_uid, thresholds, now=workspace.clock())

    desk = health.Desk(
        resolve=partial(resolve, workspace),
        is_at_hand=is_at_hand,
        reserve=reserve,
        release=store.release,
        fingerprint_key=store.meta.fingerprint_key,
    )
    public = workspace.secrets.read_public
    limits = workspace.settings.health
    network = workspace.settings.network
    hops = hop_budget.open_hops(store, budget=budget, clock=workspace.clock, network=network)
    with_tokens = [
        target.uid for target in targets if target.endpoint.method in probes.TOKEN_METHODS
    ]
    async with open_tokens(workspace, store, with_tokens) as source:
        with health.open_tools(
            workspace.settings,
            workspace.redactor,
            workspace.clock,
            public,
            tokens=source,
            hops=hops,
        ) as tools:
            async with aclosing(health.run(targets, desk, tools, limits)) as batches:
                async for batch in batches:
                    yield await asyncio.to_thread(record, batch)


@asynccontextmanager
async def open_tokens(
    workspace: Workspace, store: Store, uids: Sequence[str]
) -> AsyncGenerator[tokens.Tokens | None, None]:
    """Yields the access tokens of the connections `uids`, None where there are no such.

    Leaving waits for answers of token servers that are on their way.
    """
    if not uids:
        yield None
        return
    from reconciler import tokens
    from reconciler.tokens import asking, records

    source = tokens.Tokens(
        asking.Tools(
            records=records.Records(store, sealing.Sealer(workspace.settings.keys)),
            redactor=workspace.redactor,
            clock=workspace.clock,
            make_id=workspace.make_id,
        ),
        uids,
    )
    try:
        yield source
    finally:
        await source.finish()


def _run_facts(workspace: Workspace, git_facts: GitFacts | None, command: str) -> apply.RunFacts:
    return apply.RunFacts(
        run_id=workspace.make_id("run_"),
        now=workspace.clock(),
        actor=workspace.settings.actor,
        stack=workspace.settings.stack,
        command=command,
        git=git_facts,
        make_uid=lambda: workspace.make_id("conn_"),
    )
