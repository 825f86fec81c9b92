"""Bytes of one file become documents, or all the diagnostics that can be found in one run.

Stage 1, pure: files are `read`'s, one document's events are `builder`'s. What is wrong with the
file as a whole (size, encoding, characters, conflict markers) is found before it is parsed. A
parser cannot go on after a syntax error, so a new one starts at the next `---` line: one broken
document hides no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import cast

import yaml
from yaml import MarkedYAMLError
from yaml._yaml import CParser
from yaml.events import DocumentStartEvent, StreamEndEvent

from reconciler.manifests import findings, syntax
from reconciler.manifests.builder import Builder, GiveUp
from reconciler.manifests.events import Mark, ParserEvent
from reconciler.model import Diagnostic, Document, Json, Location, MarkNode, Severity

#: The bytes of a file that needs no closer look: printable ASCII, tab, line feed.
_PLAIN_BYTES = b"\t\n" + bytes(range(0x20, 0x7F))
#: `findings.FORBIDDEN` for a whole file: a carriage return may end a line there, and the Unicode
#: line separators, at which YAML 1.1 breaks lines and YAML 1.2 does not, may only be escaped.
_FORBIDDEN = findings.FORBIDDEN.replace("\x0b-\x1f", "\x0b\x0c\x0e-\x1f\u2028\u2029")
#: Lines that are named for one reason about the whole file; with more it is hardly a manifest.
_MOST_LINES = 20
#: Each syntax error costs a parser; a file with more broken documents is not read further.
_MOST_PARSERS = 100
_LINE_BREAK = re.compile("\r\n|\r|\n")
_LINE_BREAK_BYTES = re.compile(rb"\r\n|\r|\n")
_CONFLICT = re.compile(r"(?:<{7}|>{7})(?: |\Z)")
_DOCUMENT_MARKER = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_BYTE_ORDER_MARK = "\ufeff"
_UTF_16_STARTS = (b"\xff\xfe", b"\xfe\xff")
_LFS_VERSION = b"version https://git-lfs.github.com/spec/"


def load(data: bytes, path: str) -> Iterator[Document | Diagnostic]:
    """Yields the documents of a file and everything that is wrong with it.

    A document with an error is not yielded, its diagnostics are; the other documents are. A
    document's root is a mapping of JSON types, of which nothing else is known; parts that came from
    one anchor are one object. `path` is for locations only.
    """
    problem = _unreadable(data, path)
    if problem is not None:
        yield problem
        return
    conflicts = _conflicts(data, path)
    if conflicts:
        yield from conflicts
        return
    bad_lines: list[int] = []
    if not data.isascii() or data.translate(None, _PLAIN_BYTES):
        text = data.decode()
        characters = _forbidden_characters(text, path)
        yield from characters
        if len(characters) >= _MOST_LINES:
            return
        bad_lines = [found.location.line for found in characters]
        if bad_lines:
            data = _without_forbidden(text)
    yield from _Stream(data, path, bad_lines).results()


def _unreadable(data: bytes, path: str) -> Diagnostic | None:
    """Returns why the bytes are not looked at at all: too many, or no UTF-8."""
    start = Location(path=path, line=1, column=1)
    if len(data) > findings.LARGEST_FILE_BYTES:
        return findings.diagnostic(findings.TOO_LARGE, start)
    # Without a mark, the first character of UTF-16 is told by its zero byte (YAML 1.2.2, 5.2).
    if data.startswith(_UTF_16_STARTS) or b"\0" in data[:2]:
        return findings.diagnostic(findings.UTF_16, start)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        offset = error.start
    else:
        return None
    before = data[:offset].decode()
    return findings.diagnostic(findings.not_utf8(offset), _end_of(before, path))


def _conflicts(data: bytes, path: str) -> list[Diagnostic]:
    if b"<<<<<<<" not in data and b">>>>>>>" not in data:
        return []
    lines = (
        number
        for number, line in enumerate(_LINE_BREAK.split(data.decode()), start=1)
        if _CONFLICT.match(line)
    )
    return [
        findings.diagnostic(findings.CONFLICT, Location(path=path, line=line, column=1))
        for line in islice(lines, _MOST_LINES)
    ]


def _forbidden_characters(text: str, path: str) -> list[Diagnostic]:
    """Returns a diagnostic for the first forbidden character of each line, up to the limit."""
    lines = _LINE_BREAK.split(text.removeprefix(_BYTE_ORDER_MARK))
    matches = ((number, re.search(_FORBIDDEN, line)) for number, line in enumerate(lines, start=1))
    found = ((number, match) for number, match in matches if match)
    return [
        findings.diagnostic(
            findings.forbidden(match[0], "the file holds"),
            Location(path=path, line=line, column=match.start() + 1),
        )
        for line, match in islice(found, _MOST_LINES)
    ]


def _without_forbidden(text: str) -> bytes:
    """Returns the file such that the parser can go on and find what else is wrong."""
    return re.sub(_FORBIDDEN, "\ufffd", text.replace(_BYTE_ORDER_MARK, "")).encode()


def _end_of(text: str, path: str) -> Location:
    """Returns the place just after `text`, the beginning of a file; a leading mark has no width."""
    lines = _LINE_BREAK.split(text.removeprefix(_BYTE_ORDER_MARK))
    return Location(path=path, line=len(lines), column=len(lines[-1]) + 1)


class _Stream:
    """The documents of one file, over as many parsers as its syntax errors demand."""

    def __init__(self, data: bytes, path: str, bad_lines: list[int]) -> None:
        """Takes data that is UTF-8; documents on `bad_lines` have diagnostics already."""
        self._data = data
        self._path = path
        self._bad_lines = bad_lines
        self._count = 0
        #: where the present parser began, and the number of that line; None at the end
        self._offset: int | None = 0
        self._base = 1

    def results(self) -> Iterator[Document | Diagnostic]:
        """Yields documents and diagnostics up to the end of the file, or to too many errors."""
        is_empty = True
        for _ in range(_MOST_PARSERS):
            if self._offset is None:
                break
            for result in self._parse(self._offset):
                is_empty = False
                yield result
        if is_empty and not self._bad_lines:
            yield findings.diagnostic(findings.EMPTY, Location(path=self._path, line=1, column=1))

    def _parse(self, offset: int) -> Iterator[Document | Diagnostic]:
        """Yields what one parser finds; leaves `_offset` at the document to go on with."""
        data = self._data[offset:]
        parser = CParser(data)
        get_event = cast("Callable[[], ParserEvent]", parser.get_event)
        builder = Builder(get_event, self._path, self._base, has_escapes=b"\\" in data)
        try:
            yield from self._documents(get_event, builder)
            self._offset = None
        except GiveUp as stop:
            yield from _sorted(builder.diagnostics)
            self._skip(offset, stop.line)
        except MarkedYAMLError as error:
            found = self._syntax_error(data, error)
            yield from _sorted([*builder.diagnostics, found])
            self._skip(offset, found.location.line)

    def _syntax_error(self, data: bytes, error: MarkedYAMLError) -> Diagnostic:
        mark = cast("yaml.Mark", error.problem_mark)
        context_mark = error.context_mark
        character = data.decode("utf-8-sig")[mark.index : mark.index + 1]
        note = syntax.explain(error.context, error.problem, character)
        if context_mark is None:
            return findings.diagnostic(note, self._location(mark))
        if note in (findings.DIRECTIVE, findings.TAG):
            return findings.diagnostic(note, self._location(context_mark))
        opening = syntax.OPENINGS.get(error.context or "")
        related = ((self._location(context_mark), opening),) if opening else ()
        return findings.diagnostic(note, self._location(mark), related=related)

    def _documents(
        self, get_event: Callable[[], ParserEvent], builder: Builder
    ) -> Iterator[Document | Diagnostic]:
        while True:
            event = get_event()
            kind: type = type(event)
            if kind is StreamEndEvent:
                return
            if kind is not DocumentStartEvent:
                continue
            builder.begin()
            start = self._location(event.start_mark)
            self._count += 1
            if self._count > findings.LARGEST_DOCUMENTS:
                yield findings.diagnostic(findings.TOO_MANY_DOCUMENTS, start)
                return
            if event.version or event.tags:
                builder.diagnostics.append(findings.diagnostic(findings.DIRECTIVE, start))
            data, marks = builder.build()
            yield from self._judge(builder, data, marks, start.line)

    def _judge(
        self, builder: Builder, data: Json, marks: MarkNode, line: int
    ) -> Iterator[Document | Diagnostic]:
        """Yields a document that is complete, or why it is none; nothing for an empty one."""
        found = builder.diagnostics
        if data is not None and type(data) is not dict:
            is_pointer = self._data.startswith(_LFS_VERSION)
            note = findings.LFS_POINTER if is_pointer else findings.NOT_A_MAPPING
            location = Location(path=self._path, line=marks[0], column=marks[1])
            found.append(findings.diagnostic(note, location))
        if found:
            yield from _sorted(found)
            if any(finding.severity is Severity.ERROR for finding in found):
                return
        is_bad = any(line <= bad <= builder.end_line for bad in self._bad_lines)
        if data is not None and not is_bad:
            yield Document(data=data, path=self._path, marks=marks)

    def _skip(self, offset: int, line: int) -> None:
        """Moves to the first document marker behind `offset` that is not above `line`.

        At the start of a line, `---` parts documents wherever it stands, even inside quotes and
        block texts (YAML 1.2.2, section 9.1.4).
        """
        for marker in _DOCUMENT_MARKER.finditer(self._data, offset + 1):
            between = self._data[offset : marker.start()]
            offset = marker.start()
            self._base += len(_LINE_BREAK_BYTES.findall(between))
            if self._base >= line:
                self._offset = offset
                return
        self._offset = None

    def _location(self, mark: Mark) -> Location:
        return Location(path=self._path, line=mark.line + self._base, column=mark.column + 1)


def _sorted(found: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(found, key=lambda diagnostic: diagnostic.location)
