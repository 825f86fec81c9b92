"""The real stages on a real store, step by step: what the falsifiers of convergence drive.

Everything is the product's own but the world around it: the clock, the environment that secrets are
read from, the identifiers and what probes find are given by the test. Manifests pass as text, so
that loader and validation are part of what is promised.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler import (
    apply,
    desired,
    fingerprint,
    health,
    holds,
    kinds,
    observing,
    plan,
    reconcile,
    secret_sources,
    status,
    stores,
    validate,
)
from reconciler.errors import SecretError
from reconciler.manifests import loader
from reconciler.model import (
    Event,
    JsonObject,
    Observation,
    Outcome,
    Plan,
    PlanOptions,
    Reason,
    Recorded,
    Run,
    Status,
    Target,
)
from reconciler.queueing import Checked
from reconciler.redact import Redactor, Secret
from reconciler.settings import LOGIN_BUDGET, HealthSettings, SecretPolicy, Settings
from reconciler.stores import EventQuery, LoginRequest, Opening, Store, Verdict
from tests.factories import NOW, make_observation

#: What the folder of the manifests is called.
ROOT = "manifests"
#: What a check may find: outcome and reason.
OK = (Outcome.OK, Reason.OK)
FAILED = (Outcome.FAILED, Reason.CONNECT_REFUSED)
LOGIN_FAILED = (Outcome.FAILED, Reason.AUTH_FAILED)
UNCLEAR = (Outcome.INCONCLUSIVE, Reason.RATE_LIMITED)
Finding = tuple[Outcome, Reason]
#: Manifests as text, by the path of their file.
Files = Mapping[str, str]
_EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that a store says it holds."""

    rows: tuple[Recorded, ...]
    events: tuple[Event, ...]
    runs: tuple[Run, ...]

    @property
    def live(self) -> dict[str, Recorded]:
        """Returns the live rows by ref."""
        return {str(row.ref): row for row in self.rows if row.status.is_live}

    @property
    def by_uid(self) -> dict[str, Recorded]:
        return {row.uid: row for row in self.rows}

    @property
    def rebuilt(self) -> dict[str, Status]:
        """Returns the status of every row that is still there, from the events alone, by uid."""
        statuses: dict[str, Status] = {}
        for event in self.events:
            if event.status is not None:
                statuses[event.uid] = event.status
            elif event.type == "deleted":
                del statuses[event.uid]
        return statuses


@dataclass(slots=True, kw_only=True)
class World:
    """One store and what is around it; the test moves both."""

    store: Store
    environment: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW
    #: where files that manifests name lie
    root: str = "/project"
    limits: HealthSettings = field(default_factory=HealthSettings)
    _ids: int = 0

    @classmethod
    def open(
        cls,
        url: str,
        environment: Mapping[str, str] | None = None,
        *,
        limits: HealthSettings | None = None,
    ) -> World:
        """Returns a world around the store at `url`, which is made."""
        store = stores.open_store(url, Opening.WRITE, now=NOW)
        return cls(
            store=store, environment=dict(environment or {}), limits=limits or HealthSettings()
        )

    def pass_time(self, seconds: float) -> None:
        """Moves the wall clock, back for a negative number."""
        self.now += timedelta(seconds=seconds)

    def workspace(self) -> reconcile.Workspace:
        """Returns the workspace of one command: secrets are read anew."""
        policy = SecretPolicy(root=self.root)
        settings = Settings(
            root=self.root,
            state_url="sqlite://",
            is_default_state=False,
            actor="alice",
            secrets=policy,
            health=self.limits,
        )
        redactor = Redactor()
        return reconcile.Workspace(
            settings=settings,
            redactor=redactor,
            secrets=secret_sources.Secrets(
                policy, dict(self.environment), redactor, clock=lambda: self.now
            ),
            clock=lambda: self.now,
            make_id=self._make_id,
        )

    def _make_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}{self._ids:015d}"

    def contents(self) -> Contents:
        """Returns everything that the store says it holds."""
        return Contents(
            rows=self.store.recorded(archived=True),
            events=self.store.events(EventQuery(limit=_EVERYTHING)),
            runs=self.store.runs(limit=_EVERYTHING),
        )

    # Stages 1 to 4.

    def plan(self, files: Files, options: PlanOptions) -> Plan:
        """Returns the plan of `files`; raises as `reconcile.make_plan` does."""
        return reconcile.make_plan(read(files), self.store, options)

    def apply(
        self, files: Files, options: PlanOptions, *, with_secrets: bool = True
    ) -> reconcile.Applied:
        """Applies `files`; raises as `reconcile.apply_manifests` does."""
        return reconcile.apply_manifests(
            self.workspace(),
            read(files),
            self.store,
            options,
            with_secrets=with_secrets,
            git_facts=None,
        )

    def effects(self, files: Files, options: PlanOptions) -> stores.Write:
        """Returns what applying `files` would write, byte for byte; secrets are left out."""
        ids = iter(range(_EVERYTHING))
        facts = apply.RunFacts(
            run_id="run",
            now=self.now,
            actor="alice",
            stack="default",
            command="apply",
            git=None,
            make_uid=lambda: f"conn_{next(ids):015d}",
        )
        return apply.prepare(self.plan(files, options), facts, apply.SecretFacts())[0]

    # Commands.

    def carry_out(self, row: Recorded, carry: holds.Carry) -> Recorded | None:
        """Carries out a command's order on `row`; raises as the order does."""
        order = holds.Order(actor="alice", reason="because", now=self.now)
        return reconcile.carry_out(self.workspace(), self.store, row.uid, order, carry)

    def roll_back(self, row: Recorded, number: int) -> str:
        """Brings revision `number` of `row` back and returns the digest that it shall have now."""
        past = next(each for each in self.store.revisions(row.uid) if each.number == number)
        order = holds.Order(actor="alice", reason="because", now=self.now)
        change = holds.rollback(row, past, order)
        assert change.resource is not None
        options = PlanOptions(stack="default", roots=(), names=(str(row.ref),))
        planned = reconcile.plan_rollback(self.store, change, options)
        if planned.changes:
            reconcile.roll_back(self.workspace(), self.store, planned)
        return change.resource.digest

    # Stages 5 and 6: what probes find is given.

    def probed(self) -> tuple[Recorded, ...]:
        """Returns the rows that a pass would probe."""
        return tuple(row for row in self.store.recorded() if row.status.is_probed)

    def check(self) -> tuple[observing.HealthResult, ...]:
        """Probes what a pass probes, for real, and returns what it came to."""
        return asyncio.run(self.checking())

    async def checking(self) -> tuple[observing.HealthResult, ...]:
        """Does what `check` does, inside a running loop."""
        batches = reconcile.check(self.workspace(), self.store, self.probed())
        return tuple([result async for batch in batches for result in batch])

    def reserve(self, rows: Sequence[Recorded]) -> dict[str, tuple[str, Verdict]]:
        """Reserves a login for each row with a credential: by uid, its key and the answer."""
        keys = {row.uid: self._credential(row) for row in rows}
        asking = [row for row in rows if keys[row.uid]]
        requests = [
            LoginRequest(
                uid=row.uid,
                credential_key=keys[row.uid],
                version=row.version,
                deadline_at=self.now + timedelta(seconds=70),
            )
            for row in asking
        ]
        verdicts = self.store.reserve(requests, now=self.now, budget=LOGIN_BUDGET)
        return {
            row.uid: (keys[row.uid], verdict) for row, verdict in zip(asking, verdicts, strict=True)
        }

    def _credential(self, row: Recorded) -> str:
        target = target_of(row)
        references = kinds.shape(row.ref.kind).secrets(target.spec)
        resolve = self.workspace().secrets.resolve
        found: dict[str, Secret] = {}
        for place, reference in references:
            with suppress(SecretError):
                found[place] = resolve(reference)
        key = self.store.meta.fingerprint_key
        return fingerprint.of_credential(target.endpoint, found, key) if found else ""

    def record(
        self,
        rows: Sequence[Recorded],
        findings: Mapping[str, Finding | None],
        keys: Mapping[str, str] | None = None,
    ) -> tuple[observing.HealthResult, ...]:
        """Records what a pass over `rows` found, by uid; None stands for a used-up budget."""
        batch = [
            Checked(
                target=target_of(row),
                observation=finding and self._observation(row, finding),
                credential_key=(keys or {}).get(row.uid, ""),
            )
            for row in rows
            for finding in [findings[row.uid]]
        ]
        thresholds = {row.uid: status.Thresholds.of(plan.normal_spec(row)) for row in rows}
        by_uid = {row.uid: row for row in rows}
        return observing.record(self.store, batch, by_uid, thresholds, now=self.now)

    def _observation(self, row: Recorded, finding: Finding) -> Observation:
        outcome, reason = finding
        return make_observation(
            uid=row.uid,
            generation=row.generation,
            outcome=outcome,
            reason=reason,
            message="" if outcome is Outcome.OK else f"found {reason}",
            observed_at=self.now,
        )


def target_of(row: Recorded) -> Target:
    """Returns `row` as something to be probed."""
    return health.target(row, plan.normal_spec(row))


def options(*, prune: bool = False) -> PlanOptions:
    """Returns the options of a plan of the whole folder, pruning without limit."""
    return PlanOptions(stack="default", roots=(ROOT,), prune=prune, prune_limit=_EVERYTHING)


def files_of(manifests: Iterable[JsonObject]) -> dict[str, str]:
    """Returns one file for each manifest; JSON is YAML."""
    return {
        f"{ROOT}/{manifest['metadata']['name']}.yaml": json.dumps(manifest)
        for manifest in manifests
    }


def read(files: Files) -> desired.Reading:
    """Returns what loading and validating `files` gives, in the order in which they come."""
    stream = (item for path, text in files.items() for item in loader.load(text.encode(), path))
    validated = validate.validate(stream, SecretPolicy(root="/project"))
    return desired.Reading(
        resources=validated.resources,
        diagnostics=validated.diagnostics,
        files=len(files),
        documents=validated.documents,
        roots=(ROOT,),
    )
