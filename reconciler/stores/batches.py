"""Splits long lists of keys: databases limit the parameters of one statement.

Pure. SQLite allows 32,766 and PostgreSQL 65,535 (https://sqlite.org/limits.html, the wire
protocol's 16-bit count); batches of one size also reuse the compiled statement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
SIZE = 1000


def batches(items: Collection[Item]) -> Iterator[list[Item]]:
    """Yields `items` in lists of at most `SIZE`, in order."""
    iterator = iter(items)
    while batch := list(islice(iterator, SIZE)):
        yield batch
