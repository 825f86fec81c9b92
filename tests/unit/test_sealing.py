"""Sealed text opens where it was sealed, with its key, whole; nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.errors import ConfigError, SecretError
from reconciler.redact import Secret
from reconciler.sealing import Context, Sealer, key_id
from tests.factories import NOW, later

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
PLACE = Context(lineage="l-1", space="secret", name="orders", version=3, updated_at=NOW)
VALUE = "correct horse"


def seal(context: Context = PLACE, *keys: bytes, value: str = VALUE) -> tuple[str, str]:
    return Sealer(keys or (OLD,)).seal(Secret(value), context=context)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x", id="short"),
        pytest.param("ü\0\x80\0", id="ends like padding"),
        pytest.param("x" * 64, id="whole block"),
        pytest.param("x" * 65536, id="longest"),
    ],
)
def test_sealed_value_comes_back_and_never_looks_the_same(value: str) -> None:
    first, second = seal(value=value), seal(value=value)
    assert first[0] == second[0] == key_id(OLD)
    assert first[1] != second[1]
    for sealed in (first, second):
        assert Sealer([OLD]).open(*sealed, context=PLACE).reveal() == value


def test_sealed_text_says_its_format_and_not_how_long_the_value_is() -> None:
    (_, short), (_, long) = seal(value="a"), seal(value="a" * 60)
    assert short.startswith("sealed-v1:")
    assert len(short) == len(long)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PLACE, lineage="l-2"), id="store"),
        pytest.param(replace(PLACE, space="token"), id="space"),
        pytest.param(replace(PLACE, name="orders2"), id="name"),
        pytest.param(replace(PLACE, field="refresh"), id="field"),
        pytest.param(replace(PLACE, version=4), id="version"),
        pytest.param(replace(PLACE, updated_at=later(1)), id="set at"),
        pytest.param(replace(PLACE, expires_at=later(1)), id="expiry"),
    ],
)
def test_sealed_text_opens_nowhere_else(other: Context) -> None:
    with pytest.raises(SecretError) as raised:
        Sealer([OLD]).open(*seal(), context=other)
    assert raised.value.message == (
        f"the stored {other.space} `{other.name}` cannot be opened:"
        " it was changed, or belongs to another row or another store"
    )
    assert raised.value.exit == 4


@pytest.mark.parametrize(
    "ciphertext",
    [
        pytest.param("", id="empty"),
        pytest.param("plain", id="no parts"),
        pytest.param("sealed-v1::", id="empty parts"),
        pytest.param("sealed-v1:AAAA:AAAA", id="too short"),
        pytest.param("sealed-v1:A:A", id="no base64"),
        pytest.param("sealed-v1:ü:ü", id="not ASCII"),
    ],
)
def test_text_that_nobody_sealed_is_refused(ciphertext: str) -> None:
    with pytest.raises(SecretError):
        Sealer([OLD]).open(key_id(OLD), ciphertext, context=PLACE)


def test_text_of_another_format_is_refused() -> None:
    key, text = seal()
    with pytest.raises(SecretError):
        Sealer([OLD]).open(key, text.replace("-v1", "-v2"), context=PLACE)


def test_parts_of_two_values_do_not_mix() -> None:
    key, first = seal()
    _, second = seal()
    mixed = ":".join((*first.split(":")[:2], second.split(":")[2]))
    with pytest.raises(SecretError):
        Sealer([OLD]).open(key, mixed, context=PLACE)


def test_value_of_a_missing_key_names_the_key() -> None:
    with pytest.raises(SecretError) as raised:
        Sealer([NEW]).open(*seal(), context=PLACE)
    assert raised.value.message == (
        f"the stored secret `orders` is sealed with the key {key_id(OLD)}, which is not given"
    )
    assert raised.value.hint == "add that key to RECONCILER_KEY, behind the one in use"


def test_first_key_seals_and_every_key_opens() -> None:
    sealer = Sealer([NEW, OLD])
    assert (sealer.key_id, sealer.key_ids) == (key_id(NEW), frozenset({key_id(NEW), key_id(OLD)}))
    assert seal(PLACE, NEW, OLD)[0] == key_id(NEW)
    assert sealer.open(*seal(), context=PLACE).reveal() == VALUE


def test_rewrapped_value_opens_with_the_new_key_alone_and_stays_encrypted() -> None:
    key, before = seal()
    key, after = Sealer([NEW, OLD]).rewrap(key, before, context=PLACE, version=4)
    moved = replace(PLACE, version=4)
    assert Sealer([NEW]).open(key, after, context=moved).reveal() == VALUE
    assert after.split(":")[2] == before.split(":")[2]
    with pytest.raises(SecretError):
        Sealer([NEW]).open(key, after, context=PLACE)


def test_without_a_key_nothing_is_sealed_or_opened() -> None:
    nobody = Sealer([])
    assert nobody.key_id == ""
    with pytest.raises(ConfigError) as raised:
        nobody.seal(Secret(VALUE), context=PLACE)
    assert raised.value.message == "there is no key to encrypt with"
    with pytest.raises(ConfigError):
        nobody.rewrap(*seal(), context=PLACE, version=4)
    with pytest.raises(SecretError):
        nobody.open(*seal(), context=PLACE)


def test_moments_of_every_zone_are_the_same() -> None:
    from datetime import timezone

    east = NOW.astimezone(timezone(timedelta(hours=5)))
    sealed = seal(replace(PLACE, expires_at=NOW))
    moved = replace(PLACE, updated_at=east, expires_at=east)
    assert Sealer([OLD]).open(*sealed, context=moved).reveal() == VALUE
