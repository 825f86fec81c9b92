"""How far a pass has come: one line, redrawn in place, on a terminal only.

Written by hand because what draws must go through the gate, which takes the control sequences of
other libraries for foreign text. Where there is no terminal nothing is shown: a log of a bar's
states helps nobody.
"""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Self

from reconciler.cli.output import Output

_BAR_CELLS = 20
#: Redrawing more often only costs time.
_REDRAWN_EVERY_S = 0.1


class Progress:
    """A bar that is shown inside a `with` block and gone after it."""

    def __init__(self, output: Output, label: str, total: int) -> None:
        """`label` says what is being done; `total` is how many steps there are."""
        self._output = output
        self._label = label
        self._total = total
        self._done = 0
        self._started_s = monotonic()
        self._drawn_s = 0.0
        self._is_shown = total > 0 and output.stderr.isatty() and not output.is_quiet

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._output.stderr.clear_line()

    def advance(self, count: int) -> None:
        """Adds `count` finished steps."""
        self._done += count
        if monotonic() - self._drawn_s >= _REDRAWN_EVERY_S:
            self._draw()

    def _draw(self) -> None:
        if self._is_shown:
            self._drawn_s = monotonic()
            seconds = self._drawn_s - self._started_s
            text = line(self._label, self._done, self._total, seconds)
            self._output.stderr.redraw(text[: self._output.talk_style.width])


def line(label: str, done: int, total: int, seconds: float) -> str:
    """Returns `Checking  [##########----------]  1/2  00:04`."""
    filled = _BAR_CELLS * min(done, total) // total
    minutes, rest = divmod(int(seconds), 60)
    bar = "#" * filled + "-" * (_BAR_CELLS - filled)
    return f"{label}  [{bar}]  {done}/{total}  {minutes:02}:{rest:02}"
