"""A text stream that lets nothing out but redacted, escaped and encodable text.

Every byte that leaves on standard output or standard error passes one of two gates. Secrets are
redacted by value, control characters escaped, and what the encoding lacks is written in ASCII. Only
our own reports may hold colours and links; whatever is printed like to a file counts as foreign.
"""

from __future__ import annotations

import io
import os
import re
from typing import TextIO

from reconciler import redact
from reconciler.errors import OutputFailed
from reconciler.redact import Redactor

#: Colours (SGR) and links (OSC 8): the only control sequences that a report may hold.
_STYLING = re.compile(r"(\x1b\[[0-9;]*m|\x1b\]8;;[!-~]*\x1b\\)")
#: What stands for a character that the encoding lacks; anything else is escaped.
_PLAIN = str.maketrans(
    {"✓": "+", "✗": "x", "…": "~", "·": ".", "→": "->", "–": "-", "—": "-", "’": "'", "×": "x"}
)
_CLEAR_LINE = "\r\x1b[K"


class Gate(io.TextIOBase):
    """One of the two streams; what is written to it like to a file counts as foreign text."""

    def __init__(self, stream: TextIO | None, redactor: Redactor, *, is_data: bool) -> None:
        """`stream` is None where the process was started without it."""
        self._stream = stream
        self._redactor = redactor
        self._is_data = is_data
        self._is_broken = False
        self._has_status_line = False
        self._pending = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        """The encoding of the stream behind."""
        return (self._stream and self._stream.encoding) or "utf-8"

    @property
    def unicode(self) -> bool:
        """Whether the encoding has the glyphs that reports use."""
        try:
            "✓✗…·".encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def isatty(self) -> bool:
        """Returns whether a terminal is behind."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Returns the descriptor behind."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Returns True."""
        return True

    def write(self, text: str) -> int:
        """Takes foreign text and passes on whole lines: a secret is then not split in two."""
        *lines, self._pending = (self._pending + text).split("\n")
        if lines:
            self.emit("\n".join(lines) + "\n", styled=False)
        return len(text)

    def flush(self) -> None:
        """Passes on everything, an unfinished line included."""
        pending, self._pending = self._pending, ""
        if pending:
            self.emit(pending, styled=False)
        self._pass_on(b"")

    def emit(self, text: str, *, styled: bool) -> None:
        """Writes a whole text; with `styled` its colours and links stay, else they are removed.

        Raises:
            OutputFailed: standard output is closed or full. Standard error never fails: there is
                nowhere left to say so.
        """
        clear = _CLEAR_LINE if self._has_status_line else ""
        self._has_status_line = False
        self._pass_on(_encode(clear + self._clean(text, styled=styled), self.encoding))

    def redraw(self, line: str) -> None:
        """Shows `line` in place of the one drawn before; the next text that comes clears it."""
        self._pass_on(_encode(_CLEAR_LINE + self._clean(line, styled=False), self.encoding))
        self._has_status_line = True

    def clear_line(self) -> None:
        """Takes away the line that was drawn last."""
        self.emit("", styled=False)

    def _clean(self, text: str, *, styled: bool) -> str:
        if not styled:
            return redact.escape(self._redactor.redact(_STYLING.sub("", text)))
        parts = _STYLING.split(self._redactor.redact(text))
        parts[::2] = [redact.escape(part) for part in parts[::2]]
        return "".join(parts)

    def _pass_on(self, data: bytes) -> None:
        if self._is_broken or (self._stream is None and not data):
            return
        try:
            if self._stream is None:
                self._fail(None)
            else:
                self._stream.buffer.write(data)
                if not data or not self._is_data:
                    self._stream.buffer.flush()
        except (OSError, ValueError) as error:  # ValueError: the file object was closed
            self._fail(error)

    def _fail(self, error: Exception | None) -> None:
        self._is_broken = True
        self._abandon()
        if self._is_data:
            reason = getattr(error, "strerror", None) or "it is closed"
            raise OutputFailed(f"standard output cannot be written: {reason.lower()}") from error

    def _abandon(self) -> None:
        """Lets the interpreter's last flush succeed: failing again, it would change the exit."""
        try:
            descriptor = self.fileno()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
        except (OSError, ValueError):
            return


def _encode(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace")
