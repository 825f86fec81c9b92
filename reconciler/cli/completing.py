"""What a shell completes: kinds, codes, names of connections and of stored secrets.

A key press waits for this, so it imports next to nothing; names are read from the default SQLite
state with the standard library, read-only, and any trouble there means no proposals.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from reconciler.cli.session import Session
from reconciler.errors import ReconcilerError

_BUSY_S = 0.05
_MOST = 500
_SECRET_NAMES = "select name from sealed where space = 'secret' order by 1"
_LIVE_NAMES = "select namespace, name from connections where phase <> 'ARCHIVED' order by 1, 2"


def kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the kinds that begin with `incomplete`, in any case."""
    from reconciler.kinds import KINDS

    return [
        CompletionItem(name) for name in KINDS if name.casefold().startswith(incomplete.casefold())
    ]


def codes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the codes that begin with `incomplete`, with their titles."""
    from reconciler.codes import CODES

    return [
        CompletionItem(name, help=code.title)
        for name, code in CODES.items()
        if name.startswith(incomplete.upper())
    ]


def secrets(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns names of stored secrets that begin with `incomplete`."""
    return _items(ctx, _SECRET_NAMES, incomplete)


def connections(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Returns live connections, as `namespace/name`, that begin with `incomplete`."""
    return _items(ctx, _LIVE_NAMES, incomplete)


def _items(ctx: click.Context, query: str, incomplete: str) -> list[CompletionItem]:
    session = ctx.find_object(Session)
    try:
        settings = session.settings if session else None
    except ReconcilerError:
        return []
    if settings is None or not settings.is_default_state:
        return []
    found = _names(os.path.join(settings.root, ".reconciler", "state.db"), query)
    return [CompletionItem(name) for name in found if name.startswith(incomplete)][:_MOST]


def _names(path: str, query: str) -> list[str]:
    try:
        database = sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        try:
            return ["/".join(parts) for parts in database.execute(query)]
        finally:
            database.close()
    except sqlite3.Error:
        return []
