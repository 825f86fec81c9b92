"""P7 and P27: whatever happened before, an apply converges, and the events tell all of it.

Random histories of manifests, commands, checks, secrets and clocks, lived by the machine in
`life.py` on a store in memory and on one in a file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.reliability.figures import Record
from tests.reliability.life import Life


@pytest.mark.parametrize(
    ("kind", "share"),
    [pytest.param("memory", 0.9, id="memory"), pytest.param("file", 0.1, id="file")],
)
def test_every_history_converges_and_is_told_by_its_events(
    kind: str, share: float, tmp_path: Path, figure: Record, is_soak: bool
) -> None:
    tally: Counter[str] = Counter()

    def begin() -> Life:
        number = tally["begun"] = tally["begun"] + 1
        url = "sqlite://" if kind == "memory" else f"sqlite:///{tmp_path}/{number}/state.db"
        return Life(url, tally)

    run_state_machine_as_test(
        begin,  # type: ignore[arg-type]  # any maker of a machine will do
        settings=settings(
            max_examples=int((10_000 if is_soak else 100) * share),
            stateful_step_count=50 if is_soak else 20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    counted = ("runs", "steps", "applies", "refused applies", "exports", "checks", "late results")
    for name in counted:
        figure("P7", name, tally[name])
    figure("P7", "histories that do not converge", 0)
    figure("P27", "steps after which the events tell every status", tally["steps"])
