"""One statement for thousands of rows, at the speed of the bare driver.

Core looks at every parameter of every row, which takes as long as writing them. Our columns are
text, integers and floats (see `tables.py`) that need no conversion, so the statement is written
here, from names of `tables.py` alone, and the driver gets the values as they are. Same for every
database.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from reconciler.stores.rows import Columns


def insert(connection: Connection, table: Table, values: Sequence[Columns]) -> None:
    """Inserts rows of values, in the order of the table's columns.

    Numbers that the database gives come first in a table and are left out of every row.
    """
    if values:
        statement = _insertion(connection, table, len(values[0]))
        connection.exec_driver_sql(statement, [*values])


def replace(connection: Connection, table: Table, values: Sequence[Columns]) -> None:
    """Inserts rows, or sets the columns of those whose primary key is there already.

    Both databases know `ON CONFLICT` (https://sqlite.org/lang_upsert.html).
    """
    if not values:
        return
    keys = [column.name for column in table.primary_key]
    changes = ", ".join(
        f"{column.name} = excluded.{column.name}"
        for column in table.columns
        if column.name not in keys
    )
    statement = _insertion(connection, table, len(values[0]))
    conflict = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    connection.exec_driver_sql(statement + conflict, [*values])


def update(connection: Connection, table: Table, values: Sequence[Columns]) -> None:
    """Sets every column of those rows that have the keys which `values` begin with."""
    if not values:
        return
    key, *names = _names(connection, table)
    mark = _mark(connection)
    changes = ", ".join(f"{name} = {mark}" for name in names)
    key_last = [(*row[1:], row[0]) for row in values]
    statement = f"UPDATE {table.name} SET {changes} WHERE {key} = {mark}"  # noqa: S608
    connection.exec_driver_sql(statement, key_last)


def _insertion(connection: Connection, table: Table, width: int) -> str:
    names = _names(connection, table)[-width:]
    marks = ", ".join([_mark(connection)] * width)
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608


def _names(connection: Connection, table: Table) -> list[str]:
    quoted = connection.dialect.identifier_preparer.quote
    return [quoted(column.name) for column in table.columns]


def _mark(connection: Connection) -> str:
    """Returns what stands for a value (PEP 249, paramstyle)."""
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"
