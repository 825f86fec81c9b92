"""One target, many inputs, a limit of time for each: what both ways to fuzz share."""

from __future__ import annotations

from collections import Counter
from time import process_time
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import Target

#: CPU seconds for one input; the promise is that no input hangs for more than two.
LONGEST_S = 2.0


def attempt(target: Target, given_input: Any) -> None:
    """Runs one input; raises where the outcome is undocumented or takes too long."""
    started = process_time()
    target.run(given_input)
    took_s = process_time() - started
    assert took_s < LONGEST_S, f"takes {took_s:.1f} s"


def fuzz(target: Target, *, inputs: int, number: int | None = None) -> int:
    """Tries what was found before, then `inputs` new ones; returns how many were run.

    With `number` the inputs follow from it alone; a failure names the smallest input that fails.
    """
    tally: Counter[str] = Counter()
    for known in target.found:
        attempt(target, known)
        tally["run"] += 1

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(target.inputs)
    def run(drawn: Any) -> None:
        attempt(target, drawn)
        tally["run"] += 1

    (run if number is None else seed(number)(run))()
    return tally["run"]
