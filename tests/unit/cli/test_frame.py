from __future__ import annotations

import click
import pytest

from reconciler.cli import frame, main
from reconciler.cli.table import ROWS


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_row_leads_to_a_command(name: str) -> None:
    command = main.program().get_command(click.Context(main.program()), name)
    assert isinstance(command, click.Command)
    assert command.help


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_command_takes_the_options_of_every_command(name: str) -> None:
    command = main.program().get_command(click.Context(main.program()), name)
    assert command is not None
    assert {id(option) for option in frame.EVERYWHERE} <= {id(p) for p in command.params}


def test_summaries_fit_a_line() -> None:
    assert [row.summary for row in ROWS.values() if len(row.summary) > 70] == []
