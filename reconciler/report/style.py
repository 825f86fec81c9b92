"""How text may look: width, colour and glyphs, as one value handed to every report.

Whoever writes to a terminal decides once what the terminal can do; a report only says what a piece
of text means (`Tone`). Colours are SGR sequences written by hand: a report is then the same pure
text function for a pipe and for a terminal, and needs no library.
"""

from __future__ import annotations

from enum import StrEnum

from reconciler.values import dataclass


class Tone(StrEnum):
    """What a piece of text means; the value is its SGR parameter (ECMA-48, section 8.3.117)."""

    PLAIN = ""
    GOOD = "32"
    BAD = "31"
    WARNING = "33"
    #: a thing to do or to know
    NOTE = "36"
    QUIET = "2"
    STRONG = "1"
    #: must not be overlooked
    ALARM = "1;31"


#: What stands for a character where the encoding has only ASCII.
_ASCII = str.maketrans({"✓": "+", "✗": "x", "…": "~", "·": "."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the place that text goes to can show."""

    #: cells a line may take; None never cuts, which suits pipes
    width: int | None = 100
    colour: bool = False
    #: whether the encoding has more than ASCII
    unicode: bool = True

    def paint(self, text: str, tone: Tone) -> str:
        """Returns `text` in the colour of `tone`, or as it is where there are no colours."""
        if not (self.colour and tone and text):
            return text
        return f"\x1b[{tone}m{text}\x1b[0m"

    def glyph(self, glyph: str) -> str:
        """Returns `glyph`, one cell wide, or what stands for it in ASCII."""
        return glyph if self.unicode else glyph.translate(_ASCII)
