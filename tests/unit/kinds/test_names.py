from __future__ import annotations

import re

import pytest

from reconciler.kinds import names


@pytest.mark.parametrize("name", ["a", "orders", "a-b_c", "0", "nul-1", "com10", "a" * 63])
def test_a_plain_name_is_valid(name: str) -> None:
    assert re.fullmatch(names.PATTERN, name)
    assert not names.is_reserved(name)


@pytest.mark.parametrize("name", ["con", "nul", "com1", "lpt9", "conn_abc"])
def test_a_reserved_name_is_well_formed_but_not_valid(name: str) -> None:
    assert re.fullmatch(names.UNRESERVED_PATTERN, name)
    assert not re.fullmatch(names.PATTERN, name)
    assert names.is_reserved(name)


def test_a_device_name_is_reserved_in_every_case() -> None:
    assert names.is_reserved("CON")


@pytest.mark.parametrize(
    ("text", "proposal"),
    [
        ("Orders DB", "orders-db"),
        ("../../x", "x"),
        ("a/b", "a-b"),
        ("-orders-", "orders"),
        ("NUL", "nul-1"),
        ("conn_orders", "orders"),
        ("conn_nul", "nul-1"),
        ("a" * 254, "a" * 63),
        ("a" * 62 + "-b", "a" * 62),
        ("\u043e\u0440", ""),
        ("", ""),
    ],
)
def test_the_nearest_valid_name_is_proposed(text: str, proposal: str) -> None:
    assert names.propose_name(text) == proposal
    assert not proposal or re.fullmatch(names.PATTERN, proposal)
