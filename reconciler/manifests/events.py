"""What libyaml's parser hands over, as types.

Between `stream`, which owns the parser, and `builder`, which consumes the events.
"""

from __future__ import annotations

from typing import Protocol


class Mark(Protocol):
    """A place in the stream as libyaml counts it: from 0, columns in characters."""

    line: int
    column: int


class ParserEvent(Protocol):
    """An event of `CParser`; which attributes one really has depends on its class.

    PyYAML's own types allow every mark to be missing, which libyaml's events never do.
    """

    start_mark: Mark
    anchor: str | None
    tag: str | None
    value: str
    style: str
    #: of a %YAML and of %TAG directives, on the start of a document
    version: object
    tags: object
