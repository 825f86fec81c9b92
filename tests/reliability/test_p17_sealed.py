"""P17: what is sealed opens where it was sealed, whole, with its key, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ConfigError, SecretError, StoreDamaged
from reconciler.redact import Secret
from reconciler.sealing import Context, Sealer
from reconciler.stores import SealedRecord, rows, sealed, tables, vault
from tests.factories import NOW, later
from tests.reliability import rotations
from tests.reliability.figures import Record

LINEAGE = "0e1f2a3b-0000-4000-8000-000000000000"
OLD, NEW = rotations.OLD, rotations.NEW
SEALER = Sealer([OLD, NEW])
#: One row of `sealed` as a database gives it.
Row = tuple[Any, ...]
COLUMNS = tuple(tables.sealed.columns.keys())
#: What may be moved from one row to another alone, and together with what.
MOVED = (
    ("ciphertext",),
    ("ciphertext", "key_id"),
    ("ciphertext", "version"),
    ("ciphertext", "key_id", "version"),
    ("ciphertext", "key_id", "version", "updated_at", "expires_at"),
    ("name",),
    ("space",),
    ("key_id",),
    ("version",),
    ("updated_at",),
    ("expires_at",),
)


def make_row(name: str, *, key: bytes = OLD, **changes: Any) -> Row:
    context = Context(
        **{
            "lineage": LINEAGE,
            "space": vault.SECRET,
            "name": name,
            "version": 1,
            "updated_at": NOW,
            "expires_at": later(60),
            **changes,
        }
    )
    record = SealedRecord.seal(Sealer([key]), Secret(f"the value of {name}"), context)
    return tuple(sealed.columns(record)[column] for column in COLUMNS)


def opens(row: Row, lineage: str = LINEAGE) -> bool:
    """Whether a row gives a value; refusals are ours, never a traceback."""
    try:
        record = rows.parsed("sealed", sealed.record, row)
        record.open(SEALER, lineage)
    except (SecretError, StoreDamaged):
        return False
    return True


def flipped(value: object) -> Iterator[object]:
    """Yields `value` with each of its bits flipped."""
    if isinstance(value, int):
        yield from (value ^ (1 << bit) for bit in range(63))
    if isinstance(value, str):
        for at, character in enumerate(value):
            for bit in range(8):
                yield value[:at] + chr(ord(character) ^ (1 << bit)) + value[at + 1 :]


ROWS = (
    make_row("orders"),
    make_row("billing", version=2),
    make_row("crm", key=NEW, updated_at=later(5)),
    make_row("conn_abcdefghijklmno", space=vault.TOKEN, expires_at=None),
)


def test_untouched_rows_open() -> None:
    assert all(map(opens, ROWS))


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_row_with_any_bit_flipped_is_refused(row: Row, figure: Record) -> None:
    changed = [
        (*row[:at], other, *row[at + 1 :])
        for at, value in enumerate(row)
        for other in flipped(value)
    ]
    assert [found for found in changed if opens(found)] == []
    lineages = [found for found in flipped(LINEAGE) if opens(row, str(found))]
    assert lineages == []
    figure("P17", "bits flipped", len(changed) + 8 * len(LINEAGE), "opened", 0)


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_row_with_anything_cut_off_is_refused(row: Row, figure: Record) -> None:
    text = row[COLUMNS.index("ciphertext")]
    cut = [text[:end] for end in range(len(text))] + [text[start:] for start in range(1, len(text))]
    parts = text.split(":")
    cut += [":".join((parts[0], parts[1][:end], parts[2])) for end in range(len(parts[1]))]
    rest = [tuple(short if value is text else value for value in row) for short in cut]
    assert [found for found in rest if opens(found)] == []
    figure("P17", "texts cut", len(cut), "opened", 0)


def test_what_is_moved_to_another_row_is_refused(figure: Record) -> None:
    count = 0
    for target, origin in permutations(ROWS, 2):
        for names in MOVED:
            pairs = zip(COLUMNS, target, origin, strict=True)
            row = tuple(theirs if name in names else ours for name, ours, theirs in pairs)
            if row != target:
                assert not opens(row), names
                count += 1
    figure("P17", "values moved to another row", count, "opened", 0)


def test_older_value_of_the_same_secret_is_refused(figure: Record) -> None:
    old, new = make_row("orders"), make_row("orders", version=2, updated_at=later(5))
    count = 0
    for names in MOVED:
        pairs = zip(COLUMNS, new, old, strict=True)
        row = tuple(theirs if name in names else ours for name, ours, theirs in pairs)
        if row not in (new, old):
            assert not opens(row), names
            count += 1
    figure("P17", "older values put back", count, "opened", 0)


def test_row_of_another_store_is_refused() -> None:
    assert not any(opens(row, "another") for row in ROWS)


def test_added_expiry_is_refused() -> None:
    (row,) = (row for row in ROWS if row[-1] is None)
    record = rows.parsed("sealed", sealed.record, row)
    with pytest.raises(SecretError):
        replace(record, expires_at=later(9)).open(SEALER, LINEAGE)


@pytest.mark.parametrize(
    "url_of",
    [
        pytest.param("", id="sqlite"),
        pytest.param("postgresql_url", id="postgresql", marks=pytest.mark.server),
    ],
)
def test_rotation_killed_anywhere_leaves_everything_readable_and_can_be_completed(
    url_of: str, request: pytest.FixtureRequest, memory_path: Path, figure: Record
) -> None:
    url = request.getfixturevalue(url_of) if url_of else ""
    found = rotations.kill_everywhere(rotations.Job(folder=memory_path, url=url))
    assert found.wrong == ()
    assert found.points >= 3 * len(rotations.VALUES)
    figure("P17", "kill points of a rotation", found.points, "unreadable", 0)


def test_key_in_use_cannot_go(shared_url: str) -> None:
    rotations.fill(shared_url)
    with pytest.raises(ConfigError):
        rotations.read(shared_url, [NEW])
    assert rotations.rotate(shared_url) == len(rotations.VALUES)
    assert rotations.read(shared_url, [NEW]) == rotations.VALUES
    with pytest.raises(ConfigError):
        rotations.read(shared_url, [OLD])
