"""The program from plan to store on one state, with its clock and its identifiers held still.

Two runs of the same steps on equal stores leave equal stores, so that whole databases can be
compared. Each step opens the store and closes it, as a command does. Manifests are values; nothing
is read from files and no connection is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from reconciler import desired, holds, reconcile, secret_sources, stores
from reconciler.model import PlanOptions, Recorded, Resource
from reconciler.redact import Redactor
from reconciler.settings import SecretPolicy, Settings
from reconciler.stores import Opening, Store
from tests import factories

ORDER = holds.Order(actor="alice", reason="maintenance", now=factories.NOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program as one process runs it on the store at `url`."""

    url: str
    #: for files beside the store
    folder: Path
    #: the first number of the identifiers that it makes; others are to use other ones
    first_id: int = 1
    #: the value of the secret that the manifests name
    secret: str = "first"
    actor: str = "alice"
    stack: str = "default"
    workspace: reconcile.Workspace = field(init=False)

    def __post_init__(self) -> None:
        policy, redactor, numbers = SecretPolicy(root="/project"), Redactor(), count(self.first_id)
        workspace = reconcile.Workspace(
            settings=Settings(
                root="/project",
                state_url=self.url,
                is_default_state=False,
                secrets=policy,
                actor=self.actor,
                stack=self.stack,
            ),
            redactor=redactor,
            secrets=secret_sources.Secrets(
                policy, {"ORDERS": self.secret}, redactor, clock=lambda: factories.NOW
            ),
            clock=lambda: factories.NOW,
            make_id=lambda prefix: f"{prefix}{next(numbers):015d}",
        )
        object.__setattr__(self, "workspace", workspace)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Opens the store for writing."""
        opened = stores.open_store(self.url, Opening.WRITE, now=factories.NOW)
        try:
            yield opened
        finally:
            opened.close()

    def options(self, *, prune: bool = True, adopt: bool = False) -> PlanOptions:
        """Returns what is planned: all of the manifests, and orphans go."""
        return PlanOptions(
            stack=self.stack, roots=("manifests",), prune=prune, prune_limit=1000, adopt=adopt
        )

    def apply(
        self, *wanted: Resource, adopt: bool = False, with_secrets: bool = False
    ) -> reconcile.Applied:
        """Applies exactly `wanted`."""
        with self.store() as store:
            return reconcile.apply_manifests(
                self.workspace,
                reading(*wanted),
                store,
                self.options(adopt=adopt),
                with_secrets=with_secrets,
                git_facts=factories.make_git(),
            )

    def order(self, name: str, carry: holds.Carry) -> Recorded | None:
        """Carries out a command on the connection `name`; None if nothing was to do."""
        with self.store() as store:
            uid = row_named(store, name).uid
            return reconcile.carry_out(self.workspace, store, uid, ORDER, carry)

    def roll_back(self, name: str, number: int) -> None:
        """Brings a revision of the connection `name` back."""
        with self.store() as store:
            row = row_named(store, name)
            (past,) = (found for found in store.revisions(row.uid) if found.number == number)
            change = holds.rollback(row, past, ORDER)
            planned = reconcile.plan_rollback(store, change, self.options())
            reconcile.roll_back(self.workspace, store, planned)


def reading(*wanted: Resource) -> desired.Reading:
    """Returns what reading a folder with exactly these manifests gives."""
    return desired.Reading(
        resources=tuple(sorted(wanted, key=lambda resource: resource.ref)),
        diagnostics=(),
        files=1,
        documents=len(wanted),
        roots=("manifests",),
    )


def row_named(store: Store, name: str) -> Recorded:
    """Returns the newest row of this name, a live one first."""
    found = [row for row in store.recorded(archived=True) if row.ref.name == name]
    return min(found, key=lambda row: not row.status.is_live)
