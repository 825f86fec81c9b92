"""P1: apply, and everything else that writes, is all or nothing, wherever it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import survey
from tests.reliability.figures import Record
from tests.reliability.scenarios import SCENARIOS


def check(promise: str, name: str, url: str, folder: Path, figure: Record, is_soak: bool) -> None:
    found = survey.survey(name, url, folder, is_thorough=is_soak)
    assert found.wrong == ()
    assert found.points > 10
    figure(promise, "kill points", found.points, "half-done", len(found.wrong))


@pytest.mark.parametrize("name", SCENARIOS)
def test_change_of_a_file_killed_at_any_point_is_all_or_nothing(
    name: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    check("P1", name, "", memory_path, figure, is_soak)


@pytest.mark.server
@pytest.mark.parametrize("name", SCENARIOS)
def test_change_in_postgresql_killed_at_any_point_is_all_or_nothing(
    name: str, postgresql_url: str, memory_path: Path, figure: Record, is_soak: bool
) -> None:
    check("P1", name, postgresql_url, memory_path, figure, is_soak)
