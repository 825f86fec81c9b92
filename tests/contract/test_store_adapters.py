"""The parts of the stores that need no database: the wrapped key, the tables of errors, rows."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import pytest

from reconciler.errors import (
    ConfigError,
    Conflict,
    ReconcilerError,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
)
from reconciler.stores import faults, fingerprint_key, rows, texts
from tests.factories import later, make_recorded

KEY = bytes(range(32))
WRAPPING_KEY = b"\xab" * 32


def sealed(*keys: bytes) -> str:
    return fingerprint_key.seal(KEY, lineage="l", keys=keys or [WRAPPING_KEY])


def test_key_without_wrapping_key_is_kept_as_hex() -> None:
    assert fingerprint_key.seal(KEY, lineage="l", keys=()) == KEY.hex()
    assert fingerprint_key.unseal(KEY.hex(), lineage="l", keys=[WRAPPING_KEY]) == KEY


def test_wrapped_key_comes_back_and_never_looks_the_same() -> None:
    first, second = sealed(), sealed()
    assert first != second
    for kept in (first, second):
        assert KEY.hex() not in kept
        assert fingerprint_key.unseal(kept, lineage="l", keys=[WRAPPING_KEY]) == KEY


def test_wrapped_key_of_another_store_is_refused() -> None:
    with pytest.raises(ConfigError):
        fingerprint_key.unseal(sealed(), lineage="other", keys=[WRAPPING_KEY])


@pytest.mark.parametrize("part", [1, 2, 3], ids=["salt", "sealed", "tag"])
def test_wrapped_key_with_any_part_changed_is_refused(part: int) -> None:
    parts = sealed().split(":")
    flipped = bytes([bytes.fromhex(parts[part])[0] ^ 1]) + bytes.fromhex(parts[part])[1:]
    parts[part] = flipped.hex()
    with pytest.raises(ConfigError):
        fingerprint_key.unseal(":".join(parts), lineage="l", keys=[WRAPPING_KEY])


def test_key_id_is_of_the_key_alone() -> None:
    assert fingerprint_key.key_id(KEY) == "1523b74c862764d2"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        pytest.param(sqlite3.SQLITE_BUSY, Conflict, id="busy"),
        pytest.param(sqlite3.SQLITE_BUSY_SNAPSHOT, Conflict, id="busy, extended"),
        pytest.param(sqlite3.SQLITE_CORRUPT_INDEX, StoreDamaged, id="corrupt, extended"),
        pytest.param(sqlite3.SQLITE_FULL, StoreUnavailable, id="full"),
        pytest.param(sqlite3.SQLITE_IOERR_FSYNC, StoreUnavailable, id="fsync failed"),
        pytest.param(sqlite3.SQLITE_READONLY_DIRECTORY, StoreUnavailable, id="read-only"),
        pytest.param(sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, Conflict, id="row gone"),
        pytest.param(sqlite3.SQLITE_NOLFS, StoreUnavailable, id="code in no table"),
    ],
)
def test_sqlite_code_decides_the_error(code: int, error: type[ReconcilerError]) -> None:
    raised = sqlite3.OperationalError("text of the library")
    raised.sqlite_errorcode = code
    found = faults.sqlite_fault(raised).at("/state.db")
    assert type(found) is error
    assert "/state.db" in found.message or error is Conflict
    assert "library" not in found.message + found.hint


def test_sqlite_error_without_a_code_is_unavailable() -> None:
    found = faults.sqlite_fault(sqlite3.ProgrammingError("text")).at("/state.db")
    assert (type(found), found.message) == (
        StoreUnavailable,
        "the state store /state.db cannot be used",
    )


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        pytest.param(psycopg.errors.LockNotAvailable, Conflict, id="lock"),
        pytest.param(psycopg.errors.SerializationFailure, Conflict, id="serialization"),
        pytest.param(psycopg.errors.DiskFull, StoreUnavailable, id="disk full"),
        pytest.param(psycopg.errors.AdminShutdown, StoreUnavailable, id="shutdown"),
        pytest.param(psycopg.errors.ReadOnlySqlTransaction, StoreUnavailable, id="replica"),
        pytest.param(psycopg.errors.DataCorrupted, StoreDamaged, id="corrupted"),
        pytest.param(psycopg.errors.UndefinedTable, StoreDamaged, id="table gone"),
        pytest.param(psycopg.errors.QueryCanceled, StoreUnavailable, id="class of codes"),
        pytest.param(psycopg.errors.DivisionByZero, StoreUnavailable, id="code in no table"),
    ],
)
def test_sqlstate_decides_the_error(
    raised: type[psycopg.Error], error: type[ReconcilerError]
) -> None:
    found = faults.postgresql_fault(raised("text of the library")).at("postgresql://db")
    assert type(found) is error
    assert "library" not in found.message + found.hint


def test_every_fault_is_a_sentence_with_a_thing_to_do() -> None:
    for fault in (*faults.SQLITE.values(), *faults.POSTGRESQL.values()):
        found = fault.at("/state.db")
        assert isinstance(found, StoreError | Conflict)
        assert "{" not in found.message
        assert found.message[0].islower()
        assert found.hint
        assert not found.hint.endswith(".")


def test_moment_is_text_of_fixed_width_in_utc() -> None:
    assert texts.moment_text(later(0)) == "2026-03-01T12:00:00.000000Z"
    assert texts.moment_text(later(0.000001)) == "2026-03-01T12:00:00.000001Z"
    assert texts.parse_moment(texts.moment_text(later(0.25))) == later(0.25)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param("name", None, id="NULL name"),
        pytest.param("generation", "1", id="number as text"),
        pytest.param("generation", 1.5, id="broken number"),
        pytest.param("phase", "active", id="phase in lower case"),
        pytest.param("last_outcome", "fine", id="unknown outcome"),
        pytest.param("suspended_by", "cat", id="unknown suspender"),
        pytest.param("deletion_policy", "", id="no policy"),
        pytest.param("updated_at", "2026-13-01", id="no such day"),
        pytest.param("hold", "{}", id="hold of another form"),
        pytest.param("ref_key", "sqlconnection/hr/other", id="key of another name"),
    ],
)
def test_row_with_a_value_never_written_is_damage(column: str, value: Any) -> None:
    columns = rows.recorded_columns(make_recorded()) | {column: value}
    with pytest.raises(StoreDamaged) as raised:
        rows.parsed("connections", rows.recorded, tuple(columns.values()))
    assert raised.value.message == (
        "the row 'conn_abcdefghijklmno' of table `connections` holds values that were never written"
    )
