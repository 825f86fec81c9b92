"""One open mapping or sequence while a document is built, and what its merge key does to it.

Pure. Apart from `builder`, which moves through the events, because a frame is all that the
builder's steps hand to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model import MarkNode


class _MergeKey:
    """The plain key `<<`: an object, so that it never equals the quoted key of the same text."""

    def __str__(self) -> str:
        return "<<"


MERGE: Any = _MergeKey()
#: Stands for a value that could not be made; its document has an error and is never used.
FAILED: Any = object()


class Frame:
    """One open mapping or sequence; in a mapping `key` is None while a key is expected."""

    __slots__ = (
        "anchor",
        "before",
        "column",
        "data",
        "has_merge",
        "is_list",
        "key",
        "key_column",
        "key_line",
        "line",
        "marks",
    )

    def __init__(self, data: Any, marks: Any, line: int, column: int, before: int) -> None:
        """Opens a node: `data` and `marks` are two empty dicts or two empty lists."""
        self.data = data
        self.is_list = type(data) is list
        #: as the third part of a `MarkNode`
        self.marks = marks
        self.line = line
        self.column = column
        #: nodes of the document that were counted before this one
        self.before = before
        self.anchor: str | None = None
        self.key: Any = None
        self.key_line = 0
        self.key_column = 0
        self.has_merge = False


def merge(frame: Frame) -> Iterator[tuple[int, int]]:
    """Resolves the merge key of a finished mapping (yaml.org/type/merge.html).

    An explicit key wins over a merged one, an earlier mapping of a list over a later one. Yields
    the line and column of everything that is no mapping and so cannot be merged; meanwhile `key`
    is the merge key again.
    """
    value = frame.data.pop(MERGE)
    key_line, key_column, node = frame.marks.pop(MERGE)
    frame.key, frame.key_line, frame.key_column = MERGE, key_line, key_column
    for source, (line, column, marks) in _sources(value, node):
        if type(source) is dict:
            for key, merged in source.items():
                if key not in frame.data:
                    frame.data[key] = merged
                    frame.marks[key] = marks[key]
        elif source is not FAILED:
            yield line, column
    frame.key = None


def _sources(value: Any, node: MarkNode) -> Iterator[tuple[Any, Any]]:
    inner = node[2]
    if isinstance(value, list) and isinstance(inner, list):
        yield from zip(value, inner, strict=True)
    else:
        yield value, node
