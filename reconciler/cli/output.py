"""What commands print with: data to standard output, talk to standard error, through the gates.

Decides once what each stream can show, so that reports get it as one `Style`. Options such as
`--color` and `-q` are parsed after the first thing may have to be said, hence the attributes that
they set.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from reconciler.cli.gate import Gate
from reconciler.errors import ConfigError, OutputFailed
from reconciler.redact import Redactor
from reconciler.report.style import Style, Tone


class Output:
    """What commands print with; options that come later in parsing change how."""

    def __init__(
        self,
        *,
        stdout: TextIO | None,
        stderr: TextIO | None,
        redactor: Redactor,
        environment: Mapping[str, str],
    ) -> None:
        self.redactor = redactor
        self.stdout = Gate(stdout, redactor, is_data=True)
        self.stderr = Gate(stderr, redactor, is_data=False)
        self._environment = environment
        self.colour = "auto"
        self.is_quiet = False
        self.verbosity = 0

    def install(self) -> None:
        """Puts the gates in the place of `sys.stdout` and `sys.stderr`, for good.

        There is no way back on purpose: also what the interpreter prints while it ends is gated.
        """
        sys.stdout, sys.stderr = self.stdout, self.stderr

    def data(self, text: str) -> None:
        """Writes a result to standard output.

        Raises:
            OutputFailed: standard output is closed or full.
        """
        self.stdout.emit(text, styled=self.style.colour)
        if self.stdout.isatty():
            self.stdout.flush()

    def say(self, text: str) -> None:
        """Writes talk to standard error, unless the user wants quiet."""
        if not self.is_quiet:
            self.stdout.flush()
            self.stderr.emit(text, styled=self.talk_style.colour)

    def problem(self, message: str, hint: str = "", *, word: str = "error") -> None:
        """Writes why the command cannot go on, and what to do, to standard error; always.

        Both may quote foreign text: whatever it is, they stay on their line and have our colours.
        """
        from reconciler.report import layout

        message, hint = layout.one_line(message), layout.one_line(hint)
        with suppress(OutputFailed):  # what is wrong is said even so
            self.stdout.flush()
        style = self.talk_style
        text = f"{style.paint(word, Tone.ALARM)}: {style.paint(message, Tone.STRONG)}\n"
        if hint:
            text += f"  {style.paint('= help:', Tone.NOTE)} {hint}\n"
        self.stderr.emit(text, styled=style.colour)

    def warn(self, message: str, hint: str = "") -> None:
        """Writes a warning to standard error, unless the user wants quiet."""
        if not self.is_quiet:
            self.problem(message, hint, word="warning")

    @property
    def can_ask(self) -> bool:
        """Whether a person sits at both ends."""
        return self.stderr.isatty() and sys.stdin is not None and sys.stdin.isatty()

    def confirm(self, question: str) -> bool:
        """Asks on the terminal and returns whether the answer is yes.

        Raises:
            ConfigError: nobody can be asked.
        """
        if not self.can_ask:
            raise ConfigError("nobody can be asked here", "say --yes")
        self.stdout.flush()
        self.stderr.emit(f"{question} [y/N] ", styled=False)
        return sys.stdin.buffer.readline().strip().lower() in (b"y", b"yes")

    def flush(self) -> None:
        """Writes out what is still held back.

        Raises:
            OutputFailed: standard output is closed or full.
        """
        self.stdout.flush()
        self.stderr.flush()

    @property
    def style(self) -> Style:
        """What standard output can show."""
        return self._style(self.stdout)

    @property
    def talk_style(self) -> Style:
        """What standard error can show."""
        return self._style(self.stderr)

    @property
    def has_links(self) -> bool:
        """Whether paths on standard output may be links."""
        return self.stdout.isatty() and self.style.colour

    def _style(self, gate: Gate) -> Style:
        is_dull = self._environment.get("NO_COLOR") or self._environment.get("TERM") == "dumb"
        automatic = self.colour == "auto" and gate.isatty() and not is_dull
        return Style(
            width=self._width(gate),
            colour=automatic or self.colour == "always",
            unicode=gate.unicode,
        )

    def _width(self, gate: Gate) -> int | None:
        if not gate.isatty():
            return None
        told = self._environment.get("COLUMNS", "")
        if re.fullmatch("[1-9][0-9]{1,3}", told):
            return int(told)
        try:
            return os.get_terminal_size(gate.fileno()).columns or None
        except (OSError, ValueError):
            return None
