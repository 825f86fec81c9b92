"""Writes the table of README's section "Reliability" from the figures of a run of the falsifiers.

`make reliability` runs them with `--figures FILE`, then this with FILE. Nobody else writes between
the two marks, so what stands there was measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.reliability import figures
from tests.reliability.figures import Figures
from tests.reliability.promises import PROMISES

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- reliability: written by `make reliability` -->\n", "<!-- /reliability -->\n"
HEAD = "| | promise | how it is tried to be broken | measured |\n| --- | --- | --- | --- |\n"


def table(measured: Figures) -> Iterator[str]:
    """Yields the lines of the table.

    Raises:
        LookupError: a promise was not measured, or nobody knows what was measured.
    """
    if odd := sorted(PROMISES.keys() ^ measured.keys(), key=figures.order):
        raise LookupError(f"measured and promised are not the same: {', '.join(odd)}")
    yield HEAD
    for name, promise in PROMISES.items():
        told = figures.phrase(measured[name])
        yield f"| {name} | {promise.claim} | {promise.fault} | {told} |\n"


def between_marks(readme: str) -> str:
    """Returns what stands between the marks."""
    return readme.partition(BEGIN)[2].partition(END)[0]


def main(source: str) -> None:
    """Writes README anew from the figures in the file `source`."""
    measured: Figures = json.loads(Path(source).read_text(encoding="utf-8"))
    readme = README.read_text(encoding="utf-8")
    before, mark, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise LookupError("README has no marks to write between")
    README.write_text(f"{before}{mark}{''.join(table(measured))}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
