"""What a code means, as a page, and the index of all codes.

Pure; the texts are those of `codes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill, indent

from reconciler.codes import Code
from reconciler.report import layout
from reconciler.report.layout import Cell, Column
from reconciler.report.style import Style, Tone

_WIDTH = 80


def page(name: str, code: Code, style: Style) -> str:
    """Returns the long text of one code, with a failing example and the same put right."""
    paragraphs = [style.paint(f"{name}: {code.title}", Tone.STRONG)]
    paragraphs += [fill(part, min(style.width or _WIDTH, _WIDTH)) for part in _parts(code.text)]
    for heading, example in (("This fails:", code.failing), ("This is right:", code.fixed)):
        if example:
            paragraphs += [style.paint(heading, Tone.STRONG), indent(example.rstrip(), "    ")]
    return "\n\n".join(paragraphs) + "\n"


def index(codes: Mapping[str, Code], style: Style) -> str:
    """Returns one line per code, and how to read on."""
    rows = [[Cell(name), Cell(code.title)] for name, code in codes.items()]
    lines = layout.table([Column(title="CODE"), Column(title="MEANING")], rows, style)
    return "\n".join(lines) + "\n"


def _parts(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]
