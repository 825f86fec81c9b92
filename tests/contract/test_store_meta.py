"""What a store says of itself: lineage, version of the tables, key of the fingerprints."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ConfigError, MigrationRequired, StoreUnavailable
from reconciler.stores import Meta, Opening, Store, open_store, tables
from tests.contract.databases import run_sql
from tests.factories import NOW, later

WRAPPING_KEY = b"\xab" * 32
OTHER_KEY = b"\xcd" * 32


def meta_of(url: str, opening: Opening = Opening.READ, *keys: bytes) -> Meta:
    store = open_store(url, opening, keys=keys, now=later(60))
    store.close()
    return store.meta


def test_new_store_is_at_the_newest_tables_with_a_key_of_32_bytes(store: Store) -> None:
    assert store.meta.schema == tables.HEAD
    assert len(store.meta.fingerprint_key) == 32
    assert len(store.meta.key_id) == 16
    assert len(store.meta.lineage) == 36


def test_everybody_who_opens_a_store_sees_the_same_lineage_and_key(url: str, store: Store) -> None:
    assert meta_of(url) == meta_of(url, Opening.WRITE) == store.meta


def test_two_stores_differ_in_lineage_and_key(store: Store, tmp_path: Path) -> None:
    other = meta_of(f"sqlite:///{tmp_path}/other.db", Opening.WRITE)
    assert other.lineage != store.meta.lineage
    assert other.fingerprint_key != store.meta.fingerprint_key
    assert other.key_id != store.meta.key_id


def test_reading_a_store_that_is_not_there_says_what_makes_one(url: str) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        open_store(url, Opening.READ, now=NOW)
    assert raised.value.message.startswith("there is no state store at ")
    assert raised.value.hint == "`reconciler apply` makes it, or check `--state`"


def test_reading_makes_no_store(url: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            open_store(url, Opening.READ, now=NOW)


def test_tables_of_a_newer_program_are_refused_for_reading_and_writing(shared_url: str) -> None:
    meta_of(shared_url, Opening.WRITE)
    run_sql(shared_url, f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'")
    for opening in Opening:
        with pytest.raises(MigrationRequired) as raised:
            open_store(shared_url, opening, now=NOW)
        assert raised.value.message.endswith("was written by a newer version")
        assert raised.value.hint == "upgrade reconciler on this machine"


def test_wrapped_key_is_the_same_for_whoever_has_the_wrapping_key(shared_url: str) -> None:
    made = meta_of(shared_url, Opening.WRITE, WRAPPING_KEY)
    assert meta_of(shared_url, Opening.READ, WRAPPING_KEY) == made
    assert made.fingerprint_key.hex() not in str(
        run_sql(shared_url, "SELECT fingerprint_key FROM meta")
    )


def test_wrapped_store_needs_its_wrapping_key(shared_url: str) -> None:
    meta_of(shared_url, Opening.WRITE, WRAPPING_KEY)
    with pytest.raises(ConfigError, match="the state store is wrapped by a key"):
        meta_of(shared_url)
    with pytest.raises(ConfigError, match="RECONCILER_KEY is not the key of this state store"):
        meta_of(shared_url, Opening.READ, OTHER_KEY)


def test_store_is_wrapped_when_it_is_first_written_with_a_key(shared_url: str) -> None:
    made = meta_of(shared_url, Opening.WRITE)
    assert meta_of(shared_url, Opening.READ, WRAPPING_KEY) == made
    assert meta_of(shared_url) == made
    assert meta_of(shared_url, Opening.WRITE, WRAPPING_KEY) == made
    with pytest.raises(ConfigError):
        meta_of(shared_url)


def test_any_of_several_keys_opens_the_store(shared_url: str) -> None:
    made = meta_of(shared_url, Opening.WRITE, WRAPPING_KEY)
    assert meta_of(shared_url, Opening.READ, OTHER_KEY, WRAPPING_KEY) == made


def test_rewrapping_replaces_the_key_that_is_needed(shared_url: str) -> None:
    made = meta_of(shared_url, Opening.WRITE, WRAPPING_KEY)
    store = open_store(shared_url, Opening.WRITE, keys=[OTHER_KEY, WRAPPING_KEY], now=NOW)
    assert [store.rewrap([OTHER_KEY, WRAPPING_KEY]) for _ in range(2)] == [True, False]
    store.close()
    assert meta_of(shared_url, Opening.READ, OTHER_KEY) == made
    with pytest.raises(ConfigError, match="RECONCILER_KEY is not the key of this state store"):
        meta_of(shared_url, Opening.READ, WRAPPING_KEY)


def test_url_with_another_scheme_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        open_store("mysql://db/state", Opening.READ, now=NOW)
    assert raised.value.message == "no state store has the URL scheme `mysql`"
    assert raised.value.hint == "use one of: sqlite, postgresql"
