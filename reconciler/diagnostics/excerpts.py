"""The one line of a finding, written anew with its values masked.

The source text is not kept after loading and could hold a secret anywhere, so the line is built
from keys, positions and those values that are known to be harmless: scalars of plain known fields.
Everything else is `***`, whatever its length. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.diagnostics import wording
from reconciler.model import Document, Excerpt, Json, Location, MarkNode, Path
from reconciler.redact import MASK
from reconciler.values import dataclass

#: Longer lines show only what leads to the finding.
LONGEST_LINE = 100
#: An entry of a long flow mapping may begin anywhere; the line then begins here.
DEEPEST_INDENT = 40

IsPlain = Callable[[Path], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a finding stands: at the key or at the value of `path`."""

    path: Path
    location: Location
    is_key: bool


def place(document: Document, path: Path, *, key: bool = False) -> Place:
    """Returns where to point: at the value of `path`, or at its key where that is clearer.

    That is if `key` is set, or if the value begins on another line. A path that leaves the
    document is cut to the part that exists, and stands at its key.
    """
    path, is_cut = _existing(document.data, path)
    at_key = document.locate(path, key=True)
    at_value = document.locate(path)
    is_entry = bool(path) and isinstance(path[-1], str)
    is_key = is_entry and (key or is_cut or at_value.line != at_key.line)
    return Place(path=path, location=at_key if is_key else at_value, is_key=is_key)


def excerpt(document: Document, where: Place, is_plain: IsPlain) -> Excerpt | None:
    """Returns the line of `where` with its caret, or None where all of the document is meant."""
    if not where.path:
        return None
    start, column = _start(document, where)
    line = _Line(document=document, where=where, is_plain=is_plain).write(start, column)
    if len(line.text) <= LONGEST_LINE:
        return line
    brief = _Line(document=document, where=where, is_plain=is_plain, brief=True)
    return brief.write(start, column)


def _existing(data: Json, path: Path) -> tuple[Path, bool]:
    for depth, part in enumerate(path):
        is_there = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if not is_there:
            return path[:depth], True
        data = data[part]
    return path, False


def _start(document: Document, where: Place) -> tuple[int, int]:
    """Returns the depth and column of the outermost entry on the line of the finding."""
    depths = range(1, len(where.path) + 1)
    begins = [(depth, document.locate(where.path[:depth], key=True)) for depth in depths]
    return next(
        (depth, place.column) for depth, place in begins if place.line == where.location.line
    )


class _Line:
    """One line being written; remembers where the caret goes."""

    def __init__(
        self, *, document: Document, where: Place, is_plain: IsPlain, brief: bool = False
    ) -> None:
        """Takes what to write; `brief` leaves out what does not lead to the finding."""
        self.document = document
        self.where = where
        self.is_plain = is_plain
        self.brief = brief
        self._text: list[str] = []
        self._length = 0
        #: offset and length
        self._caret = (0, 1)

    def write(self, start: int, column: int) -> Excerpt:
        path = self.where.path[:start]
        data: Json = self.document.data
        node = self.document.marks
        for part in path:
            data, node = data[part], _child(node, part)
        if isinstance(path[-1], int):
            self._put(" " * min(max(column - 3, 0), DEEPEST_INDENT) + "- ")
            self._value(path, data, node)
        else:
            self._put(" " * min(column - 1, DEEPEST_INDENT))
            self._entry(path, data, node)
        offset, length = self._caret
        return Excerpt(text="".join(self._text).rstrip(), column=offset + 1, length=length)

    def _put(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)

    def _mark(self, begin: int) -> None:
        self._caret = (begin, max(self._length - begin, 1))

    def _entry(self, path: Path, data: Json, node: MarkNode) -> None:
        begin = self._length
        self._put(wording.name(str(path[-1])))
        if self.where.is_key and path == self.where.path:
            self._mark(begin)
        self._put(": ")
        self._value(path, data, node)

    def _value(self, path: Path, data: Json, node: MarkNode) -> None:
        begin = self._length
        if isinstance(data, dict | list):
            if node[0] == self.where.location.line:
                # keys of an unknown mapping or in place of a secret may be the secret
                is_known = self.is_plain(path) or self._leads_into(path)
                self._collection(path, data, node) if is_known else self._put(MASK)
        else:
            can_show = data is None or (self.is_plain(path) and wording.may_show(data))
            self._put(wording.shown(data) if can_show else MASK)
        if not self.where.is_key and path == self.where.path:
            self._mark(begin)

    def _collection(self, path: Path, data: Json, node: MarkNode) -> None:
        is_mapping = isinstance(data, dict)
        self._put("{" if is_mapping else "[")
        keys = [
            key
            for key in (data if is_mapping else range(len(data)))
            if self._is_wanted(path, key, node)
        ]
        for index, key in enumerate(keys):
            self._put(", " if index else "")
            write = self._entry if is_mapping else self._value
            write((*path, key), data[key], _child(node, key))
        if len(keys) < len(data):
            self._put(", …" if keys else "…")
        self._put("}" if is_mapping else "]")

    def _is_wanted(self, path: Path, key: str | int, node: MarkNode) -> bool:
        line = _line(node, key)
        leads_there = self.where.path[: len(path) + 1] == (*path, key)
        return line == self.where.location.line and (leads_there or not self.brief)

    def _leads_into(self, path: Path) -> bool:
        return len(path) < len(self.where.path) and self.where.path[: len(path)] == path


def _line(node: MarkNode, part: str | int) -> int:
    inner = node[2]
    if isinstance(inner, dict):
        return int(inner[str(part)][0])
    return _child(node, part)[0]


def _child(node: MarkNode, part: str | int) -> MarkNode:
    inner = node[2]
    if isinstance(inner, dict):
        entry: MarkNode = inner[str(part)][2]
        return entry
    assert isinstance(inner, list)
    item: MarkNode = inner[int(part)]
    return item
