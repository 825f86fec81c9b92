"""The documents of one file as libyaml's parser finds them, and everything that is wrong there.

Stage 1, pure; the file as a whole is `loader`'s, one document's events are `builder`'s. A parser
cannot go on after a syntax error, so a new one starts at the next `---` line: one broken document
hides no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import yaml
from yaml import MarkedYAMLError
from yaml._yaml import CParser
from yaml.events import DocumentStartEvent, StreamEndEvent

from reconciler.manifests import findings, syntax
from reconciler.manifests.builder import Builder, GiveUp
from reconciler.manifests.events import Mark, ParserEvent
from reconciler.model import Diagnostic, Document, Json, Location, MarkNode, Severity

#: Each syntax error costs a parser; a file with more broken documents is not read further.
_MOST_PARSERS = 100
_LINE_BREAK_BYTES = re.compile(rb"\r\n|\r|\n")
_DOCUMENT_MARKER = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_LFS_VERSION = b"version https://git-lfs.github.com/spec/"


class Stream:
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
