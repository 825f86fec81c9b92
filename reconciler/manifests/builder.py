"""One YAML document from parser events: data, positions and findings in a single pass.

Pure; the hot path of the program. Apart from `loader`, which deals with files: here one document
begins and ends. Events and not libyaml's composer, because the composer recurses in C and fifty
thousand brackets kill the process; with events every limit is checked before anything is built.
The open nodes are an explicit stack. Scalars, seven events of ten, are taken in the loop
itself: a call more for each is a measurable part of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.manifests import findings
from reconciler.manifests.events import ParserEvent
from reconciler.manifests.findings import Note
from reconciler.manifests.frame import FAILED, MERGE, Frame, merge
from reconciler.manifests.scalars import NUMERIC_STARTS, WORDS, resolve
from reconciler.model import Diagnostic, Json, Location, MarkNode, pointer
from reconciler.redact import MASK


class GiveUp(Exception):
    """The rest of the document cannot be read; its diagnostics hold the reason."""

    def __init__(self, line: int) -> None:
        super().__init__()
        #: where reading stopped, from 1
        self.line = line


#: A finished anchored node: data, the marks inside it, its size in nodes.
_Anchored: TypeAlias = tuple[Json, Any, int]


class Builder:
    """Builds the documents of one stream, one after the other."""

    def __init__(
        self, get_event: Callable[[], ParserEvent], path: str, base: int, *, has_escapes: bool
    ) -> None:
        """Takes events from `get_event`; `base` is the number of the stream's first line.

        `has_escapes` is whether the stream holds a backslash at all, so whether a quoted text can
        hold a character that the stream does not.
        """
        self._get_event = get_event
        self._path = path
        self._base = base
        self._has_escapes = has_escapes
        self.begin()

    def begin(self) -> None:
        """Forgets the document before."""
        #: findings of the document in the order they were made
        self.diagnostics: list[Diagnostic] = []
        #: the last line of the document, once it is built
        self.end_line = 0
        self._count = 0
        self._anchor_count = 0
        self._anchors: dict[str, _Anchored | Frame] = {}
        self._stack: list[Frame] = []
        self._frame = Frame([], [], 0, 0, 0)

    def build(self) -> tuple[Json, MarkNode]:
        """Consumes the events of one document after its start event; returns its root.

        Findings are in `diagnostics`; where one is an error the data is of no use.

        Raises:
            GiveUp: a limit is passed; what remains of the document was not read.
            yaml.MarkedYAMLError: the parser cannot go on.
        """
        root = frame = self._frame
        get_event, step_of, base = self._get_event, _STEPS.get, self._base
        while True:
            event = get_event()
            kind: type = type(event)
            if kind is not ScalarEvent:
                step = step_of(kind)
                if step is None:
                    break
                step(self, event)
                frame = self._frame
                continue
            mark = event.start_mark
            line = mark.line + base
            column = mark.column + 1
            value: Any = event.value
            if event.style != "":
                if self._has_escapes:
                    self._check_characters(value, line, column)
            elif value in WORDS or value[0] in NUMERIC_STARTS:
                value = self._plain(value, line, column)
            if event.tag is not None or event.anchor is not None:
                self._note_properties(event, value, line, column)
            key = frame.key
            if key is not None:
                frame.data[key] = value
                frame.marks[key] = (frame.key_line, frame.key_column, (line, column, None))
                frame.key = None
            elif frame.is_list:
                frame.data.append(value)
                frame.marks.append((line, column, None))
                if len(frame.data) > findings.LARGEST_NODES:
                    self._too_many_nodes(line, column)
            elif type(value) is str and value not in frame.data:
                frame.key = value
                frame.key_line = line
                frame.key_column = column
            else:
                self._unusual_key(value, line, column)
        self.end_line = event.start_mark.line + base
        return root.data[0], root.marks[0]

    def _note_properties(self, event: ParserEvent, value: Json, line: int, column: int) -> None:
        """Takes the tag and the anchor of a scalar."""
        if event.tag is not None:
            self._report(findings.TAG, line, column)
        if event.anchor is not None:
            self._count_anchor(line, column)
            self._anchors[event.anchor] = (value, None, 1)

    def _add(self, value: Json, node: MarkNode) -> None:
        """Puts a finished node where it belongs: a collection, or what an alias stands for."""
        frame = self._frame
        key = frame.key
        if key is not None:
            frame.data[key] = value
            frame.marks[key] = (frame.key_line, frame.key_column, node)
            frame.key = None
        elif frame.is_list:
            frame.data.append(value)
            frame.marks.append(node)
        else:
            self._unusual_key(value, node[0], node[1])

    def _start_mapping(self, event: ParserEvent) -> None:
        self._start(event, {}, {})

    def _start_sequence(self, event: ParserEvent) -> None:
        self._start(event, [], [])

    def _start(self, event: ParserEvent, data: Any, marks: Any) -> None:
        mark = event.start_mark
        line, column = mark.line + self._base, mark.column + 1
        if event.tag is not None:
            self._report(findings.TAG, line, column)
        self._stack.append(self._frame)
        if len(self._stack) > findings.LARGEST_DEPTH:
            self._stack.pop()
            self._report(findings.TOO_DEEP, line, column)
            raise GiveUp(line)
        self._frame = frame = Frame(data, marks, line, column, self._count)
        if event.anchor is not None:
            self._count_anchor(line, column)
            frame.anchor = event.anchor
            self._anchors[event.anchor] = frame

    def _end_mapping(self, _: ParserEvent) -> None:
        frame = self._frame
        self._count_nodes(frame, 2 * len(frame.data))
        if frame.has_merge:
            for line, column in merge(frame):
                self._report(findings.BAD_MERGE, line, column)
        self._end(frame)

    def _end_sequence(self, _: ParserEvent) -> None:
        self._count_nodes(self._frame, len(self._frame.data))
        self._end(self._frame)

    def _count_nodes(self, frame: Frame, nodes: int) -> None:
        self._count += nodes
        if self._count > findings.LARGEST_NODES:
            self._too_many_nodes(frame.line, frame.column)

    def _end(self, frame: Frame) -> None:
        self._frame = self._stack.pop()
        if frame.anchor is not None and self._anchors[frame.anchor] is frame:
            size = self._count - frame.before
            self._anchors[frame.anchor] = (frame.data, frame.marks, size)
        self._add(frame.data, (frame.line, frame.column, frame.marks))

    def _alias(self, event: ParserEvent) -> None:
        mark = event.start_mark
        line, column = mark.line + self._base, mark.column + 1
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None or isinstance(anchored, Frame):
            note = findings.UNDEFINED if anchored is None else findings.CYCLE
            self._report(note, line, column)
            self._add(FAILED, (line, column, None))
            return
        value, marks, size = anchored
        self._count += size
        if self._count > findings.LARGEST_NODES:
            self._too_many_nodes(line, column)
        self._add(value, (line, column, marks))

    def _count_anchor(self, line: int, column: int) -> None:
        self._anchor_count += 1
        if self._anchor_count > findings.LARGEST_ANCHORS:
            self._report(findings.TOO_MANY_ANCHORS, line, column)
            raise GiveUp(line)

    def _too_many_nodes(self, line: int, column: int) -> None:
        self._report(findings.TOO_MANY_NODES, line, column)
        raise GiveUp(line)

    def _plain(self, text: str, line: int, column: int) -> Json:
        """Returns the value of a plain scalar that is not plainly text, and says what is odd."""
        frame = self._frame
        if text == "<<" and frame.key is None and not frame.is_list:
            frame.has_merge = True
            return MERGE
        value, note = resolve(text)
        if note is not None:
            self._report(note, line, column)
        return value

    def _check_characters(self, text: str, line: int, column: int) -> None:
        found = re.search(findings.FORBIDDEN, text)
        if found is not None:
            self._report(findings.forbidden(found[0], "the text holds"), line, column)

    def _unusual_key(self, key: Json, line: int, column: int) -> None:
        """Takes a key that is the merge key, is given twice, or is not a string."""
        frame = self._frame
        if type(key) is not str and key is not MERGE:
            if key is not FAILED:
                self._report(findings.not_a_string(key), line, column)
            # Any text will do: the document is not going to be used.
            frame.key, frame.key_line, frame.key_column = MASK, line, column
            return
        frame.key, frame.key_line, frame.key_column = key, line, column
        if key in frame.data:
            first_line, first_column, _ = frame.marks[key]
            first = Location(path=self._path, line=first_line, column=first_column)
            note = findings.TWO_MERGES if key is MERGE else findings.duplicate(key, first)
            related = ((first, "first given here"),)
            self._report(note, line, column, on_key=True, related=related)
            # A third one is to name the first and not the second.
            frame.key_line, frame.key_column = first_line, first_column

    def _report(
        self,
        note: Note,
        line: int,
        column: int,
        *,
        on_key: bool = False,
        related: tuple[tuple[Location, str], ...] = (),
    ) -> None:
        # A node has three findings at most, so this many need more nodes than there may be.
        if len(self.diagnostics) >= 3 * findings.LARGEST_NODES and note.code != "E010":
            self._too_many_nodes(line, column)
        frame = self._frame
        # The excerpt is one line: a value further down than its key has none.
        drawable = frame.key is not None and (on_key or line == frame.key_line)
        excerpt = (
            findings.excerpt(str(frame.key), column if on_key else frame.key_column, on_key=on_key)
            if drawable
            else None
        )
        self.diagnostics.append(
            findings.diagnostic(
                note,
                Location(path=self._path, line=line, column=column),
                pointer=self._pointer(),
                excerpt=excerpt,
                related=related,
            )
        )

    def _pointer(self) -> str:
        """Returns the pointer of the node that comes next, in a mapping without key of that."""
        parts: list[str | int] = []
        for frame in [*self._stack, self._frame][1:]:
            if frame.is_list:
                parts.append(len(frame.data))
            elif frame.key is not None:
                parts.append(str(frame.key))
        return pointer(tuple(parts))


#: What is done at an event that is no scalar; the document ends at any other. Of functions and not
#: of bound methods: a builder that refers to itself, one per file, would wait for the collector.
_STEPS: dict[type, Callable[[Builder, ParserEvent], None]] = {
    AliasEvent: Builder._alias,
    MappingStartEvent: Builder._start_mapping,
    MappingEndEvent: Builder._end_mapping,
    SequenceStartEvent: Builder._start_sequence,
    SequenceEndEvent: Builder._end_sequence,
}
