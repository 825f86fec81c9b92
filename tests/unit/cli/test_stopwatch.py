"""The table of `--profile`."""

from __future__ import annotations

from reconciler.cli import stopwatch
from reconciler.cli.stopwatch import Lap


def test_table_has_a_line_for_each_stage_in_order() -> None:
    laps = (
        Lap(stage="start-up", wall_s=0.25, cpu_s=0.25),
        Lap(stage="read and validate", wall_s=12.5, cpu_s=9.0625),
    )
    assert stopwatch.table(laps) == (
        "start-up             0.250 s    0.250 s CPU\nread and validate   12.500 s    9.062 s CPU\n"
    )


def test_nothing_is_timed_outside_of_a_command() -> None:
    with stopwatch.stage("plan"):
        pass
