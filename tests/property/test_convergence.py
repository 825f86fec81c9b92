"""Applying a plan yields what was planned, whatever was there before: the promise of the tool.

Sequences of manifest sets are applied to one store in memory, with renames, prunes, commands and
results of health passes in between; after every step the next plan has to be empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from reconciler import desired, reconcile, secret_sources, stores
from reconciler.errors import InvalidManifests
from reconciler.model import PlanOptions, Recorded, Resource
from reconciler.redact import Redactor
from reconciler.settings import SecretPolicy, Settings
from reconciler.stores import Opening, Store
from tests import factories
from tests.desired import want

NAMES = ("a", "b", "c", "d")


@st.composite
def manifest_sets(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Up to four connections; some rename others, some change, some are suspended."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    free = [other for other in NAMES if other not in names]
    resources = []
    for name in names:
        previous = draw(st.lists(st.sampled_from(free), unique=True, max_size=1)) if free else []
        free = [other for other in free if other not in previous]  # claimed once, else E203
        resources.append(
            want(
                name,
                metadata={"previousNames": previous} if previous else {},
                port=draw(st.sampled_from([5432, 6432])),
                state=draw(st.sampled_from(["active", "suspended"])),
                deletionPolicy=draw(st.sampled_from(["archive", "delete"])),
                pool={"size": draw(st.integers(1, 3))},
            )
        )
    return tuple(resources)


def reading(resources: tuple[Resource, ...]) -> desired.Reading:
    return desired.Reading(
        resources=resources, diagnostics=(), files=1, documents=1, roots=("manifests",)
    )


def options() -> PlanOptions:
    return PlanOptions(stack="default", roots=("manifests",), prune=True, prune_limit=100)


@contextmanager
def bench() -> Iterator[tuple[reconcile.Workspace, Store]]:
    policy = SecretPolicy(root="/project")
    settings = Settings(
        root="/project", state_url="sqlite://", is_default_state=False, secrets=policy
    )
    redactor = Redactor()
    numbers = iter(range(10**6))
    workspace = reconcile.Workspace(
        settings=settings,
        redactor=redactor,
        secrets=secret_sources.Secrets(policy, {}, redactor, clock=lambda: factories.NOW),
        clock=lambda: factories.NOW,
        make_id=lambda prefix: f"{prefix}{next(numbers):015d}",
    )
    store = stores.open_store("sqlite://", Opening.WRITE, now=factories.NOW)
    try:
        yield workspace, store
    finally:
        store.close()


def apply(workspace: reconcile.Workspace, store: Store, wanted: tuple[Resource, ...]) -> bool:
    """Applies, or sees the one refusal there is: a name and its previous name are both alive."""
    try:
        reconcile.apply_manifests(
            workspace, reading(wanted), store, options(), with_secrets=False, git_facts=None
        )
    except InvalidManifests as error:
        assert {found.code for found in error.diagnostics} == {"E205"}  # noqa: PT017
        return False
    return True


def live(store: Store) -> dict[str, Recorded]:
    return {row.ref.name: row for row in store.recorded() if row.status.is_live}


@given(st.lists(manifest_sets(), min_size=1, max_size=5))
def test_plan_after_an_apply_is_empty(steps: list[tuple[Resource, ...]]) -> None:
    with bench() as (workspace, store):
        for wanted in steps:
            if apply(workspace, store, wanted):
                assert reconcile.make_plan(reading(wanted), store, options()).changes == ()


@given(st.lists(manifest_sets(), min_size=1, max_size=5))
def test_apply_yields_exactly_what_is_wanted(steps: list[tuple[Resource, ...]]) -> None:
    with bench() as (workspace, store):
        for wanted in steps:
            before = live(store)
            if apply(workspace, store, wanted):
                digests = {name: row.digest for name, row in live(store).items()}
                assert digests == {resource.ref.name: resource.digest for resource in wanted}
            else:
                assert live(store) == before
        assert store.check() == ()


@given(st.lists(manifest_sets(), min_size=2, max_size=4))
def test_uid_names_one_connection_for_ever(steps: list[tuple[Resource, ...]]) -> None:
    with bench() as (workspace, store):
        ended: set[str] = set()
        for wanted in steps:
            before = {row.uid for row in live(store).values()}
            apply(workspace, store, wanted)
            after = {row.uid for row in live(store).values()}
            ended |= before - after
            assert not ended & after


@given(manifest_sets(), st.randoms(use_true_random=False))
def test_order_of_manifests_does_not_matter(
    wanted: tuple[Resource, ...], random: st.DataObject
) -> None:
    shuffled = list(wanted)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands over a Random
    with bench() as (_, store):
        first = reconcile.make_plan(reading(wanted), store, options())
        assert first == reconcile.make_plan(reading(tuple(shuffled)), store, options())
