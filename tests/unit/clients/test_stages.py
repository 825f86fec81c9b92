from __future__ import annotations

import pytest

from reconciler.clients.stages import Stages
from reconciler.model import Stage, StageName


def test_stages_are_kept_in_order_after_those_reached_before() -> None:
    before = Stage(name=StageName.SECRET, seconds=0.5)
    stages = Stages((before,))
    with stages.stage(StageName.DNS):
        pass
    with stages.stage(StageName.TCP):
        pass
    assert [stage.name for stage in stages.reached()] == ["secret", "dns", "tcp"]


def test_a_failing_stage_is_recorded_with_what_was_learnt() -> None:
    stages = Stages()

    def fail() -> None:
        with stages.stage(StageName.TCP) as stage:
            stage.detail = "10.4.7.12"
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    assert [(done.name, done.detail) for done in stages.reached()] == [("tcp", "10.4.7.12")]


def test_a_running_stage_comes_last() -> None:
    stages = Stages()
    with stages.stage(StageName.DNS):
        pass
    with stages.stage(StageName.TCP) as stage:
        stage.detail = "10.4.7.12"
        assert [(at.name, at.detail) for at in stages.reached()] == [
            ("dns", ""),
            ("tcp", "10.4.7.12"),
        ]


def test_nothing_is_last_before_the_first_stage() -> None:
    assert Stages().last is None


def test_seconds_are_never_negative() -> None:
    stages = Stages()
    with stages.stage(StageName.DNS):
        pass
    assert stages.reached()[0].seconds >= 0
