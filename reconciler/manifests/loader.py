"""Bytes of one file become documents, or all the diagnostics that can be found in one run.

Stage 1, pure: files are `read`'s. What is wrong with the file as a whole (size, encoding,
characters, conflict markers) is found before it is parsed. What needs no parser is `ordinary`'s,
all else `stream`'s, which is imported when it is needed: libyaml and PyYAML around it take as long
as a hundred ordinary files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from reconciler.manifests import findings, ordinary
from reconciler.model import Diagnostic, Document, Location

#: The bytes of a file that needs no closer look: printable ASCII, tab, line feed.
_PLAIN_BYTES = b"\t\n" + bytes(range(0x20, 0x7F))
#: `findings.FORBIDDEN` for a whole file: a carriage return may end a line there, and the Unicode
#: line separators, at which YAML 1.1 breaks lines and YAML 1.2 does not, may only be escaped.
_FORBIDDEN = findings.FORBIDDEN.replace("\x0b-\x1f", "\x0b\x0c\x0e-\x1f\u2028\u2029")
#: Lines that are named for one reason about the whole file; with more it is hardly a manifest.
_MOST_LINES = 20
_LINE_BREAK = re.compile("\r\n|\r|\n")
_CONFLICT = re.compile(r"(?:<{7}|>{7})(?: |\Z)")
_BYTE_ORDER_MARK = "\ufeff"
_UTF_16_STARTS = (b"\xff\xfe", b"\xfe\xff")


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
    ordinary_document = _ordinary(data, path)
    if ordinary_document is not None:
        yield ordinary_document
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
    from reconciler.manifests.stream import Stream

    yield from Stream(data, path, bad_lines).results()


def _ordinary(data: bytes, path: str) -> Document | None:
    """Returns the one document of a file that needs no parser, or None."""
    if len(data) > ordinary.LARGEST_BYTES or data.translate(None, ordinary.BYTES):
        return None
    found = ordinary.read(data.decode())
    return None if found is None else Document(data=found[0], path=path, marks=found[1])


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
