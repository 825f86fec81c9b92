from __future__ import annotations

import pytest

from reconciler.cli import progress
from tests.unit.cli.terminal import Screen, make_output


@pytest.mark.parametrize(
    ("done", "seconds", "line"),
    [
        pytest.param(0, 0, "Checking  [--------------------]  0/3  00:00", id="begins"),
        pytest.param(2, 64.9, "Checking  [#############-------]  2/3  01:04", id="goes on"),
        pytest.param(3, 600, "Checking  [####################]  3/3  10:00", id="ends"),
    ],
)
def test_line_says_how_far_it_is(done: int, seconds: float, line: str) -> None:
    assert progress.line("Checking", done, 3, seconds) == line


def test_line_is_gone_after_the_work() -> None:
    stderr = Screen(is_terminal=True)
    with progress.Progress(make_output(Screen(), stderr), "Checking", 3):
        pass
    assert stderr.text == "\r\x1b[KChecking  [--------------------]  0/3  00:00\r\x1b[K"


@pytest.mark.parametrize(
    ("stderr", "is_quiet", "total"),
    [
        pytest.param(Screen(), False, 3, id="no terminal"),
        pytest.param(Screen(is_terminal=True), True, 3, id="quiet"),
        pytest.param(Screen(is_terminal=True), False, 0, id="nothing to do"),
    ],
)
def test_nothing_is_drawn(stderr: Screen, is_quiet: bool, total: int) -> None:
    output = make_output(Screen(), stderr)
    output.is_quiet = is_quiet
    with progress.Progress(output, "Checking", total) as bar:
        bar.advance(1)
    assert stderr.text == ""
