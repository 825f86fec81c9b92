from __future__ import annotations

import pytest

from reconciler.cli import exit_codes


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        pytest.param([], 0, id="nothing happened"),
        pytest.param([0, 10], 10, id="pending beats done"),
        pytest.param([10, 11], 11, id="unhealthy beats pending"),
        pytest.param([11, 4], 4, id="unresolved secret beats unhealthy"),
        pytest.param([4, 8], 8, id="refusal beats unresolved secret"),
        pytest.param([8, 7, 6, 5], 5, id="store beats conflict, stale plan and refusal"),
        pytest.param([3, 2], 2, id="usage beats invalid manifests"),
        pytest.param([2, 1], 1, id="bug beats usage"),
        pytest.param([1, 143], 143, id="termination beats bug"),
        pytest.param([143, 130], 130, id="interrupt beats all"),
    ],
)
def test_worst_code_wins(codes: list[int], worst: int) -> None:
    assert exit_codes.worst(codes) == worst
