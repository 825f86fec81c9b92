"""The lifecycle table, all of it: every cell is reached through the command line by some test."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from reconciler import status
from reconciler.status import Signal
from tests.e2e import lifecycle
from tests.e2e.lifecycle import SH, SU, X

#: That a budget is used up is found and stored by one process within one batch, with nothing to
#: wait for in between, so nobody can step in from outside; `tests/unit/test_status.py` has these.
WITHIN_ONE_BATCH = {(state, Signal.BUDGET_USED) for state in (SU, SH, X)}


def test_every_cell_of_the_table_is_reached() -> None:
    modules = [
        import_module(f"tests.e2e.{file.stem}")
        for file in sorted(Path(__file__).parent.glob("test_lifecycle_*.py"))
        if file.stem != Path(__file__).stem
    ]
    reached = {cell for module in modules for cell in lifecycle.reached(module)}
    assert set(status.TABLE) - reached == WITHIN_ONE_BATCH
