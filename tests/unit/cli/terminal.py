"""Streams in memory that a gate can write to."""

from __future__ import annotations

import io
from collections.abc import Mapping

from reconciler.cli.output import Output
from reconciler.redact import Redactor


class Screen(io.TextIOWrapper):
    """A stream that remembers its bytes; a terminal if asked."""

    def __init__(self, encoding: str = "utf-8", *, is_terminal: bool = False) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


def make_output(
    stdout: Screen, stderr: Screen, environment: Mapping[str, str] | None = None
) -> Output:
    return Output(stdout=stdout, stderr=stderr, redactor=Redactor(), environment=environment or {})
