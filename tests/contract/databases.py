"""Hand-made changes to a store, behind its back: what another program or a person might do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine


def run_sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Runs statements on the database at `url` in one transaction; returns the last one's rows."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()
