"""Names complete from a real state store, without the libraries that made it."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from reconciler import stores
from reconciler.cli import completing, main
from reconciler.cli.session import Session
from reconciler.model import Phase
from reconciler.stores import Opening, RowOp, RowWrite, Write
from tests import factories
from tests.unit.cli.terminal import Screen, make_output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is the working directory."""
    (tmp_path / "reconciler.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return Path(os.path.realpath(tmp_path))


def fill(folder: Path) -> None:
    url = f"sqlite:///{folder}/.reconciler/state.db"
    store = stores.open_store(url, Opening.WRITE, now=factories.NOW)
    rows = [
        factories.make_recorded(uid=factories.make_uid(1), ref=factories.make_ref("orders")),
        factories.make_recorded(uid=factories.make_uid(2), ref=factories.make_ref("billing")),
        factories.make_recorded(
            uid=factories.make_uid(3),
            ref=factories.make_ref("gone"),
            status=factories.make_status(phase=Phase.ARCHIVED),
        ),
    ]
    store.commit(Write(rows=tuple(RowWrite(op=RowOp.INSERT, row=row) for row in rows)))
    store.close()


def proposals(incomplete: str) -> list[str]:
    session = Session(output=make_output(Screen(), Screen()), environment={})
    program = main.program()
    context = click.Context(program, obj=session)
    return [item.value for item in completing.connections(context, program.params[0], incomplete)]


def test_live_connections_are_proposed(folder: Path) -> None:
    fill(folder)
    assert proposals("hr/") == ["hr/billing", "hr/orders"]


def test_proposals_begin_with_what_is_written(folder: Path) -> None:
    fill(folder)
    assert proposals("hr/o") == ["hr/orders"]


def test_nothing_is_proposed_or_made_without_a_store(folder: Path) -> None:
    assert proposals("") == []
    assert not (folder / ".reconciler").exists()


def test_damaged_store_proposes_nothing(folder: Path) -> None:
    (folder / ".reconciler").mkdir()
    (folder / ".reconciler" / "state.db").write_bytes(b"not a database" * 100)
    assert proposals("") == []


def test_broken_settings_propose_nothing(folder: Path) -> None:
    (folder / "reconciler.toml").write_text("not toml")
    assert proposals("") == []
