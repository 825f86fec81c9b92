"""One statement for thousands of rows, at the speed of the bare driver.

Core looks at every parameter of every row, which takes as long as writing them. Our columns are
text, integers and floats (see `tables.py`) that need no conversion, so Core only writes the
statement here and the driver gets the values as they are. Same for every database.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from sqlalchemy import Connection, Insert, Update

from reconciler.stores.rows import Columns


def execute(connection: Connection, statement: Insert | Update, values: Sequence[Columns]) -> None:
    """Executes `statement` once for each of `values`, which all have the same keys.

    The keys are columns to be set, and names of `bindparam`s in the statement.
    """
    if not values:
        return
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(values[0]))
    if compiled.positiontup is None:
        connection.exec_driver_sql(str(compiled), [*values])
    else:
        in_order = itemgetter(*compiled.positiontup)
        connection.exec_driver_sql(str(compiled), [in_order(row) for row in values])
