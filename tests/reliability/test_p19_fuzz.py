"""P19: any input ends in a documented way; a moment of what `make fuzz` does for an hour."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.trying import fuzz
from tests.reliability.figures import Record

INPUTS, SOAK_INPUTS = 150, 100_000


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_input_has_a_documented_outcome(target: Target, figure: Record, is_soak: bool) -> None:
    tried = fuzz(target, inputs=SOAK_INPUTS if is_soak else INPUTS)
    figure("P19", "fuzzed inputs", tried, "without a documented outcome", 0)
