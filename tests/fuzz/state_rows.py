"""Rows of the state as somebody with another program may have left them.

Apart from the other targets because a row is no text: every column may hold any type. The digest
beside a manifest is what guards its text, so it is not made to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from reconciler.errors import StoreDamaged
from reconciler.report import data, describe, events, history, runs, status
from reconciler.report.style import Style
from reconciler.report.views import (
    DescribeView,
    EventsView,
    HistoryRow,
    HistoryView,
    RunsView,
    StatusView,
)
from reconciler.stores import rows, tables
from tests import factories
from tests.fuzz import inputs

#: Name of a table, and what some columns of an otherwise sound row hold.
Spoiled = tuple[str, Mapping[str, Any]]

_TABLES: Mapping[str, tuple[Callable[[rows.Row], Any], Callable[[Any], rows.Columns], Any]] = {
    "connections": (rows.recorded, rows.recorded_columns, factories.make_recorded()),
    "revisions": (rows.revision, rows.revision_columns, factories.make_revision()),
    "events": (rows.event, rows.event_columns, factories.make_event()),
    "observations": (rows.observation, rows.observation_columns, factories.make_observation()),
    "runs": (rows.run, rows.run_columns, factories.make_run()),
}
_SPOILED = (
    st.none()
    | st.booleans().map(int)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | inputs.texts(
        ["ACTIVE", "Ok", "2026-03-01T12:00:00.000000Z", "{}", "[]", '[["query",0.1,""]]']
    )
    | st.binary(max_size=8)
)


_SCREENS: Mapping[str, Callable[[Any], object]] = {
    "connections": lambda row: (
        status.wide(StatusView(rows=(row,), total=1, now=factories.NOW), Style()),
        describe.text(DescribeView(recorded=row, now=factories.NOW), Style()),
        data.json_document(DescribeView(recorded=row, now=factories.NOW), Style()),
    ),
    "revisions": lambda revision: history.text(
        HistoryView(
            recorded=factories.make_recorded(),
            rows=(HistoryRow(revision=revision),),
            now=factories.NOW,
        ),
        Style(),
    ),
    "events": lambda event: events.table(EventsView(events=(event,), now=factories.NOW), Style()),
    "observations": lambda observation: describe.text(
        DescribeView(
            recorded=factories.make_recorded(), observation=observation, now=factories.NOW
        ),
        Style(),
    ),
    "runs": lambda run: runs.table(RunsView(runs=(run,), now=factories.NOW), Style()),
}


def check(given: Spoiled) -> None:
    """Every row is damage, or a value that screens show and that is written back as it was."""
    table, changes = given
    parse, _, value = _TABLES[table]
    whole = {"id": 1, "number": 1, **_columns(table, value), **changes}
    names = tables.METADATA.tables[table].columns.keys()
    try:
        read = rows.parsed(table, parse, [whole[name] for name in names])
    except StoreDamaged as error:
        str(error).encode()
        return
    again = {"id": 1, "number": 1, **_columns(table, read)}
    assert rows.parsed(table, parse, [again[name] for name in names]) == read
    _SCREENS[table](read)


def _columns(table: str, value: object) -> dict[str, Any]:
    """Returns a row as it is written, by column."""
    written = _TABLES[table][1](value)
    names = tables.METADATA.tables[table].columns.keys()
    return dict(zip(names[-len(written) :], written, strict=True))


@st.composite
def spoiled(draw: st.DrawFn) -> Spoiled:
    """Draws a row of any table with up to two columns spoiled."""
    table = draw(st.sampled_from(sorted(_TABLES)))
    names = sorted(_columns(table, _TABLES[table][2]))
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    return table, {name: draw(_SPOILED) for name in chosen}
