"""The stored secrets, one line each: what is known of them, and never what they are."""

from __future__ import annotations

from datetime import datetime

from reconciler.report import layout, times
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone
from reconciler.report.views import SecretRow, SecretsView

#: So much of a key's id is shown; programs get all of it.
_KEY_CELLS = 8
_COLUMNS = (
    Column(title="NAME"),
    Column(title="VERSION", right=True),
    Column(title="KEY"),
    Column(title="SET", right=True),
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
            _key(row),
            Cell(times.age(row.updated_at, view.now), Tone.QUIET),
            _expiry(row, view.now),
            Cell(", ".join(map(str, row.users)) or "-"),
        ]
        for row in view.rows
    ]
    return "\n".join(layout.table(_COLUMNS, rows, style)) + "\n"


def _expiry(row: SecretRow, now: datetime) -> Cell:
    if row.expires_at is None:
        return Cell("never", Tone.QUIET)
    text = times.ahead(row.expires_at, now)
    if row.expires_at <= now:
        return Cell(text, Tone.BAD)
    return Cell(text, Tone.WARNING if row.is_ending else Tone.PLAIN)


def _key(row: SecretRow) -> Cell:
    """Returns the beginning of a key's id, which is enough to tell the few keys apart."""
    key = layout.one_line(row.key_id)[:_KEY_CELLS]
    return Cell(key) if row.has_key else Cell(f"{key} (not given)", Tone.WARNING)
