r"""Ordinary manifests, read line by line at a third of what libyaml's events cost.

Nearly every manifest is a small part of YAML: mappings by indentation, lists of scalars, texts in
quotes without escapes, collections in brackets on one line, folded and literal texts. Of those
this makes the very data and positions that `builder` makes. It gives up at whatever it does not
know or finds odd, and libyaml then reads the whole file from its start: nothing is reported here
and nothing repaired, so all findings have one source. A test holds the two equal on mangled
manifests. Pure.

Names of the rules are those of YAML 1.2.2: plain scalars (7.3.3) hold no `: ` and no ` #`, and go
on in the next line if that is indented deeper, which is why such a line is given up.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from reconciler.manifests.scalars import NUMERIC_STARTS, WORDS, Scalar, resolve
from reconciler.model import Json, MarkNode

#: Larger files are libyaml's, so that no limit on nodes, depth or length is ever reached here.
LARGEST_BYTES = 16 * 1024
#: Which bytes a file may hold to be ordinary: printable ASCII and line feeds.
BYTES = b"\n" + bytes(range(0x20, 0x7F))
#: Brackets in brackets beyond this are not ordinary.
_DEEPEST_FLOW = 8
_DEEPEST_BLOCK = 24
_START = "---\n"
#: Stands for the key of the root.
_ROOT = ""

#: The data and marks of an open collection, and how far it is indented.
_Open: TypeAlias = tuple[int, Any, Any]

_KEY = r"([A-Za-z][A-Za-z0-9_./-]{0,99}+)"
_QUOTED = r"""  "([^"\\\n]*+)" | '([^'\n]*+)'  """
_LINE = re.compile(
    rf"""
      ([ ]*+)
      (?:
          (?: {_KEY} : (?: [ ]++ | (?=\n) ) | (-) [ ]++ )
          (?:
              (
                  [A-Za-z0-9_/.]  [A-Za-z0-9_./@%+=~();!,-]*+ (?: : [A-Za-z0-9_./@%+=~();!,-]++ )*+
                  (?: [ ]++ [A-Za-z0-9_./@%+=~();!,-]++ (?: : [A-Za-z0-9_./@%+=~();!,-]++ )*+ )*+
              )
            | {_QUOTED}
            | ([\[{{]) [^\n]*+
            | ([|>]-?)
          )?+
          [ ]*+
        | \#[^\n]*+
      )?+
      \n
    """,
    re.VERBOSE,
)
#: The groups of `_LINE`; but for the first three, a line has one of them at most.
_INDENT, _NAME, _DASH, _PLAIN, _DOUBLE, _SINGLE, _FLOW, _BLOCK = range(1, 9)
#: An entry of a collection in brackets, without what follows it: the groups are its key, and its
#: value as plain text, in double or single quotes, or as another opening bracket.
_ENTRY = re.compile(
    rf"""
      [ ]*+ (?: {_KEY} : [ ]++ )?+
      (?:
          (
              [A-Za-z0-9_/.] [A-Za-z0-9_./@%+=~-]*+ (?: [ ]++ [A-Za-z0-9_./@%+=~-]++ )*+
          )
        | {_QUOTED}
        | ([\[{{])
      )
    """,
    re.VERBOSE,
)
_AFTER_ENTRY = re.compile(r"[ ]*+([,\]}])")
_AFTER_FLOW = re.compile(r"[ ]*+\n")
#: A line of a folded or literal text; one that is empty or ends with a blank has rules of its own.
_TEXT = re.compile(r"([ ]*+)([^ \n](?:[^\n]*[^ \n])?)\n")


class _Unusual(Exception):
    """Something that libyaml is to read."""


def read(text: str) -> tuple[dict[str, Json], MarkNode] | None:
    """Returns the data and marks of a file with one ordinary document, else None.

    `text` holds no other characters than `BYTES`, at most `LARGEST_BYTES` of them.
    """
    try:
        return _Reader(text).document()
    except _Unusual:
        return None


class _Reader:
    """One document while it is read: the collection that is open, and those around it."""

    def __init__(self, text: str) -> None:
        self._text = text
        #: how far the open collection is indented, and what it holds so far
        self._indent = -1
        self._data: Any = {}
        self._marks: Any = {}
        self._outer: list[_Open] = []
        #: the key whose value begins in a line below, None while there is none, and its place
        self._waiting: str | None = _ROOT
        self._place = (0, 0)

    def document(self) -> tuple[dict[str, Json], MarkNode]:
        """Returns the root and its marks."""
        text, holder = self._text, (self._data, self._marks)
        line, begin = (2, len(_START)) if text.startswith(_START) else (1, 0)
        end = len(text)
        while begin < end:
            found = _LINE.match(text, begin)
            if found is None:
                raise _Unusual
            blanks, key, dash, plain = found.group(_INDENT, _NAME, _DASH, _PLAIN)
            after, lines = found.end(), 1
            if key or dash:
                deep = len(blanks)
                if deep != self._indent or self._waiting is not None:
                    self._move(deep, line, is_list=key is None)
                if plain is not None:
                    node: MarkNode = (line, found.start(_PLAIN) - begin + 1, None)
                    self._put(key, (line, deep + 1, node), _plain(plain))
                elif found.lastindex == _NAME:
                    # None until there is more, and then in its place among the keys
                    self._put(key, (line, deep + 1, (0, 0, None)), None)
                    self._waiting, self._place = key, (line, deep + 1)
                else:
                    value, node, after, lines = self._value(found, line)
                    self._put(key, (line, deep + 1, node), value)
            begin, line = after, line + lines
        root, marks = holder[0].get(_ROOT), holder[1].get(_ROOT)
        if self._waiting is not None or type(root) is not dict:
            raise _Unusual
        return root, marks[2]

    def _move(self, deep: int, line: int, *, is_list: bool) -> None:
        """Opens the collection that begins in this line, or goes back to the one it belongs to."""
        if self._waiting is None:
            while self._indent > deep:
                self._indent, self._data, self._marks = self._outer.pop()
        elif deep > self._indent and len(self._outer) < _DEEPEST_BLOCK:
            data: Any = [] if is_list else {}
            marks: Any = [] if is_list else {}
            self._outer.append((self._indent, self._data, self._marks))
            self._data[self._waiting] = data
            self._marks[self._waiting] = (*self._place, (line, deep + 1, marks))
            self._indent, self._data, self._marks, self._waiting = deep, data, marks, None
        if self._indent != deep or self._waiting is not None:
            raise _Unusual

    def _put(self, key: str | None, mark: tuple[int, int, MarkNode], value: Json) -> None:
        """Adds an item, or without a dash the entry of `key`; `mark` is that of an entry."""
        data = self._data
        if key is None:
            if type(data) is not list:
                raise _Unusual
            data.append(value)
            self._marks.append(mark[2])
            return
        if key in data or key in WORDS or type(data) is list:
            raise _Unusual
        data[key] = value
        self._marks[key] = mark

    def _value(self, found: re.Match[str], line: int) -> tuple[Json, MarkNode, int, int]:
        """Returns a value that is no plain scalar: data, marks, its end, and its lines."""
        form, begin = found.lastindex or 0, found.start()
        start = found.start(form)
        if form == _FLOW:
            value, node, at = _flow(self._text, start, line, begin, _DEEPEST_FLOW)
            after = _AFTER_FLOW.match(self._text, at)
            if after is None:
                raise _Unusual
            return value, node, after.end(), 1
        if form in (_DOUBLE, _SINGLE):
            return found[form], (line, start - begin, None), found.end(), 1
        if form == _BLOCK and not found[_DASH]:
            node = (line, start - begin + 1, None)
            text, end, lines = _block(self._text, found.end(), found[form], self._indent)
            return text, node, end, lines
        raise _Unusual


def _plain(text: str) -> Scalar:
    """Returns what a plain scalar means; gives up where readers differ about it."""
    if text not in WORDS and text[0] not in NUMERIC_STARTS:
        return text
    value, note = resolve(text)
    if note is not None:
        raise _Unusual
    return value


def _flow(text: str, at: int, line: int, begin: int, room: int) -> tuple[Json, MarkNode, int]:
    """Returns data and marks of what the bracket at `at` opens, and the offset behind it."""
    is_list = text[at] == "["
    closing = "]" if is_list else "}"
    data: Any = [] if is_list else {}
    marks: Any = [] if is_list else {}
    node = (line, at - begin + 1, marks)
    if not room:
        raise _Unusual
    at += 1
    if text[at] == closing:
        return data, node, at + 1
    while True:
        found = _ENTRY.match(text, at)
        if found is None:
            raise _Unusual
        key = found[1]
        value, inner, at = _flow_value(found, line, begin, room)
        if is_list and key is None:
            data.append(value)
            marks.append(inner)
        elif is_list or key is None or key in data or key in WORDS:
            raise _Unusual
        else:
            data[key] = value
            marks[key] = (line, found.start(1) - begin + 1, inner)
        after = _AFTER_ENTRY.match(text, at)
        if after is None:
            raise _Unusual
        at = after.end()
        if after[1] != ",":
            if after[1] != closing:
                raise _Unusual
            return data, node, at


def _flow_value(
    found: re.Match[str], line: int, begin: int, room: int
) -> tuple[Json, MarkNode, int]:
    """Returns data and marks of an entry's value in brackets, and the offset behind it."""
    _, plain, double, single, deeper = found.groups()
    at = found.end()
    if plain is not None:
        return _plain(plain), (line, at - len(plain) - begin + 1, None), at
    if deeper:
        return _flow(found.string, at - 1, line, begin, room - 1)
    text = single if double is None else double
    return text, (line, at - len(text) - begin - 1, None), at


def _block(text: str, at: int, header: str, indent: int) -> tuple[str, int, int]:
    """Returns a folded or literal text, where it ends, and its lines, that of `header` included."""
    parts: list[str] = []
    deep = 0
    while (found := _TEXT.match(text, at)) is not None:
        here = len(found[1])
        if here <= indent:
            break
        if parts and here != deep:
            raise _Unusual
        deep = here
        parts.append(found[2])
        at = found.end()
    if not parts or (found is None and at < len(text)):
        raise _Unusual
    value = (" " if header[0] == ">" else "\n").join(parts)
    return value if header.endswith("-") else value + "\n", at, len(parts) + 1
