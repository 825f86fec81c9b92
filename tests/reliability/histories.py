"""What several processes do to one store at the same time, and what each of them was told.

A process notes what it read and what it was told had been written. Afterwards these histories must
explain the store in one order, which is the idea of Elle (Kingsbury and Alvaro, 2020). Here every
write is a revision that says what it is, so the order can be read off and need not be searched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler import health, holds, observing, plan, queueing, reconcile
from reconciler.errors import Conflict, RowsMoved, StalePlan
from reconciler.model import Outcome, Reason
from reconciler.status import Thresholds
from reconciler.stores import Store
from tests import factories
from tests.desired import want
from tests.reliability.program import ORDER, Program, reading, row_named

#: Results never suspend, so that each of them counts.
_THRESHOLDS = Thresholds(failure=1, success=1, suspend=10**9)


@dataclass(slots=True, kw_only=True)
class History:
    """What one process was told."""

    #: connection, the token that was read, the token that was written over it
    replaced: list[tuple[str, str, str]] = field(default_factory=list)
    #: connection and the token that was written over whatever was there
    written: list[tuple[str, str]] = field(default_factory=list)
    suspended: int = 0
    resumed: int = 0
    failures: int = 0
    #: how often it had to begin again because others were faster
    again: int = 0
    #: what it was told that it should not have been
    complaints: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        """How many writes it was told had been made."""
        orders = self.suspended + self.resumed
        return len(self.replaced) + len(self.written) + orders + self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One of several processes: which one, on which store, and for how long."""

    url: str
    folder: Path
    number: int
    rounds: int

    @property
    def program(self) -> Program:
        """The program as this process runs it."""
        return Program(url=self.url, folder=self.folder, first_id=(self.number + 1) * 10**9)


def work(worker: Worker) -> History:
    """Does every kind of operation in turn; every other process keeps the store open, as a daemon.

    Each begins elsewhere in the sequence, so that all kinds meet.
    """
    history, program = History(), worker.program
    operations = (_replace_a, _fail_b, _write_b, _order_a, _replace_b)
    with program.store() as kept:
        for number in range(worker.rounds):
            operation = operations[(number + worker.number) % len(operations)]
            token = f"{worker.number}-{number}"
            with program.store() if worker.number % 2 else _as_it_is(kept) as store:
                _until_done(lambda: operation(program, store, token, history), history)  # noqa: B023
    return history


@contextmanager
def _as_it_is(store: Store) -> Iterator[Store]:
    yield store


def _until_done(act: Callable[[], None], history: History) -> None:
    """Repeats what gave way to others, as the message of the conflict says."""
    while True:
        try:
            return act()
        except (RowsMoved, StalePlan):
            history.again += 1
        except Conflict as error:
            history.again += 1
            if "holds the state store" in error.message:
                history.complaints.append(error.message)


def _replace_a(program: Program, store: Store, token: str, history: History) -> None:
    _replace(program, store, "a", token, history)


def _replace_b(program: Program, store: Store, token: str, history: History) -> None:
    _replace(program, store, "b", token, history)


def _replace(program: Program, store: Store, name: str, token: str, history: History) -> None:
    """Applies a manifest, if the connection still is what it was when it was read."""
    wanted = reading(want(name, metadata={"labels": {"token": token}}))
    options = program.options(prune=False)
    first = reconcile.make_plan(wanted, store, options)
    (change,) = first.changes
    assert change.recorded is not None
    reconcile.apply_manifests(
        program.workspace,
        wanted,
        store,
        options,
        first=first,
        expected=first.digest,
        with_secrets=False,
        git_facts=None,
    )
    history.replaced.append((name, token_of(change.recorded.text), token))


def _write_b(program: Program, store: Store, token: str, history: History) -> None:
    """Applies a manifest, whatever others have applied meanwhile."""
    wanted = reading(want("b", metadata={"labels": {"token": token}}))
    options = program.options(prune=False)
    reconcile.apply_manifests(
        program.workspace, wanted, store, options, with_secrets=False, git_facts=None
    )
    history.written.append(("b", token))


def _fail_b(program: Program, store: Store, token: str, history: History) -> None:
    """Stores one failed check."""
    row = row_named(store, "b")
    observation = factories.make_observation(
        uid=row.uid,
        generation=row.generation,
        outcome=Outcome.FAILED,
        reason=Reason.CONNECT_REFUSED,
        message=token,
    )
    target = health.target(row, plan.normal_spec(row))
    checked = queueing.Checked(target=target, observation=observation)
    stored = observing.record(
        store, [checked], {row.uid: row}, {row.uid: _THRESHOLDS}, now=factories.NOW
    )
    history.failures += len(stored)


def _order_a(program: Program, store: Store, token: str, history: History) -> None:
    """Suspends or resumes; None says that others had done the same before."""
    uid = row_named(store, "a").uid
    if int(token.partition("-")[2]) % 2:
        done = reconcile.carry_out(program.workspace, store, uid, ORDER, holds.suspend)
        history.suspended += done is not None
    else:
        done = reconcile.carry_out(program.workspace, store, uid, ORDER, holds.resume)
        history.resumed += done is not None


def token_of(text: str) -> str:
    """Returns the token in the text of a manifest."""
    labels = json.loads(text)["metadata"].get("labels", {})
    return str(labels.get("token", "first"))
