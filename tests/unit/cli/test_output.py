from __future__ import annotations

import pytest

from reconciler.cli.output import Output
from reconciler.errors import ConfigError
from reconciler.report.style import Style
from tests.unit.cli.terminal import Screen, make_output


def terminal(**environment: str) -> Output:
    screens = Screen(is_terminal=True), Screen(is_terminal=True)
    return make_output(*screens, environment=environment)


def test_data_and_talk_go_to_different_streams() -> None:
    stdout, stderr = Screen(), Screen()
    output = make_output(stdout, stderr)
    output.data("result\n")
    output.say("talk\n")
    assert (stdout.text, stderr.text) == ("result\n", "talk\n")


def test_quiet_silences_talk_and_warnings_but_no_problem() -> None:
    stderr = Screen()
    output = make_output(Screen(), stderr)
    output.is_quiet = True
    output.say("talk\n")
    output.warn("careful")
    output.problem("it does not work", "try this")
    assert stderr.text == "error: it does not work\n  = help: try this\n"


def test_pipe_is_never_cut_or_coloured() -> None:
    output = make_output(Screen(), Screen(), {"COLUMNS": "80"})
    assert output.style == Style(width=None, colour=False, unicode=True)


def test_terminal_is_coloured_and_as_wide_as_it_says() -> None:
    assert terminal(COLUMNS="72").style == Style(width=72, colour=True, unicode=True)


@pytest.mark.parametrize(
    ("environment", "colour", "expected"),
    [
        pytest.param({"NO_COLOR": "1"}, "auto", False, id="NO_COLOR"),
        pytest.param({"NO_COLOR": ""}, "auto", True, id="empty NO_COLOR counts as unset"),
        pytest.param({"TERM": "dumb"}, "auto", False, id="dumb terminal"),
        pytest.param({}, "never", False, id="never"),
        pytest.param({"NO_COLOR": "1"}, "always", True, id="always wins"),
    ],
)
def test_colour_follows_the_environment_and_the_option(
    environment: dict[str, str], colour: str, expected: bool
) -> None:
    output = terminal(**environment)
    output.colour = colour
    assert output.style.colour is expected


def test_encoding_without_glyphs_is_known_to_reports() -> None:
    assert not make_output(Screen("ascii"), Screen()).style.unicode


def test_nobody_is_asked_without_a_terminal() -> None:
    with pytest.raises(ConfigError, match="nobody can be asked here"):
        make_output(Screen(), Screen()).confirm("Really?")
