"""Which texts are master keys."""

from __future__ import annotations

import pytest

from reconciler import master_keys

FIRST, SECOND = master_keys.make(), master_keys.make()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param(FIRST, [FIRST], id="one"),
        pytest.param(FIRST.upper(), [FIRST], id="upper case"),
        pytest.param(f"{FIRST},{SECOND}", [FIRST, SECOND], id="two"),
        pytest.param(f" {FIRST} , {SECOND}\n", [FIRST, SECOND], id="with spaces"),
        pytest.param(f"{FIRST}\n{SECOND}\n", [FIRST, SECOND], id="a line each"),
        pytest.param(f"{FIRST},{FIRST}", [FIRST], id="twice"),
    ],
)
def test_keys_are_read_in_order_each_once(text: str, keys: list[str]) -> None:
    assert [key.hex() for key in master_keys.parse(text)] == keys


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param(",", id="comma"),
        pytest.param(f"{FIRST},", id="comma at the end"),
        pytest.param(FIRST[:-1], id="short"),
        pytest.param(f"{FIRST}0", id="long"),
        pytest.param("zz" * 32, id="no digits"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits") as raised:
        master_keys.parse(text)
    assert FIRST[:-1] not in str(raised.value)


def test_new_keys_are_random_and_never_known_ones() -> None:
    made = {master_keys.make() for _ in range(1000)}
    assert len(made) == 1000
    assert not any(master_keys.is_known(bytes.fromhex(key)) for key in made)
