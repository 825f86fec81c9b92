"""The stored secrets, one line each: what is known of them, and never what they are."""

from __future__ import annotations

from datetime import datetime

from reconciler.report import layout, times
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import SecretRow, SecretsView

_COLUMNS = (
    Column(title="NAME"),
    Column(title="VERSION", right=True),
    Column(title="KEY"),
    Column(title="SET"),
    Column(title="EXPIRES"),
    Column(title="USED BY"),
)


def table(view: SecretsView, style: Style) -> str:
    """Returns one line per secret."""
    if not view.rows:
        return "no secrets\n"
    rows = [
        [
            Cell(layout.one_line(row.name), Tone.STRONG),
            Cell(f"{row.version}"),
            Cell(layout.one_line(row.key_id) + ("" if row.has_key else " (not given)")),
            Cell(times.utc(row.updated_at), Tone.QUIET),
            _expiry(row, view.now),
            Cell(", ".join(map(str, row.users)) or "-"),
        ]
        for row in view.rows
    ]
    return "\n".join(layout.table(_COLUMNS, rows, style)) + "\n"


def _expiry(row: SecretRow, now: datetime) -> Cell:
    if row.expires_at is None:
        return Cell("never", Tone.QUIET)
    if row.expires_at <= now:
        return Cell(f"{times.utc(row.expires_at)} (over)", Tone.BAD)
    return Cell(times.utc(row.expires_at), Tone.WARNING if row.is_ending else Tone.PLAIN)
