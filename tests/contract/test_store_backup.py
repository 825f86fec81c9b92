"""Backups hold everything, and restore into either database, whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import (
    ConfigError,
    MigrationRequired,
    Refused,
    StoreDamaged,
    StoreUnavailable,
)
from reconciler.model import Outcome, Reason
from reconciler.stores import (
    EventQuery,
    HealthWrite,
    LoginRequest,
    Opening,
    RowOp,
    RowWrite,
    SealedRecord,
    Store,
    Verdict,
    Write,
    backup,
    open_store,
)
from tests.contract.databases import run_sql
from tests.factories import (
    NOW,
    UID,
    later,
    make_event,
    make_observation,
    make_recorded,
    make_ref,
    make_revision,
    make_run,
    make_uid,
)

SEALED = SealedRecord(
    space="secret", name="a", version=1, key_id="k", ciphertext="x", updated_at=NOW
)
LOGIN = LoginRequest(uid=UID, credential_key="key", version=2, deadline_at=later(60))


def fill(store: Store) -> None:
    """Puts something into every table."""
    store.commit(
        Write(
            rows=(RowWrite(op=RowOp.INSERT, row=make_recorded()),),
            revisions=(make_revision(),),
            events=(make_event(), make_event(type="updated")),
            run=make_run(),
        )
    )
    refused = make_observation(outcome=Outcome.FAILED, reason=Reason.AUTH_FAILED)
    row = make_recorded(version=2)
    write = HealthWrite(observation=refused, row=row, expected=1, credential_key="key")
    store.record([write], now=NOW)
    store.write_sealed(SEALED, expected=None)
    store.lease("refresh", "a", now=NOW, until=later(60))
    store.used(UID, later(5))


def contents(store: Store) -> tuple[object, ...]:
    return (
        store.meta,
        store.recorded(archived=True),
        store.revisions(UID),
        store.events(EventQuery()),
        store.observations(UID),
        store.runs(),
        store.sealed("secret"),
        store.last_used(UID),
    )


@pytest.fixture
def filled(store: Store) -> Store:
    """Gives a store of each kind with something in every table."""
    fill(store)
    return store


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[str]:
    """Gives the path of a backup with something in every table."""
    store = open_store(f"sqlite:///{tmp_path}/original.db", Opening.WRITE, now=NOW)
    fill(store)
    store.backup(str(tmp_path / "kept.backup"))
    yield str(tmp_path / "kept.backup")
    store.close()


def test_backup_is_a_private_file_that_opens_as_a_store(filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "copy.backup"
    filled.backup(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir() if "copy" in entry.name] == ["copy.backup"]
    copy = open_store(f"sqlite:///{path}", Opening.READ, now=NOW)
    assert contents(copy) == contents(filled)
    assert copy.check() == ()
    copy.close()


def test_backup_keeps_the_login_budget(filled: Store, tmp_path: Path) -> None:
    filled.backup(str(tmp_path / "copy.backup"))
    copy = open_store(f"sqlite:///{tmp_path}/copy.backup", Opening.WRITE, now=NOW)
    verdicts = copy.reserve([LOGIN] * 5, now=NOW, budget=5)
    assert verdicts == (Verdict.GRANTED,) * 4 + (Verdict.WAIT,)
    copy.close()


def test_backup_never_replaces_a_file(filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    with pytest.raises(StoreUnavailable) as raised:
        filled.backup(str(path))
    assert raised.value.message == f"the file {path} exists already"
    assert path.read_text() == "mine"


def test_backup_into_a_missing_folder_is_said(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        filled.backup(str(tmp_path / "no" / "copy"))
    assert raised.value.message.endswith("cannot be written: no such file or directory")


def test_restore_makes_a_store_where_there_is_none(shared_url: str, kept: str) -> None:
    backup.restore(shared_url, kept, now=NOW)
    restored = open_store(shared_url, Opening.WRITE, now=NOW)
    original = open_store(f"sqlite:///{kept}", Opening.READ, now=NOW)
    assert contents(restored) == contents(original)
    restored.close()
    original.close()


def test_restored_store_numbers_new_rows_after_the_old_ones(shared_url: str, kept: str) -> None:
    backup.restore(shared_url, kept, now=NOW)
    restored = open_store(shared_url, Opening.WRITE, now=NOW)
    restored.commit(Write(events=(make_event(type="new"),), run=make_run(id="run_2")))
    events = restored.events(EventQuery())
    assert [event.type for event in events] == ["created", "updated", "new"]
    assert [run.id for run in restored.runs()] == ["run_2", make_run().id]
    assert restored.reserve([LOGIN], now=NOW, budget=5) == (Verdict.GRANTED,)
    restored.close()


def test_restore_into_a_store_that_holds_something_is_refused(shared_url: str, kept: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    store.commit(Write(events=(make_event(),)))
    before = contents(store)
    with pytest.raises(Refused) as raised:
        backup.restore(shared_url, kept, now=NOW)
    assert raised.value.message.endswith("is not empty")
    assert raised.value.hint == "add `--replace` to give up what it holds"
    assert contents(store) == before
    store.close()


def test_restore_with_replace_gives_up_what_was_there(shared_url: str, kept: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    other = make_recorded(uid=make_uid(9), ref=make_ref("other"))
    store.commit(Write(rows=(RowWrite(op=RowOp.INSERT, row=other),)))
    backup.restore(shared_url, kept, replace=True, now=NOW)
    assert [row.uid for row in store.recorded()] == [UID]
    store.close()


def test_restore_forgets_no_login_that_failed_since(
    shared_url: str, kept: str, tmp_path: Path
) -> None:
    backup.restore(shared_url, kept, now=NOW)
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    request = LoginRequest(uid=UID, credential_key="later", version=None, deadline_at=later(60))
    assert store.reserve([request], now=NOW, budget=1) == (Verdict.GRANTED,)
    store.settle(request, is_accepted=False, now=NOW)
    backup.restore(shared_url, kept, replace=True, now=NOW)
    asked = store.reserve([request], now=NOW, budget=1)
    store.close()
    assert asked == (Verdict.EXHAUSTED,)


def test_damaged_store_is_replaced_and_kept_aside(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"damaged")
    with pytest.raises(StoreDamaged):
        backup.restore(f"sqlite:///{path}", kept, now=NOW)
    backup.restore(f"sqlite:///{path}", kept, replace=True, now=NOW)
    assert (tmp_path / "state.db.damaged-20260301T120000Z").read_bytes() == b"damaged"
    restored = open_store(f"sqlite:///{path}", Opening.READ, now=NOW)
    assert [row.uid for row in restored.recorded()] == [UID]
    restored.close()


def test_damaged_backup_is_refused_and_the_store_stays(shared_url: str, kept: str) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    store.commit(Write(events=(make_event(),)))
    before = contents(store)
    with closing(sqlite3.connect(kept)) as file, file:
        file.execute("UPDATE connections SET text = '{}'")
    with pytest.raises(StoreDamaged) as raised:
        backup.restore(shared_url, kept, replace=True, now=NOW)
    assert raised.value.message == (
        f"the backup {kept} is damaged: the manifest kept for SqlConnection/hr/orders ({UID})"
        " differs from its digest"
    )
    assert contents(store) == before
    store.close()


def test_backup_of_another_version_is_refused(shared_url: str, kept: str) -> None:
    with closing(sqlite3.connect(kept)) as file, file:
        file.execute("UPDATE reconciler_version SET version_num = '9999'")
    with pytest.raises(MigrationRequired):
        backup.restore(shared_url, kept, now=NOW)


def test_missing_backup_is_said(shared_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="there is no state store at"):
        backup.restore(shared_url, str(tmp_path / "no.backup"), now=NOW)


def test_memory_is_not_restored(kept: str) -> None:
    with pytest.raises(ConfigError, match="a state in memory cannot be restored"):
        backup.restore("sqlite://", kept, now=NOW)


def test_sound_store_has_nothing_to_report(filled: Store) -> None:
    row = replace(make_recorded(), version=3)
    filled.commit(Write(rows=(RowWrite(op=RowOp.UPDATE, row=row, expected=2),)))
    assert filled.check() == ()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        pytest.param(
            "UPDATE connections SET phase = 'BROKEN'",
            f"the row '{UID}' of table `connections` holds values that were never written",
            id="unknown phase",
        ),
        pytest.param(
            "UPDATE connections SET text = '{}'",
            f"the manifest kept for SqlConnection/hr/orders ({UID}) differs from its digest",
            id="other text",
        ),
        pytest.param(
            "UPDATE revisions SET digest = 'x'",
            f"the manifest kept for SqlConnection/hr/orders ({UID}) differs from its digest",
            id="other digest",
        ),
        pytest.param(
            "DELETE FROM revisions",
            f"SqlConnection/hr/orders ({UID}) lacks its revision 1",
            id="no revision",
        ),
        pytest.param(
            "DELETE FROM events", f"SqlConnection/hr/orders ({UID}) has no event", id="no event"
        ),
        pytest.param(
            "UPDATE runs SET counts = 'no json'",
            "the row '1' of table `runs` holds values that were never written",
            id="run that is no JSON",
        ),
        pytest.param(
            "UPDATE observations SET stages = '[[1]]'",
            "the row '1' of table `observations` holds values that were never written",
            id="stages of another form",
        ),
        pytest.param(
            "UPDATE connections SET last_error = last_error || repeat('x', 2000)",
            f"the last error of SqlConnection/hr/orders ({UID}) is longer than it can be",
            id="long error",
        ),
    ],
)
def test_check_names_what_was_changed_by_hand(
    shared_url: str, statement: str, finding: str
) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    fill(store)
    if shared_url.startswith("sqlite"):
        statement = statement.replace("repeat('x', 2000)", "hex(zeroblob(1000))")
    run_sql(shared_url, statement)
    assert store.check() == (finding,)
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE connections SET phase = 'BROKEN'",
        "UPDATE connections SET reason = 'Because'",
        "UPDATE connections SET since_at = 'yesterday'",
        "UPDATE connections SET hold = '[]'",
        "UPDATE connections SET name = 'other'",
        "UPDATE connections SET fingerprints = '{}x'",
    ],
)
def test_row_that_was_never_written_is_damage_that_names_it(
    shared_url: str, statement: str
) -> None:
    store = open_store(shared_url, Opening.WRITE, now=NOW)
    fill(store)
    run_sql(shared_url, statement)
    with pytest.raises(StoreDamaged) as raised:
        store.recorded()
    message = f"the row '{UID}' of table `connections` holds values that were never written"
    assert raised.value.message == message
    store.close()


def test_damage_of_the_file_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = open_store(f"sqlite:///{path}", Opening.WRITE, now=NOW)
    fill(store)
    store.close()
    content = path.read_bytes()
    page = content.index(b"manifests/orders.yaml") // 4096
    path.write_bytes(content[: page * 4096] + b"\0" * 4096 + content[(page + 1) * 4096 :])
    store = open_store(f"sqlite:///{path}", Opening.READ, now=NOW)
    assert "damaged" in store.check()[0]
    store.close()
