"""Plans on paper: what is strict, what is stale, what is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import plan, saved_plan
from reconciler.errors import InvalidPlanFile, ReconcilerError, StalePlan
from reconciler.model import Json, Plan, PlanOptions
from tests.desired import have, want

OPTIONS = PlanOptions(stack="default", roots=("manifests",), inputs=("manifests",), prune_limit=3)


def make(port: int = 6432) -> Plan:
    return plan.make_plan([want(port=port)], [have(want())], OPTIONS, lineage="l1")


TEXT = saved_plan.dump(make())


def test_saved_plan_is_read_back() -> None:
    saved = saved_plan.load(TEXT.encode())
    assert saved.options == OPTIONS
    saved.require(make())


def test_other_plan_names_what_moved() -> None:
    moved = plan.make_plan([want()], [have(want())], OPTIONS, lineage="l1")
    with pytest.raises(StalePlan, match="`SqlConnection/hr/orders` changed"):
        saved_plan.load(TEXT.encode()).require(moved)


def test_same_changes_over_another_row_are_stale() -> None:
    moved = plan.make_plan([want(port=6432)], [have(want(), revision=2)], OPTIONS, lineage="l1")
    with pytest.raises(StalePlan, match="`SqlConnection/hr/orders` changed"):
        saved_plan.load(TEXT.encode()).require(moved)


def test_plan_of_another_state_is_foreign() -> None:
    with pytest.raises(StalePlan, match="another state store"):
        saved_plan.load(TEXT.encode()).require(replace(make(), lineage="l2"))


def test_long_list_of_what_moved_is_cut() -> None:
    wanted = [want(f"n{number}") for number in range(8)]
    planned = plan.make_plan(wanted, [], OPTIONS, lineage="l1")
    saved = saved_plan.load(saved_plan.dump(planned).encode())
    with pytest.raises(StalePlan, match="and 3 more changed"):
        saved.require(plan.make_plan([], [], OPTIONS, lineage="l1"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x80\x04\x95", id="pickle"),
        pytest.param(TEXT.encode()[:80], id="truncated"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"formatVersion": 1, "formatVersion": 1}', id="duplicate key"),
        pytest.param(b'{"formatVersion": NaN}', id="not a number"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b"{}", id="no version"),
        pytest.param(b" " * (saved_plan.LARGEST_BYTES + 1), id="too large"),
    ],
)
def test_file_that_is_no_plan_is_invalid(data: bytes) -> None:
    with pytest.raises(InvalidPlanFile):
        saved_plan.load(data)


@pytest.mark.parametrize("key", ["formatVersion", "tool"])
def test_plan_of_another_version_is_stale(key: str) -> None:
    with pytest.raises(StalePlan, match="another version"):
        saved_plan.load(json.dumps({**json.loads(TEXT), key: "99"}).encode())


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"options": None}, id="options"),
        pytest.param({"options": {"stack": 1}}, id="fields of options"),
        pytest.param({"lineage": None}, id="lineage"),
        pytest.param({"changes": None}, id="changes"),
    ],
)
def test_plan_with_parts_missing_is_invalid(broken: dict[str, Json]) -> None:
    with pytest.raises(InvalidPlanFile):
        saved_plan.load(json.dumps({**json.loads(TEXT), **broken}).encode())


_VALUES: st.SearchStrategy[Json] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([])
)


def _paths(data: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(data, dict):
        return [path, *(p for key in data for p in _paths(data[key], (*path, key)))]
    if isinstance(data, list):
        return [path, *(p for i, item in enumerate(data) for p in _paths(item, (*path, i)))]
    return [path]


@given(path=st.sampled_from(_paths(json.loads(TEXT))[1:]), value=_VALUES)
def test_no_edited_plan_is_ever_the_expected_one(path: tuple[str | int, ...], value: Json) -> None:
    edited = json.loads(TEXT)
    place = edited
    for part in path[:-1]:
        place = place[part]
    if place[path[-1]] == value and type(place[path[-1]]) is type(value):
        return
    place[path[-1]] = value
    with pytest.raises(ReconcilerError) as caught:
        saved_plan.load(json.dumps(edited).encode()).require(make())
    assert caught.value.exit in (3, 7)
