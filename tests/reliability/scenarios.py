"""Every kind of change that the program makes to a store, each as one transaction.

`prepare` brings about the state in which it begins; `act` is the change and may be repeated: done
twice it is done once. Both open the store themselves, as a command does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler import health, holds, observing, plan, queueing
from reconciler.model import Outcome, Reason, Resource
from reconciler.status import Thresholds
from reconciler.stores import LoginRequest, Opening, backup, migrate, open_store
from tests import factories
from tests.contract import rivals
from tests.desired import want
from tests.reliability.program import Program, row_named

BASE = (
    want("a"),
    want("b", kind="ApiConnection"),
    want("c", deletionPolicy="delete"),
    want("d", state="suspended"),
)
A, B, C, D = BASE
#: `BASE` with one of everything: a rename, a change, a suspension, an archive, a delete, a create.
MIXED = (
    want("renamed", metadata={"previousNames": ["a"]}, port=6432),
    want("d", state="archived"),
    want("e"),
)
#: Identifiers that a change makes differ from those that were there before.
_NEXT_ID = 1000
#: Where a scenario may keep a file beside the store.
COPY, COPY_MADE = "copy.db", "made.db"
Step = Callable[[Program], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of change; None prepares nothing, not even a store."""

    act: Step
    prepare: Step | None
    #: false for what is meant to add up: every login that is begun counts
    repeats: bool = True
    #: whether it makes random bytes, so that two runs of it leave different files
    is_random: bool = False
    #: false for what writes beside the store only
    writes: bool = True

    def begin(self, url: str, folder: Path) -> None:
        """Makes the state in which the change begins."""
        if self.prepare is not None:
            self.prepare(Program(url=url, folder=folder))

    def change(self, url: str, folder: Path) -> None:
        """Does the change on the store at `url`."""
        self.act(Program(url=url, folder=folder, first_id=_NEXT_ID, secret="second"))


def _apply(*wanted: Resource, **options: bool) -> Step:
    return lambda program: program.apply(*wanted, **options)


def _order(name: str, carry: holds.Carry) -> Step:
    return lambda program: program.order(name, carry)


def _all(*steps: Step) -> Step:
    def act(program: Program) -> None:
        for step in steps:
            step(program)

    return act


def _request(program: Program) -> LoginRequest:
    with program.store() as store:
        row = row_named(store, "a")
    return LoginRequest(
        uid=row.uid, credential_key="key", version=row.version, deadline_at=factories.later(60)
    )


def _reserve(program: Program) -> None:
    request = _request(program)
    with program.store() as store:
        store.reserve([request], now=factories.NOW, budget=5)


def _release(program: Program) -> None:
    request = _request(program)
    with program.store() as store:
        store.release([request])


def _result(outcome: Outcome, reason: Reason, *, key: str = "") -> Step:
    """Returns the step that stores a result of `a`, unless one is stored."""

    def act(program: Program) -> None:
        with program.store() as store:
            row = row_named(store, "a")
            observation = factories.make_observation(
                uid=row.uid, generation=row.generation, outcome=outcome, reason=reason
            )
            target = health.target(row, plan.normal_spec(row))
            checked = queueing.Checked(target=target, observation=observation, credential_key=key)
            if not store.observations(row.uid):
                observing.record(
                    store, [checked], {row.uid: row}, _thresholds(row.uid), now=factories.NOW
                )

    return act


def _use_up(program: Program) -> None:
    """Stores that the login budget of `a` is used up."""
    with program.store() as store:
        row = row_named(store, "a")
        checked = queueing.Checked(
            target=health.target(row, plan.normal_spec(row)), observation=None
        )
        observing.record(store, [checked], {row.uid: row}, _thresholds(row.uid), now=factories.NOW)


def _thresholds(uid: str) -> Mapping[str, Thresholds]:
    return {uid: Thresholds(failure=1, success=1, suspend=5)}


def _roll_back(program: Program) -> None:
    with program.store() as store:
        is_done = row_named(store, "a").hold is not None
    if not is_done:
        program.roll_back("a", 1)


def _copy(program: Program) -> None:
    """Backs the store up, unless that is done; whatever has the name of the copy is sound."""
    path = program.folder / COPY_MADE
    with program.store() as store:
        if not path.exists():
            store.backup(str(path))
    copy = open_store(f"sqlite:///{path}", Opening.READ, now=factories.NOW)
    try:
        assert copy.check() == ()
        assert len(copy.recorded()) == len(BASE)
    finally:
        copy.close()


def _keep_copy(program: Program) -> None:
    with program.store() as store:
        store.backup(str(program.folder / COPY))


def _restore(program: Program) -> None:
    backup.restore(program.url, str(program.folder / COPY), replace=True, now=factories.NOW)


_failed_login = _result(Outcome.FAILED, Reason.AUTH_FAILED, key="key")
_base = _apply(*BASE)
_updated = _apply(want("a", port=6432), B, C, D)

SCENARIOS: Mapping[str, Scenario] = {
    "first apply": Scenario(prepare=None, act=_base, is_random=True),
    "create": Scenario(prepare=_base, act=_apply(*BASE, want("e"), want("f"))),
    "update": Scenario(prepare=_base, act=_updated),
    "rename and swap": Scenario(
        prepare=_base,
        act=_apply(
            want("a", metadata={"previousNames": ["c"]}),
            want("c", metadata={"previousNames": ["a"]}, deletionPolicy="delete"),
            want("z", metadata={"previousNames": ["d"]}, state="suspended"),
            B,
        ),
    ),
    "archive and delete": Scenario(prepare=_base, act=_apply(A, D)),
    "rotated secret": Scenario(
        prepare=_apply(*BASE, with_secrets=True), act=_apply(*BASE, with_secrets=True)
    ),
    "mixed": Scenario(
        prepare=_apply(*BASE, with_secrets=True), act=_apply(*MIXED, with_secrets=True)
    ),
    "resume command": Scenario(
        prepare=_all(_base, _reserve, _failed_login, _order("a", holds.suspend)),
        act=_order("a", holds.resume),
    ),
    "archive command": Scenario(prepare=_base, act=_order("a", holds.archive)),
    "rollback": Scenario(prepare=_all(_base, _updated), act=_roll_back),
    "login reserved": Scenario(prepare=_base, act=_reserve, repeats=False),
    "login released": Scenario(prepare=_all(_base, _reserve), act=_release),
    "health result": Scenario(prepare=_base, act=_result(Outcome.OK, Reason.OK)),
    "refused login": Scenario(prepare=_all(_base, _reserve), act=_failed_login),
    "login budget used up": Scenario(prepare=_base, act=_use_up),
    "restore": Scenario(prepare=_all(_base, _keep_copy, _updated), act=_restore),
    "backup": Scenario(prepare=_base, act=_copy, writes=False),
}

#: The migrations of a program one version ahead.
NEXT_VERSION = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{head}"


def upgrade():
    op.add_column("runs", sa.Column("note", sa.Text()))
    op.execute("UPDATE connections SET stack = 'moved'")
    op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True))
"""


def write_next_scripts(folder: Path, head: str) -> Path:
    """Writes the migrations of a program one version ahead; returns their folder."""
    scripts = folder / "scripts"
    shutil.copytree(migrate.SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "rev_next.py").write_text(NEXT_VERSION.format(head=head))
    return scripts


def _migrate(program: Program) -> None:
    transactions = rivals.open_transactions(program.url)
    is_file = program.url.startswith("sqlite")
    path = Path(program.url.removeprefix("sqlite:///")) if is_file else None
    try:
        migrate.upgrade_store(
            transactions, path, now=factories.NOW, scripts=program.folder / "scripts"
        )
    finally:
        transactions.close()


MIGRATION, TWO_STEPS = "migration", "two transactions"
#: `SCENARIOS`, and those that other promises are about.
ALL: Mapping[str, Scenario] = {
    **SCENARIOS,
    MIGRATION: Scenario(prepare=_base, act=_migrate),
    # Not all or nothing, and so what a survey has to find.
    TWO_STEPS: Scenario(prepare=_base, act=_all(_updated, _order("b", holds.suspend))),
}
