"""Which connections a command line means."""

from __future__ import annotations

import pytest

from reconciler import selection
from reconciler.errors import ConfigError
from reconciler.model import Phase, Reason, Ref, canonical
from tests import factories

ORDERS = Ref(kind="SqlConnection", namespace="hr", name="orders")
CRM = Ref(kind="ApiConnection", namespace="sales", name="crm")
OTHER_ORDERS = Ref(kind="ApiConnection", namespace="hr", name="orders")
ALL = (ORDERS, CRM, OTHER_ORDERS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("crm", (CRM,), id="name"),
        pytest.param("CRM", (CRM,), id="case does not matter"),
        pytest.param("hr/orders", (ORDERS, OTHER_ORDERS), id="namespace and name"),
        pytest.param("sql/hr/orders", (ORDERS,), id="kind by alias"),
        pytest.param("SqlConnection/hr/orders", (ORDERS,), id="kind"),
        pytest.param("api/*/*", (CRM, OTHER_ORDERS), id="globs per part"),
        pytest.param("*/hr/*", (ORDERS, OTHER_ORDERS), id="glob for the kind"),
        pytest.param("or*", (ORDERS, OTHER_ORDERS), id="glob in a name"),
    ],
)
def test_reference_means(text: str, expected: tuple[Ref, ...]) -> None:
    wanted = selection.parse_reference(text)
    assert tuple(ref for ref in ALL if wanted.matches(ref)) == expected


@pytest.mark.parametrize("text", ["a/b/c/d", "/name", "ns/", ""])
def test_malformed_reference_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a reference"):
        selection.parse_reference(text)


def test_unknown_kind_is_an_error() -> None:
    with pytest.raises(ConfigError, match="`table` is not a kind"):
        selection.parse_reference("table/hr/orders")


def test_name_that_nothing_has_suggests_a_near_one() -> None:
    with pytest.raises(ConfigError) as caught:
        selection.one("sales/cmr", ALL)
    assert caught.value.hint == "a similar connection exists: `ApiConnection/sales/crm`"


def test_name_far_from_all_points_at_status() -> None:
    with pytest.raises(ConfigError) as caught:
        selection.one("zzzzzz", ALL)
    assert caught.value.hint == "`status` lists them"


def test_one_connection_is_meant() -> None:
    assert selection.one("crm", ALL) == CRM


def test_ambiguous_name_lists_the_candidates() -> None:
    with pytest.raises(ConfigError) as caught:
        selection.one("orders", ALL)
    assert caught.value.hint == (
        "name one of: `ApiConnection/hr/orders`, `SqlConnection/hr/orders`"
    )


def test_ambiguous_name_is_an_error_where_several_may_be_meant_too() -> None:
    with pytest.raises(ConfigError, match="names 2 connections"):
        selection.require(selection.parse(["orders"]), ALL)


def test_glob_may_mean_several() -> None:
    selection.require(selection.parse(["orders*"]), ALL)


def test_labels_must_all_match() -> None:
    selector = selection.parse(labels=["team=hr,tier=1"])
    assert selector.matches(ORDERS, {"team": "hr", "tier": "1", "env": "prod"})
    assert not selector.matches(ORDERS, {"team": "hr"})


@pytest.mark.parametrize("text", ["team", "=hr"])
def test_malformed_label_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a label selector"):
        selection.parse(labels=[text])


def test_row_is_matched_by_the_labels_of_its_manifest() -> None:
    manifest = {"metadata": {"name": "orders", "labels": {"team": "hr"}}, "spec": {}}
    row = factories.make_recorded(text=canonical(manifest))
    assert selection.matches_row(selection.parse(labels=["team=hr"]), row)
    assert not selection.matches_row(selection.parse(labels=["team=sales"]), row)
    assert selection.matches_row(selection.parse(["orders"]), row)


def test_nothing_selects_everything() -> None:
    assert selection.parse().is_all
    assert selection.parse().matches(CRM, {})


def test_a_live_row_is_meant_before_archived_ones_and_the_last_of_those_otherwise() -> None:
    gone = factories.make_status(phase=Phase.ARCHIVED, reason=Reason.PRUNED)
    older, newer = (
        factories.make_recorded(
            uid=factories.make_uid(number), status=gone, updated_at=factories.later(-number)
        )
        for number in (2, 1)
    )
    live = factories.make_recorded(uid=factories.make_uid(3))
    assert selection.row_of("orders", (newer, live, older)) == live
    assert selection.row_of("orders", (newer, older)) == newer


def test_a_row_that_is_not_there_is_said_with_a_near_name() -> None:
    with pytest.raises(ConfigError) as caught:
        selection.row_of("order", (factories.make_recorded(),))
    assert "orders" in caught.value.hint
