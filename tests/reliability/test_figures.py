"""The figures add up, and the table in README is about promises that are tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import figures, table
from tests.reliability.figures import Figures
from tests.reliability.promises import PROMISES


def test_counts_add_up_and_of_measurements_the_largest_is_kept() -> None:
    known: Figures = {}
    for count, seconds in ((2, 0.5), (3, 0.25)):
        figures.add(known, "P1", "kills", count)
        figures.add(known, "P1", "s at most", seconds)
    assert known == {"P1": {"kills": 5, "s at most": 0.5}}


def test_what_was_tried_is_told_before_what_was_not_found() -> None:
    known: dict[str, figures.Number] = {"lost": 0, "writes": 1204, "s at most": 0.5}
    assert figures.phrase(known) == "0.50 s at most, 1,204 writes, 0 lost"


def test_table_of_a_run_that_left_a_promise_out_is_not_written() -> None:
    measured: Figures = {name: {"kills": 1} for name in PROMISES if name != "P4"}
    with pytest.raises(LookupError, match="P4"):
        list(table.table(measured))


def test_readme_has_every_promise_and_its_figures() -> None:
    rows = table.between_marks(table.README.read_text(encoding="utf-8")).splitlines()[2:]
    cells = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]
    assert [row[:3] for row in cells] == [
        (name, promise.claim, promise.fault) for name, promise in PROMISES.items()
    ]
    assert all(row[3] for row in cells)


@pytest.mark.parametrize("name", PROMISES)
def test_promise_has_a_falsifier_that_reports(name: str) -> None:
    falsifiers = Path(__file__).parent.glob("test_p*.py")
    assert any(f'"{name}"' in file.read_text(encoding="utf-8") for file in falsifiers)
